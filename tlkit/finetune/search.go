package finetune

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Trial is what the folds of the training pictures said about one way to fine-tune: every picture is
// judged by a network that did not see it.
type Trial struct {
	From   string         `json:"from,omitempty"` // first stage that moves; "" = none, the head alone
	Rate   float64        `json:"rate,omitempty"`
	Mix    float64        `json:"mix,omitempty"`
	Loss   float64        `json:"loss"` // mean over the pictures: cross-entropy, of several labels binary, nats; of values squared error in variances
	Metric metrics.Metric `json:"metric"`
	Score  float64        `json:"score"`           // in that metric
	Right  int            `json:"right,omitempty"` // of Total; of accuracy
	Total  int            `json:"total"`           // pictures judged; fewer than all where the first folds were enough to give it up
	Gain   float64        `json:"gain,omitempty"`  // loss of the head alone minus this one's, mean over the pictures
	Error  float64        `json:"error,omitempty"` // standard error of Gain

	logits []float32 // [N, K]
}

// brief is what it got, for a sentence: "235 of 244", "mAP 89.6 %", "R² 0.110".
func (t Trial) brief() string {
	if t.Metric.Counts() {
		return metrics.Fraction{Correct: t.Right, Total: t.Total}.Score().Brief()
	}
	return metrics.NewScore(t.Metric, t.Score, metrics.Unknown(), t.Total).Brief()
}

// judged takes loss and score of its logits.
func (t *Trial) judged(known truth, logits []float32) {
	loss, score := known.judge(logits)
	t.Loss, t.Metric, t.Score, t.Right, t.Total = loss, score.Metric, score.Value, score.Fraction().Correct, known.len()
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
		return fmt.Errorf("finetune: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	if err := atomicfile.WriteBytes(s.path, append([]byte(hex.EncodeToString(sum[:])+"\n"), body...), 0o644); err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	return nil
}

// search tries what the plan lists and returns the trials, the head alone first.
func (j *training) search(ctx context.Context, train *pictures) ([]Trial, error) {
	s := &searching{of: j, plan: j.plan.Search, train: train, folds: datasets.Folds(j.data.Train, j.plan.Search.Folds, j.plan.Seed)}
	if len(s.folds) < 2 {
		return nil, fmt.Errorf("finetune: %d training pictures cannot be dealt into %d folds", len(j.data.Train), s.plan.Folds)
	}
	s.known = j.objective.truthOf(j.data.Train, all(len(j.data.Train)))
	alone, err := s.headAlone(ctx)
	if err != nil {
		return nil, err
	}
	s.trials, s.done = []Trial{alone}, openSearch(j.data.Folder, j.of, j.data.Resume)
	s.total = len(s.plan.Depths) * len(s.plan.Rates) * len(s.folds)
	for _, from := range s.plan.Depths {
		if err := s.depth(ctx, from); err != nil {
			return nil, err
		}
	}
	return s.trials, nil
}

// searching is a search under way.
type searching struct {
	of    *training
	plan  *Search
	train *pictures
	folds [][]int
	known truth
	heads []*head.Linear // of each fold, without its held-out pictures, in the units of training

	trials    []Trial
	done      *searched
	at, total int // trainings
}

// headAlone judges every picture by the head of the fold that did not see it.
func (s *searching) headAlone(ctx context.Context) (Trial, error) {
	d, k := s.of.data, s.of.objective.k
	alone := Trial{logits: make([]float32, len(d.Train)*k)}
	for _, held := range s.folds {
		h, err := d.headWithout(ctx, held)
		if err != nil {
			return alone, err
		}
		h = s.of.objective.loss.inTraining(h)
		s.heads = append(s.heads, h)
		logits, err := d.headLogits(h, held)
		if err != nil {
			return alone, err
		}
		scatter(alone.logits, logits, held, k)
	}
	alone.judged(s.known, alone.logits)
	return alone, nil
}

// depth tries every rate from one stage on. All of them share the compiled programs.
func (s *searching) depth(ctx context.Context, from string) error {
	var t *tuner
	defer func() {
		if t != nil {
			t.close()
		}
	}()
	for _, rate := range s.plan.Rates {
		q := s.of.plan
		q.Groups = q.groupsFrom(stages(s.of.data.Net), from, rate, s.plan)
		c := newCandidate(s, from, rate)
		for f, held := range s.folds {
			found := s.done.find(from, rate, f)
			if found == nil {
				var err error
				if t == nil {
					if t, err = newTuner(s.of.data.Net, s.of.data.Engine, s.of.objective, s.heads[f], q); err != nil {
						return err
					}
				}
				t.plan = q
				if found, err = s.try(ctx, t, f); err != nil {
					return err
				}
				found.From, found.Rate, found.Fold = from, rate, f
				if err := s.done.add(*found); err != nil {
					return err
				}
			}
			s.at++
			if !c.judge(found, held, s.trials, s.known) {
				s.at += len(s.folds) - 1 - f // the other folds are not tried
				break
			}
		}
		s.trials = append(s.trials, c.trials...)
	}
	return nil
}

// candidate is one depth and rate, with its mixes.
type candidate struct {
	rows   []int // pictures judged so far
	trials []Trial
}

func newCandidate(s *searching, from string, rate float64) *candidate {
	c := &candidate{trials: make([]Trial, len(s.plan.Mixes))}
	for m, mix := range s.plan.Mixes {
		c.trials[m] = Trial{From: from, Rate: rate, Mix: mix, logits: make([]float32, s.known.len()*s.of.objective.k)}
	}
	return c
}

// judge adds what a fold said, and reports whether it is worth going on: not when every mix is
// behind the best of what was tried before by more than a standard error, on the pictures that both
// have judged.
func (c *candidate) judge(p *part, held []int, before []Trial, known truth) bool {
	c.rows = append(c.rows, held...)
	k, mine := known.objective.k, known.pick(c.rows)
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
		t.judged(mine, logits)
		t.Gain, t.Error = mine.paired(alone, logits)
		lead, err := mine.paired(first, logits)
		hope = hope || lead > -err
	}
	return hope
}

