package learner

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// TuneData is what fine-tuning starts from, learns from and is measured on.
type TuneData struct {
	Net     *zoo.Net
	Engine  *engine.Engine
	Task    datasets.Task   // what is learnt about a picture; "" = Classes
	Train   []datasets.Item // with classes from 0 to Classes-1, or with targets
	Valid   []datasets.Item // measured, never chosen on; may be empty
	Split   string          // what Valid is called in the history; "" = valid
	Classes int             // or labels, or values

	Head     *head.Fit    // the fitted head: training starts from it
	Features head.Samples // what it was fitted on
	Rows     []int        // the picture of Train that each row of Features is of; nil = row i is picture i
	Steps    int          // of the head's history, so that the curve goes on behind it

	Folder string // where checkpoints go; "" = none are made, and an interrupt loses the training
	Resume bool   // go on from the checkpoints in Folder; else they are removed
	Every  int    // steps between two checkpoints; 0 = as often as a hundredth of the time allows

	State func(what string, done, total int) // progress; may be nil
	Say   func(sentence string)              // what a person should hear; may be nil
}

// Tuned is the outcome of fine-tuning.
type Tuned struct {
	Head   *head.Linear
	Net    *zoo.Net // the net with its changed tensors
	Plan   TunePlan // with what was chosen
	Pays   bool     // false: the head alone is the result: folds of the training pictures say that it is as good, or the training broke the network
	Why    string   // one sentence
	Trials []Trial  // of the search, the head alone first; nil without one
	Steps  int      // of the final training
	// OutOfFold has for each training picture what a network like this one says that did not see it, [N, Classes]: logits
	// or values. nil without a search, and where it does not pay.
	OutOfFold []float32

	Training, Saving time.Duration // of the final training in this process: all of it, and the part that checkpoints took
}

func (d TuneData) state(what string, done, total int) {
	if d.State != nil {
		d.State(what, done, total)
	}
}

func (d TuneData) say(format string, a ...any) {
	if d.Say != nil {
		d.Say(fmt.Sprintf(format, a...))
	}
}

// FineTune trains the stages that the plan names together with the head. What does not move is computed once for each
// picture, and view of it, and kept on disk; a step costs only the rest.
//
// Every choice (depth, rate, mix, when to stop) is made on training pictures. to gets the history and may be nil.
//
// When ctx is done, training stops after the step it is in, saves it, and the error wraps ErrInterrupted; the same call
// with Resume goes on and ends, on a CPU, with the very bits that the uninterrupted run gives. A *DivergedError tells
// where numbers ran away.
func FineTune(ctx context.Context, d TuneData, p TunePlan, to Recorder) (*Tuned, error) {
	obj, err := d.check(p)
	if err != nil {
		return nil, err
	}
	if p.Batch > len(d.Train) {
		return nil, fmt.Errorf("learner: plan %s: a batch of %d with %d training pictures; take at most %d", p.Name, p.Batch, len(d.Train), len(d.Train))
	}
	of, err := d.of(p)
	if err != nil {
		return nil, err
	}
	kept := checkpoints{}
	if d.Folder != "" {
		kept.dir = filepath.Join(d.Folder, "checkpoints")
		if !d.Resume {
			if err := kept.clear(); err != nil {
				return nil, err
			}
		}
	}
	train, err := openPictures(ctx, d.Net, d.Engine, d.Train, p, p.borders(d.Net), true, d.state)
	if err != nil {
		return nil, err
	}
	defer train.close()
	out := &Tuned{Plan: p, Net: d.Net, Head: d.Head.Head}
	if p.Search != nil {
		if out.Trials, err = d.search(ctx, obj, p, train, of); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("learner: fine-tuning %w while it was choosing how; what was tried is kept: run the same again with --resume: %w", ErrInterrupted, ctx.Err())
			}
			return nil, err
		}
		alone, at := out.Trials[0], choose(out.Trials, obj.of(d.Train, all(len(d.Train))))
		if at < 0 {
			out.Why = fmt.Sprintf("fine-tuning does not pay here: on folds of the training pictures the head alone gets %s with loss %.4f, and nothing that was tried is better by more than chance would make it (twice the standard error)", alone.words(), alone.Loss)
			out.Plan.Mix = 0
			return out, d.mark(to, curves.Mark{Kind: curves.Chosen, Step: d.Steps, Epoch: float64(d.Steps), Text: "the head alone"})
		}
		t := out.Trials[at]
		out.Plan.Groups, out.Plan.Mix = p.groupsFrom(stages(d.Net), t.From, t.Rate, p.Search), t.Mix
		out.Why = fmt.Sprintf("from %s on at rate %g, %g of the way: on folds of the training pictures %s with loss %.4f, the head alone %s with %.4f (gain %.4f ± %.4f)", t.From, t.Rate, t.Mix, t.words(), t.Loss, alone.words(), alone.Loss, t.Gain, t.Error)
		out.OutOfFold = obj.units(t.logits)
		d.say("%s", out.Why)
	}
	out.Pays = true
	return out, d.final(ctx, obj, out, train, kept, of, to)
}

