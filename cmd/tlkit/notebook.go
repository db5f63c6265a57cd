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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

// executed is one notebook of tlkit run --json.
type executed struct {
	Notebook string `json:"notebook"`
	setup.Outcome
}

// outDir is the folder for executed notebooks, beside the runs.
var outDir = filepath.Join(".tlkit", "out")

func (c *command) runNotebooks() *cobra.Command {
	var (
		offline offlineFlag
		jobs    notebookJobs
		prepare bool
	)
	cmd := &cobra.Command{
		Use:   "run NOTEBOOK…",
		Short: "Execute notebooks from top to bottom, without a browser",
		Long: `Execute notebooks from top to bottom through the kernel, as JupyterLab would, after
setting up what is missing.

The executed notebook and an HTML page that loads nothing from elsewhere go to .tlkit/out.
The text of the last cell is printed. A cell that fails ends its notebook and makes the exit
status 1.

Output is saved whole, up to 250 million characters a notebook. What cells read from standard
input is at its end. When the command ends, however it ends, so does everything that the cells
started.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c.offline = offline.offline
			b, args, err := offline.bundle(args)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return advice.New(errors.New("run: no notebook named"), "for example: tlkit run notebooks/01_ants_and_bees.ipynb")
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
			return c.execute(ctx, args, jobs)
		},
	}
	f := cmd.Flags()
	offline.add(cmd)
	f.BoolVar(&jobs.inplace, "inplace", false, "write the executed notebook over the notebook itself, when no cell fails")
	f.StringVarP(&jobs.dir, "out", "o", outDir, "folder for executed notebooks and pages")
	f.DurationVar(&jobs.timeout, "timeout", 30*time.Minute, "time limit of one cell, and of writing the files (plus a minute); 0 = none")
	f.BoolVar(&prepare, "setup", true, "set up what is missing first")
	return cmd
}

// notebookJobs says how notebooks are executed.
type notebookJobs struct {
	inplace bool          // write an executed notebook over itself, when no cell fails
	dir     string        // for executed notebooks and pages
	timeout time.Duration // of one cell; 0 = none
}

// execute runs notebooks one after the other and prints what came of each.
func (c *command) execute(ctx context.Context, notebooks []string, o notebookJobs) error {
	j, err := setup.FindJupyter(ctx)
	if err != nil {
		return err
	}
	var all []executed
	failed := 0
	for _, name := range notebooks {
		job, err := o.job(name)
		if err != nil {
			return err
		}
		r, err := c.executeOne(ctx, j, job)
		if err != nil {
			return err
		}
		all = append(all, executed{Notebook: name, Outcome: r})
		if !r.OK {
			failed++
		}
		c.sayOutcome(name, r)
	}
	c.result = all
	if failed == 0 {
		return nil
	}
	if c.json {
		if err := c.print(all); err != nil {
			return err
		}
	}
	return &reported{fmt.Errorf("%d of %d notebooks failed", failed, len(all))}
}

// job is the execution of one notebook.
func (o notebookJobs) job(notebook string) (setup.Job, error) {
	out, err := filepath.Abs(o.dir)
	if err != nil {
		return setup.Job{}, err
	}
	base := filepath.Join(out, strings.TrimSuffix(filepath.Base(notebook), ".ipynb"))
	job := setup.Job{Notebook: notebook, Out: base + ".ipynb", HTML: base + ".html", Timeout: o.timeout}
	if o.inplace {
		job.Failed = job.Out // a failed run does not overwrite the notebook
		job.Out, err = filepath.Abs(notebook)
	}
	return job, err
}

func (c *command) executeOne(ctx context.Context, j setup.Jupyter, job setup.Job) (setup.Outcome, error) {
	p := c.progress()
	defer p.close()
	p.State("starting the kernel for "+job.Notebook, 0, 0)
	name := strings.TrimSuffix(filepath.Base(job.Notebook), ".ipynb")
	job.Cell = func(n, of int) { p.State(fmt.Sprintf("%s: cell %d of %d", name, n, of), 0, 0) }
	return j.Execute(ctx, job)
}

func (c *command) sayOutcome(notebook string, r setup.Outcome) {
	if r.Last != "" {
		c.say("%s", r.Last)
	}
	if !r.OK {
		where := fmt.Sprintf("cell %d", r.Cell)
		if r.Cell == 0 {
			where = "before the first cell"
		}
		c.say("%s: %s: %s", notebook, where, r.Why)
		if otherTlkit.MatchString(r.Why) {
			c.say("%s", otherVersion())
		}
	}
	c.say("%s: %d cells, %d pictures, %.1f s\n  %s", notebook, r.Cells, r.Pictures, r.Seconds, short(r.Out))
	if r.HTML != "" {
		c.say("  %s", short(r.HTML))
	}
}

// otherTlkit matches what the Go compiler prints about a name that tlkit has in another version.
var otherTlkit = regexp.MustCompile(`undefined: tlkit\.|type \*?tlkit\.\w+ has no field or method|unknown field \w+ in struct literal of type tlkit\.`)

// otherVersion is a message that names the tlkit that the cells were compiled against.
func otherVersion() string {
	m, err := moduleHere()
	if err != nil {
		return ""
	}
	return "the notebook may be for another version of tlkit: its cells were compiled against " + m.String()
}

// notebook returns the file that an argument names. The tutorials can be named from anywhere, as
// notebooks/01_ants_and_bees.ipynb or by the name alone: where there is no such file, they are
// copied into this folder first.
func (c *command) notebook(ctx context.Context, arg string) (string, error) {
	info, err := os.Stat(arg)
	if err == nil && !info.IsDir() && filepath.Ext(arg) == ".ipynb" {
		return arg, nil
	}
	none := advice.New(fmt.Errorf("run: %s is not a notebook", arg), "want a file that ends in .ipynb")
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

// short writes a path relative to the current folder, if it is below it.
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
