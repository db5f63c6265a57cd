package write

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/onnx/internal/proto"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

const (
	resizeOpset  = 18              // the first version whose Resize can antialias
	resizePrefix = "tlkit.resize/" // of the names of what Resizing adds
	squaresName  = resizePrefix + "squares"
)

// resizeModes are the attributes of ONNX's Resize, by filter. It has no others of Pillow's.
var resizeModes = map[transforms.Interpolation]map[string]any{
	transforms.Nearest:  {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
	transforms.Bilinear: {"mode": "linear", "antialias": 1},
	transforms.Bicubic:  {"mode": "cubic", "antialias": 1, "cubic_coeff_a": float32(-0.5), "exclude_outside": 1},
}

// Resizing returns a file of [Bytes] that reads pictures of any height and width, uint8 [N,H,W,3], and
// not only the squares of the preset: it resizes and cuts them itself. What was its input becomes the
// result of ONNX's Resize, with antialiasing where it shrinks a picture. That is close to
// [transforms.Preset.Square], and not equal to it. metadata replaces that of the file; nil = none.
//
// The file must read uint8 [N,S,S,3] of the preset's size. Of the filters, ONNX has nearest, bilinear
// and bicubic; others are an error.
func Resizing(file []byte, p transforms.Preset, metadata map[string]string) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	filter := p.Interpolation
	if filter == "" {
		filter = transforms.Bilinear
	}
	if resizeModes[filter] == nil {
		return nil, advice.New(fmt.Errorf("write: ONNX does not resize by %s, as the preset %q demands", filter, p.Name), "resize pictures before the file reads them")
	}
	r := &resizing{preset: p, mode: resizeModes[filter], model: &model{}}
	out, err := r.file(file)
	if err != nil {
		return nil, fmt.Errorf("write: not a file that can resize its pictures: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		var pair message
		pair.Text(1, key)
		pair.Text(2, metadata[key])
		out.Part(metadataField, pair)
	}
	return out, nil
}

// resizing adds the operations before a network that make its squares.
type resizing struct {
	*model
	preset transforms.Preset
	mode   map[string]any
	added  []*wire // axes of reductions, which version 18 wants as an input
}

// file copies the model and changes its graph and the version of its operators. The metadata stays
// behind.
func (r *resizing) file(file message) (out message, err error) {
	err = proto.Each(file, func(f proto.Field) error {
		switch f.Number {
		case 7:
			graph, err := r.graph(f.Value)
			if err != nil {
				return err
			}
			out.Part(7, graph)
		case 8:
			out.Part(8, numbered(2, resizeOpset))
		case metadataField:
		default:
			out = append(out, f.Whole...)
		}
		return nil
	})
	return out, err
}

// graph puts the operations before those of the graph.
func (r *resizing) graph(graph message) (message, error) {
	if err := r.findInput(graph); err != nil {
		return nil, err
	}
	r.squares()
	constants := r.prefixed()
	var out message
	for _, o := range r.nodes {
		out.Part(1, o.encode())
	}
	err := proto.Each(graph, func(f proto.Field) error {
		switch f.Number {
		case 1:
			node, err := r.node(f.Value)
			out.Part(1, node)
			return err
		case 11:
			out.Part(11, anySize(r.input.name))
		default:
			out = append(out, f.Whole...)
		}
		return nil
	})
	for _, w := range append(constants, r.added...) {
		if err == nil {
			out, err = w.appendTensor(out)
		}
	}
	return out, err
}

// findInput finds the input, which must be squares of the preset's size.
func (r *resizing) findInput(graph message) error {
	var inputs []message
	err := fields(graph, func(field protowire.Number, content []byte) error {
		if field == 11 {
			inputs = append(inputs, content)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(inputs) != 1 {
		return fmt.Errorf("it has %d inputs, want one", len(inputs))
	}
	r.input = &wire{dtype: dtypes.Uint8, dims: []int{batches[0], r.preset.Size, r.preset.Size, 3}}
	if err := fields(inputs[0], func(field protowire.Number, content []byte) error {
		if field == 1 {
			r.input.name = string(content)
		}
		return nil
	}); err != nil {
		return err
	}
	if !bytes.Equal(inputs[0], r.input.encode(batches[0])) {
		return fmt.Errorf("its input %q is not uint8 [N,%d,%d,3]", r.input.name, r.preset.Size, r.preset.Size)
	}
	return nil
}

// anySize declares the input.
func anySize(name string) (m message) {
	var shape, tensor, kind message
	for _, axis := range []string{"N", "H", "W"} {
		var dim message
		dim.Text(2, axis)
		shape.Part(1, dim)
	}
	shape.Part(1, numbered(1, 3))
	tensor.Number(1, uint64(onnxType(dtypes.Uint8)))
	tensor.Part(2, shape)
	kind.Part(1, tensor)
	m.Text(1, name)
	m.Part(2, kind)
	return m
}

// prefixed names the new operations, values and constants, and returns the constants.
func (r *resizing) prefixed() []*wire {
	constants := r.named()
	for _, o := range r.nodes {
		o.name = resizePrefix + o.name
		if o.out.name != squaresName {
			o.out.name = resizePrefix + o.out.name
		}
	}
	for _, w := range constants {
		w.name = resizePrefix + w.name
	}
	return constants
}

// node makes an operation of the network read the squares in place of the input.
func (r *resizing) node(node message) (out message, err error) {
	op, name := "", ""
	var attributes []proto.Field
	err = proto.Each(node, func(f proto.Field) error {
		switch f.Number {
		case 1:
			if string(f.Value) == r.input.name {
				out.Text(1, squaresName)
				return nil
			}
		case 3:
			name = string(f.Value)
		case 4:
			op = string(f.Value)
		case 5:
			attributes = append(attributes, f)
			return nil
		}
		out = append(out, f.Whole...)
		return nil
	})
	for _, a := range attributes {
		axes, ok := axesOf(a.Value)
		if !ok || op == "ReduceSum" || !strings.HasPrefix(op, "Reduce") {
			out = append(out, a.Whole...)
			continue
		}
		w := integers(axes...)
		w.name = resizePrefix + name + ".axes"
		out.Text(1, w.name)
		r.added = append(r.added, w)
	}
	return out, err
}

// axesOf returns the numbers of an attribute called axes.
func axesOf(attribute message) (axes []int, ok bool) {
	err := proto.Each(attribute, func(f proto.Field) error {
		switch {
		case f.Number == 1:
			ok = string(f.Value) == "axes"
		case f.Number == 8 && f.Value != nil:
			return errors.New("packed numbers") // this package does not write such
		case f.Number == 8:
			axes = append(axes, int(f.Varint))
		}
		return nil
	})
	return axes, ok && err == nil
}

// squares adds the operations, in the same whole numbers as package transforms.
func (r *resizing) squares() {
	size := r.preset.Size
	x := r.add("Transpose", map[string]any{"perm": []int{0, 3, 1, 2}}, dtypes.Uint8, nil, r.input)
	sides := r.add("Shape", map[string]any{"start": 1, "end": 3}, dtypes.Int64, nil, r.input)
	switch r.preset.Geometry {
	case transforms.GeometryShort:
		least := r.add("ReduceMin", nil, dtypes.Int64, nil, sides)
		target := r.whole("Div", r.whole("Mul", sides, integers(r.preset.ShortSide())), least)
		x = r.middle(r.resized(x, target), target)
	case transforms.GeometryCrop:
		x = r.resized(r.cropped(x, sides), integers(size, size))
	default:
		x = r.resized(x, integers(size, size))
	}
	x = r.add("Transpose", map[string]any{"perm": []int{0, 2, 3, 1}}, dtypes.Uint8, nil, x)
	// The size is known, which shape inference cannot see. 0 keeps the number of pictures.
	x = r.add("Reshape", nil, dtypes.Uint8, nil, x, integers(0, size, size, 3))
	x.name = squaresName
	r.outputs = []*wire{x}
}

// whole adds an operation on whole numbers.
func (r *resizing) whole(op string, in ...*wire) *wire {
	return r.add(op, nil, dtypes.Int64, nil, in...)
}

func (r *resizing) cast(to dtypes.DType, x *wire) *wire {
	return r.add("Cast", map[string]any{"to": int(onnxType(to))}, to, nil, x)
}

func (r *resizing) joined(parts ...*wire) *wire {
	return r.add("Concat", map[string]any{"axis": 0}, dtypes.Int64, nil, parts...)
}

// resized resizes planes [N,3,H,W] to the height and width in target.
func (r *resizing) resized(x, target *wire) *wire {
	rows := r.add("Shape", map[string]any{"start": 0, "end": 1}, dtypes.Int64, nil, x)
	return r.add("Resize", r.mode, dtypes.Uint8, nil, x, nil, nil, r.joined(rows, integers(3), target))
}

// middle cuts out the middle of planes of the given sides; black surrounds what is smaller. As in
// CenterCrop, the corner is rounded half to even.
func (r *resizing) middle(x, sides *wire) *wire {
	size := r.preset.Size
	if r.preset.ShortSide() < size {
		missing := r.whole("Max", r.whole("Sub", integers(size), sides), integers(0))
		before := r.whole("Div", missing, integers(2))
		pads := r.joined(integers(0, 0), before, integers(0, 0), r.whole("Sub", missing, before))
		x = r.add("Pad", map[string]any{"mode": "constant"}, dtypes.Uint8, nil, x, pads)
		sides = r.whole("Add", sides, missing)
	}
	spare := r.cast(dtypes.Float32, r.whole("Sub", sides, integers(size)))
	half := r.add("Mul", nil, dtypes.Float32, nil, spare, scalar(0.5))
	corner := r.cast(dtypes.Int64, r.add("Round", nil, dtypes.Float32, nil, half))
	return r.add("Slice", nil, dtypes.Uint8, nil, x, corner, r.whole("Add", corner, integers(size)), integers(2, 3))
}

// cropped cuts out the middle square of a fraction of the short side, as TensorFlow's EfficientNets do.
func (r *resizing) cropped(x, sides *wire) *wire {
	fraction := r.preset.CropFraction
	if fraction == 0 {
		fraction = 1
	}
	double := func(op string, a *wire, b float64) *wire {
		return r.add(op, nil, dtypes.Float64, nil, a, constant([]float64{b}, dtypes.Float64, 1))
	}
	least := r.cast(dtypes.Float64, r.add("ReduceMin", nil, dtypes.Int64, nil, sides))
	side := r.add("Floor", nil, dtypes.Float64, nil, double("Add", double("Mul", least, fraction), 1e-6))
	side = r.whole("Max", r.cast(dtypes.Int64, side), integers(1))
	corner := r.whole("Div", r.whole("Add", r.whole("Sub", sides, side), integers(1)), integers(2))
	return r.add("Slice", nil, dtypes.Uint8, nil, x, corner, r.whole("Add", corner, side), integers(2, 3))
}
