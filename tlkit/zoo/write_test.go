package zoo

import (
	"context"
	"encoding/json"
	"errors"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
)

// written is a network with the formula's weights and its ONNX file.
type written struct {
	row   Row
	g     golden.Golden
	net   *Net
	file  []byte
	model *protos.ModelProto
}

// eachWritten calls f for every architecture that has golden values.
func eachWritten(t *testing.T, f func(t *testing.T, w written)) {
	done := map[string]bool{}
	for _, r := range Rows() {
		if _, file := r.arch.(onnxFile); file || done[r.golden] {
			continue
		}
		done[r.golden] = true
		t.Run(r.golden, func(t *testing.T) {
			t.Parallel()
			g, ok, err := golden.Find(r.golden, golden.Formula)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if r.small != nil {
				r.arch = r.small
			}
			path, err := formulaFile(r, g)
			if err != nil {
				t.Fatal(err)
			}
			defer os.Remove(path)
			preset := r.Preset
			preset.Size = g.Size
			w := written{row: r, g: g, model: &protos.ModelProto{}}
			w.net, err = r.load(t.Context(), Options{Weights: path, Preset: &preset, Offline: true})
			if err != nil {
				t.Fatal(err)
			}
			w.file, err = w.net.ONNX()
			if err != nil {
				t.Fatal(err)
			}
			if err := proto.Unmarshal(w.file, w.model); err != nil {
				t.Fatal(err)
			}
			f(t, w)
		})
	}
}

// opsOf counts the nodes of a file by operation.
func opsOf(m *protos.ModelProto) map[string]int {
	count := map[string]int{}
	for _, n := range m.Graph.Node {
		count[n.OpType]++
	}
	return count
}

// A file of every architecture has the form that engines are fast at: one transposition, norms and
// biases inside the convolutions, the checkpoint's own names.
func TestONNXForm(t *testing.T) {
	eachWritten(t, func(t *testing.T, w written) {
		constants := map[string]bool{}
		for _, c := range w.model.Graph.Initializer {
			constants[c.Name] = true
		}
		transposes := 1
		if _, ok := w.row.arch.(vgg); ok && w.row.arch.(vgg).keras && w.net.declared.Classes > 0 {
			transposes = 2 // Keras flattens maps as [H,W,C]
		}
		allowed := strings.Fields("Transpose Conv Relu Clip Add MaxPool GlobalAveragePool Flatten Gemm Concat Slice Pad Reshape ReduceMean")
		for op, n := range opsOf(w.model) {
			if !slices.Contains(allowed, op) || op == "Transpose" && n != transposes {
				t.Errorf("%d of %s", n, op)
			}
		}
		for _, n := range w.model.Graph.Node {
			for _, in := range n.Input {
				if n.OpType == "Add" && constants[in] {
					t.Errorf("%s adds the constant %s: a bias outside its layer", n.Name, in)
				}
			}
			if n.OpType == "Conv" && len(n.Input) != 3 {
				if w.row.Family != "Xception" { // a depthwise convolution right before a pointwise one
					t.Errorf("%s has no bias: its norm is elsewhere", n.Name)
				}
			}
		}
		if w.net.declared.Classes > 0 && w.row.Name != "mini_xception" {
			last := w.net.declared.Weights[len(w.net.declared.Weights)-1].Name
			if !constants[last] {
				t.Errorf("no tensor has the checkpoint's name %s", last)
			}
		}
	})
}

// fastEngine is XLA where it is installed: large networks take seconds in pure Go.
func fastEngine(t *testing.T, row Row) compute.Backend {
	if row.Family == "VGG" || row.Family == "Xception" || strings.HasPrefix(row.golden, "resnet1") {
		if e, err := engine.Open(context.Background(), engine.Options{}); err == nil {
			t.Cleanup(func() { e.Close() })
			return e.Backend
		}
	}
	return pureGo(t)
}

// Package onnx reads a file of every architecture back, and it computes what PyTorch, torchvision,
// timm and Keras computed.
func TestONNXReadBack(t *testing.T) {
	eachWritten(t, func(t *testing.T, w written) {
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := os.WriteFile(path, w.file, 0o600); err != nil {
			t.Fatal(err)
		}
		check := func(output string, want golden.Sample) {
			n, err := Load(t.Context(), path+"#"+output, Options{Preset: plainPreset(w.g.Size)})
			if err != nil {
				t.Fatal(err)
			}
			o, err := n.everything(fastEngine(t, w.row), golden.Input(w.g.Size, w.g.Pictures), w.g.Pictures)
			if err != nil {
				t.Fatal(err)
			}
			d := want.Difference(o.features)
			t.Logf("%s: relative difference %.1e", output, d)
			if !(d <= Tolerance) {
				t.Errorf("%s: relative difference %.2g", output, d)
			}
		}
		if strings.HasPrefix(w.row.golden, "resnet1") && w.row.golden != "resnet18" {
			t.Skip("more of the blocks that ResNet-18, 50 and 20 have")
		}
		if w.g.Logits != nil {
			check("logits", *w.g.Logits) // which need the features
		} else {
			check("features", w.g.Features)
		}
	})
}

