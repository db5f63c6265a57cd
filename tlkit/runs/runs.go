// Package runs lists the runs of a folder and compares them: each against one of them, by the
// difference on the same pictures, with the interval of that difference.
//
//	all, err := runs.List(".")             // the newest first
//	c, err := runs.Compare(all[:3])        // each against the first
//	fmt.Println(c.Table(), c.Figure().Text())
//
// The command line (tlkit runs) and package tlkit (Runs) show the same.
package runs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/answers"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// Run is a finished run as it is listed. It is also the JSON of tlkit runs.
type Run struct {
	Name  string    `json:"name"`
	When  time.Time `json:"when"` // it was finished
	Data  string    `json:"data"`
	Model string    `json:"model"`
	How   string    `json:"how"` // what was trained: "logistic", "logistic, fine-tuned"
	metrics.Score
	Split   string  `json:"split"`
	Train   int     `json:"train"` // pictures learnt from
	Seeds   int     `json:"seeds"`
	Seconds float64 `json:"seconds"`
	Folder  string  `json:"run"`

	stored *run.Stored
}

// List returns the finished runs in the working folder, the newest first, without those that cannot be
// read. The names of the latter, and of runs that are not finished, are in unread with the reasons.
func List(workDir string) (all []Run, unread map[string]string, err error) {
	entries, err := os.ReadDir(filepath.Join(workDir, run.Home))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("runs: %w", err)
	}
	unread = map[string]string{}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasPrefix(name, ".") || !exists(filepath.Join(workDir, run.Home, name, "spec.json")) {
			continue
		}
		one, err := open(workDir, name)
		if err != nil {
			why, _ := advice.Split(err)
			if errors.Is(err, run.ErrNoRun) {
				why = "not finished"
			}
			unread[name] = why
			continue
		}
		all = append(all, *one)
	}
	slices.SortStableFunc(all, func(a, b Run) int {
		return cmp.Or(b.When.Compare(a.When), cmp.Compare(a.Name, b.Name))
	})
	return all, unread, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// open reads one run.
func open(workDir, name string) (*Run, error) {
	s, err := run.Find(workDir, name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Join(s.Folder, "result.json"))
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	r := s.Result
	return &Run{Name: name, When: info.ModTime(), Data: r.Data, Model: r.Model, How: how(r), Score: r.Score, Split: r.Split, Train: r.Train,
		Seeds: max(1, len(r.Runs)), Seconds: r.Seconds, Folder: s.Folder, stored: s}, nil
}

// how says what was trained.
func how(r *run.Result) string {
	parts := []string{cmp.Or(string(r.Family), "head")}
	switch f := r.Finetune; {
	case f == nil:
	case !f.Pays:
		parts = append(parts, "fine-tuning did not pay")
	case f.LoRA != nil:
		parts = append(parts, fmt.Sprintf("LoRA %d", f.LoRA.Rank))
	default:
		parts = append(parts, "fine-tuned")
	}
	if n := len(r.Folds); n > 0 {
		parts = append(parts, fmt.Sprintf("%d folds", n))
	}
	return strings.Join(parts, ", ")
}

// Named returns the runs with these names, in that order. The error says which there are.
func Named(all []Run, names ...string) ([]Run, error) {
	var out []Run
	var have []string
	for _, r := range all {
		have = append(have, r.Name)
	}
	for _, name := range names {
		i := slices.Index(have, filepath.Base(name))
		switch {
		case i >= 0 && slices.ContainsFunc(out, func(r Run) bool { return r.Name == all[i].Name }):
			return nil, fmt.Errorf("runs: %s is named twice", words.Plain(name))
		case i >= 0:
			out = append(out, all[i])
		case len(have) == 0:
			return nil, advice.New(fmt.Errorf("runs: no finished run %s: there is none here", words.Plain(name)), "train one first: tlkit train DIR --name NAME")
		default:
			return nil, advice.New(fmt.Errorf("runs: no finished run %s", words.Plain(name)), "%s", words.DidYouMean(name, have)+"the runs here are "+words.Some(have))
		}
	}
	return out, nil
}

// Table lists runs.
func Table(all []Run) evaluate.Table {
	t := evaluate.Table{Header: []string{"run", "data", "network", "head", "when", "score", "95 %", "pictures", "split", "s"}}
	for _, r := range all {
		t.Rows = append(t.Rows, []string{r.Name, r.Data, r.Model, r.How, r.When.Format("2006-01-02 15:04"), r.Metric.Title() + " " + r.Metric.Format(r.Value),
			ends(r.Score), r.counted(), r.Split, fmt.Sprintf("%.1f", r.Seconds)})
	}
	return t
}

// ends formats the interval of a score.
func ends(s metrics.Score) string {
	if !s.Interval.Known() {
		return "-"
	}
	return s.Metric.FormatInterval(s.Interval)
}

