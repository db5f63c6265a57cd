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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// Trial is the result of one way to fine-tune on folds of the training pictures; see [results.Trial].
type Trial = results.Trial

// brief formats the score for use in a sentence: "235 of 244", "mAP 89.6 %", "R² 0.110".
func brief(t Trial) string {
	if t.Metric.Counts() {
		return metrics.Fraction{Correct: t.Right, Total: t.Total}.Score().Brief()
	}
	return metrics.NewScore(t.Metric, t.Score, metrics.Unknown(), t.Total).Brief()
}

// judge sets the loss and the score of logits.
func judge(t *Trial, known truth, logits []float32) {
	t.Temperature = known.temperature(logits)
	loss, score := known.judge(divided(logits, t.Temperature))
	t.Loss, t.Metric, t.Score, t.Right, t.Total = loss, score.Metric, score.Value, score.Fraction().Correct, known.len()
}

// part is the result of one training of the search: the held-out logits of one fold at every mix.
type part struct {
	From   string      `json:"from"`
	Rate   float64     `json:"rate"`
	Fold   int         `json:"fold"`
	Logits [][]float32 `json:"logits"` // by mix, [held, K]
}

// searched is the search on disk, from which an interrupted one continues.
type searched struct {
	Identity map[string]string `json:"of"`
	Parts    []part            `json:"parts"`
	path     string
}

// openSearch reads the parts that an earlier process finished. It ignores a file that belongs to
// another training. A damaged one is set aside, and say gets a sentence about it.
func openSearch(folder string, identity map[string]string, resume bool, say func(string, ...any)) *searched {
	s := &searched{Identity: identity}
	if folder == "" {
		return s
	}
	s.path = filepath.Join(folder, "search.json")
	raw, err := os.ReadFile(s.path)
	if err != nil || !resume {
		return s
	}
	var old searched
	if err := old.decode(raw); err != nil {
		sentence := fmt.Sprintf("%s is damaged (%v)", s.path, err)
		if aside, err := fetch.SetAside(s.path); err == nil {
			sentence += " and was set aside as " + aside
		}
		say("%s; the search for a plan begins again", sentence)
		return s
	}
	if difference(old.Identity, identity) == "" {
		s.Parts = old.Parts
	}
	return s
}

// decode reads the file of a search: the sha256 of what follows it, and JSON.
func (s *searched) decode(raw []byte) error {
	if len(raw) < 65 {
		return fmt.Errorf("it has %d bytes", len(raw))
	}
	if sum := sha256.Sum256(raw[65:]); hex.EncodeToString(sum[:])+"\n" != string(raw[:65]) {
		return errors.New("its content does not have the sha256 in its first line")
	}
	return json.Unmarshal(raw[65:], s)
}

