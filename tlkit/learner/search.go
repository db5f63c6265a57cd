package learner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Trial is what the folds of the training pictures said about one way to fine-tune: every picture is judged by a network
// that did not see it.
type Trial struct {
	From   string  `json:"from,omitempty"` // first stage that moves; "" = none, the head alone
	Rate   float64 `json:"rate,omitempty"`
	Mix    float64 `json:"mix,omitempty"`
	Loss   float64 `json:"loss"`   // mean over the pictures: cross-entropy, of several labels binary, nats; of values squared error in variances
	Metric string  `json:"metric"` // what Score is of: curves.Accuracy, MAP or R2
	Score  float64 `json:"score"`
	Right  int     `json:"right,omitempty"` // of Total; of classes
	Total  int     `json:"total"`           // pictures judged; fewer than all where the first folds were enough to give it up
	Gain   float64 `json:"gain,omitempty"`  // loss of the head alone minus this one's, mean over the pictures
	Error  float64 `json:"error,omitempty"` // standard error of Gain

	logits []float32 // [N, K]
}

// words are what it got: "235 of 244", "mAP 89.6 %", "R² 0.110".
func (t Trial) words() string {
	switch t.Metric {
	case curves.MAP:
		return fmt.Sprintf("mAP %.1f %%", 100*t.Score)
	case curves.R2:
		return fmt.Sprintf("R² %.3f", t.Score)
	}
	return fmt.Sprintf("%d of %d", t.Right, t.Total)
}

// part is what one training of the search found: the held-out logits of one fold at every mix.
type part struct {
	From   string      `json:"from"`
	Rate   float64     `json:"rate"`
	Fold   int         `json:"fold"`
	Logits [][]float32 `json:"logits"` // by mix, [held, K]
}

// searched is the search on disk, so that an interrupted one goes on where it stopped.
type searched struct {
	Of    map[string]string `json:"of"`
	Parts []part            `json:"parts"`
	path  string
}

// openSearch reads what an earlier process left. Whatever is damaged or of another training is done again.
func openSearch(folder string, of map[string]string, resume bool) *searched {
	s := &searched{Of: of}
	if folder == "" {
		return s
	}
	s.path = filepath.Join(folder, "search.json")
	raw, err := os.ReadFile(s.path)
	if err != nil || !resume || len(raw) < 65 {
		return s
	}
	sum := sha256.Sum256(raw[65:])
	var old searched
	if hex.EncodeToString(sum[:]) == string(raw[:64]) && json.Unmarshal(raw[65:], &old) == nil && difference(old.Of, of) == "" {
		s.Parts = old.Parts
	}
	return s
}

func (s *searched) find(from string, rate float64, fold int) *part {
	for i, p := range s.Parts {
		if p.From == from && p.Rate == rate && p.Fold == fold {
			return &s.Parts[i]
		}
	}
	return nil
}

func (s *searched) add(p part) error {
	s.Parts = append(s.Parts, p)
	if s.path == "" {
		return nil
	}
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	if err := atomicfile.WriteBytes(s.path, append([]byte(hex.EncodeToString(sum[:])+"\n"), body...), 0o644); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	return nil
}

