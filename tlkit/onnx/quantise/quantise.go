// Package quantise turns the convolutions and matrices of an ONNX file into 8-bit integers. Such a
// file is a quarter of the size, and faster on most processors.
//
//	n, err := quantise.Read(float)           // a file of package write
//	probe := n.Probe()                       // the same file, with further outputs to observe
//	...                                      // run it on training pictures
//	n.Observe(outputs)                       // for each run
//	file, err := n.Int8(quantise.Options{})
//
// Most programs should call [github.com/tlkit/transfer-learning/tlkit/run.HeadSpec.ExportONNX], which
// does all this, measures what it costs, and keeps sensitive layers in floats.
//
// # What the numbers are
//
// The file has the standard form, QuantizeLinear and DequantizeLinear around each operation, which
// engines fuse into operations on integers. Weights are symmetric, with a scale for each output
// channel. Activations are uint8, with one scale and one zero point for each.
//
// Weights have 7 bits, -64 to 64, and those of depthwise convolutions 8. Processors without
// instructions for it (x86 before VNNI) add two products of 8-bit numbers in 16 bits, which saturates
// silently for larger weights, so the file would compute something else there. Depthwise convolutions
// are computed differently, and they lose most from fewer bits.
//
// # Differences between engines
//
// A value halfway between two integers may be rounded up by one engine and down by another, because
// their floats differ in the last digit. That is a whole step, and later layers amplify it. So two correct
// engines differ about as much as the integers differ from the floats.
package quantise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Network is a network to quantise, with what was observed of it. Only one goroutine at a time may use
// it.
type Network struct {
	file    *file
	maker   map[string]*node
	users   map[string][]*node
	tensors map[string]*tensor
	output  map[string]bool // of the file

	watched []string // in the order of the probe's outputs
	seen    map[string]*histogram
}

// Layer is a convolution or a product with a matrix.
type Layer struct {
	Name   string
	Op     string // "Conv", "Gemm" or "MatMul"
	Bytes  int    // of its weights, as floats
	Groups int    // of a convolution: as many as channels for a depthwise one
}

// Options are the options of [Network.Int8].
type Options struct {
	Method Method // "" = MinMax
	// First and Last are how many of the first and the last layers stay in floats. Errors that begin in
	// the first layers go through the whole network. A head, which is the last layer, may live on
	// features that are much smaller than others, and one scale serves them all.
	//
	// Layers in the middle cannot be left: ONNX Runtime quantises a float layer between integers by
	// itself, with one scale for all channels, which ruins depthwise convolutions.
	First, Last int
	Metadata    map[string]string // replaces that of the file; nil = it stays
}

// Read reads a file that package write has written. It keeps parts of data.
//
// The error says what is not as that package writes it: operations of another domain, tensors that
// are not raw bytes.
func Read(data []byte) (*Network, error) {
	f, err := parse(data)
	if err != nil {
		return nil, advice.New(fmt.Errorf("quantise: %w", err), "want a file of tlkit export --onnx")
	}
	n := &Network{file: f, maker: map[string]*node{}, users: map[string][]*node{}, tensors: map[string]*tensor{}, output: map[string]bool{}, seen: map[string]*histogram{}}
	for _, t := range f.tensors {
		n.tensors[t.name] = t
	}
	for _, o := range f.nodes {
		switch {
		case len(o.out) == 0:
			return nil, fmt.Errorf("quantise: node %.40q has no result", o.name)
		case o.op == "QuantizeLinear" || o.op == "DequantizeLinear":
			return nil, advice.New(fmt.Errorf("quantise: the file is quantised already: it has a %s", o.op), "begin with the file in floats")
		}
		for _, name := range o.out {
			n.maker[name] = o
		}
		for _, name := range o.in {
			n.users[name] = append(n.users[name], o)
		}
	}
	for _, o := range f.outputs {
		name, err := nameOf(o)
		if err != nil {
			return nil, fmt.Errorf("quantise: %w", err)
		}
		n.output[name] = true
	}
	if len(n.Layers()) == 0 {
		return nil, errors.New("quantise: no convolution and no matrix of weights to quantise")
	}
	n.watched = n.plan(0, 0).order
	return n, nil
}

