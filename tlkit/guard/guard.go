// Package guard reports whether pictures are prepared as a network learnt to see them.
//
//	v, err := guard.Check(net, pictures) // prepared, such as by net.Preset
//	fmt.Println(v.Line())                // no /255: mobilenetv2 wants imagenet, which fits 900 times better
//
// It needs no pictures of the network's training. The first batch norm of a network keeps the means
// and variances of what the first convolution gave in training. Which way of preparing ordinary
// photographs leads to them can be computed from the weights alone. So the statistics are decided by
// comparing candidates, by the ratio of their scores; that a folder has pictures of the night or of the
// sea plays no part in it. [Infer] does this for weights that come without a preset.
//
// Pictures are looked at for what is wrong with themselves: values that no preset makes of 256 levels,
// channels that are planes, red and blue exchanged, nothing in them.
//
// A network without a batch norm behind its first convolution remembers nothing there. If its weights
// are the published ones, their preset is what the pictures are compared with; otherwise the verdict is
// [CannotTell].
package guard

import (
	"errors"
	"slices"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Finding says what is wrong with pictures, in the words of --json.
type Finding string

// The findings.
const (
	Fits            Finding = "ok"
	CannotTell      Finding = "cannot tell"         // the weights remember nothing, and no preset was published
	NotDivided      Finding = "no /255"             // values from 0 to 255 where the network wants small ones
	DividedTwice    Finding = "/255 twice"          // divided by 255 once too often
	SwappedChannels Finding = "BGR"                 // red and blue are exchanged
	HalfForImageNet Finding = "[-1,1] for ImageNet" // -1 to 1, for a network with ImageNet's mean and deviation
	ImageNetForHalf Finding = "ImageNet for [-1,1]" // the reverse
	MeanOnly        Finding = "mean only"           // the mean is subtracted, without division by the deviation
	OtherStatistics Finding = "other statistics"    // mean and deviation of some other kind
	ChannelsFirst   Finding = "channels first"      // planes of red, green and blue, read as pixels
	Constant        Finding = "constant"            // every picture is of one colour
	Grey            Finding = "grey"                // without colour; pictures that are grey by nature are no mistake
)

// Evidence says what a verdict rests on.
type Evidence string

// The kinds of evidence.
const (
	BatchNorm Evidence = "batch norm" // what the network's first batch norm remembers
	Published Evidence = "preset"     // the preset that was published with these weights
	None      Evidence = "none"
)

// Verdict is the outcome of [Check].
type Verdict struct {
	OK bool `json:"ok"` // nothing is wrong, as far as can be told
	// Finding is the worst that was found. It is Fits or CannotTell if OK, and Grey if all pictures are
	// grey, which is only a note.
	Finding Finding `json:"verdict"`
	// Best is the name of the statistics that fit the network best.
	Best string `json:"best"`
	// Times is how many times better they fit than those that were used: the ratio of both scores.
	Times float64 `json:"times"`
	// Confidence is how sure that is, from 0 to 1: how often it is found again when the outputs of the
	// network's first convolution, and the pictures, are redrawn.
	Confidence float64     `json:"confidence"`
	Evidence   Evidence    `json:"evidence"`
	Order      Finding     `json:"order"` // of red and blue: Fits, SwappedChannels or CannotTell
	Candidates []Candidate `json:"candidates"`
	Warnings   []string    `json:"warnings,omitempty"` // what may be wrong, such as another crop
	Pictures   int         `json:"pictures"`           // that were looked at
	Model      string      `json:"model"`
	Norm       string      `json:"norm,omitempty"` // the tensor that remembers

	preset   transforms.Preset // that was used
	actual   transforms.Preset // that the values were made with
	best     transforms.Preset // that fits the network best
	channels []plots.Channel
}

// enoughPictures is how many pictures a verdict looks at. More change nothing.
const enoughPictures = 48

// Guard looks at the pictures that reach a network.
type Guard struct {
	net  *zoo.Net
	stem *stem // nil = nothing is known of it

	mu       sync.Mutex
	pictures map[int]*looked
}

// New returns a guard of a network and its preset, which looked at no picture yet.
func New(net *zoo.Net) *Guard {
	return &Guard{net: net, stem: readStem(net), pictures: map[int]*looked{}}
}

// Look looks at picture number i, as it reaches the network. A verdict depends on the numbers, not on
// the order in which pictures come; goroutines may call it at the same time.
func (g *Guard) Look(i int, t transforms.Tensor) error {
	l, err := look(t, i)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pictures[i] = l
	return nil
}

// Check returns the verdict on pictures, prepared by net.Preset or in a way that should be the same. 48
// of them are looked at, evenly spread. Without any, the preset alone is checked, which is most of it.
//
// It is an error if a picture does not have three channels or holds a value that is not finite.
func Check(net *zoo.Net, pictures []transforms.Tensor) (*Verdict, error) {
	g := New(net)
	n := min(len(pictures), enoughPictures)
	for k := range n {
		i := k * len(pictures) / n
		if err := g.Look(i, pictures[i]); err != nil {
			return nil, err
		}
	}
	return g.Verdict()
}

// Verdict says what was found. It is an error if the network has no preset.
func (g *Guard) Verdict() (*Verdict, error) {
	p := g.net.Preset
	if err := p.Validate(); err != nil {
		return nil, advice.New(errors.Join(errors.New("guard: the network has no valid preset"), err), "say which statistics its pictures have")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var pictures []*looked
	for _, i := range sortedKeys(g.pictures) {
		pictures = append(pictures, g.pictures[i])
	}
	v := &Verdict{OK: true, Finding: Fits, Order: CannotTell, Confidence: 1, Times: 1, Best: asGiven, Evidence: None, Model: g.net.Row.Name, Pictures: len(pictures), preset: p, actual: p, best: p}
	s := g.remembering(v)
	v.judge(s, pictures, p)
	v.crop(g.net)
	v.draw(pictures)
	return v, nil
}

// judge looks for what is wrong, from the worst to the mildest.
func (v *Verdict) judge(s *stem, pictures []*looked, p transforms.Preset) {
	actual, other := p, false
	full := slices.DeleteFunc(slices.Clone(pictures), (*looked).blank)
	planes := share(full, (*looked).planes)
	switch {
	case planes > 0.5:
		v.found(ChannelsFirst, planes)
	case len(full) > 0:
		actual, other = madeBy(full, p)
	}
	empty := share(pictures, func(l *looked) bool { return l.constant(actual) })
	if empty > 0.5 {
		v.found(Constant, 1)
	}
	v.actual = actual
	switch {
	case s != nil:
		v.statistics(s, actual)
	case !other:
		v.found(CannotTell, 0)
	}
	if other && (s == nil || alike(p, v.best)) { // the values themselves prove it
		v.found(mistaken(actual, p), 1)
	}
	if v.OK && len(full) > 0 {
		v.colours(full, actual)
	}
	if empty > 0 && empty <= 0.5 {
		v.warn("%.0f of %d pictures are of one colour", empty*float64(len(pictures)), len(pictures))
	}
	if len(full) > 1 && share(full[1:], func(l *looked) bool { return l.same(full[0]) }) == 1 {
		v.warn("all %d pictures are the same", len(full))
	}
}

func sortedKeys(m map[int]*looked) []int {
	var keys []int
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// remembering returns the stem with what the network remembers, or what it would remember of
// photographs with the published preset; nil = neither is known.
func (g *Guard) remembering(v *Verdict) *stem {
	if g.stem != nil {
		v.Evidence, v.Norm = BatchNorm, g.stem.norm
		return g.stem
	}
	if !g.net.Published || g.net.Row.Preset.Channels == "" {
		return nil
	}
	v.Evidence = Published
	s := plain()
	want := preparation(g.net.Row.Preset)
	for i, m := range s.photographs(usualReach) {
		s.outputs[i].mean, s.outputs[i].variance = m.of(&s.outputs[i], want)
	}
	return s
}

// plain is a stem for networks that remember nothing: colours, and their differences.
func plain() *stem {
	s := &stem{height: 1, width: 1, colours: 3}
	for _, k := range [][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 1}, {1, -1, 0}, {0, 1, -1}, {1, 0, -1}} {
		var o output
		for c := range 3 {
			o.kernel[c], o.sum[c] = []float64{k[c]}, k[c]
		}
		s.outputs = append(s.outputs, o)
	}
	return s
}

const (
	enoughTimes = 1.8  // statistics that fit so many times better are others
	orderTimes  = 1.25 // and so is an order of channels
	enoughSure  = 0.95 // confidence from which a finding is stated
	// strange is the score of the best candidate from which a network has learnt from something else than
	// photographs, or nothing: what it remembers then says nothing about them.
	strange = 0.15
)

// statistics compares the preset with what the network remembers.
func (v *Verdict) statistics(s *stem, p transforms.Preset) {
	r := rank(s, p)
	best := r.all[0]
	v.Candidates, v.Best, v.Times, v.Confidence, v.best = r.all, best.Name, r.times, r.statistics, best.Preset
	if best.Score > strange {
		v.Evidence = None
		v.found(CannotTell, 0)
		return
	}
	if r.order >= enoughSure {
		v.Order = Fits
	}
	switch {
	case !alike(p, best.Preset):
		if r.times >= enoughTimes && r.statistics >= enoughSure {
			v.found(mistaken(p, best.Preset), r.statistics)
		}
	case !sameOrder(p, best.Preset) && r.times >= orderTimes && r.order >= enoughSure:
		v.Order = SwappedChannels
		v.found(SwappedChannels, r.order)
	}
}

// found notes a finding, unless a worse one is known.
func (v *Verdict) found(f Finding, confidence float64) {
	if v.Finding == Fits {
		v.OK, v.Finding, v.Confidence = f == CannotTell || f == Grey, f, confidence
	}
}