func (s *searched) find(first string, rate float64, fold int) *part {
	for i, p := range s.Parts {
		if p.From == first && p.Rate == rate && p.Fold == fold {
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

// search tries what is in the plan until something pays, and returns the trials, the head alone
// first.
func (j *training) search(ctx context.Context, train *pictures) ([]Trial, error) {
	s := &searching{training: j, plan: j.plan.Search, train: train, folds: datasets.Folds(j.data.Train, j.plan.Search.Folds, j.plan.Seed)}
	if len(s.folds) < 2 {
		return nil, advice.New(fmt.Errorf("finetune: %d training pictures cannot be dealt into %d folds", len(j.data.Train), s.plan.Folds), "use fewer")
	}
	s.known = j.objective.truthOf(j.data.Train, all(len(j.data.Train)))
	alone, err := s.headAlone(ctx)
	if err != nil {
		return nil, err
	}
	s.trials, s.searched = []Trial{alone}, openSearch(j.data.Folder, j.identity, j.data.Resume, j.data.say)
	s.total = len(s.plan.Depths) * len(s.plan.Rates) * len(s.folds)
	for _, first := range s.plan.Depths {
		if err := s.depth(ctx, first); err != nil {
			return nil, err
		}
		if choose(s.trials) >= 0 {
			break
		}
	}
	return s.trials, nil
}

// searching is a search in progress.
type searching struct {
	training *training
	plan     *Search
	train    *pictures
	folds    [][]int
	known    truth
	// Fitted without each fold's held-out pictures, in the units of training.
	heads []*head.Linear

	trials      []Trial
	searched    *searched
	done, total int // trainings
}

// headAlone predicts every picture with a head that did not see it.
func (s *searching) headAlone(ctx context.Context) (Trial, error) {
	d, k := s.training.data, s.training.objective.k
	alone := Trial{Logits: make([]float32, len(d.Train)*k)}
	for _, held := range s.folds {
		h, err := d.headWithout(ctx, held)
		if err != nil {
			return alone, err
		}
		h = s.training.objective.loss.inTraining(h)
		s.heads = append(s.heads, h)
		logits, err := d.headLogits(h, held)
		if err != nil {
			return alone, err
		}
		scatter(alone.Logits, logits, held, k)
	}
	judge(&alone, s.known, alone.Logits)
	return alone, nil
}

// depth tries the rates from one stage on until one pays. They all share the compiled programs.
func (s *searching) depth(ctx context.Context, first string) error {
	var t *tuner
	defer func() {
		if t != nil {
			t.close()
		}
	}()
	for _, rate := range s.plan.Rates {
		q := s.training.plan
		// As many steps as the final training has: with fewer, it would look worse than it is.
		q.Epochs = (q.Epochs*len(s.folds) + len(s.folds) - 2) / (len(s.folds) - 1)
		q.Groups = q.groupsFrom(s.training.data.Net, first, rate, s.plan)
		c := newCandidate(s, first, rate)
		for f, held := range s.folds {
			found := s.searched.find(first, rate, f)
			if found == nil {
				var err error
				if t == nil {
					t, err = newTuner(s.training.data.Net, s.training.data.Engine, s.training.objective, s.heads[f], q)
					if err != nil {
						return err
					}
				}
				t.plan = q
				found, err = s.try(ctx, t, f)
				if err != nil {
					return err
				}
				found.From, found.Rate, found.Fold = first, rate, f
				if err := s.searched.add(*found); err != nil {
					return err
				}
			}
			s.done++
			if !c.judge(found, held, s.trials, s.known) {
				s.done += len(s.folds) - 1 - f // the other folds are skipped
				break
			}
		}
		s.trials = append(s.trials, c.trials...)
		if choose(s.trials) >= 0 {
			return nil
		}
	}
	return nil
}

// candidate is one depth and rate, with its mixes.
type candidate struct {
	rows   []int // pictures predicted so far
	trials []Trial
}

func newCandidate(s *searching, first string, rate float64) *candidate {
	c := &candidate{trials: make([]Trial, len(s.plan.Mixes))}
	for m, mix := range s.plan.Mixes {
		c.trials[m] = Trial{From: first, Rate: rate, Mix: mix, Logits: make([]float32, s.known.len()*s.training.objective.k)}
	}
	return c
}

// judge adds the result of a fold, and reports whether the candidate is worth continuing. It is not
// if every mix is behind the best earlier trial by more than a standard error, on the pictures that
// both have predicted. The fewer folds are left, the less it may be behind.
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
	tempered := func(logits []float32) []float32 { return divided(logits, mine.temperature(logits)) }
	alone, first := tempered(pick(before[0].Logits)), tempered(pick(leader.Logits))
	hope := false
	for m := range c.trials {
		t := &c.trials[m]
		scatter(t.Logits, p.Logits[m], held, k)
		logits := pick(t.Logits)
		judge(t, mine, logits)
		logits = divided(logits, t.Temperature)
		t.Gain, t.Error = mine.paired(alone, logits)
		lead, err := mine.paired(first, logits)
		left := float64(len(t.Logits)/k-len(c.rows)) / float64(len(t.Logits)/k-len(held))
		hope = hope || lead > -err*left
	}
	return hope
}

// try trains without the held-out pictures of a fold and predicts those.
func (s *searching) try(ctx context.Context, t *tuner, fold int) (*part, error) {
	held := s.folds[fold]
	l := &loop{tuner: t, feed: newFeeder(t, s.train, rest(held, s.known.len())), hurry: s.training.hurry, report: func(step, steps int) {
		s.training.data.state("choosing how to fine-tune", s.done*steps+step, s.total*steps)
	}}
	if err := l.begin(s.heads[fold]); err != nil {
		return nil, err
	}
	l.after = (len(s.folds) - fold) * l.total // the other folds, and the final training, which has as many steps
	// A diverging rate is a bad rate, but does not end the search: its logits are 0 for every
	// class.
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
			p.Logits = append(p.Logits, make([]float32, len(held)*s.training.objective.k))
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

// choose returns the index of the trial to follow, or -1 for none. Of those whose loss beats that of
// the head alone by more than chance, and whose score is no lower, it is the one with the highest
// score, or the lowest loss if scores are equal.
func choose(trials []Trial) int {
	best := -1
	for i, t := range trials {
		pays := i > 0 && t.Total == trials[0].Total && t.Gain > standardErrors*t.Error && t.Score >= trials[0].Score
		if pays && (best < 0 || t.Score > trials[best].Score || t.Score == trials[best].Score && t.Loss < trials[best].Loss) {
			best = i
		}
	}
	return best
}

func scatter(out, values []float32, rows []int, k int) {
	for i, r := range rows {
		copy(out[r*k:(r+1)*k], values[i*k:(i+1)*k])
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
	strength := cmp.Or(d.Head.Strength, searchStrength) // an SGD head has none
	fit, err := head.FitAt(ctx, d.task().Heads()[0], d.Features.Select(rows), strength)
	if err != nil {
		return nil, fmt.Errorf("finetune: fitting a head for the search: %w", err)
	}
	return fit.Head, nil
}

// headLogits returns the logits of pictures from a head in the units of training, on their
// features.
func (d Data) headLogits(h *head.Linear, rows []int) ([]float32, error) {
	rowOf := map[int]int{}
	for r := d.Features.Len() - 1; r >= 0; r-- {
		rowOf[d.item(r)] = r
	}
	var out []float32
	for _, i := range rows {
		r, ok := rowOf[i]
		if !ok {
			return nil, advice.New(fmt.Errorf("finetune: %s has no row of features", d.Train[i].Rel), "compute features for all training pictures")
		}
		out = append(out, h.Logits(d.Features.Row(r))...)
	}
	return out, nil
}
