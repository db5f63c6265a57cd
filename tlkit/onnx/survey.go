package onnx

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// A survey walks over a network before it is built: it checks each node against the ONNX standard,
// works out the shape of every value, computes values that do not depend on the picture, and counts
// the cost of the network. Shapes are those of the file, for as many pictures as it was exported
// for, or for one if the file leaves that open. The survey follows the axis that counts pictures
// through every operation, so that a file for one picture can be built for any number, and refuses
// an operation that would mix pictures.
type survey struct {
	net    *Net
	batch  int // pictures in the shapes
	facts  map[string]fact
	params map[int]params // by node

	counts
	choices []choice // open ones, see inShape
	retry   int      // which possibility of the node that is being checked is taken
	visits  int      // of nodes
}

// counts is the cost of the nodes so far.
type counts struct {
	macs    float64 // multiply-adds for the batch
	weighed int     // nodes that have to be built; a convolution counts four times
	steps   int     // numbers computed beforehand
}

// choice is a node after which several axes could count the pictures.
type choice struct {
	at     int // place in the sequence
	taken  int // of its possibilities
	counts counts
}

// fact describes what is known about a value before the graph is built.
type fact struct {
	kind  string // "F32", "I64" ..., as the file has it; "" = no value
	shape []int
	batch int // the axis that counts pictures, -1 = the same for all pictures
	outer int // that axis counts pictures for each of so many other things, 0 = 1
	known *constant
}

// places returns the number of things that the picture axis counts before the pictures.
func (f fact) places() int { return max(1, f.outer) }

// none is the batch axis of values that are the same for all pictures.
const none = -1

// params are the checked attributes of a node. The operation determines which fields are used.
type params struct {
	axes    []int
	keep    bool
	ranges  [][3]int // first, behind the last, step; for each axis
	sizes   []int
	window  backbone.Window
	resizes []resizing
}

// limits bound the cost of a network. They grow with the file: a large network needs a large file,
// so a small file must be cheap.
type limits struct {
	nodes  int     // that have to be built
	macs   float64 // multiply-adds for one picture
	values float64 // numbers of the largest value for one picture
	steps  int     // numbers computed while the graph is built
}

const (
	maxMACs   = 1e12    // twice the largest published classifiers
	maxValue  = 1 << 26 // numbers of one value for one picture: 256 MB
	maxNodes  = 20_000
	maxSteps  = 1 << 24
	maxTensor = 1 << 16 // numbers of one constant; more integers than this are quantised weights

	maxIndices  = 1 << 20 // or so many where they may index: a table of relative positions
	maxFeatures = 1 << 17 // five times those of VGG before its first dense layer
)

// limitsFor returns the limits of a network whose files have so many bytes. Published networks
// need at most 1 node for 5,000 bytes, 900 multiply-adds for a byte (a transformer of 22 MB on 518
// pixels), and one number of the largest value for a byte (SqueezeNet on 512 pixels).
func limitsFor(bytes int64) limits {
	b := float64(bytes)
	return limits{
		nodes:  int(min(maxNodes, 500+b/1000)),
		macs:   min(maxMACs, 2e10+2000*b),
		values: min(maxValue, 1<<24+4*b),
		steps:  int(min(maxSteps, 1<<20+b/4)),
	}
}

// fail refuses a node.
func fail(format string, args ...any) { panic(fmt.Errorf(format, args...)) }

// survey walks over the network for pictures of size pixels.
func (a *Net) survey(size int) (*survey, error) {
	s := &survey{net: a, batch: max(1, a.fixed), facts: map[string]fact{}, params: map[int]params{}}
	in := fact{kind: a.kind, shape: []int{s.batch, 3, size, size}, batch: 0}
	if a.last {
		in.shape = []int{s.batch, size, size, 3}
	}
	if err := s.measure(in.shape); err != nil {
		return nil, fmt.Errorf("the pictures are %w", err)
	}
	s.facts[a.input] = in
	var first error // the one to return if all else fails
	for at, retry := 0, 0; ; {
		err := s.walk(at, retry)
		if err == nil {
			return s, nil
		}
		if first == nil {
			first = err
		}
		if m := (*mixing)(nil); !errors.As(err, &m) || len(s.choices) == 0 || s.visits > min(20*len(a.sequence)+5000, 200_000) {
			return nil, first
		}
		last := s.choices[len(s.choices)-1]
		s.choices = s.choices[:len(s.choices)-1]
		s.counts, at, retry = last.counts, last.at, last.taken+1
	}
}

