package zoo

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
)

// Tolerance of Verify, as a fraction of the largest number in the referee's answer. float32 on
// other hardware, summed in another order, moves these networks by up to 2e-6. The mildest mistake
// worth finding, a wrong eps in the batch norms, moves them by 5e-3.
const Tolerance = 2e-5

// Kind says which weights a golden was computed with. A golden is what another framework computed for
// a network: its stages, features and logits for a few pictures.
type Kind string

// The kinds of weights.
const (
	FormulaWeights   Kind = "formula" // made by a formula, the same in every framework
	PublishedWeights Kind = "weights" // the row's file
)

// Verdict is the outcome of comparing with one golden.
type Verdict struct {
	Name     string // of the architecture; of the row for PublishedWeights
	Kind     Kind
	Relative float64           // largest difference as a fraction of the largest number
	OK       bool              // it was compared, and Relative is within Tolerance
	Skipped  string            // why it was not compared; "" = it was
	Problem  string            // where the difference begins; "" = there is none
	Referee  map[string]string // packages that computed the golden, with their versions
}

// Verify computes on b, or on o.ONNXRuntime, what PyTorch, torchvision, timm, Keras and ONNX Runtime computed for the
// networks called names, and compares. Without names it does so for all. Every architecture is compared
// with weights made by a formula. A checkpoint that has a golden of its published weights is compared
// with those too; they are fetched when missing, and skipped with the reason if they cannot be had.
//
// Of o it uses ONNXRuntime, Offline, NonCommercial, Answer, Report, and Weights for the file of a single
// checkpoint.
//
// The error is about the request: an unknown name, a cancelled ctx. A network that computes
// something else is a Verdict.
func Verify(ctx context.Context, b compute.Backend, names []string, o Options) ([]Verdict, error) {
	rows := Rows()
	if len(names) > 0 {
		rows = nil
	}
	for _, name := range names {
		r, err := Find(name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	var verdicts []Verdict
	done := map[string]bool{}
	for _, r := range rows {
		for _, kind := range []string{golden.Formula, golden.Weights} {
			g, ok, err := r.goldenOf(kind)
			if err != nil {
				return nil, fmt.Errorf("zoo: %w", err)
			}
			key := g.Name + kind
			if !ok || done[key] {
				continue
			}
			done[key] = true
			v, err := o.replay(ctx, b, r, g)
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// replay runs one golden.
func (o Options) replay(ctx context.Context, b compute.Backend, r Row, g golden.Golden) (Verdict, error) {
	v := Verdict{Name: r.Name, Kind: Kind(g.Kind), Referee: g.By}
	var err error
	switch {
	case g.Kind == golden.Formula:
		v.Name = g.Name
		if r.small != nil {
			r.arch = r.small
		}
		o.Weights, err = formulaFile(r, g)
		if err != nil {
			return v, fmt.Errorf("zoo: verify %s: %w", g.Name, err)
		}
		defer os.Remove(o.Weights)
	case o.Weights == "":
		o.Weights, err = r.Fetch(ctx, o)
		if err != nil && ctx.Err() == nil {
			v.Skipped = err.Error()
			return v, nil
		}
	}
	preset := r.Preset
	preset.Size = g.Size
	o.Preset = &preset
	n, err := r.load(ctx, o)
	if ctx.Err() != nil {
		return v, fmt.Errorf("zoo: verify %s: %w", v.Name, ctx.Err())
	}
	if err == nil && g.Kind == golden.Weights && !n.Published {
		err = fmt.Errorf("zoo: %s has sha256 %s, the golden was made from %s", n.Path, n.SHA256, r.file.SHA256)
	}
	if err != nil {
		v.Relative, v.Problem = math.Inf(1), err.Error()
		return v, nil
	}
	run := n.on(b)
	if o.ONNXRuntime != nil {
		run = func(pictures []float32, count int) (outputs, error) {
			return n.everythingOn(o.ONNXRuntime, pictures, count)
		}
	}
	v.Relative, v.Problem = n.compare(run, g)
	v.OK = v.Problem == ""
	return v, nil
}

// formulaFile writes the tensors that the formula makes for the architecture of r into a file, so
// that they are loaded exactly as real weights are. The caller removes the file.
func formulaFile(r Row, g golden.Golden) (path string, err error) {
	f, err := os.CreateTemp("", "tlkit-formula-*.safetensors")
	if err != nil {
		return "", err
	}
	f.Close()
	if err := formulanet.Write(f.Name(), r.arch, g.Size, g.Gain); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// on returns what computes the network on b.
func (n *Net) on(b compute.Backend) func(pictures []float32, count int) (outputs, error) {
	return func(pictures []float32, count int) (outputs, error) { return n.everything(b, pictures, count) }
}

// compare compares tensors, stages, features and logits with a golden, in this order. problem says
// where the first difference beyond Tolerance is; relative is the difference of features and
// logits.
func (n *Net) compare(run func(pictures []float32, count int) (outputs, error), g golden.Golden) (relative float64, problem string) {
	if problem := n.checksums(g); problem != "" {
		return math.Inf(1), problem
	}
	got, err := run(golden.Input(g.Size, g.Pictures), g.Pictures)
	if err != nil {
		return math.Inf(1), err.Error()
	}
	check := func(what string, want golden.Sample, have []float32) float64 {
		d := want.Difference(have)
		if problem == "" && !(d <= Tolerance) {
			problem = fmt.Sprintf("%s differs by %.2g of its largest value, %.2g is allowed", what, d, Tolerance)
		}
		return d
	}
	if len(got.stages) != len(g.Stages) {
		problem = fmt.Sprintf("the network has %d stages, the golden %d", len(got.stages), len(g.Stages))
	}
	for _, s := range g.Stages {
		check("stage "+s.Name, s.Sample, got.stages[s.Name])
	}
	relative = check("features", g.Features, got.features)
	if g.Logits != nil {
		relative = max(relative, check("logits", *g.Logits, got.logits))
	}
	return relative, problem
}

// OffReferee returns how far features and logits of the built-in pictures are from what the referee
// of the published weights computed, as fractions of the largest number; logits may be nil. ok is
// false if n has other weights or another size than a referee has seen, or another number of pictures.
func (n *Net) OffReferee(features, logits []float32, pictures int) (off float64, ok bool) {
	if !n.Published || len(n.changed) > 0 {
		return 0, false
	}
	g, ok, err := n.Row.goldenOf(golden.Weights)
	if err != nil || !ok || g.Size != n.Preset.Size || g.Pictures != pictures {
		return 0, false
	}
	if features != nil {
		off = g.Features.Difference(features)
	}
	if logits != nil {
		if g.Logits == nil {
			return 0, false
		}
		off = max(off, g.Logits.Difference(logits))
	}
	return off, true
}

// checksums compares the tensors, as they are in the graph, with those of the referee. No other
// test sees a single wrong number among millions.
func (n *Net) checksums(g golden.Golden) (problem string) {
	names := slices.Sorted(maps.Keys(n.tensors))
	all := crc32.NewIEEE()
	for _, name := range names {
		one := crc32.NewIEEE()
		writeLittleEndian(io.MultiWriter(all, one), n.tensors[name].Data)
		if want, ok := g.Tensors.Some[name]; ok && want != fmt.Sprintf("%08x", one.Sum32()) {
			return fmt.Sprintf("tensor %s has CRC-32 %08x, the referee's has %s", name, one.Sum32(), want)
		}
	}
	if got := fmt.Sprintf("%08x", all.Sum32()); got != g.Tensors.All {
		return fmt.Sprintf("the tensors together have CRC-32 %s, the referee's have %s", got, g.Tensors.All)
	}
	return ""
}

func writeLittleEndian(w io.Writer, values []float32) {
	buf := make([]byte, 0, 1<<16)
	for len(values) > 0 {
		k := min(len(values), cap(buf)/4)
		buf = buf[:0]
		for _, v := range values[:k] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		_, _ = w.Write(buf) // a hash never fails
		values = values[k:]
	}
}

// outputs holds what a network computes, stage by stage.
type outputs struct {
	stages           map[string][]float32
	features, logits []float32
}

// everything runs the network once, for count pictures, and returns all its stages too.
func (n *Net) everything(b compute.Backend, pictures []float32, count int) (o outputs, err error) {
	defer recovered(&err, "running", n.Row.Name)
	store := model.NewStore()
	defer store.Finalize()
	if err := n.Variables(store.RootScope()); err != nil {
		return o, err
	}
	exec, err := model.NewExec(b, store, func(scope *model.Scope, images *graph.Node) []*graph.Node {
		out := backbone.Graph(n.Row.arch, scope, images)
		var nodes []*graph.Node
		for _, s := range out.Stages {
			nodes = append(nodes, s.Node)
		}
		nodes = append(nodes, out.Features)
		if out.Logits != nil {
			nodes = append(nodes, out.Logits)
		}
		return nodes
	})
	if err != nil {
		return o, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
	}
	defer exec.Finalize()
	size := n.Preset.Size
	got, err := exec.WithName("verify:" + n.Row.Name).Call(tensors.FromFlatDataAndDimensions(pictures, count, size, size, n.Channels()))
	if err != nil {
		return o, fmt.Errorf("zoo: running %s: %w", n.Row.Name, err)
	}
	o.stages = map[string][]float32{}
	for i, t := range got {
		values, err := tensors.CopyFlatData[float32](t)
		if err != nil {
			return o, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
		}
		switch stages := n.declared.Stages; {
		case i < len(stages):
			o.stages[stages[i].Name] = values
		case i == len(stages):
			o.features = values
		default:
			o.logits = values
		}
	}
	return o, nil
}

// everythingOn is everything on ONNX Runtime.
func (n *Net) everythingOn(rt *onnxruntime.Runtime, pictures []float32, count int) (o outputs, err error) {
	o.stages = map[string][]float32{}
	// Stages and features are files of their own: in one file, each map would be an output that no
	// operation may be fused across, and it is the fused network that people run.
	run := func(file []byte, err error) (map[string][]float32, error) {
		if err != nil {
			return nil, err
		}
		s, err := rt.Session(file, onnxruntime.SessionOptions{})
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
		}
		defer s.Close()
		size := n.Preset.Size
		out, err := s.Run(onnxruntime.Tensor{Shape: []int{count, size, size, n.Channels()}, Float32: pictures})
		if err != nil {
			return nil, fmt.Errorf("zoo: running %s: %w", n.Row.Name, err)
		}
		values := map[string][]float32{}
		for i, v := range s.Outputs() {
			values[v.Name] = out[i].Float32
		}
		return values, nil
	}
	var stages []string
	for _, s := range n.declared.Stages {
		stages = append(stages, s.Name)
	}
	if len(stages) > 0 {
		o.stages, err = run(n.MapsONNX(stages))
		if err != nil {
			return o, err
		}
	}
	whole, err := run(n.ONNX())
	o.features, o.logits = whole["features"], whole["logits"]
	return o, err
}