// search tries what the plan lists and returns the trials, the head alone first.
func (d TuneData) search(ctx context.Context, obj objective, p TunePlan, train *pictures, of map[string]string) ([]Trial, error) {
	s := p.Search
	folds := datasets.Folds(d.Train, s.Folds, p.Seed)
	if len(folds) < 2 {
		return nil, fmt.Errorf("learner: %d training pictures cannot be dealt into %d folds", len(d.Train), s.Folds)
	}
	n, k := len(d.Train), d.Classes
	known := obj.of(d.Train, all(n))
	alone := Trial{Metric: obj.metric(), Total: n, logits: make([]float32, n*k)}
	heads := make([]*head.Linear, len(folds))
	for f, held := range folds {
		h, err := d.headWithout(ctx, held)
		if err != nil {
			return nil, err
		}
		heads[f] = obj.standardised(h)
		logits, err := d.headLogits(heads[f], held)
		if err != nil {
			return nil, err
		}
		scatter(alone.logits, logits, held, k)
	}
	alone.Loss, alone.Score, alone.Right = known.judge(alone.logits)
	trials := []Trial{alone}
	done := openSearch(d.Folder, of, d.Resume)
	total, at := len(s.Depths)*len(s.Rates)*len(folds), 0
	for _, from := range s.Depths {
		var t *tuner
		for _, rate := range s.Rates {
			c := candidate{from: from, rate: rate, trials: make([]Trial, len(s.Mixes))}
			for m, mix := range s.Mixes {
				c.trials[m] = Trial{From: from, Rate: rate, Mix: mix, Metric: obj.metric(), logits: make([]float32, n*k)}
			}
			q := p
			q.Groups = p.groupsFrom(stages(d.Net), from, rate, s)
			for f, held := range folds {
				found := done.find(from, rate, f)
				if found == nil {
					if t == nil {
						var err error
						if t, err = newTuner(d.Net, d.Engine, obj, heads[f], q); err != nil {
							return nil, err
						}
						defer t.close()
					}
					t.plan = q
					var err error
					if found, err = d.try(ctx, t, train, heads[f], held, func(step, steps int) {
						d.state("choosing how to fine-tune", at*steps+step, total*steps)
					}); err != nil {
						return nil, err
					}
					found.From, found.Rate, found.Fold = from, rate, f
					if err := done.add(*found); err != nil {
						return nil, err
					}
				}
				at++
				if !c.judge(found, held, trials, known) {
					at += len(folds) - 1 - f // the other folds are not tried
					break
				}
			}
			trials = append(trials, c.trials...)
		}
	}
	return trials, nil
}

// candidate is one depth and rate, with its mixes.
type candidate struct {
	from   string
	rate   float64
	rows   []int // pictures judged so far
	trials []Trial
}

// judge adds what a fold said, and says whether it is worth going on: not when every mix is behind the best of what was
// tried before by more than a standard error, on the pictures that both have judged.
func (c *candidate) judge(p *part, held []int, before []Trial, known truth) bool {
	c.rows = append(c.rows, held...)
	k, mine := known.k, known.pick(c.rows)
	pick := func(logits []float32) []float32 {
		out := make([]float32, 0, len(c.rows)*k)
		for _, r := range c.rows {
			out = append(out, logits[r*k:(r+1)*k]...)
		}
		return out
	}
	leader := before[0]
	for _, t := range before {
		if t.Total == known.len() && t.Loss < leader.Loss {
			leader = t
		}
	}
	alone, first := pick(before[0].logits), pick(leader.logits)
	hope := false
	for m := range c.trials {
		t := &c.trials[m]
		scatter(t.logits, p.Logits[m], held, k)
		logits := pick(t.logits)
		t.Total = mine.len()
		t.Loss, t.Score, t.Right = mine.judge(logits)
		t.Gain, t.Error = mine.paired(alone, logits)
		lead, err := mine.paired(first, logits)
		hope = hope || lead > -err
	}
	return hope
}

// try trains on all but the held-out pictures and judges those.
func (d TuneData) try(ctx context.Context, t *tuner, train *pictures, h *head.Linear, held []int, report func(int, int)) (*part, error) {
	l := &loop{tuner: t, feed: d.feeder(t, train, rest(held, len(d.Train))), report: report}
	if err := l.begin(h); err != nil {
		return nil, err
	}
	// A rate that blows up is a bad rate, not the end of the search: its logits say nothing for any class.
	failed := l.train(ctx)
	if failed != nil {
		if _, diverged := failed.(*DivergedError); !diverged {
			return nil, failed
		}
	}
	p := &part{}
	tuned, err := t.tuned()
	if err != nil {
		return nil, err
	}
	for _, mix := range t.plan.Search.Mixes {
		if failed != nil {
			p.Logits = append(p.Logits, make([]float32, len(held)*d.Classes))
			continue
		}
		if err := t.put(t.mixed(tuned, mix)); err != nil {
			return nil, err
		}
		logits, err := l.feed.logitsOf(ctx, t, held)
		if err != nil {
			return nil, err
		}
		p.Logits = append(p.Logits, logits)
	}
	return p, nil
}

