package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/parts"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func (c *command) parts() *cobra.Command {
	o, out := parts.Options{}, ""
	cmd := &cobra.Command{
		Use:   "parts DIR|FILE.csv|- --out MANIFEST",
		Short: "List pictures in parts, for tlkit extract on any number of machines",
		Long: `List the pictures of a folder, a CSV file, or paths on standard input (-), in parts of equal
size, without reading them. MANIFEST is a folder; it gets a file of lines for each part, and
manifest.json last. Memory does not grow with the number of pictures.

A folder has LABEL/PICTURE or train/LABEL/PICTURE, a CSV file the columns path and, if known,
label and split. tlkit extract computes the parts, tlkit gather checks that all are there, and
tlkit train --features learns from them.`,
		Example: `  tlkit parts photos --size 2000 --out manifest
  seq 0 11 | xargs -P 4 -I{} tlkit extract manifest --only {} --out shards
  tlkit gather shards
  tlkit train --features shards -o my.head.safetensors`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(errors.New("parts: want a folder, a CSV file, or - for paths on standard input"), "tlkit parts DIR --out MANIFEST")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return advice.New(errors.New("parts: no folder for the manifest was named"), "tlkit parts %s --out MANIFEST", invoke.Quote(args[0]))
			}
			m, err := parts.Write(cmd.Context(), out, args[0], o)
			if err != nil {
				return err
			}
			c.result = m
			if !c.json {
				c.say("%s  %s pictures in %s", out, words.Grouped(m.Pictures), counted(m.Parts, "part"))
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&o.Size, "size", 1000, "pictures in a part, 1 to 100000")
	cmd.Flags().StringVar(&out, "out", "", "folder of the manifest")
	return cmd
}

// extractFlags are the flags of tlkit extract.
type extractFlags struct {
	spec     run.Spec
	only     string // which parts; "" = all
	indexEnv string // the environment variable that has the part; "" = none
	out      string
	root     string // where the pictures lie on this machine; "" = where they were listed
}

func (c *command) extract() *cobra.Command {
	f := extractFlags{}
	cmd := &cobra.Command{
		Use:   "extract MANIFEST --out SHARDS",
		Short: "Compute the features of parts of a manifest, one file each",
		Long: `Compute the features of the parts of a manifest and write a file for each into SHARDS. A whole
file that is there is left alone. So any scheduler may run this, for different parts at the same
time and for one part twice, and run it again after a failure: every picture counts once. The
files have the names that they get on every machine.

A machine without XLA, or whose features are not those of the referee, is refused. Pictures that
cannot be read are listed in the file of their part. A picture that ends the process is found and
left out after it has ended two tries.`,
		Example: `  tlkit extract manifest --out shards                                    # all parts, here
  seq 0 11 | xargs -P 4 -I{} tlkit extract manifest --only {} --out shards
  tlkit extract manifest --index-env SLURM_ARRAY_TASK_ID --out shards
  tlkit extract manifest --index-env JOB_COMPLETION_INDEX --out /mnt/shards --root /mnt/photos`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(errors.New("extract: want the folder of a manifest"), "tlkit parts DIR --out MANIFEST, then tlkit extract MANIFEST --out SHARDS")
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.runExtract(cmd, args[0], f) },
	}
	modelFlag(cmd, &f.spec.Model)
	networkFlags(cmd, &f.spec)
	cmd.Flags().StringVar(&f.only, "only", "", "parts to compute, counted from 0, as in 3 or 0,4-7 (default: all)")
	cmd.Flags().StringVar(&f.indexEnv, "index-env", "", "environment variable that says which part to compute")
	cmd.Flags().StringVar(&f.out, "out", "", "folder of the shards")
	cmd.Flags().StringVar(&f.root, "root", "", "folder of the pictures on this machine (default: where they were listed)")
	return cmd
}