// counted says how many pictures are behind the score.
func (r Run) counted() string {
	out := fmt.Sprint(r.Total)
	if f := r.Fraction(); r.Metric.Counts() {
		out = fmt.Sprintf("%d of %d", f.Correct, f.Total)
	}
	if r.Seeds > 1 {
		out += fmt.Sprintf(", %d seeds", r.Seeds)
	}
	return out
}

// Comparison is some runs, each but the first against the first.
type Comparison struct {
	Base string     `json:"base"`
	Runs []Compared `json:"runs"`
}

// Compared is a run and how much better it is than the first.
type Compared struct {
	Run
	Difference *answers.Gain `json:"difference,omitempty"` // on the pictures that both were scored on
	Why        string        `json:"why,omitempty"`        // there is none
}

// Compare compares runs with the first of them, on the pictures that both have held back, of the first
// seed where there are several. A run that cannot be compared has the reason. It is an error if there
// are fewer than two.
func Compare(all []Run) (*Comparison, error) {
	if len(all) < 2 {
		return nil, advice.New(fmt.Errorf("runs: %d run(s) to compare, want two or more", len(all)), "name them: tlkit runs A B")
	}
	c := &Comparison{Base: all[0].Name}
	base, baseErr := all[0].answers()
	for i, r := range all {
		one := Compared{Run: r}
		if i > 0 {
			theirs, err := r.answers()
			if err = errors.Join(baseErr, err); err == nil {
				var gain answers.Gain
				if gain, err = base.Against(theirs); err == nil {
					one.Difference = &gain
				}
			}
			if err != nil {
				one.Why = reason(err)
			}
		}
		c.Runs = append(c.Runs, one)
	}
	return c, nil
}

// reason is the first line of an error, with what to do about it.
func reason(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(strings.TrimPrefix(line, "answers: "), "runs: ")
}

// answers reads what the run answered about its held-back pictures.
func (r Run) answers() (*answers.Answers, error) {
	a, err := answers.Read(filepath.Join(r.Folder, answers.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("runs: %s is of an earlier version, which kept no answers; train it again with --retrain", r.Name)
	}
	return a, err
}

// Table has a line for each run, with the difference.
func (c *Comparison) Table() evaluate.Table {
	t := evaluate.Table{Header: []string{"run", "network", "head", "score", "95 %", "pictures", "minus " + c.Base, "95 %", "on"}}
	for i, r := range c.Runs {
		row := []string{r.Name, r.Model, r.How, r.Metric.Title() + " " + r.Metric.Format(r.Value), ends(r.Score), r.counted(), "", "", ""}
		switch d := r.Difference; {
		case d != nil:
			row[6], row[7] = d.Signed()
			row[8] = fmt.Sprint(d.Pictures)
		case i > 0:
			row[6] = "-"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Sentences say for each run whether it is better or worse than the first, as far as the pictures can
// tell, or why it cannot be compared.
func (c *Comparison) Sentences() []string {
	var out []string
	for _, r := range c.Runs[1:] {
		d := r.Difference
		if d == nil {
			out = append(out, fmt.Sprintf("%s cannot be compared with %s: %s", r.Name, c.Base, r.Why))
			continue
		}
		verdict := "the pictures cannot tell which is better"
		switch {
		case d.Interval.Known() && d.Interval.Low > 0:
			verdict = "better"
		case d.Interval.Known() && d.Interval.High < 0:
			verdict = "worse"
		}
		value, interval := d.Signed()
		out = append(out, fmt.Sprintf("%s against %s: %s, %s (95 %% %s) on the same %d pictures", r.Name, c.Base, verdict, value, interval, d.Pictures))
	}
	return out
}

// Figure draws the differences with their intervals; nil if no run can be compared.
func (c *Comparison) Figure() plots.Figure {
	var bars []plots.Bar
	scale := plots.Scale{}
	for _, r := range c.Runs[1:] {
		if d := r.Difference; d != nil {
			scale = plots.Scale{Name: d.Metric.Title() + " minus that of " + c.Base}
			times := 1.0
			if d.Metric != metrics.R2 {
				scale.Unit, times = "points", 100
			}
			bars = append(bars, plots.Bar{Label: r.Name, Value: times * d.Value, Interval: metrics.Interval{Low: times * d.Interval.Low, High: times * d.Interval.High},
				Note: fmt.Sprintf("%d pictures", d.Pictures)})
		}
	}
	if len(bars) == 0 {
		return nil
	}
	return plots.Bars("Against "+c.Base, scale, bars)
}

// Curves draws the histories of the runs together. Of a run with several seeds it shows the mean, and
// the range as a band. Runs without a history are left out, and those that were measured along another
// axis than the first, such as epochs instead of a solver's iterations; nil if none is left.
func (c *Comparison) Curves() (plots.Figure, error) {
	var all []curves.Run
	for _, r := range c.Runs {
		histories, _, err := r.stored.Histories()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, h := range histories {
			if len(all) > 0 && h.Axis != all[0].Axis {
				continue
			}
			h.Name = r.Name
			all = append(all, h)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return plots.Curves(all...), nil
}
