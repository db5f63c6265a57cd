// Package write turns a GoMLX graph into an ONNX file that inference engines run at their best
// speed.
//
//	file, err := write.Bytes(write.Network{
//		Picture: []int{224, 224, 3},
//		Build: func(pictures *graph.Node) []write.Output {
//			out := backbone.Unloaded(arch, pictures)
//			return []write.Output{{"features", out.Features}, {"logits", out.Logits}}
//		},
//		Weight: func(name string) ([]float32, bool) { ... },
//	})
//
// Most people want [github.com/tlkit/transfer-learning/tlkit/zoo.Net.ONNX], which does all this for
// a network of the zoo. Package onnx reads such files.
//
// # How it works
//
// Build runs on a backend that computes nothing and records the operations. The recorded graph is
// then lowered to operations of ONNX, version 17:
//
//   - What depends on weights alone is computed now, and weights become constants of the file.
//   - Maps are [N,H,W,C] in the graph and [N,C,H,W] in the file, which is what engines are fast at.
//     Each value remembers in which order its axes are stored, so that transposing costs nothing
//     until an operation insists on an order. A convolutional network keeps one Transpose, that of
//     its pictures.
//   - Batch norms go into the weights of the convolutions before them, padding into convolutions
//     and pools, clamping becomes Relu and Clip, means over the picture GlobalAveragePool, a matrix
//     and its bias Gemm.
//   - The number of pictures stays open: the graph is recorded at two very different numbers, and
//     everything but that number must come out equal.
//
// An operation that has no counterpart here is an [UnsupportedError]. It never becomes a file that
// computes something else.
package write

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Network is a network to write.
type Network struct {
	Name    string // of the graph in the file; "" = "network"
	Input   string // name of the input; "" = "pictures"
	Picture []int  // shape of one row of the input: [224,224,3]
	Bytes   bool   // the input is uint8 rather than float32

	// Build adds the network to the graph of its input [N,Picture...] and returns what it computes,
	// each with the number of pictures as its first axis. It is called twice and must add the same
	// graph both times. Its weights are parameters of the graph; graph.Parameter makes one.
	Build func(input *graph.Node) []Output
	// Weight returns the values of a parameter that Build asked for, in the order of its axes. They
	// are not changed.
	Weight func(name string) (values []float32, ok bool)

	Metadata map[string]string // kept in the file, for whoever opens it
}

// Output is something that a network computes.
type Output struct {
	Name string // in the file
	Node *graph.Node
}

// MaxWeights is the most bytes of weights that a file may have. Its format, protobuf, ends at 2 GB.
const MaxWeights = 1_500_000_000

// UnsupportedError says which operation of a graph this package cannot write.
type UnsupportedError struct {
	Op     string // GoMLX's name: "Sort"
	Reason string // what about it is not supported; "" = all of it
}

// Error names the operation.
func (e *UnsupportedError) Error() string {
	s := "write: the operation " + e.Op + " has no form in an ONNX file here"
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// The two numbers of pictures at which a graph is recorded. They are primes, larger than any size
// that a network has, so that a multiple of one is a size that grows with the number of pictures.
// Nothing is computed for so many.
var batches = [2]int{1_000_003, 2_000_003}

// Bytes returns the network as the content of an .onnx file.
//
// The error is an *[UnsupportedError] where an operation cannot be written. Other errors: a weight
// that is missing or not of its shape, a graph that depends on the number of pictures in another way
// than by its first axis, more weights than [MaxWeights].
func Bytes(n Network) ([]byte, error) {
	if n.Name == "" {
		n.Name = "network"
	}
	if n.Input == "" {
		n.Input = "pictures"
	}
	var models [2]*model
	for i, batch := range batches {
		m, err := n.lowered(batch)
		if err != nil {
			return nil, err
		}
		models[i] = m
	}
	if what := models[0].differs(models[1]); what != "" {
		return nil, advice.New(fmt.Errorf("write: %s depends on the number of pictures: %s", n.Name, what), "build the network so that each picture is computed on its own")
	}
	return models[0].encode(n)
}

// lowered records the network for batch pictures and returns it in ONNX's operations.
func (n Network) lowered(batch int) (m *model, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			m, err = nil, own(r)
		default:
			m, err = nil, fmt.Errorf("write: %v", r)
		}
	}()
	shadow, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fmt.Errorf("write: opening the pure Go backend to infer shapes: %w", err)
	}
	defer shadow.Finalize()
	r := &recorder{shadow: shadow}
	g := graph.NewGraph(r, n.Name)
	defer g.Finalize()
	kind := dtypes.Float32
	if n.Bytes {
		kind = dtypes.Uint8
	}
	input := graph.Parameter(g, n.Input, shapes.Make(kind, append([]int{batch}, n.Picture...)...))
	outputs := n.Build(input)
	var nodes []*graph.Node
	for _, o := range outputs {
		if s := o.Node.Shape(); s.Rank() == 0 || s.Dimensions[0] != batch {
			return nil, fmt.Errorf("write: %s is %s, want one row for each picture", o.Name, s)
		}
		nodes = append(nodes, o.Node)
	}
	if len(nodes) == 0 {
		return nil, errors.New("write: a network without outputs")
	}
	if err := g.Compile(nodes...); err != nil { // compiles nothing: it tells the recorder the outputs
		return nil, own(err)
	}
	f := r.main
	f.network = &n
	if err := f.bind(); err != nil {
		return nil, err
	}
	f.recognise()
	if err := f.settle(); err != nil {
		return nil, err
	}
	l := &lowering{batch: batch, model: &model{}, values: map[*node]value{}}
	if err := l.lower(f, outputs); err != nil {
		return nil, err
	}
	l.model.simplify()
	return l.model, nil
}

// own is an error of a panic in graph code: the *UnsupportedError in it, or all of it.
func own(err error) error {
	if u := (*UnsupportedError)(nil); errors.As(err, &u) {
		return u
	}
	return fmt.Errorf("write: %w", err)
}

// bind gives the parameters their values.
func (f *function) bind() error {
	total := 0
	for _, p := range f.nodes {
		if p.op != opParameter || !p.known {
			continue
		}
		values, ok := f.network.Weight(p.name)
		if !ok {
			return fmt.Errorf("write: no values for the weight %q", p.name)
		}
		if len(values) != p.shape.Size() || p.shape.DType != dtypes.Float32 {
			return fmt.Errorf("write: %d values for the weight %q, which is %s", len(values), p.name, p.shape)
		}
		p.flat = values
		total += 4 * len(values)
	}
	if total > MaxWeights {
		return advice.New(fmt.Errorf("write: the weights have %d bytes, an ONNX file holds %d", total, MaxWeights), "use a smaller network")
	}
	return nil
}

// isBatch reports whether a size grows with the number of pictures.
func (l *lowering) isBatch(size int) bool { return size >= l.batch && size%l.batch == 0 }

// anyBatch reports whether one of the sizes does.
func anyBatch(dims []int) bool {
	return slices.ContainsFunc(dims, func(d int) bool {
		return d >= batches[0] && (d%batches[0] == 0 || d%batches[1] == 0)
	})
}
