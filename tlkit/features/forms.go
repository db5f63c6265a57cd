package features

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// forms are the ways to compute one output of a network. All give the same features up to the last
// digits; how fast they are depends on network and processor, so it is measured where the work is
// long enough to gain from it.
type forms struct {
	name     string // of the network, for people
	program  string // network and output, for [engine.Engine.Kept]
	weights  string // identity, which the speed does not depend on
	eng      *engine.Engine
	width    int // features
	size     int // of the pictures
	usual    engine.Form
	list     []engine.Form // the possible forms, the most promising first
	backbone func(engine.Form) Backbone
	// closeOthers closes the programs of all forms but one.
	closeOthers func(engine.Form)
	// published returns how far features of the built-in pictures are from what the referee of the
	// published weights computed; ok is false without a referee.
	published func(values []float32) (off float64, ok bool)

	mu        sync.Mutex
	preferred engine.Form // the zero value = none
	chosen    *Choice
}

// Choice is the form in which a backbone runs, and what led to it.
type Choice struct {
	Backbone Backbone
	Form     engine.Form
	Rate     float64        // pictures/s; 0 = not measured
	Trials   []engine.Trial // what was measured in this process; nil = the form was given, kept, or taken without measuring
	Refused  []engine.Trial // forms that are not used because their results differ
}

// String describes the choice: "2 pictures at a time, 2 side by side, 112 pictures/s".
func (c Choice) String() string {
	s := fmt.Sprintf("%d pictures at a time", c.Form.Batch)
	if c.Form.Batch == 1 {
		s = "1 picture at a time"
	}
	if c.Form.Side > 1 {
		s += fmt.Sprintf(", %d side by side", c.Form.Side)
	}
	if c.Form.Runtime == engine.ONNXRuntime {
		s += ", on ONNX Runtime"
	} else if c.Form.Convolutions != engine.YNNPACK {
		s += ", convolutions by Eigen"
	}
	if c.Rate > 0 {
		s += fmt.Sprintf(", %.0f pictures/s", c.Rate)
	}
	return s
}

// Choose returns the form in which b runs through so many pictures: the one that the engine was
// opened with, the one that was kept, or one that is chosen now. It measures if that costs at most
// a twentieth of the work, and no more than three seconds. The choice holds for b from then on.
func (b Backbone) Choose(ctx context.Context, pictures int) (Choice, error) {
	if b.forms == nil {
		return Choice{Backbone: b, Form: b.Form}, nil
	}
	f := b.forms
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.chosen != nil {
		return *f.chosen, nil
	}
	c, err := f.choose(ctx, pictures)
	if err != nil {
		return Choice{}, err
	}
	f.chosen = &c
	return c, nil
}

// Tune measures every form of b, however long that takes, and keeps the fastest for later processes.
func (b Backbone) Tune(ctx context.Context) (Choice, error) {
	if b.forms == nil {
		return b.Choose(ctx, 0)
	}
	f := b.forms
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &measuring{forms: f, ctx: ctx, all: true}
	c, err := m.choose()
	if err != nil {
		return Choice{}, err
	}
	f.chosen = &c
	f.closeOthers(c.Form)
	return c, nil
}

// stored returns b in those of its forms whose rows may be in the cache, one for all forms of the
// same bits.
func (b Backbone) stored() []Backbone {
	f := b.forms
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.chosen != nil || f.eng.Form != (engine.Form{}) {
		return nil
	}
	list := f.list
	if f.preferred != (engine.Form{}) {
		list = []engine.Form{f.preferred}
	} else if k, ok := f.eng.Kept(f.program); ok && f.possible(k.Form) {
		list = append([]engine.Form{k.Form}, list...)
	}
	var out []Backbone
	seen := map[string]bool{}
	for _, form := range list {
		if !seen[form.Bits()] {
			seen[form.Bits()] = true
			out = append(out, f.backbone(form))
		}
	}
	return out
}

// take chooses a form of b.
func (b Backbone) take(one Backbone) Choice {
	c := Choice{Backbone: one, Form: one.Form}
	if b.forms != nil {
		b.forms.mu.Lock()
		b.forms.chosen = &c
		b.forms.mu.Unlock()
	}
	return c
}

