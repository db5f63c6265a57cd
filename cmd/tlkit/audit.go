package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/audit"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// auditFlags are the flags of tlkit audit.
type auditFlags struct {
	spec    run.Spec
	changes string // the CSV file to write; "" = none
	figure  string // the PNG file to write; "" = none
	page    string // the HTML file to write; "" = none
	most    int
	force   bool
}

// audited is tlkit audit --json.
type audited struct {
	*audit.Report
	OK      bool   `json:"ok"` // nothing serious
	Serious int    `json:"serious"`
	Changes string `json:"changes,omitempty"` // the file written
	Figure  string `json:"png,omitempty"`
	Page    string `json:"page,omitempty"`
}

func (c *command) audit() *cobra.Command {
	f := auditFlags{}
	cmd := &cobra.Command{
		Use:   "audit DIR",
		Short: "Look for leaks, wrong labels and poor pictures in a data set",
		Long: `Look at a data set before learning from it. DIR is a folder, a CSV file or a ready set, as for
train. Serious findings make a score wrong, or lose pictures:

  unreadable     files that should be pictures
  leak           the same or nearly the same picture in two splits: compressed anew, cropped,
                 or flipped
  group leak     with --group: pictures of one patient, video or place in two splits
  contradiction  the same or nearly the same picture with two labels
  shortcut       the picture's size, its border, or the file itself predicts the label

and others are worth a look: wrong labels, as a head sees it that did not learn from the
picture; copies within a split; labels with few pictures; pictures unlike all others; blurred,
dark, bright, empty, very small and very long ones.

Nothing is changed. --csv writes proposals: which pictures to drop and which to relabel. Go
through them, delete the lines that are wrong, and learn with train --changes FILE.

Exit status: 0 nothing serious, 3 serious findings, 1 error.`,
		Example: `  tlkit audit photos
  tlkit audit photos --csv changes.csv --page findings.html
  tlkit audit scans --group 'path:patient[0-9]+'
  tlkit train photos --changes changes.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(errors.New("audit: want a folder, a CSV file or a ready set"), "tlkit audit DIR")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.spec.Data = args[0]
			return c.runAudit(cmd, f)
		},
	}
	modelFlag(cmd, &f.spec.Model)
	specFlags(cmd, &f.spec)
	cmd.Flags().StringVar(&f.changes, "csv", "", "write proposed changes to this file")
	cmd.Flags().StringVar(&f.figure, "png", "", "draw the most striking findings into this file")
	cmd.Flags().StringVar(&f.page, "page", "", "write the findings with their pictures to this HTML file, for a browser")
	cmd.Flags().IntVar(&f.most, "most", 10, "show so many findings of each kind; --json has all")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace the files of --csv, --png and --page")
	return cmd
}

func (c *command) runAudit(cmd *cobra.Command, f auditFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	report, err := agreed(c, func() (*audit.Report, error) {
		p := c.progress()
		defer p.close()
		return f.spec.Audit(cmd.Context(), c.place(), p)
	})
	if err != nil {
		return err
	}
	if err := f.write(report); err != nil {
		return err
	}
	serious := report.Serious()
	c.result = audited{Report: report, OK: serious == 0, Serious: serious, Changes: f.changes, Figure: f.figure, Page: f.page}
	c.sayAudit(report, f)
	if serious > 0 {
		if c.json {
			_ = c.print(c.result)
		}
		return &unfit{fmt.Errorf("audit: %d serious findings in %s", serious, words.Plain(report.Name))}
	}
	return nil
}

// check reports flags that cannot be meant.
func (f auditFlags) check() error {
	for _, file := range []string{f.changes, f.figure, f.page} {
		if _, err := os.Lstat(file); file != "" && err == nil && !f.force {
			return advice.New(fmt.Errorf("audit: %s exists", words.Plain(file)), "name another file, or pass --force to replace it")
		}
	}
	if f.most < 1 {
		return fmt.Errorf("audit: --most is %d, want 1 or more", f.most)
	}
	return nil
}

// write writes the files of --csv, --png and --page.
func (f auditFlags) write(r *audit.Report) error {
	for _, out := range []struct {
		file  string
		write func(io.Writer) error
	}{{f.changes, r.WriteChanges}, {f.figure, func(w io.Writer) error { return r.Figure().PNG(w) }}, {f.page, func(w io.Writer) error { return audit.WritePage(w, r) }}} {
		if out.file == "" {
			continue
		}
		if err := atomicfile.Write(out.file, 0o644, out.write); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}

// sayAudit prints the findings, a table for each kind.
func (c *command) sayAudit(r *audit.Report, f auditFlags) {
	if c.json {
		return
	}
	c.say("%s: %d picture(s), %d findings, %d of them serious", words.Plain(r.Name), r.Pictures, len(r.Findings), r.Serious())
	for _, n := range r.Notes {
		c.say("%s", n)
	}
	for _, kind := range r.Kinds() {
		all := r.Of(kind)
		mark := ""
		if all[0].Serious {
			mark = ", serious"
		}
		c.say("\n%s: %d%s", kind, len(all), mark)
		c.sayTable(show.Table{Header: []string{"files", "why"}, Rows: r.Rows(kind, f.most), Left: 2})
		if more := len(all) - f.most; more > 0 {
			c.say("… and %d more; --json lists all", more)
		}
	}
	for _, file := range []string{f.changes, f.figure, f.page} {
		if file != "" {
			c.say("written: %s", words.Plain(file))
		}
	}
}