// try trains on all but the held-out pictures of a fold and judges those.
func (s *searching) try(ctx context.Context, t *tuner, fold int) (*part, error) {
	held := s.folds[fold]
	l := &loop{tuner: t, feed: newFeeder(t, s.train, rest(held, s.known.len())), report: func(step, steps int) {
		s.of.data.state("choosing how to fine-tune", s.at*steps+step, s.total*steps)
	}}
	if err := l.begin(s.heads[fold]); err != nil {
		return nil, err
	}
	// A rate that blows up is a bad rate, not the end of the search: its logits say nothing for any class.
	failed := l.train(ctx)
	var diverged *DivergedError
	if failed != nil && !errors.As(failed, &diverged) {
		return nil, failed
	}
	p := &part{}
	tuned, err := t.tuned()
	if err != nil {
		return nil, err
	}
	for _, mix := range s.plan.Mixes {
		if failed != nil {
			p.Logits = append(p.Logits, make([]float32, len(held)*s.of.objective.k))
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

// headWithout fits the head without some pictures, at the strength of the fitted one.
func (d Data) headWithout(ctx context.Context, held []int) (*head.Linear, error) {
	out := map[int]bool{}
	for _, i := range held {
		out[i] = true
	}
	var rows []int
	for r := range d.Features.Len() {
		if !out[d.item(r)] {
			rows = append(rows, r)
		}
	}
	strength := cmp.Or(d.Head.Strength, searchStrength) // a head of SGD has none
	fit, err := head.FitAt(ctx, d.task().Heads()[0], d.Features.Select(rows), strength)
	if err != nil {
		return nil, fmt.Errorf("finetune: a head for the search: %w", err)
	}
	return fit.Head, nil
}

// headLogits judges pictures by a head in the units of training, on their features.
func (d Data) headLogits(h *head.Linear, rows []int) ([]float32, error) {
	at := map[int]int{}
	for r := d.Features.Len() - 1; r >= 0; r-- {
		at[d.item(r)] = r
	}
	var out []float32
	for _, i := range rows {
		r, ok := at[i]
		if !ok {
			return nil, fmt.Errorf("finetune: %s has no features", d.Train[i].Rel)
		}
		out = append(out, h.Logits(d.Features.Row(r))...)
	}
	return out, nil
}