// Prefer makes b take a form, such as that of an earlier run that is repeated, instead of choosing
// one. If the form is not possible here, or its features differ from the usual ones, b chooses as it
// always does. The zero form changes nothing.
func (b Backbone) Prefer(f engine.Form) Backbone {
	if b.forms != nil {
		b.forms.mu.Lock()
		b.forms.preferred = f
		b.forms.mu.Unlock()
	}
	return b
}

// Usual returns b in its usual form alone.
func (b Backbone) Usual() Backbone {
	b.forms = nil
	return b
}

func (f *forms) choose(ctx context.Context, pictures int) (Choice, error) {
	if f.eng.Form != (engine.Form{}) {
		return f.given(ctx, f.eng.Form)
	}
	if f.preferred != (engine.Form{}) {
		if c, err := f.given(ctx, f.preferred); err == nil {
			return c, nil
		}
	}
	m := &measuring{forms: f, ctx: ctx, pictures: pictures}
	k, ok := f.eng.Kept(f.program)
	ok = ok && slices.Contains(f.list, k.Form) // an earlier version had others
	switch {
	case !ok && len(f.list) == 1 && !m.long(): // its rate is of no use, and in plain Go costs seconds
		return Choice{Backbone: f.backbone(f.usual), Form: f.usual}, nil
	case !ok:
		return m.choose()
	}
	c, ok := f.again(ctx, k)
	switch {
	case !ok:
		return m.choose()
	case !m.long(), k.Rate() > 0 && m.budgetAt(k.Rate()) < worthwhile:
		return c, nil
	}
	// There is time for the forms that earlier work was too short for.
	for _, t := range k.Trials {
		switch {
		case t.Refused != "":
			m.refused = append(m.refused, t)
		case t.Rate > 0:
			m.trials = append(m.trials, t)
		}
	}
	if !slices.ContainsFunc(f.list, func(form engine.Form) bool { return !m.tried(form) }) {
		return c, nil
	}
	return m.choose()
}

// given takes a form without measuring, if its features agree with the usual ones.
func (f *forms) given(ctx context.Context, form engine.Form) (Choice, error) {
	if !f.possible(form) {
		return Choice{}, advice.New(fmt.Errorf("features: %s cannot run in the form %s here", f.name, form), "tlkit bench tune %s shows what can", f.name)
	}
	if form.Batch == 0 {
		form.Batch = f.usual.Batch
	}
	if form.Bits() == f.usual.Bits() {
		return Choice{Backbone: f.backbone(form), Form: form}, nil
	}
	b := f.backbone(form)
	values, err := f.builtIn(ctx, b)
	if err == nil {
		err = f.agree(ctx, values)
	}
	if err != nil {
		return Choice{}, fmt.Errorf("features: %s in the form %s: %w", f.name, form, err)
	}
	return Choice{Backbone: b, Form: form}, nil
}

// again takes a form that was kept, if it still computes the same bits for the built-in picture.
func (f *forms) again(ctx context.Context, k engine.Kept) (Choice, bool) {
	c := Choice{Backbone: f.backbone(k.Form), Form: k.Form, Rate: k.Rate()}
	if k.Form.Bits() == f.usual.Bits() {
		return c, true
	}
	if !f.possible(k.Form) {
		return c, false
	}
	values, err := f.builtIn(ctx, c.Backbone)
	if err != nil {
		return c, false
	}
	if k.Weights != f.weights { // it was measured with others
		return c, f.agree(ctx, values) == nil
	}
	if len(values) != len(k.Witness) {
		return c, false
	}
	for i, v := range values {
		if math.Float32bits(v) != math.Float32bits(k.Witness[i]) {
			return c, false
		}
	}
	return c, true
}

// possible reports whether the runtime of a form is there.
func (f *forms) possible(form engine.Form) bool {
	return slices.ContainsFunc(f.list, func(other engine.Form) bool { return other.Runtime == form.Runtime })
}

// builtInPictures is the number of pictures that forms are compared on.
const builtInPictures = 2