// standardErrors is how many standard errors of the difference a trial must be better than the head alone: at two, chance alone
// passes one time in forty.
const standardErrors = 2

// choose gives the trial to follow among those that beat the head alone by more than chance would and have no lower
// score: the one with the lowest loss, or the one at a smaller rate that is no more than a standard error behind it. A
// large rate may work on every fold and still break the network when it is trained on all pictures. -1 = none.
func choose(trials []Trial, known truth) int {
	best := -1
	var fit []int
	for i, t := range trials {
		if i > 0 && t.Total == trials[0].Total && t.Gain > standardErrors*t.Error && t.Score >= trials[0].Score {
			if fit = append(fit, i); best < 0 || t.Loss < trials[best].Loss {
				best = i
			}
		}
	}
	at := best
	for _, i := range fit {
		t := trials[i]
		behind, err := known.paired(t.logits, trials[best].logits)
		if behind <= err && (t.Rate < trials[at].Rate || t.Rate == trials[at].Rate && t.Loss < trials[at].Loss) {
			at = i
		}
	}
	return at
}

func scatter(to, from []float32, rows []int, k int) {
	for i, r := range rows {
		copy(to[r*k:(r+1)*k], from[i*k:(i+1)*k])
	}
}

// paired is the mean of the differences of loss, picture by picture, and its standard error.
func (t truth) paired(a, b []float32) (mean, err float64) {
	n := float64(t.len())
	var sum, square float64
	before, after := t.losses(a), t.losses(b)
	for i := range before {
		d := before[i] - after[i]
		sum += d
		square += d * d
	}
	mean = sum / n
	return mean, math.Sqrt(max(square/n-mean*mean, 0) / max(n-1, 1))
}

// headWithout fits the head without some pictures, at the strength of the fitted one.
func (d TuneData) headWithout(ctx context.Context, held []int) (*head.Linear, error) {
	out := map[int]bool{}
	for _, i := range held {
		out[i] = true
	}
	s := head.Samples{Features: d.Features.Features, Classes: d.Classes}
	for r := range d.Features.Len() {
		if item := d.item(r); !out[item] {
			s.X = append(s.X, d.Features.Row(r)...)
			if d.Features.Targets == nil {
				s.Y = append(s.Y, d.Features.Y[r])
			} else {
				s.Targets = append(s.Targets, d.Features.Targets[r*d.Classes:(r+1)*d.Classes]...)
			}
		}
	}
	strength := d.Head.Strength
	if strength == 0 {
		strength = 0.1 // a head of SGD has none; the middle of the ladder
	}
	var fit *head.Fit
	var err error
	if d.Task == datasets.Values {
		fit, err = head.Ridge(ctx, s, head.RidgeOptions{Strengths: []float64{strength}})
	} else {
		fit, err = head.Logistic(ctx, s, head.LogisticOptions{Strengths: []float64{strength}})
	}
	if err != nil {
		return nil, fmt.Errorf("learner: a head for the search: %w", err)
	}
	return fit.Head, nil
}

// headLogits judges pictures by a head in the units of training, on their features.
func (d TuneData) headLogits(h *head.Linear, rows []int) ([]float32, error) {
	at := map[int]int{}
	for r := d.Features.Len() - 1; r >= 0; r-- {
		at[d.item(r)] = r
	}
	var out []float32
	for _, i := range rows {
		r, ok := at[i]
		if !ok {
			return nil, fmt.Errorf("learner: %s has no features", d.Train[i].Rel)
		}
		out = append(out, h.Logits(d.Features.Row(r))...)
	}
	return out, nil
}

// item is the picture that a row of features is of.
func (d TuneData) item(row int) int {
	if d.Rows == nil {
		return row
	}
	return d.Rows[row]
}