// walk walks the sequence from a place on, starting with one of the possibilities of the node
// there.
func (s *survey) walk(at, retry int) error {
	for ; at < len(s.net.sequence); at++ {
		s.visits++
		s.retry = retry
		retry = 0
		before, open := s.counts, len(s.choices)
		if err := s.node(s.net.sequence[at]); err != nil {
			return err
		}
		if len(s.choices) > open {
			s.choices[open].at, s.choices[open].counts = at, before
		}
	}
	return s.cutFits()
}

// mixing is the error that pictures could not be kept apart.
type mixing struct{ error }

func (m *mixing) Unwrap() error { return m.error }

// mixed refuses a node that would mix pictures.
func mixed(format string, args ...any) {
	panic(&mixing{fmt.Errorf(format+": pictures could only be computed one by one. Export the network with an open first axis", args...)})
}

// cutFits checks the value that the features are made of.
func (s *survey) cutFits() error {
	f := s.fact(s.net.cut)
	if f.batch != 0 && f.batch != none || f.batch == 0 && (f.places() != 1 || f.shape[0] != s.batch) {
		return &mixing{fmt.Errorf("the cut %.100q is %s, want a row for each picture", s.net.cut, f)}
	}
	if f.batch != 0 || len(f.shape) != 2 && len(f.shape) != 4 || f.shape[0] != s.batch || !isFloat(f.kind) {
		return advice.New(fmt.Errorf("the cut %.100q is %s, want a row of numbers [N,C] or a map [N,C,h,w] for each picture", s.net.cut, f), "cut at another value, behind a # after the file's name")
	}
	if f.shape[1] < 1 || f.shape[1] > maxFeatures {
		return fmt.Errorf("the cut %.100q gives %d features, 1 to %d are supported", s.net.cut, f.shape[1], maxFeatures)
	}
	return nil
}

// String describes a value for messages: its type and shape, with N for the pictures.
func (f fact) String() string {
	text := f.kind + "["
	for i, d := range f.shape {
		if i > 0 {
			text += ","
		}
		switch {
		case i == f.batch && f.places() > 1:
			text += fmt.Sprintf("%d*N(%d)", f.places(), d)
		case i == f.batch && d == 1:
			text += "N"
		case i == f.batch:
			text += fmt.Sprintf("N(%d)", d)
		default:
			text += fmt.Sprint(d)
		}
	}
	return text + "]"
}

// fact returns what is known about an existing value.
func (s *survey) fact(name string) fact {
	if f, ok := s.facts[name]; ok {
		return f
	}
	name = s.net.behindIdentity(name)
	if f, ok := s.facts[name]; ok {
		return f
	}
	if c, ok := s.net.consts[name]; ok {
		return fact{kind: c.dtype, shape: c.shape, batch: none, known: &c}
	}
	if w, ok := s.net.weights[name]; ok {
		shape := slices.Clone(w.shape)
		if w.same {
			shape[0] = 1
		}
		return fact{kind: w.kind, shape: shape, batch: none}
	}
	panic(fmt.Errorf("value %.100q does not exist", name))
}

// check is the check of one node.
type check struct {
	*survey
	n      weights.ONNXNode
	in     []fact // without kind where an input is left out
	out    []fact
	params params
}

