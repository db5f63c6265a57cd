package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

// executed is one notebook of tlkit run --json.
type executed struct {
	Notebook string `json:"notebook"`
	setup.Outcome
}

// outDir is where executed notebooks go, beside the runs.
var outDir = filepath.Join(".tlkit", "out")

func (c *command) runNotebooks() *cobra.Command {
	var (
		offline offlineFlag
		inplace bool
		dir     string
		timeout time.Duration
		prepare bool
	)
	cmd := &cobra.Command{
		Use:   "run NOTEBOOK…",
		Short: "Execute notebooks from top to bottom, without a browser",
		Long: `Execute notebooks from top to bottom through the kernel, as JupyterLab would, after
setting up what is missing.

The executed notebook and an HTML page that loads nothing from anywhere go to .tlkit/out.
The text of the last cell is printed. A cell that fails ends its notebook, is named, and
makes the exit status 1.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c.offline = offline.offline
			b, args, err := offline.bundle(args)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return errors.New("run: which notebook? as in: tlkit run notebooks/01_ants_and_bees.ipynb")
			}
			for i, a := range args {
				if args[i], err = c.notebook(ctx, a); err != nil {
					return err
				}
			}
			if prepare {
				if _, err := c.prepare(ctx, wanted{bundle: b, notebooks: true, terse: true}); err != nil {
					return err
				}
			}
			j, err := setup.FindJupyter(ctx)
			if err != nil {
				return err
			}
			out, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			var all []executed
			failed := 0
			for _, a := range args {
				name := strings.TrimSuffix(filepath.Base(a), ".ipynb")
				job := setup.Job{Notebook: a, Out: filepath.Join(out, name+".ipynb"), HTML: filepath.Join(out, name+".html"), Timeout: timeout}
				if inplace {
					// A failed run does not overwrite what was good.
					job.Failed = job.Out
					if job.Out, err = filepath.Abs(a); err != nil {
						return err
					}
				}
				p := c.progress()
				p.State("starting the kernel for "+a, 0, 0)
				job.Cell = func(n, of int) { p.State(fmt.Sprintf("%s: cell %d of %d", name, n, of), 0, 0) }
				r, err := j.Execute(ctx, job)
				p.close()
				if err != nil {
					return err
				}
				all = append(all, executed{Notebook: a, Outcome: r})
				if r.Last != "" {
					c.say("%s", r.Last)
				}
				if !r.OK {
					failed++
					where := fmt.Sprintf("cell %d", r.Cell)
					if r.Cell == 0 {
						where = "before the first cell"
					}
					c.say("%s: %s: %s", a, where, r.Why)
					if ofOurs.MatchString(r.Why) {
						c.say("%s", otherVersion())
					}
				}
				c.say("%s: %d cells, %d pictures, %.1f s\n  %s\n  %s", a, r.Cells, r.Pictures, r.Seconds, short(r.Out), short(r.HTML))
			}
			c.result = all
			if failed > 0 {
				err := fmt.Errorf("%d of %d notebooks failed", failed, len(all))
				if c.json {
					if perr := c.print(all); perr != nil {
						return perr
					}
				}
				return &reported{err}
			}
			return nil
		},
	}
	f := cmd.Flags()
	offline.add(cmd)
	f.BoolVar(&inplace, "inplace", false, "write the executed notebook over the notebook itself, when no cell fails")
	f.StringVarP(&dir, "out", "o", outDir, "folder for executed notebooks and pages")
	f.DurationVar(&timeout, "timeout", 30*time.Minute, "for one cell; 0 = none")
	f.BoolVar(&prepare, "setup", true, "set up what is missing first")
	return cmd
}

// ofOurs is what Go says of a name that tlkit has in another version.
var ofOurs = regexp.MustCompile(`undefined: tlkit\.|type \*?tlkit\.\w+ has no field or method|unknown field \w+ in struct literal of type tlkit\.`)

// otherVersion says against which tlkit the cells were compiled.
func otherVersion() string {
	m, err := moduleHere()
	if err != nil {
		return ""
	}
	return "is the notebook for another version of tlkit? Its cells were compiled against " + m.String()
}

// notebook is the file that an argument names. The tutorials can be named from anywhere, as
// notebooks/01_ants_and_bees.ipynb or by the name alone: where that is no file, they are
// copied here first.
func (c *command) notebook(ctx context.Context, arg string) (string, error) {
	info, err := os.Stat(arg)
	if err == nil && !info.IsDir() && filepath.Ext(arg) == ".ipynb" {
		return arg, nil
	}
	none := fmt.Errorf("run: %s is no notebook (want a file that ends in .ipynb)", arg)
	dir, werr := os.Getwd()
	if werr != nil || !errors.Is(err, fs.ErrNotExist) || filepath.Ext(arg) != ".ipynb" {
		return "", none
	}
	module, err := kernelspec.FindModule(dir)
	if err != nil {
		return "", none
	}
	from, err := setup.Tutorials(ctx, module)
	if err != nil {
		return "", none
	}
	if _, err := os.Stat(filepath.Join(from, filepath.Base(arg))); err != nil || kernelspec.CheckoutAbove(dir) != "" {
		return "", none
	}
	if _, err := c.bringTutorials(ctx, dir); err != nil {
		return "", fmt.Errorf("run: %w", err)
	}
	return filepath.Join(tutorials, filepath.Base(arg)), nil
}

// short writes a path the way a person in this folder would.
func short(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