// builtIn runs the built-in pictures through a form.
func (f *forms) builtIn(ctx context.Context, b Backbone) ([]float32, error) {
	run, err := b.Open(ctx, f.size)
	if err != nil {
		return nil, err
	}
	n := builtInPictures
	if !b.AnyBatch {
		n = b.Batch
	}
	pixels := golden.Input(f.size, builtInPictures)
	full := make([]float32, max(n, builtInPictures)*f.size*f.size*3)
	copy(full, pixels)
	var out []float32
	for at := 0; at < builtInPictures; at += n {
		values, err := run(full[at*f.size*f.size*3 : (at+n)*f.size*f.size*3])
		if err != nil {
			return nil, err
		}
		out = append(out, values[:min(n, builtInPictures-at)*f.width]...)
	}
	return out, nil
}

// agree compares features of the built-in pictures with the referee's, or without one with those of
// the usual form.
func (f *forms) agree(ctx context.Context, values []float32) error {
	off, ok := f.published(values)
	if !ok {
		want, err := f.builtIn(ctx, f.backbone(f.usual))
		if err != nil {
			return err
		}
		off = difference(want, values)
	}
	if !(off <= zoo.Tolerance) {
		return fmt.Errorf("the features of the built-in pictures differ by %.2g of the largest, %.0e is allowed", off, zoo.Tolerance)
	}
	return nil
}