// node checks a node and records the facts about its results.
func (s *survey) node(i int) (err error) {
	n := s.net.nodes[i]
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("node %.100q (%.40s): %w", n.Name, n.Op, own(r))
		}
	}()
	c := &check{survey: s, n: n, out: make([]fact, len(n.Outputs))}
	for _, name := range n.Inputs {
		f := fact{}
		if name != "" {
			f = s.fact(name)
		}
		c.in = append(c.in, f)
	}
	r := rules[n.Op]
	r.judge(c, s.net.opset)
	r.check(c)
	computed := false
	for k, name := range n.Outputs {
		f := c.out[k]
		if name == "" {
			continue
		}
		if f.kind == "" {
			fail("output %d, which is not supported", k)
		}
		if err := s.measure(f.shape); err != nil {
			fail("its result is %w", err)
		}
		computed = computed || f.known == nil
		s.facts[name] = f
	}
	if computed {
		switch n.Op {
		case "Identity":
		case "Conv":
			s.weighed += 4
		case "Concat", "Sum", "Max", "Min", "Split":
			s.weighed += len(n.Inputs) + len(n.Outputs) - 1
		default:
			s.weighed++
		}
		s.params[i] = c.params
	}
	if s.weighed > s.net.limits.nodes {
		return fmt.Errorf("more than %d operations for a file of %d bytes", s.net.limits.nodes, s.net.bytes)
	}
	if most := s.net.limits.macs; s.macs/float64(s.batch) > most {
		return fmt.Errorf("node %.100q (%.40s): up to here a picture takes more than %.3g multiply-adds, the limit for a file of %d bytes", n.Name, n.Op, most, s.net.bytes)
	}
	return nil
}

// measure returns an error for a value that exceeds the limits.
func (s *survey) measure(shape []int) error {
	if len(shape) > 8 {
		return fmt.Errorf("of %d axes, at most 8 are supported", len(shape))
	}
	total := 1.0
	for _, d := range shape {
		if d < 0 {
			return fmt.Errorf("%v", shape)
		}
		total *= float64(d)
	}
	if most := s.net.limits.values; total/float64(s.batch) > most {
		return fmt.Errorf("%v, more than the %.3g numbers for a picture that are the limit for a file of %d bytes", shape, most, s.net.bytes)
	}
	return nil
}

// spend counts numbers that are computed before the graph is built.
func (s *survey) spend(n int) {
	s.steps += n + 1
	if s.steps > s.net.limits.steps {
		fail("more than %d numbers to compute before the network is built, for a file of %d bytes", s.net.limits.steps, s.net.bytes)
	}
}

// own returns the error of a panic raised by this package. Other panics are meant for programmers
// and become a general error.
func own(r any) error {
	if err, ok := r.(error); ok && !foreign(err) {
		return err
	}
	return errors.New("it cannot be built with these inputs and settings")
}

// The settings of a node, checked for their type.

func (c *check) int(name string, otherwise int) int {
	a, ok := c.n.Attrs[name]
	if !ok {
		return otherwise
	}
	if a.List || len(a.Ints) != 1 || a.Floats != nil || a.Strings != nil || a.Other != "" {
		fail("its setting %s is not an integer", name)
	}
	if v := a.Ints[0]; v >= -math.MaxInt32 && v <= math.MaxInt32 {
		return int(v)
	}
	fail("%s is %d", name, a.Ints[0])
	return 0
}

// flag is a setting that is 0 or 1.
func (c *check) flag(name string, otherwise int) bool {
	v := c.int(name, otherwise)
	if v != 0 && v != 1 {
		fail("%s is %d, want 0 or 1", name, v)
	}
	return v == 1
}

func (c *check) float(name string, otherwise float64) float64 {
	a, ok := c.n.Attrs[name]
	if !ok {
		return otherwise
	}
	if a.List || len(a.Floats) != 1 || a.Ints != nil || a.Strings != nil || a.Other != "" {
		fail("its setting %s is not a number", name)
	}
	if v := float64(a.Floats[0]); !math.IsNaN(v) {
		return v
	}
	fail("%s is not a number", name)
	return 0
}

