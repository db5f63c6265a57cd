// Package compare ranks backbones on a data set, with the same splits and the same kind of head for
// each. It sets the score of the data set's task (accuracy, mean average precision or R²), with its
// interval, against the time per picture, and reports which backbones are not distinguishable.
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
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// answerWithin is how long Run waits for a source of weights to respond.
const answerWithin = 5 * time.Second

// Spec selects the data and the backbones of a comparison.
type Spec struct {
	Data string // name of a ready set, a folder, or a CSV file
	// What columns of the CSV file hold where that cannot be seen, see datasets.Options.
	Columns string
	Group   datasets.Group // which pictures belong together
	// Names, families or patterns of the zoo, see zoo.Named; nil = the rows whose weights are on this
	// machine or come in a small package.
	Models []string
	All    bool      // every row of the zoo; Models must be nil
	Filter zoo.Query // of those, only the ones that it selects
	// Latency is the longest that a picture may take on this machine, from file to features; 0 = any time.
	// Networks that are forecast to take twice as long are left out; those that are measured to take longer
	// stand behind all others, and are not recommended.
	Latency time.Duration
	Split   string // the split to report on; "" = valid, or test if there is no valid
	// Cross-validate over all pictures in so many folds, at least 2, instead of a split; 0 = do
	// not.
	Folds int
	Seed  uint64 // of splits and folds
	// Score on the training pictures alone, each predicted by a head that did not see it, and leave
	// the pictures of the split untouched. Folds must be 0.
	OnTraining bool
	// Until is when the comparison has to be done; zero = no limit. Backbones that are not expected to
	// be done by then are skipped, and one that takes longer is given up, except for the first: that
	// is the default network, if it is among them.
	Until time.Time
	// Later is asked, once that time allows no more, whether there is more of it after all; nil = there
	// is not. It gets what was compared so far.
	Later func(done *Comparison) time.Time

	Size         int    // side of the pictures in pixels, for all networks; 0 = each network's own
	LabelFolders bool   // as in run.Spec
	MinPerLabel  int    // as in run.Spec
	Changes      string // as in run.Spec
}

// Comparison is the result of [Run].
type Comparison struct {
	Data    string
	Split   string   // the pictures behind the scores, in words
	Ranked  []Ranked // best first; of equal score, the faster one first
	Skipped []Skipped
	Engine  string // name of the engine, such as xla:cpu
	// Other programs used the processors during some of the timing, so times may be too long.
	Busy   bool
	Folder string // holds compare.json, compare.png and compare.txt

	truth   head.Samples  // labels or values of the pictures that were scored
	latency time.Duration // as in Spec
}

// Ranked is the result of one backbone; see [results.Ranked].
type Ranked = results.Ranked

// Gap is the difference between a backbone and the first of the ranking.
type Gap = results.Gap

// Warning returns what is doubtful about the comparison, or "".
func (c *Comparison) Warning() string {
	if !c.Busy {
		return ""
	}
	return "other programs used the processors during timing: times are too long, scores are not affected"
}

// Skipped is a backbone that could not be compared, with the reason.
type Skipped struct {
	Model   string `json:"model"`
	Skipped string `json:"skipped"` // the reason
	// What it is expected to take, in seconds, if it was left out for want of time.
	Seconds float64 `json:"expected_seconds,omitempty"`
}