// Layers returns what can be quantised, in the order of computation.
func (n *Network) Layers() (layers []Layer) {
	for _, o := range n.file.nodes {
		if !n.weighted(o) {
			continue
		}
		l := Layer{Name: o.name, Op: o.op, Bytes: len(n.tensors[o.in[1]].raw), Groups: 1}
		if g := o.attribute("group"); len(g) == 1 {
			l.Groups = int(g[0])
		}
		layers = append(layers, l)
	}
	return layers
}

// weighted reports whether an operation multiplies by weights of the file.
func (n *Network) weighted(o *node) bool {
	if o.op != "Conv" && o.op != "Gemm" && o.op != "MatMul" || len(o.in) < 2 {
		return false
	}
	w, computed := n.tensors[o.in[1]], n.tensors[o.in[0]] == nil
	if w == nil || w.kind != typeFloat || len(w.dims) < 2 || len(w.raw) == 0 || !computed {
		return false
	}
	if len(o.in) > 2 && o.in[2] != "" {
		b := n.tensors[o.in[2]]
		return b != nil && b.kind == typeFloat && len(b.dims) == 1 && b.dims[0] == w.dims[o.channels(w)]
	}
	return true
}

// channels is the axis of a weight that counts output channels.
func (o *node) channels(w *tensor) int {
	t := o.attribute("transB")
	switch {
	case o.op == "Conv" || o.op == "Gemm" && len(t) == 1 && t[0] == 1:
		return 0
	}
	return len(w.dims) - 1
}

// Probe returns the file with what is to be observed as further outputs, after its own.
func (n *Network) Probe() []byte {
	f := *n.file
	f.outputs = slices.Clone(f.outputs)
	for _, name := range n.watched {
		if !n.output[name] {
			f.outputs = append(f.outputs, output(name))
		}
	}
	return f.encode()
}

// Observed returns the names of the outputs of [Network.Probe] that Observe wants, in order.
func (n *Network) Observed() []string { return slices.Clone(n.watched) }

// Observe notes what the outputs named by Observed were for some pictures.
func (n *Network) Observe(outputs [][]float32) error {
	if len(outputs) != len(n.watched) {
		return fmt.Errorf("quantise: %d outputs, want the %d of Observed", len(outputs), len(n.watched))
	}
	for i, values := range outputs {
		h := n.seen[n.watched[i]]
		if h == nil {
			h = &histogram{}
			n.seen[n.watched[i]] = h
		}
		if err := h.add(values); err != nil {
			return fmt.Errorf("quantise: %s: %w", n.watched[i], err)
		}
	}
	return nil
}

// plan is which values become integers.
type plan struct {
	layers int               // on integers
	nodes  map[*node]bool    // operations on integers
	values map[string]bool   // activations that are integers
	skip   map[*node]bool    // clamps that the range of the value does
	final  map[string]string // the value behind the clamp, for the value in front of it
	order  []string
}

// plan decides it, with some of the first and the last layers left in floats.
func (n *Network) plan(first, last int) *plan {
	p := &plan{nodes: map[*node]bool{}, values: map[string]bool{}, skip: map[*node]bool{}, final: map[string]string{}}
	mark := func(name string) {
		if !p.values[name] {
			p.values[name] = true
			p.order = append(p.order, name)
		}
	}
	last, seen := len(n.Layers())-last, 0
	for _, o := range n.file.nodes {
		weighted := n.weighted(o)
		if weighted {
			seen++
		}
		switch {
		case weighted && (seen <= first || seen > last):
		case weighted:
			p.layers++
			p.nodes[o] = true
			mark(o.in[0])
			if o.op == "Conv" {
				mark(n.result(o, p))
			}
		case n.joins(o, p):
			p.nodes[o] = true
			mark(n.result(o, p))
		case passes[o.op] && p.values[o.in[0]] && !n.output[o.out[0]]:
			p.nodes[o] = true
			mark(o.out[0])
		}
	}
	return p
}

// passes are the operations whose result has the range of their operand.
var passes = map[string]bool{"MaxPool": true}

// joins reports whether an operation works on integers because all its operands are.
func (n *Network) joins(o *node, p *plan) bool {
	switch o.op {
	case "Add":
		return len(o.in) == 2 && p.values[o.in[0]] && p.values[o.in[1]] && !n.output[o.out[0]]
	case "Concat":
		return !slices.ContainsFunc(o.in, func(name string) bool { return !p.values[name] }) && !n.output[o.out[0]]
	case "AveragePool":
		return p.values[o.in[0]] && !n.output[o.out[0]]
	}
	return false
}