func (c *command) runExtract(cmd *cobra.Command, manifest string, f extractFlags) error {
	if f.out == "" {
		return advice.New(errors.New("extract: no folder for the shards was named"), "tlkit extract %s --out SHARDS", invoke.Quote(manifest))
	}
	m, err := parts.Open(manifest)
	if err != nil {
		return err
	}
	if f.root != "" {
		m.Root = f.root
	}
	which, err := f.which(m.Parts)
	if err != nil {
		return err
	}
	done, err := agreed(c, func() ([]parts.Done, error) {
		p := c.progress()
		defer p.close()
		return f.spec.ExtractParts(cmd.Context(), parts.Job{Manifest: m, Out: f.out}, which, c.place(), p)
	})
	if err != nil {
		return err
	}
	c.result = done
	if c.json {
		return nil
	}
	rows, there, bad := 0, 0, 0
	for _, d := range done {
		rows, bad = rows+d.Rows, bad+len(d.Bad)
		if d.There {
			there++
		}
	}
	c.say("%s  %s rows in %s (%d there before), %d pictures left out", f.out, words.Grouped(rows), counted(len(done), "part"), there, bad)
	return nil
}

// which returns the parts that the flags name, of so many.
func (f extractFlags) which(all int) ([]int, error) {
	text := f.only
	if f.indexEnv != "" {
		if text != "" {
			return nil, errors.New("extract: --only and --index-env, want one of them")
		}
		if text = os.Getenv(f.indexEnv); text == "" {
			return nil, advice.New(fmt.Errorf("extract: the environment variable %s is not set", f.indexEnv), "Slurm sets SLURM_ARRAY_TASK_ID, Kubernetes JOB_COMPLETION_INDEX; by hand, use --only")
		}
	}
	var list []int
	if text == "" {
		for k := range all {
			list = append(list, k)
		}
		return list, nil
	}
	for piece := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(piece, "-")
		if !ranged {
			to = from
		}
		a, err1 := strconv.Atoi(strings.TrimSpace(from))
		b, err2 := strconv.Atoi(strings.TrimSpace(to))
		if err1 != nil || err2 != nil || a < 0 || b < a || b >= all {
			return nil, advice.New(fmt.Errorf("extract: parts %q of %d, want numbers or ranges from 0 to %d", text, all, all-1), "write them as 3 or 0,4-7")
		}
		for k := a; k <= b; k++ {
			list = append(list, k)
		}
	}
	return list, nil
}

// counted is a number of things: 1 part, 2 parts.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return words.Grouped(n) + " " + thing
}

func (c *command) gather() *cobra.Command {
	manifest, model := "", ""
	cmd := &cobra.Command{
		Use:   "gather SHARDS",
		Short: "Check the files of tlkit extract, and say which parts are missing",
		Long: `Read every shard in a folder, check it, and say which parts are missing or damaged.

Exit status: 0 all parts are there, 3 some are not, 1 error.`,
		Example: `  tlkit gather shards
  tlkit extract manifest --only "$(tlkit gather shards --json | jq -r '.missing | join(",")')" --out shards`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(errors.New("gather: want a folder of shards"), "tlkit gather SHARDS")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var m *parts.Manifest
			if manifest != "" {
				var err error
				if m, err = parts.Open(manifest); err != nil {
					return err
				}
			}
			g, err := parts.Gather(args[0], m, model)
			if err != nil {
				return err
			}
			c.result = g
			if !c.json {
				c.say("%s  %s rows in %s, by %s", args[0], words.Grouped(g.Rows), counted(g.Shards, "part"), g.Function.Model)
			}
			for _, name := range g.Damaged {
				c.note("damaged: %s", words.Plain(name))
			}
			if n := len(g.Foreign); n > 0 {
				c.note("%s of other manifests or networks", counted(n, "file"))
			}
			for _, b := range g.Bad {
				c.note("left out: %s: %s", words.Plain(b.Path), words.Plain(b.Why))
			}
			if err := g.Whole(); err != nil {
				if c.json {
					_ = c.print(c.result)
				}
				return &unfit{err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&manifest, "parts", "", "the manifest that counts (default: that of the shards)")
	cmd.Flags().StringVar(&model, "model", "", "the network that counts (default: that of the shards)")
	return cmd
}
