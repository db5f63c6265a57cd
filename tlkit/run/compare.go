package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// answerWithin is how long Compare waits for a source's first sign of life.
const answerWithin = 5 * time.Second

// CompareSpec says which backbones are compared on what.
type CompareSpec struct {
	Data   string
	Models []string // these, wherever their weights come from; nil = those that are here, and small packages
	All    bool     // every row of the zoo
	Split  string   // reported split; "" = valid, else test
	Folds  int      // instead of a split: every picture, by a head that did not see it
	Seed   uint64   // of splits and folds
}

// Comparison is what Compare found: the same pictures, the same kind of head, one backbone after the other.
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

// BusyWarning is what Comparison.Busy means.
const BusyWarning = "other programs had the processors while this was timed: times are too long, accuracies are not touched"

// Skipped is a backbone that could not be compared, and why.
type Skipped struct {
	Model   string `json:"model"`
	Skipped string `json:"skipped"`
}

// Compare ranks backbones on a data set by linear probe. A backbone whose weights cannot be had, or do not work, is
// skipped with the reason and fails nothing. When ctx ends, what was compared so far is returned beside ctx's error.
func Compare(ctx context.Context, s CompareSpec, place Place, p Progress) (*Comparison, error) {
	if p == nil {
		p = Silent{}
	}
	if s.Folds < 0 || s.Folds == 1 || s.All && len(s.Models) > 0 {
		return nil, fmt.Errorf("run: compare with %d folds, all %v and models %v: want at least 2 folds or none, and not both all and a list", s.Folds, s.All, s.Models)
	}
	rows, err := s.rows(place.Offline)
	if err != nil {
		return nil, err
	}
	p.State("opening data", 0, 0)
	ds, err := datasets.Open(ctx, s.Data, datasets.Options{Offline: place.Offline, Seed: s.Seed, Report: fetching(p)})
	if err != nil {
		return nil, err
	}
	if ds.Task != datasets.Classes {
		return nil, fmt.Errorf("run: compare: %s asks for %s, and backbones are ranked by one label a picture; give its CSV file the columns path,label, or train one after the other: tlkit train %s --model MODEL", ds.Name, ds.Task, s.Data)
	}
	introduce(ds, p)
	spec := Spec{Data: s.Data, Split: s.Split, Folds: s.Folds, Seed: s.Seed}
	_, _, split, err := parts(ds, spec)
	if err != nil {
		return nil, err
	}
	eng, err := openEngine(ctx, place.Offline, p)
	if err != nil {
		return nil, err
	}
	p.Say(eng.String())
	c := &Comparison{Data: ds.Name, Split: split, Engine: eng.Name}
	var truth []int
	for i, row := range rows {
		spec.Model = row.Name
		r, said, err := compareOne(ctx, spec, place, bench{ds, eng}, prefixed{p, fmt.Sprintf("%d of %d, %s: ", i+1, len(rows), row.Name)})
		if ctx.Err() != nil {
			for _, left := range rows[i:] {
				c.Skipped = append(c.Skipped, Skipped{left.Name, "interrupted"})
			}
			break
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
	if err := c.rank(truth); err != nil {
		return nil, err
	}
	if len(c.Ranked) > 0 {
		if err := c.write(place); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return c, fmt.Errorf("run: compare: %w", err)
	}
	if len(c.Ranked) == 0 && len(s.Models) == 0 && !s.All {
		return nil, fmt.Errorf("run: compare: no backbone could be had%s; name some with --models, or fetch one first: tlkit setup", why(c.Skipped))
	}
	return c, nil
}

func why(skipped []Skipped) string {
	if len(skipped) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", skipped[0].Model, skipped[0].Skipped)
}

var hostOf = regexp.MustCompile(`https?://([^/\s"]+)`)

// reason is an error in one line that fits a table.
func reason(row zoo.Row, err error) string {
	if errors.Is(err, zoo.ErrNonCommercial) {
		return "for non-commercial use only; if that is yours: --noncommercial"
	}
	if _, here := row.Here(); !here && row.Source() == "" && row.ByHand != "" {
		return fmt.Sprintf("its file is not fetched for you; put it at $%s/%s/%s", datasets.EnvVar, row.Name, row.FileName())
	}
	text := err.Error()
	if _, causes, ok := strings.Cut(text, "\n  "); ok { // of a download: the source's own words
		text = causes
	}
	line, _, _ := strings.Cut(text, "\n")
	line = strings.TrimPrefix(line, "zoo: "+row.Name+": ")
	if errors.Is(err, fetch.ErrUnreachable) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, " ("+fetch.ErrUnreachable.Error()+")"), ": "+fetch.ErrUnreachable.Error())
		if m := hostOf.FindStringSubmatch(line); m != nil {
			line = m[1] + line[strings.LastIndex(line, ": "):]
		}
	}
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
func (s CompareSpec) rows(offline bool) ([]zoo.Row, error) {
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

// compareOne probes one backbone. truth is the class of each picture it was judged on.
func compareOne(ctx context.Context, s Spec, place Place, b bench, p Progress) (_ *Ranked, truth []int, err error) {
	p.State("loading weights", 0, 0)
	options := place.zoo("", nil, p)
	options.Answer = answerWithin
	net, err := zoo.Load(ctx, s.Model, options)
	if err != nil {
		return nil, nil, err
	}
	bytes, err := weightBytes(net.Path)
	if err != nil {
		return nil, nil, err
	}
	o, err := newOpened(b.set, net, b.eng)
	if err != nil {
		return nil, nil, err
	}
	eval, logits, err := o.probe(ctx, s, p)
	if err != nil {
		return nil, nil, err
	}
	p.State("timing", 0, 0)
	seconds, had, err := pace(ctx, features.FromNet(net, b.eng), net, eval.items)
	if err != nil {
		return nil, nil, err
	}
	score, err := o.task.Measure(eval.s, logits)
	if err != nil {
		return nil, nil, err
	}
	return &Ranked{Model: net.Row.Name, Score: score,
		Seconds: seconds, Bytes: bytes, Features: net.Row.Features, Size: net.Preset.Size, Licence: net.Row.Licence,
		classes: head.Classes(logits, eval.s.Classes), busy: had > 0 && had < 0.9 && strings.Contains(b.eng.Name, "cpu")}, eval.s.Y, nil
}

// bench is what all backbones share.
type bench struct {
	set *datasets.Dataset
	eng *engine.Engine
}

// probe fits a head on frozen features and gives its logits of the pictures reported on: with folds
// of all pictures, each by a head that did not see it.
func (o *opened) probe(ctx context.Context, s Spec, p Progress) (eval *sample, logits []float32, err error) {
	// Anew for each: pictures that turned out unreadable have left the set.
	trainItems, evalItems, _, err := parts(o.data, s)
	if err != nil {
		return nil, nil, err
	}
	b := features.FromNet(o.net, o.eng)
	train, err := o.sample(ctx, b, trainItems, views{0, s.Seed}, p)
	if err != nil {
		return nil, nil, err
	}
	if err := train.enough(o.data); err != nil {
		return nil, nil, err
	}
	if s.Folds > 0 {
		p.State("training", 0, 0)
		logits, _, err = o.crossValidate(ctx, s, train, train, p)
		return train, logits, err
	}
	if eval, err = o.sample(ctx, b, evalItems, views{0, s.Seed}, p); err != nil {
		return nil, nil, err
	}
	p.State("training", 0, 0)
	fitted, err := o.fitHead(ctx, train, s)
	if err != nil {
		return nil, nil, err
	}
	return eval, fitted.Fit.Head.Logits(eval.s.X), nil
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

// rank sorts, and sets everyone beside the first.
func (c *Comparison) rank(truth []int) error {
	slices.SortStableFunc(c.Ranked, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Seconds, b.Seconds))
	})
	for i := range c.Ranked {
		r := &c.Ranked[i]
		if i == 0 {
			continue
		}
		d, err := metrics.Compare(truth, c.Ranked[0].classes, r.classes)
		if err != nil {
			return fmt.Errorf("run: compare: %w", err)
		}
		r.Gap = &Gap{Difference: d.Difference, Interval: d.Interval, P: d.P, Clear: !d.Interval.Contains(0)}
	}
	return nil
}