// Run ranks backbones on a data set by linear probe. A backbone whose weights cannot be fetched or
// do not work is skipped, with the reason; this is not an error. The cheap backbones come first, and
// all share the decoding of the pictures. A Progress that is a [Watcher] sees the comparison grow. When ctx is cancelled, Run returns
// the backbones compared so far together with ctx's error. p may be nil.
//
// It is an error if the spec is invalid, or if no backbone of the default selection is available.
func Run(ctx context.Context, s Spec, place run.Place, p run.Progress) (*Comparison, error) {
	p, shown := place.Shown(p)
	defer shown()
	if s.Folds < 0 || s.Folds == 1 || s.OnTraining && s.Folds > 0 || s.All && len(s.Models) > 0 {
		return nil, fmt.Errorf("compare: %d folds, all %v and models %v, want at least 2 folds or none, and not both all and a list of models", s.Folds, s.All, s.Models)
	}
	rows, err := s.rows(place.Offline)
	if err != nil {
		return nil, err
	}
	bench, err := run.OpenBench(ctx, run.Spec{Data: s.Data, Columns: s.Columns, Split: s.Split, Folds: s.Folds, Seed: s.Seed, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Changes: s.Changes, Group: s.Group}, place, p)
	if err != nil {
		return nil, err
	}
	if s.OnTraining {
		bench.ScoreOnTraining()
	}
	p.Say(bench.Engine.String())
	c := &Comparison{Data: bench.Data.Name, Split: bench.Split, Engine: bench.Engine.Name, latency: s.Latency}
	f := c.plan(s, rows, bench.Pictures, place)
	if s.Later != nil {
		f.later = sync.OnceValue(func() time.Time {
			if c.rank(bench.Task, c.truth) != nil {
				return time.Time{}
			}
			return s.Later(c)
		})
	}
	for _, line := range c.announced(f, s, place.Offline) {
		p.Say(line)
	}
	used, uses := cachedir.Recording(ctx)
	c.probeAll(used, bench, f, place, p)
	if err := c.rank(bench.Task, c.truth); err != nil {
		return nil, err
	}
	if len(c.Ranked) > 0 {
		if err := c.write(place.Folder, s.OnTraining, uses); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return c, fmt.Errorf("compare: %w", err)
	}
	if len(c.Ranked) == 0 && len(s.Models) == 0 && !s.All {
		return nil, advice.New(fmt.Errorf("compare: no backbone is available%s", why(c.Skipped)), "name some with --models, or fetch one first: tlkit setup")
	}
	return c, nil
}

// probeAll probes one backbone after the other, and keeps the labels or values of the pictures that they
// were scored on.
func (c *Comparison) probeAll(ctx context.Context, bench *run.Bench, f *forecast, place run.Place, p run.Progress) {
	rows, paced := f.rows, f.guess > 0
	var presets []transforms.Preset
	for _, row := range rows {
		presets = append(presets, row.Preset)
	}
	bench.Decoded = features.Share(presets)
	defer bench.Decoded.Close()
	for i, row := range rows {
		began := time.Now()
		bench.Decoded.Begin(row.Preset)
		in := probing{bench: bench, place: place, resized: f.resized}
		why := f.tooSlow(i)
		if why == "" {
			why = f.tooLong(ctx, i, in)
		}
		if why != "" {
			c.Skipped = append(c.Skipped, Skipped{row.Name, why, f.expected(i)})
			f.skipped(i)
			c.tell(p, row.Name+": left out: "+why, f, i)
			continue
		}
		r, judged, err := f.probe(cachedir.About(ctx, row.Name+" on "+c.Data), i, prefixed{p, fmt.Sprintf("%d of %d, %s: ", i+1, len(rows), row.Name)}, in)
		if ctx.Err() != nil {
			for _, left := range rows[i:] {
				c.Skipped = append(c.Skipped, Skipped{Model: left.Name, Skipped: "interrupted"})
			}
			return
		}
		if err == nil && len(c.Ranked) > 0 && !(slices.Equal(judged.Y, c.truth.Y) && slices.Equal(judged.Targets, c.truth.Targets)) {
			err = advice.New(errors.New("the pictures changed during the comparison"), "run it again")
		}
		if err != nil {
			why := reason(row, err)
			c.Skipped = append(c.Skipped, Skipped{Model: row.Name, Skipped: why})
			f.skipped(i)
			c.tell(p, row.Name+": skipped: "+why, f, i)
			continue
		}
		c.truth = judged
		r.Took = time.Since(began).Seconds()
		c.Ranked = append(c.Ranked, *r)
		c.Busy = c.Busy || r.Busy
		f.took(i, r.Seconds, time.Since(began))
		sentence := fmt.Sprintf("%s: %s, %.1f ms a picture · licence %s", r.Model, r.Score, 1000*r.Seconds, r.Licence)
		if len(rows) > 1 && onFrontier(c.Ranked, len(c.Ranked)-1) {
			sentence += " · on the frontier"
		}
		c.tell(p, sentence, f, i)
		if late := f.late(i + 1); !paced && len(late) > 0 {
			p.Say("expected to be left out: " + listed(late))
		}
		paced = true
	}
}