// difference is the largest difference as a share of the largest number.
func difference(want, got []float32) float64 {
	var largest, off float64
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		d := math.Abs(float64(w) - float64(got[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		off = max(off, d)
	}
	return off / max(largest, 1e-30)
}

// Measuring takes this share of the work at most, and so much time.
const (
	share       = 0.05
	mostSeconds = 3.0
	// leastPictures is a number below which nothing is measured: the first form is taken.
	leastPictures = 64
	worthwhile    = 1.0  // seconds, below which a choice is not looked at again
	leastGain     = 1.15 // that other bits must bring, so that chance decides nothing
)

// measuring is one choice by measurement.
type measuring struct {
	*forms
	ctx      context.Context
	pictures int
	all      bool // measure every form, whatever it takes

	began   time.Time
	trials  []engine.Trial
	refused []engine.Trial
	agreed  map[string]bool // bits of forms that agree with the usual one

	noRuntime bool // ONNX Runtime does not open
}

// long reports whether the work is long enough to measure anything.
func (m *measuring) long() bool { return m.all || m.pictures >= leastPictures }

// budgetAt returns the seconds that measuring may take where so many pictures take a second.
func (m *measuring) budgetAt(rate float64) float64 {
	return min(mostSeconds, share*float64(m.pictures)/rate)
}

// choose tries the forms one after the other while there is time.
func (m *measuring) choose() (Choice, error) {
	m.agreed = map[string]bool{m.usual.Bits(): true}
	best := m.fastest()
	m.began = time.Now()
	for _, form := range m.list {
		if err := m.ctx.Err(); err != nil {
			return Choice{}, err
		}
		if m.tried(form) || m.noRuntime && form.Runtime == engine.ONNXRuntime || best != nil && !m.time(form, best.Rate) {
			continue
		}
		t, err := m.try(form)
		if errors.Is(err, errLibrary) && m.eng.Frozen == engine.FrozenEither {
			m.noRuntime = true
			continue
		}
		if t.Refused != "" {
			m.refused = append(m.refused, t)
			continue
		}
		if best == nil { // it is opened anyway: only what comes after it is a cost
			m.began = time.Now()
		}
		m.trials = append(m.trials, t)
		best = m.fastest()
	}
	if best == nil {
		return Choice{}, fmt.Errorf("features: no form of %s runs: %s", m.name, m.refused[len(m.refused)-1].Refused)
	}
	c := Choice{Backbone: m.backbone(best.Form), Form: best.Form, Rate: best.Rate, Trials: m.trials, Refused: m.refused}
	m.keep(c)
	return c, nil
}

func (m *measuring) tried(form engine.Form) bool {
	is := func(t engine.Trial) bool { return t.Form == form }
	return slices.ContainsFunc(m.trials, is) || slices.ContainsFunc(m.refused, is)
}

// time reports whether there is time to try a form.
func (m *measuring) time(form engine.Form, rate float64) bool {
	if m.all {
		return true
	}
	return m.long() && time.Since(m.began).Seconds()+cost(form, rate) <= m.budgetAt(rate)
}

// cost estimates the seconds that trying a form takes, where so many pictures take a second: opening
// it, a first call and a timed one, or as many as fit into the time of a fast network.
func cost(form engine.Form, rate float64) float64 {
	opening := 0.1
	if form.Runtime != engine.ONNXRuntime {
		opening = 1.3 // mostly compiling
	}
	return opening + max(2*float64(form.Batch*max(form.Side, 1))/rate, timingSeconds)
}

// fastest returns the trial to take, nil before the first.
func (m *measuring) fastest() *engine.Trial {
	var best *engine.Trial
	for i := range m.trials {
		if best == nil || better(m.trials[i], *best) {
			best = &m.trials[i]
		}
	}
	return best
}

// better reports whether a form is worth taking instead of another: by any gain if the bits are the
// same, else by a clear one.
func better(t, than engine.Trial) bool {
	if t.Form.Bits() == than.Form.Bits() {
		return t.Rate > than.Rate
	}
	return t.Rate > leastGain*than.Rate
}

// The timing of one form: the fastest call of some, because other programs can only slow it down. A
// call of a slow network is long enough to count alone.
const (
	timingSeconds = 0.15
	timingCalls   = 3
	timingMost    = 0.4
)

// try opens a form, compares it with the usual one and times it.
func (m *measuring) try(form engine.Form) (engine.Trial, error) {
	t := engine.Trial{Form: form}
	began, b := time.Now(), m.backbone(form)
	run, err := b.Open(m.ctx, m.size)
	t.Opening = time.Since(began).Seconds()
	if err == nil && !m.agreed[form.Bits()] {
		var values []float32
		values, err = m.builtIn(m.ctx, b)
		if err == nil {
			err = m.agree(m.ctx, values)
		}
		m.agreed[form.Bits()] = err == nil
	}
	if err == nil && m.long() {
		t.Rate, err = m.rate(b, run)
	}
	if err != nil {
		t.Refused = err.Error()
	}
	return t, err
}

// rate times calls of a form, as many side by side as it wants.
func (m *measuring) rate(b Backbone, run func([]float32) ([]float32, error)) (float64, error) {
	side := max(b.Side, 1)
	one := golden.Input(m.size, 1)
	pixels := make([]float32, 0, b.Batch*len(one))
	for range b.Batch {
		pixels = append(pixels, one...)
	}
	round := func() (float64, error) {
		start := time.Now()
		errs := make(chan error, side)
		for range side {
			go func() { _, err := run(pixels); errs <- err }()
		}
		var failed error
		for range side {
			if err := <-errs; err != nil {
				failed = err
			}
		}
		return time.Since(start).Seconds(), failed
	}
	if _, err := round(); err != nil { // the first call allocates
		return 0, err
	}
	fastest, began := math.Inf(1), time.Now()
	for k := 0; k == 0 || time.Since(began).Seconds() < timingMost; k++ {
		if k >= timingCalls && time.Since(began).Seconds() >= timingSeconds {
			break
		}
		if err := m.ctx.Err(); err != nil {
			return 0, err
		}
		seconds, err := round()
		if err != nil {
			return 0, err
		}
		fastest = min(fastest, seconds)
	}
	return float64(side*b.Batch) / fastest, nil
}

// keep keeps a choice for the next process.
func (m *measuring) keep(c Choice) {
	k := engine.Kept{Name: m.name, Form: c.Form, Trials: append(append([]engine.Trial{}, c.Trials...), c.Refused...), When: time.Now().UTC()}
	if c.Form.Bits() != m.usual.Bits() {
		values, err := m.builtIn(m.ctx, c.Backbone)
		if err != nil {
			return
		}
		k.Witness, k.Weights = values, m.weights
	}
	_ = m.eng.Keep(m.program, k) // without a cache folder it is measured again
}