// text returns an attribute that must be one of some words, the first being the default.
func (c *check) text(name string, words ...string) string {
	a, ok := c.n.Attrs[name]
	if !ok {
		return words[0]
	}
	if a.List || len(a.Strings) != 1 || a.Ints != nil || a.Floats != nil || a.Other != "" {
		fail("its setting %s is not a string", name)
	}
	if !slices.Contains(words, a.Strings[0]) {
		fail("%s is %.40q, supported are %q", name, a.Strings[0], words)
	}
	return a.Strings[0]
}

// ints returns an attribute that is a list of integers; nil if it is missing.
func (c *check) ints(name string) []int64 {
	a, ok := c.n.Attrs[name]
	if !ok {
		return nil
	}
	if a.Floats != nil || a.Strings != nil || a.Other != "" || a.Ints != nil && !a.List {
		fail("its setting %s is not a list of integers", name)
	}
	return append([]int64{}, a.Ints...)
}

// has reports whether an input is present.
func (c *check) has(k int) bool { return k < len(c.in) && c.in[k].kind != "" }

// numbers returns an input of integers that determines shapes, so it must be constant; nil if it is
// left out.
func (c *check) numbers(k int) []int64 {
	if !c.has(k) {
		return nil
	}
	f := c.in[k]
	if f.kind != "I64" && f.kind != "I32" || len(f.shape) > 1 {
		fail("input %d is %s, want a list of integers", k, f)
	}
	if f.known == nil {
		fail("input %d, which shapes its result, depends on the picture", k)
	}
	return append([]int64{}, f.known.ints...)
}

// number returns an input that must be one constant float.
func (c *check) number(k int, otherwise float64) float64 {
	if !c.has(k) {
		return otherwise
	}
	if f := c.in[k].known; f == nil || len(f.floats) != 1 {
		fail("input %d is not a constant number", k)
	}
	return float64(c.in[k].known.floats[0])
}

// axis returns an axis counted from 0.
func axis(v int64, rank int) int {
	i := v
	if i < 0 && i >= -int64(rank) {
		i += int64(rank)
	}
	if i < 0 || i >= int64(rank) {
		fail("axis %d of %d", v, rank)
	}
	return int(i)
}

// allAxes returns axes counted from 0, each at most once.
func allAxes(v []int64, rank int) []int {
	var out []int
	for _, i := range v {
		a := axis(i, rank)
		if slices.Contains(out, a) {
			fail("axes %v of %d", v, rank)
		}
		out = append(out, a)
	}
	return out
}

// result returns a value with the type and batch axis of f and another shape.
func (f fact) result(shape []int) fact {
	return fact{kind: f.kind, shape: shape, batch: f.batch, outer: f.outer}
}

// apart panics if an operation along these axes would mix pictures.
func (f fact) apart(axes ...int) {
	if f.batch >= 0 && slices.Contains(axes, f.batch) {
		mixed("it works along axis %d of %s, which counts pictures", f.batch, f)
	}
}

// allKnown reports whether the first n inputs are constants; all of them if n is negative.
func (c *check) allKnown(n int) bool {
	for k, f := range c.in {
		if (n < 0 || k < n) && f.kind != "" && f.known == nil {
			return false
		}
	}
	return len(c.in) > 0
}

// fold computes an output if its inputs are constants and it does not have too many numbers.
func (c *check) fold(k int, compute func() (*constant, error)) {
	if !c.allKnown(-1) {
		return
	}
	n := product(c.out[k].shape)
	if n > maxTensor {
		return
	}
	c.spend(n)
	v, err := compute()
	if err != nil {
		panic(err)
	}
	if v == nil {
		return
	}
	v.shape, v.dtype = c.out[k].shape, c.out[k].kind
	c.out[k].known = v
}

// foreign reports whether a panic comes from Go or GoMLX: those include a place in the code.
func foreign(err error) bool {
	if _, ok := err.(runtime.Error); ok {
		return true
	}
	return reflect.ValueOf(err).MethodByName("StackTrace").IsValid()
}
