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
)

// Tolerance of Verify, as a fraction of the largest number in the referee's answer. float32 on other hardware, in
// another order of summation, moves these networks by up to 2e-6; the mildest mistake worth finding, a wrong eps in the
// batch norms, by 5e-3.
const Tolerance = 2e-5

// Verdict is the outcome of replaying one golden.
type Verdict struct {
	Name     string // of the architecture
	Kind     string // "formula": weights made by a formula; "weights": the published file
	Relative float64
	OK       bool              // replayed, and Relative is within Tolerance
	Skipped  string            // why it was not replayed; "" = it was
	Problem  string            // where the difference begins; "" = there is none
	By       map[string]string // the referee's packages and their versions
}

// Verify recomputes on b what PyTorch, torchvision, timm and Keras computed for the networks called names, for all when there
// are none: every architecture with weights made by a formula, and those checkpoints whose real weights we hold goldens
// for. These are fetched when missing; one that cannot be had is skipped with the reason.
//
// The error is about the question (an unknown name, a cancelled ctx); a network that computes something else is a
// verdict.
func Verify(ctx context.Context, b compute.Backend, names []string) ([]Verdict, error) {
	return Options{}.Verify(ctx, b, names)
}

// Verify is the function Verify with options: Offline, Report, and Weights for the file of a single checkpoint.
func (o Options) Verify(ctx context.Context, b compute.Backend, names []string) ([]Verdict, error) {
	var rows []Row
	for _, name := range names {
		r, err := Find(name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	if len(names) == 0 {
		rows = Rows()
	}
	var verdicts []Verdict
	done := map[string]bool{}
	for _, r := range rows {
		for _, kind := range []string{golden.Formula, golden.Weights} {
			g, ok, err := golden.Find(r.golden, kind)
			if err != nil {
				return nil, fmt.Errorf("zoo: %w", err)
			}
			if key := r.golden + kind; !ok || done[key] || kind == golden.Weights && g.File != r.File.Name {
				continue
			} else {
				done[key] = true
			}
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
	v := Verdict{Name: r.Name, Kind: g.Kind, By: g.By}
	var err error
	switch {
	case g.Kind == golden.Formula:
		v.Name = g.Name
		if r.small != nil {
			r.arch = r.small
		}
		if o.Weights, err = formulaFile(r, g); err != nil {
			return v, fmt.Errorf("zoo: verify %s: %w", g.Name, err)
		}
		defer os.Remove(o.Weights)
	case o.Weights == "":
		if o.Weights, err = r.fetch(ctx, o); err != nil && ctx.Err() == nil {
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
		err = fmt.Errorf("zoo: %s has sha256 %s, the golden was made from %s", n.Path, n.SHA256, r.File.SHA256)
	}
	if err != nil {
		v.Relative, v.Problem = math.Inf(1), err.Error()
		return v, nil
	}
	v.Relative, v.Problem = n.against(b, g)
	v.OK = v.Problem == ""
	return v, nil
}

// formulaFile writes the tensors that the formula makes for the architecture of r, so that they come in through the same
// door as real weights. The caller removes the file.
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

// against compares tensors, stages, features and logits with a golden, in this order, and says where the first
// difference beyond Tolerance is. relative is that of features and logits.
func (n *Net) against(b compute.Backend, g golden.Golden) (relative float64, problem string) {
	if problem := n.checksums(g); problem != "" {
		return math.Inf(1), problem
	}
	got, err := n.everything(b, golden.Input(g.Size, g.Pictures), g.Pictures)
	if err != nil {
		return math.Inf(1), err.Error()
	}
	compare := func(what string, want golden.Sample, have []float32) float64 {
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
		compare("stage "+s.Name, s.Sample, got.stages[s.Name])
	}
	relative = compare("features", g.Features, got.features)
	if g.Logits != nil {
		relative = max(relative, compare("logits", *g.Logits, got.logits))
	}
	return relative, problem
}

// checksums compares the tensors as they stand in the graph with those of the referee: the one test that sees a single
// wrong number among millions.
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
		w.Write(buf) // a hash never fails
		values = values[k:]
	}
}

// outputs are all that a network computes on its way.
type outputs struct {
	stages           map[string][]float32
	features, logits []float32
}

// everything runs the network once, not the compiled extractor: stages too, for n pictures.
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
		if nodes = append(nodes, out.Features); out.Logits != nil {
			nodes = append(nodes, out.Logits)
		}
		return nodes
	})
	if err != nil {
		return o, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
	}
	defer exec.Finalize()
	size := n.Preset.Size
	got, err := exec.WithName("verify:" + n.Row.Name).Call(tensors.FromFlatDataAndDimensions(pictures, count, size, size, 3))
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