func why(skipped []Skipped) string {
	if len(skipped) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", skipped[0].Model, skipped[0].Skipped)
}

// reason shortens an error to a line that fits a table.
func reason(row zoo.Row, err error) string {
	if errors.Is(err, zoo.ErrNonCommercial) {
		return nonCommercial
	}
	if byHand(row) {
		return fmt.Sprintf("its file has to be downloaded by hand; put it at $TLKIT_DATA/%s/%s", row.Name, row.FileName())
	}
	text := err.Error()
	var load *zoo.LoadError
	var missing *fetch.MissingError
	switch {
	case errors.As(err, &missing):
		text = missing.Brief()
	case errors.As(err, &load): // the table already names the model
		text = load.Err.Error()
	}
	line, _, _ := strings.Cut(text, "\n")
	if r := []rune(line); len(r) > 160 {
		line = string(r[:159]) + "…"
	}
	return line
}

// Reasons returns a line for each reason, with the models that were skipped for it.
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

// rows returns the checkpoints to compare.
func (s Spec) rows(offline bool) ([]zoo.Row, error) {
	rows := zoo.Handy(offline)
	switch {
	case s.Models != nil:
		named, err := zoo.Named(s.Models...)
		if err != nil {
			return nil, err
		}
		rows = named
	case s.All:
		rows = zoo.Rows()
	}
	if len(rows) > 0 && s.filtered() {
		var err error
		if rows, err = s.Filter.Of(rows); err != nil && s.Models == nil && !s.All {
			return nil, advice.New(fmt.Errorf("compare: none of the networks on this machine or in a small package is like that"), "--all looks among all of them")
		} else if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// filtered reports whether the filter leaves anything out.
func (s Spec) filtered() bool { return s.Filter.Filters() || len(s.Filter.Words) > 0 }

// probing is where backbones are probed.
type probing struct {
	bench *run.Bench
	place run.Place
	brief bool // time for no longer than necessary
	// The rows' presets are not their own: pictures have another size.
	resized bool
}

// probe probes one backbone. truth has the labels or values of the pictures it was scored on.
func (in probing) probe(ctx context.Context, row zoo.Row, p run.Progress) (_ *Ranked, truth head.Samples, err error) {
	b := in.bench
	p.State("loading weights", 0, 0)
	options := in.place.Zoo(p)
	options.Answer = answerWithin
	if in.resized {
		if err := row.Fits(row.Preset.Size); err != nil {
			return nil, truth, err
		}
		options.Preset = &row.Preset
	}
	net, err := zoo.Load(ctx, row.Name, options)
	if err != nil {
		return nil, truth, err
	}
	bytes, err := weightBytes(net.Path)
	if err != nil {
		return nil, truth, err
	}
	probed, err := b.Probe(ctx, net, p)
	if err != nil {
		return nil, truth, err
	}
	p.State("timing", 0, 0)
	within := paceFor
	if in.brief {
		within = 0
	}
	seconds, processors, err := pace(ctx, timed{probed.Backbone, net, within}, probed.Items)
	if err != nil {
		return nil, truth, err
	}
	return &Ranked{Model: net.Row.Name, Score: probed.Score,
		Seconds: seconds, Bytes: bytes, Features: net.Row.Features, Size: net.Preset.Size, Licence: net.Row.Licence, Parameters: net.Row.Params,
		Fitting: probed.Fitting.Seconds(), Logits: probed.Logits, Busy: processors > 0 && processors < 0.9 && strings.Contains(b.Engine.Name, "cpu")}, probed.Truth, nil
}

// weightBytes returns the size of a weights file; for a model.json of TensorFlow.js, with the .bin
// files in the same folder.
func weightBytes(path string) (int64, error) {
	paths := []string{path}
	if filepath.Ext(path) == ".json" {
		binaries, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.bin"))
		if err != nil {
			return 0, err
		}
		paths = append(paths, binaries...)
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

// prefixed is a Progress whose states name the model.
type prefixed struct {
	run.Progress
	prefix string
}

func (p prefixed) State(what string, done, total int64) { p.Progress.State(p.prefix+what, done, total) }