// final is the training on all pictures by a plan that leaves nothing open.
func (d TuneData) final(ctx context.Context, obj objective, out *Tuned, train *pictures, kept checkpoints, of map[string]string, to Recorder) error {
	p := out.Plan
	start := obj.standardised(d.Head.Head)
	if p.Fresh {
		start = freshHead(d.Classes, d.Net.Row.Features, p.Seed)
	}
	t, err := newTuner(d.Net, d.Engine, obj, start, p)
	if err != nil {
		return err
	}
	defer t.close()
	rows, held := all(len(d.Train)), []int(nil)
	if p.Patience > 0 {
		if folds := datasets.Folds(d.Train, 5, p.Seed); len(folds) > 1 {
			held, rows = folds[0], rest(folds[0], len(d.Train))
		}
	}
	valid, err := openPictures(ctx, d.Net, d.Engine, d.Valid, p, p.borders(d.Net), false, d.state)
	if err != nil {
		return err
	}
	defer valid.close()
	l := &loop{tuner: t, feed: d.feeder(t, train, rows), held: held, folder: kept, of: of, every: d.Every,
		report: func(step, steps int) { d.state("fine-tuning", step, steps) }}
	l.record = &recording{to: to, steps: d.Steps, epochs: float64(d.Steps), split: d.Split}
	if d.Split == "" {
		l.record.split = curves.Valid
	}
	if len(d.Valid) > 0 {
		l.record.valid = d.feeder(t, valid, all(len(d.Valid)))
	}
	if err := l.begin(start); err != nil {
		return err
	}
	if d.Resume && kept.dir != "" {
		s, skipped, err := kept.newest(of)
		if err != nil {
			return err
		}
		for _, sentence := range skipped {
			d.say("%s", sentence)
		}
		if s != nil {
			if err := l.resume(s); err != nil {
				return err
			}
			d.say("going on after step %d of %d", l.at.Step, l.total)
		}
	}
	if l.at.Step == 0 {
		if err := d.mark(to, curves.Mark{Kind: curves.Unfreeze, Step: d.Steps, Epoch: float64(d.Steps), Text: "from " + p.Groups[0].Name + " on"}); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := l.train(ctx); err != nil {
		return err
	}
	out.Training, out.Saving = time.Since(began), l.saving
	if p.Norms == Reestimated {
		if err := l.reestimate(ctx); err != nil {
			return err
		}
	}
	values, err := t.tuned()
	if err != nil {
		return err
	}
	values = t.mixed(values, p.Mix)
	if astray, why, err := l.astray(ctx, values, out.Trials); err != nil {
		return err
	} else if astray {
		out.Pays, out.Why, out.Plan.Mix, out.OutOfFold, out.Steps = false, why, 0, nil, l.at.Step
		return d.mark(to, curves.Mark{Kind: curves.Chosen, Step: d.Steps, Epoch: float64(d.Steps), Text: "the head alone"})
	}
	if out.Head, out.Net, err = t.result(values); err != nil {
		return err
	}
	out.Steps = l.at.Step
	chosen := curves.Mark{Kind: curves.Chosen, Step: d.Steps + l.at.Step, Epoch: float64(d.Steps + l.at.Step/l.feed.perEpoch()), Text: "last epoch"}
	if b := l.at.Best; b != nil {
		chosen.Step, chosen.Epoch, chosen.Text = d.Steps+b.Step, float64(d.Steps+b.Step/l.feed.perEpoch()), "lowest loss on held-out training pictures"
	}
	if out.Why == "" {
		out.Why = fmt.Sprintf("plan %s, %s", p.Name, chosen.Text)
	}
	return d.mark(to, chosen)
}

// astray says whether the network broke while it was trained on all pictures, though the folds had promised well: it then
// says less about the very pictures it learnt from than the head alone about pictures that it had not seen.
func (l *loop) astray(ctx context.Context, values map[string][]float32, trials []Trial) (bool, string, error) {
	if len(trials) == 0 {
		return false, "", nil // a plan that leaves nothing open is followed
	}
	if err := l.put(values); err != nil {
		return false, "", err
	}
	logits, err := l.feed.logitsOf(ctx, l.tuner, l.feed.rows)
	if err != nil {
		if ctx.Err() != nil {
			err = l.interrupted(ctx.Err())
		}
		return false, "", err
	}
	loss, _, _ := l.objective.of(l.feed.pictures.items, l.feed.rows).judge(logits)
	if alone := trials[0].Loss; !(loss <= alone) {
		return true, fmt.Sprintf("fine-tuning went astray on all the pictures, though it did well on folds of them: its loss on the pictures it learnt from is %.4f, that of the head alone on unseen ones %.4f; the head alone is kept, another seed or a smaller rate may do better", loss, alone), nil
	}
	return false, "", nil
}

// reestimate takes the running statistics of the norms that moved anew: their plain mean over the training pictures, in
// batches. A last batch that is not full is left out, unless it is the only one.
func (l *loop) reestimate(ctx context.Context) error {
	f := *l.feed
	f.plan.Mixup, f.plan.Dropout, f.weights = 0, 0, nil
	n := max(len(f.rows)/f.plan.Batch, 1)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return l.interrupted(err)
		}
		b := f.batch(f.rows[i*f.plan.Batch:min((i+1)*f.plan.Batch, len(f.rows))], -1, i)
		if b.err != nil {
			return b.err
		}
		if err := l.follow(b, 1/float32(i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (d TuneData) mark(to Recorder, m curves.Mark) error {
	if to == nil {
		return nil
	}
	if err := to.Mark(m); err != nil {
		return fmt.Errorf("learner: the history cannot be written: %w", err)
	}
	return nil
}

// feeder gives a tuner its batches of some rows.
func (d TuneData) feeder(t *tuner, from *pictures, rows []int) *feeder {
	f := &feeder{objective: t.objective, pictures: from, rows: rows, width: t.width(), border: t.from, plan: t.plan, keep: d.Net.Row.Features}
	if t.plan.ClassWeights {
		f.weights = classWeights(from.items, rows, d.Classes)
	}
	return f
}

// borders are the stages behind which maps are kept, in order.
func (p *TunePlan) borders(net *zoo.Net) []string {
	want := map[string]bool{p.border(net): true}
	if p.Search != nil {
		want = map[string]bool{}
		for _, from := range p.Search.Depths {
			q := *p
			q.Groups = p.groupsFrom(stages(net), from, p.Search.Rates[0], p.Search)
			want[q.border(net)] = true
		}
	}
	if want[""] {
		return nil
	}
	var out []string
	for _, s := range stages(net) {
		if want[s] {
			out = append(out, s)
		}
	}
	return out
}

// freshHead has nn.Linear's initial weights: uniform within 1/√C.
func freshHead(classes, features int, seed uint64) *head.Linear {
	rng := rand.New(rand.NewPCG(seed, 0x68656164))
	h := &head.Linear{Classes: classes, Features: features, Weight: make([]float32, classes*features), Bias: make([]float32, classes)}
	bound := 1 / math.Sqrt(float64(features))
	for _, v := range [][]float32{h.Weight, h.Bias} {
		for i := range v {
			v[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
	return h
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func rest(held []int, n int) []int {
	out := make(map[int]bool, len(held))
	for _, i := range held {
		out[i] = true
	}
	var rows []int
	for i := range n {
		if !out[i] {
			rows = append(rows, i)
		}
	}
	return rows
}

// check says what is wrong with the data, or with the plan for them, and what they ask of the network.
func (d TuneData) check(p TunePlan) (o objective, err error) {
	switch {
	case d.Net == nil || d.Engine == nil || d.Head == nil || d.Head.Head == nil:
		return o, errors.New("learner: fine-tuning needs a net, an engine and a fitted head: call FitHead first")
	case len(d.Train) == 0 || d.Classes < 1 || d.Classes == 1 && (d.Task == "" || d.Task == datasets.Classes):
		return o, fmt.Errorf("learner: fine-tuning on %d pictures of %d classes, want at least 2 classes and pictures of them", len(d.Train), d.Classes)
	case d.Head.Head.Classes != d.Classes || d.Head.Head.Features != d.Net.Row.Features:
		return o, fmt.Errorf("learner: a head of %d classes on %d features, the pictures have %d classes, the net gives %d features", d.Head.Head.Classes, d.Head.Head.Features, d.Classes, d.Net.Row.Features)
	case d.Rows == nil && d.Features.Len() != len(d.Train) || d.Rows != nil && len(d.Rows) != d.Features.Len():
		return o, fmt.Errorf("learner: %d rows of features for %d training pictures", d.Features.Len(), len(d.Train))
	}
	if o, err = d.objective(); err != nil {
		return o, err
	}
	if err := d.Head.Head.Check(); err != nil {
		return o, err
	}
	if err := p.Check(d.Net); err != nil {
		return o, err
	}
	return o, o.suits(p)
}

// of names all that a checkpoint depends on.
func (d TuneData) of(p TunePlan) (map[string]string, error) {
	p.Reasons = nil
	plan, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	pictures := sha256.New()
	for _, it := range d.Train {
		fmt.Fprintf(pictures, "%s %d\n", it.SHA256, it.Class)
		if it.Targets != nil {
			fmt.Fprintf(pictures, "%s %v\n", d.Task, it.Targets)
		}
	}
	start := sha256.New()
	for _, v := range [][]float32{d.Head.Head.Weight, d.Head.Head.Bias} {
		binary.Write(start, binary.LittleEndian, v)
	}
	return map[string]string{
		"plan": string(plan), "network": d.Net.Row.Name + " " + d.Net.Identity(), "preset": d.Net.Preset.Digest(), "pictures": fmt.Sprintf("%d, %x", len(d.Train), pictures.Sum(nil)),
		"head": fmt.Sprintf("%x", start.Sum(nil)), "engine": d.Engine.Identity(),
		// Another number whenever a step adds up in another order: what was begun with the old one cannot end with its bits.
		"arithmetic": "2",
	}, nil
}