// openRuntime opens ONNX Runtime, which is fetched once.
func openRuntime(t testing.TB) *onnxruntime.Runtime {
	t.Helper()
	if len(onnxruntime.Here()) == 0 {
		t.Skip("no ONNX Runtime for this platform")
	}
	l, err := onnxruntime.Install(t.Context(), onnxruntime.Options{})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("ONNX Runtime cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	rt, err := onnxruntime.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// ONNX Runtime computes from a file of every architecture what the referees computed, for one, three
// and eight pictures at a time.
func TestONNXRuntime(t *testing.T) {
	rt := openRuntime(t)
	eachWritten(t, func(t *testing.T, w written) {
		s, err := rt.Session(w.file, onnxruntime.SessionOptions{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		pictures := golden.Input(w.g.Size, w.g.Pictures)
		one := len(pictures) / w.g.Pictures
		for _, batch := range []int{1, 3, 8} {
			in := onnxruntime.Tensor{Shape: []int{batch, w.g.Size, w.g.Size, 3}}
			for i := range batch {
				k := i % w.g.Pictures
				in.Float32 = append(in.Float32, pictures[k*one:(k+1)*one]...)
			}
			out, err := s.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			wants := []*golden.Sample{&w.g.Features, w.g.Logits}
			for j, o := range out {
				for i := range batch { // each picture against its row of the golden
					want := *wants[j]
					k := i % w.g.Pictures
					want.Values = want.Values[k : k+1]
					each := len(o.Float32) / batch
					if d := want.Difference(o.Float32[i*each : (i+1)*each]); !(d <= Tolerance) {
						t.Errorf("%s of picture %d of %d: relative difference %.2g", s.Outputs()[j].Name, i+1, batch, d)
					}
				}
			}
			if w.g.Logits != nil && len(out) != 2 {
				t.Errorf("%d outputs, want features and logits", len(out))
			}
		}
	})
}

// An ONNX file of the caller's own is written as package onnx reads it: cut where it is cut, in
// 32-bit floats, for any number of pictures.
func TestONNXOwnFiles(t *testing.T) {
	rt := openRuntime(t)
	for _, folder := range []string{"../onnx/testdata", "../onnx/testdata/exports"} {
		raw, err := os.ReadFile(filepath.Join(folder, "golden.json"))
		if err != nil {
			t.Fatal(err)
		}
		var all struct {
			Nets []struct {
				File, Cut string
				Size      int
				Features  [][]float64
				Logits    [][]float64
			}
		}
		if err := json.Unmarshal(raw, &all); err != nil || len(all.Nets) < 5 {
			t.Fatal(len(all.Nets), err)
		}
		for _, g := range all.Nets {
			t.Run(g.File+"#"+g.Cut, func(t *testing.T) {
				path, preset := filepath.Join(folder, g.File), *plainPreset(g.Size)
				own, err := onnx.Open(onnx.Ref{File: path, Cut: g.Cut})
				if err != nil {
					t.Fatal(err)
				}
				if own.Bytes() {
					preset = preset.WithStatistics(statistics("raw"))
				}
				net, err := Load(t.Context(), path+"#"+g.Cut, Options{Preset: &preset})
				if err != nil {
					t.Fatal(err)
				}
				file, err := net.ONNX()
				if err != nil {
					t.Fatal(err)
				}
				s, err := rt.Session(file, onnxruntime.SessionOptions{Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				pictures := golden.Input(g.Size, len(g.Features))
				if own.Bytes() { // as the referee makes them
					for i, v := range pictures {
						pictures[i] = float32(min(max(math.RoundToEven(float64(v*48+120)), 0), 255))
					}
				}
				out, err := s.Run(onnxruntime.Tensor{Shape: []int{len(g.Features), g.Size, g.Size, 3}, Float32: pictures})
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range [][][]float64{g.Features, g.Logits} {
					if len(want) == 0 {
						continue
					}
					if d := difference(out[i].Float32, slices.Concat(want...)); !(d <= Tolerance) {
						t.Errorf("%s: relative difference %.2g", s.Outputs()[i].Name, d)
					}
				}
			})
		}
	}
}

// difference is the largest one as a fraction of the largest number wanted.
func difference(got []float32, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst, largest := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, largest = max(worst, d), max(largest, math.Abs(w))
	}
	return worst / largest
}