// Sentence says who is first, and who may be as good: the first is no winner over what cannot be told from it.
func (c *Comparison) Sentence() string {
	switch len(c.Ranked) {
	case 0:
		return "nothing was compared"
	case 1:
		return fmt.Sprintf("%s is the only one here", c.Ranked[0].Model)
	}
	first := c.Ranked[0]
	cheapest, others := first, []string{}
	for _, r := range c.Ranked[1:] {
		if r.Gap.Clear {
			continue
		}
		others = append(others, r.Model)
		if r.Seconds < cheapest.Seconds {
			cheapest = r
		}
	}
	pictures := fmt.Sprintf("%d pictures", first.Total)
	if len(others) == 0 {
		return fmt.Sprintf("%s is better than every other one here (paired differences on %s, 95 %%)", first.Model, pictures)
	}
	out := fmt.Sprintf("not distinguishable from %s on %s (paired differences, 95 %%): %s", first.Model, pictures, strings.Join(others, ", "))
	if cheapest.Model != first.Model {
		out += fmt.Sprintf("; the fastest of them is %s", cheapest.Model)
	}
	return out
}

// Table is the ranking in rows and columns, the header first.
func (c *Comparison) Table() [][]string {
	out := [][]string{{"model", "licence", "accuracy", "95 %", "right", "behind the first", "ms/picture", "weights"}}
	for _, r := range c.Ranked {
		behind := "-"
		if r.Gap != nil {
			behind = fmt.Sprintf("%+.1f (%+.1f to %+.1f)", 100*r.Gap.Difference, 100*r.Gap.Interval.Low, 100*r.Gap.Interval.High)
		}
		out = append(out, []string{r.Model, r.Licence, r.Metric.Format(r.Value), fmt.Sprintf("%.1f-%.1f", 100*r.Interval.Low, 100*r.Interval.High),
			fmt.Sprintf("%d of %d", r.Correct, r.Total), behind, fmt.Sprintf("%.1f", 1000*r.Seconds), fmt.Sprintf("%.1f MB", float64(r.Bytes)/1e6)})
	}
	return out
}

