// Package compare ranks backbones on a person's own pictures: the same splits and the same kind of
// head for each, accuracy with its interval against time per picture, and which of them cannot be
// told apart.
//
//	c, err := compare.Run(ctx, compare.Spec{Data: "hymenoptera"}, run.Place{}, nil)
//	fmt.Println(c.Sentence())
package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// answerWithin is how long Run waits for a source's first sign of life.
const answerWithin = 5 * time.Second

// Spec says which backbones are compared on what.
type Spec struct {
	Data   string
	Models []string // these, wherever their weights come from; nil = those that are here, and small packages
	All    bool     // every row of the zoo
	Split  string   // reported split; "" = valid, else test
	Folds  int      // instead of a split: every picture, by a head that did not see it
	Seed   uint64   // of splits and folds
}

// Comparison is what Run found: the same pictures, the same kind of head, one backbone after the other.
type Comparison struct {
	Data    string
	Split   string   // what the accuracies are of
	Ranked  []Ranked // best first; of equal accuracy the faster one
	Skipped []Skipped
	Engine  string
	Busy    bool   // other programs had the processors while some of the backbones were timed: those times are too long
	Folder  string // holds compare.json, compare.png and compare.txt
}

// Ranked is one backbone.
type Ranked struct {
	Model         string `json:"model"`
	metrics.Score        // of a linear probe: logistic regression on the frozen features
	// Seconds from a file to its features on this machine, batches of the engine's size, the fastest of a few.
	Seconds  float64 `json:"seconds_per_picture"`
	Bytes    int64   `json:"bytes"` // of the weights file
	Features int     `json:"features"`
	Size     int     `json:"size"` // of the prepared picture, in pixels
	Licence  string  `json:"licence"`
	// Gap is against the first of the ranking, on the same pictures; nil for the first itself.
	Gap *Gap `json:"gap,omitempty"`

	classes []int // what it said of each picture
	busy    bool
}

// Gap is how far a backbone is behind the first.
type Gap struct {
	Difference float64          `json:"difference"` // accuracy minus that of the first
	Interval   metrics.Interval `json:"interval"`   // 95 % of the difference, paired
	P          float64          `json:"p"`          // exact McNemar test
	Clear      bool             `json:"clear"`      // the interval does not hold 0
}

// Warning says what is doubtful about the comparison; "" where nothing is.
func (c *Comparison) Warning() string {
	if !c.Busy {
		return ""
	}
	return "other programs had the processors while this was timed: times are too long, accuracies are not touched"
}

// Skipped is a backbone that could not be compared, and why.
type Skipped struct {
	Model   string `json:"model"`
	Skipped string `json:"skipped"`
}

// Run ranks backbones on a data set by linear probe. A backbone whose weights cannot be had, or do not
// work, is skipped with the reason and fails nothing. When ctx ends, what was compared so far is
// returned beside ctx's error. p may be nil.
func Run(ctx context.Context, s Spec, place run.Place, p run.Progress) (*Comparison, error) {
	if p == nil {
		p = silent{}
	}
	if s.Folds < 0 || s.Folds == 1 || s.All && len(s.Models) > 0 {
		return nil, fmt.Errorf("compare: %d folds, all %v and models %v: want at least 2 folds or none, and not both all and a list", s.Folds, s.All, s.Models)
	}
	rows, err := s.rows(place.Offline)
	if err != nil {
		return nil, err
	}
	bench, err := run.OpenBench(ctx, run.Spec{Data: s.Data, Split: s.Split, Folds: s.Folds, Seed: s.Seed}, place, p)
	if err != nil {
		return nil, err
	}
	p.Say(bench.Engine.String())
	c := &Comparison{Data: bench.Data.Name, Split: bench.Split, Engine: bench.Engine.Name}
	truth := c.probeAll(ctx, bench, rows, place, p)
	if err := c.rank(truth); err != nil {
		return nil, err
	}
	if len(c.Ranked) > 0 {
		if err := c.write(place.Folder); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return c, fmt.Errorf("compare: %w", err)
	}
	if len(c.Ranked) == 0 && len(s.Models) == 0 && !s.All {
		return nil, fmt.Errorf("compare: no backbone could be had%s; name some with --models, or fetch one first: tlkit setup", why(c.Skipped))
	}
	return c, nil
}