// result returns the value that an operation's integers stand for: behind the Relu or Clip that follows
// it alone. That one is left out: the range of the integers does the same.
func (n *Network) result(o *node, p *plan) string {
	out := o.out[0]
	users := n.users[out]
	if len(users) == 1 && !n.output[out] && !n.output[users[0].out[0]] && n.clamps(users[0]) {
		p.skip[users[0]] = true
		p.final[out] = users[0].out[0]
		return users[0].out[0]
	}
	return out
}

// clamps reports whether an operation is a Relu, or a Clip from 0 on.
func (n *Network) clamps(o *node) bool {
	switch o.op {
	case "Relu":
		return true
	case "Clip":
		if len(o.in) < 2 {
			return false
		}
		low := n.tensors[o.in[1]]
		return low != nil && low.kind == typeFloat && len(low.raw) == 4 && low.floats()[0] == 0
	}
	return false
}

// Int8 returns the file with integers, for the ranges that were observed.
//
// It is an error if nothing was observed, and if no layer is left to quantise.
func (n *Network) Int8(o Options) ([]byte, error) {
	if len(n.seen) == 0 {
		return nil, errors.New("quantise: nothing was observed: run Probe on pictures, and call Observe")
	}
	p := n.plan(o.First, o.Last)
	w := &writer{Network: n, plan: p, options: o, scales: map[string]affine{}, made: map[string]bool{}}
	if p.layers == 0 {
		return nil, advice.New(fmt.Errorf("quantise: %d of %d layers are to stay in floats", o.First+o.Last, len(n.Layers())), "leave some to quantise")
	}
	return w.file(), nil
}

// affine is the scale and the zero point of an activation.
type affine struct {
	scale float32
	zero  uint8
}

// writer writes the file with integers.
type writer struct {
	*Network
	*plan
	options Options
	scales  map[string]affine
	made    map[string]bool // constants by name
	nodes   []*node
	tensors []*tensor
}

func (w *writer) file() []byte {
	f := *w.Network.file
	for _, name := range f.inputs {
		w.quantise(name)
	}
	for _, o := range f.nodes {
		w.node(o)
	}
	used := map[string]bool{}
	for _, o := range w.nodes {
		for _, name := range o.in {
			used[name] = true
		}
	}
	for _, t := range f.tensors {
		if used[t.name] {
			w.tensors = append(w.tensors, t)
		}
	}
	f.nodes, f.tensors = w.nodes, w.tensors
	if w.options.Metadata != nil {
		f.setMetadata(w.options.Metadata)
	}
	return f.encode()
}

// node writes an operation.
func (w *writer) node(o *node) {
	if w.skip[o] {
		return
	}
	c := *o
	c.in, c.out = slices.Clone(o.in), slices.Clone(o.out)
	for i, name := range c.in {
		// A value that floats have made stays as exact for operations on floats.
		if w.values[name] && (w.plan.nodes[o] || w.plan.nodes[w.source(name)]) {
			c.in[i] = name + dequantised
		}
	}
	if w.plan.nodes[o] && w.weighted(o) {
		w.weights(&c, o)
	}
	if end := w.final[c.out[0]]; end != "" && w.plan.nodes[o] {
		c.out[0] = end
	}
	w.nodes = append(w.nodes, &c)
	for _, name := range c.out {
		w.quantise(name)
	}
}

// source returns the operation that makes a value, in front of a clamp that is left out.
func (w *writer) source(name string) *node {
	o := w.maker[name]
	if o != nil && w.skip[o] {
		o = w.maker[o.in[0]]
	}
	return o
}

// The ends of names.
const (
	integer     = ".int8"
	scaling     = integer + ".scale"
	zeroing     = integer + ".zero"
	dequantised = integer + ".float"
	quantising  = integer + ".quantise"
	restoring   = integer + ".dequantise"
)