// Figure is accuracy against time; what no other backbone beats in both is joined.
func (c *Comparison) Figure() plots.Figure {
	dots := make([]plots.Dot, len(c.Ranked))
	for i, r := range c.Ranked {
		dots[i] = plots.Dot{Label: r.Model, X: 1000 * r.Seconds, Y: r.Value, Interval: r.Interval}
	}
	return plots.Scatter("Backbones on "+c.Data, plots.Scale{Name: "time per picture", Unit: "ms"}, plots.Scale{Name: "accuracy", Unit: "%"}, dots)
}

// List is all of it as one JSON list: the ranking, then what was skipped, with null for what is not known of it.
func (c *Comparison) List() []any {
	type unknown struct {
		Model    string `json:"model"`
		Accuracy any    `json:"accuracy"`
		Interval any    `json:"interval"`
		Seconds  any    `json:"seconds_per_picture"`
		Bytes    any    `json:"bytes"`
		Skipped  string `json:"skipped"`
	}
	out := []any{} // never null
	for _, r := range c.Ranked {
		out = append(out, r)
	}
	for _, s := range c.Skipped {
		out = append(out, unknown{Model: s.Model, Skipped: s.Skipped})
	}
	return out
}

// write leaves list, table and picture in .tlkit/compare-DATA.
func (c *Comparison) write(place Place) error {
	name := strings.Trim(unsafeName.ReplaceAllString(c.Data, "-"), "-.")
	f := &folder{path: filepath.Join(place.Folder, Home, "compare-"+name)}
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return fmt.Errorf("run: compare: %w; go to a folder you can write to", err)
	}
	c.Folder = f.path
	var text strings.Builder
	for _, row := range c.Table() {
		text.WriteString(strings.Join(row, "\t") + "\n")
	}
	text.WriteString(c.Sentence() + "\n")
	if c.Busy {
		text.WriteString(BusyWarning + "\n")
	}
	for _, r := range c.Reasons() {
		fmt.Fprintf(&text, "skipped: %s\n", r)
	}
	if err := f.write("compare.json", c.List()); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(f.file("compare.txt"), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := atomicfile.Write(f.file("compare.png"), 0o644, c.Figure().PNG); err != nil {
		return fmt.Errorf("run: compare.png: %w", err)
	}
	return nil
}

// prefixed is a Progress that says of which model it speaks.
type prefixed struct {
	Progress
	what string
}

func (p prefixed) State(what string, done, total int64) { p.Progress.State(p.what+what, done, total) }