// probeAll probes one backbone after the other and returns the class of each picture they were judged
// on.
func (c *Comparison) probeAll(ctx context.Context, bench *run.Bench, rows []zoo.Row, place run.Place, p run.Progress) (truth []int) {
	for i, row := range rows {
		r, said, err := probe(ctx, bench, row.Name, place, prefixed{p, fmt.Sprintf("%d of %d, %s: ", i+1, len(rows), row.Name)})
		if ctx.Err() != nil {
			for _, left := range rows[i:] {
				c.Skipped = append(c.Skipped, Skipped{left.Name, "interrupted"})
			}
			return truth
		}
		if err == nil && truth != nil && !slices.Equal(said, truth) {
			err = fmt.Errorf("the pictures changed while it was at work; run it again")
		}
		if err != nil {
			why := reason(row, err)
			c.Skipped = append(c.Skipped, Skipped{row.Name, why})
			p.Say(row.Name + ": skipped: " + why)
			continue
		}
		truth = said
		c.Ranked = append(c.Ranked, *r)
		c.Busy = c.Busy || r.busy
		p.Say(fmt.Sprintf("%s: %s, %.1f ms a picture · licence %s", r.Model, r.Fraction(), 1000*r.Seconds, r.Licence))
	}
	return truth
}

func why(skipped []Skipped) string {
	if len(skipped) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", skipped[0].Model, skipped[0].Skipped)
}

// reason is an error in one line that fits a table.
func reason(row zoo.Row, err error) string {
	if errors.Is(err, zoo.ErrNonCommercial) {
		return "for non-commercial use only; if that is yours: --noncommercial"
	}
	if _, here := row.Here(); !here && row.Source() == "" && row.ByHand != "" {
		return fmt.Sprintf("its file is not fetched for you; put it at $%s/%s/%s", datasets.EnvVar, row.Name, row.FileName())
	}
	text := err.Error()
	var load *zoo.LoadError
	var missing *fetch.MissingError
	switch {
	case errors.As(err, &missing):
		text = missing.Brief()
	case errors.As(err, &load): // the table names the model
		text = load.Err.Error()
	}
	line, _, _ := strings.Cut(text, "\n")
	if r := []rune(line); len(r) > 160 {
		line = string(r[:159]) + "…"
	}
	return line
}

// Reasons are the skipped ones, those with one reason together.
func (c *Comparison) Reasons() []string {
	var order []string
	names := map[string][]string{}
	for _, s := range c.Skipped {
		if names[s.Skipped] == nil {
			order = append(order, s.Skipped)
		}
		names[s.Skipped] = append(names[s.Skipped], s.Model)
	}
	for i, why := range order {
		order[i] = strings.Join(names[why], ", ") + ": " + why
	}
	return order
}

// rows are the checkpoints to compare.
func (s Spec) rows(offline bool) ([]zoo.Row, error) {
	var out []zoo.Row
	for _, name := range s.Models {
		r, err := zoo.Find(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o zoo.Row) bool { return o.Name == r.Name }) {
			out = append(out, r)
		}
	}
	if s.Models != nil {
		return out, nil
	}
	if s.All {
		return zoo.Rows(), nil
	}
	return zoo.Handy(offline), nil
}

// probe probes one backbone. truth is the class of each picture it was judged on.
func probe(ctx context.Context, b *run.Bench, model string, place run.Place, p run.Progress) (_ *Ranked, truth []int, err error) {
	p.State("loading weights", 0, 0)
	options := place.Zoo(p)
	options.Answer = answerWithin
	net, err := zoo.Load(ctx, model, options)
	if err != nil {
		return nil, nil, err
	}
	bytes, err := weightBytes(net.Path)
	if err != nil {
		return nil, nil, err
	}
	said, err := b.Probe(ctx, net, p)
	if err != nil {
		return nil, nil, err
	}
	p.State("timing", 0, 0)
	seconds, had, err := pace(ctx, features.FromNet(net, b.Engine), net, said.Items)
	if err != nil {
		return nil, nil, err
	}
	right := metrics.Fraction{Correct: head.Correct(said.Logits, said.Truth, said.Labels), Total: len(said.Truth)}
	return &Ranked{Model: net.Row.Name, Score: right.Score(),
		Seconds: seconds, Bytes: bytes, Features: net.Row.Features, Size: net.Preset.Size, Licence: net.Row.Licence,
		classes: head.Classes(said.Logits, said.Labels), busy: had > 0 && had < 0.9 && strings.Contains(b.Engine.Name, "cpu")}, said.Truth, nil
}

// weightBytes is the size of a weights file, with the numbers beside it where it is a model.json of TensorFlow.js.
func weightBytes(path string) (int64, error) {
	paths := []string{path}
	if filepath.Ext(path) == ".json" {
		beside, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.bin"))
		if err != nil {
			return 0, err
		}
		paths = append(paths, beside...)
	}
	var sum int64
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, nil
}

// prefixed is a Progress that says of which model it speaks.
type prefixed struct {
	run.Progress
	what string
}

func (p prefixed) State(what string, done, total int64) { p.Progress.State(p.what+what, done, total) }

// silent is a Progress that goes nowhere.
type silent struct{}

func (silent) State(string, int64, int64) {}
func (silent) Say(string)                 {}