// quantise writes the two operations that make a value integers, if it is to be.
func (w *writer) quantise(name string) {
	if !w.values[name] {
		return
	}
	a := w.affine(name)
	scale, zero := w.constant(floatTensor(name+scaling, []float32{a.scale})), w.constant(&tensor{name: name + zeroing, kind: typeUint8, raw: []byte{a.zero}})
	w.nodes = append(w.nodes,
		&node{op: "QuantizeLinear", name: name + quantising, in: []string{name, scale, zero}, out: []string{name + integer}},
		&node{op: "DequantizeLinear", name: name + restoring, in: []string{name + integer, scale, zero}, out: []string{name + dequantised}})
}

// affine returns scale and zero point of a value.
func (w *writer) affine(name string) affine {
	if a, ok := w.scales[name]; ok {
		return a
	}
	var a affine
	if o := w.maker[name]; o != nil && w.plan.nodes[o] && passes[o.op] {
		a = w.affine(o.in[0])
	} else {
		low, high := w.seen[name].bounds(w.options.Method)
		scale := max((high-low)/255, 1e-12)
		a = affine{float32(scale), uint8(math.Round(min(max(-low/scale, 0), 255)))}
	}
	w.scales[name] = a
	return a
}

func (w *writer) constant(t *tensor) string {
	if !w.made[t.name] {
		w.made[t.name] = true
		w.tensors = append(w.tensors, t)
	}
	return t.name
}

// mostWeight is the largest integer of a weight.
func (o *node) mostWeight() int {
	if g := o.attribute("group"); o.op == "Conv" && len(g) == 1 && g[0] > 1 {
		return 127
	}
	return 64
}

// weights puts integers in the place of the weights of c, which is o.
func (w *writer) weights(c, o *node) {
	kernel := w.Network.tensors[o.in[1]]
	axis := o.channels(kernel)
	values, channels := kernel.floats(), kernel.dims[axis]
	inner := 1
	for _, d := range kernel.dims[axis+1:] {
		inner *= d
	}
	x := w.affine(o.in[0]).scale
	var bias []float32
	if len(o.in) > 2 && o.in[2] != "" {
		bias = w.Network.tensors[o.in[2]].floats()
	}
	scales, most := make([]float32, channels), float32(o.mostWeight())
	for start := 0; start < len(values); start += inner {
		k := start / inner % channels
		for _, v := range values[start : start+inner] {
			scales[k] = max(scales[k], float32(math.Abs(float64(v)))/most)
		}
	}
	for k := range scales {
		if bias != nil { // in steps of both scales, it must fit into 32 bits
			scales[k] = max(scales[k], float32(math.Abs(float64(bias[k]))/float64(x)/(1<<30)))
		}
		scales[k] = max(scales[k], 1e-15) // of a channel that is zero
	}
	base := o.name + ".weight"
	packed := &tensor{name: base + integer, kind: typeInt8, dims: kernel.dims, raw: make([]byte, len(values))}
	for start := 0; start < len(values); start += inner {
		scale := float64(scales[start/inner%channels])
		for i, v := range values[start : start+inner] {
			packed.raw[start+i] = byte(int8(math.RoundToEven(float64(v) / scale)))
		}
	}
	names := []string{
		w.constant(packed),
		w.constant(floatTensor(base+scaling, scales, channels)),
		w.constant(&tensor{name: base + zeroing, kind: typeInt8, dims: []int{channels}, raw: make([]byte, channels)}),
	}
	w.dequantise(base, names, axis)
	c.in[1] = base + dequantised
	if bias == nil {
		return
	}
	base = o.name + ".bias"
	whole, steps := &tensor{name: base + integer, kind: typeInt32, dims: []int{channels}}, make([]float32, channels)
	for k, v := range bias {
		steps[k] = scales[k] * x
		whole.raw = binary.LittleEndian.AppendUint32(whole.raw, uint32(int32(math.RoundToEven(float64(v)/float64(steps[k])))))
	}
	w.dequantise(base, []string{w.constant(whole), w.constant(floatTensor(base+scaling, steps, channels))}, 0)
	c.in[2] = base + dequantised
}

// dequantise writes the operation that makes weights floats again.
func (w *writer) dequantise(base string, in []string, axis int) {
	w.nodes = append(w.nodes, &node{op: "DequantizeLinear", name: base + restoring, in: in, out: []string{base + dequantised}, attributes: [][]byte{intAttribute("axis", axis)}})
}
