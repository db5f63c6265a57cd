package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// forward times feature extraction alone, batch 32.
func (s *session) forward(ctx context.Context) error {
	e, err := s.open(ctx)
	if err != nil {
		return err
	}
	const batch = 32
	for _, name := range []string{"resnet18", "mobilenetv2", "efficientnet_lite0"} {
		net, err := madeUpNet(ctx, name)
		if err != nil {
			return err
		}
		input := make([]float32, batch*net.Preset.Size*net.Preset.Size*3)
		rng := rand.New(rand.NewPCG(5, 6))
		for i := range input {
			input[i] = float32(rng.NormFloat64())
		}
		err = s.extraction(ctx, e, net, batchOf{size: batch, input: input, what: "forward " + name,
			peer: peerJob{"what": "forward", "model": name}})
		if err != nil {
			return err
		}
	}
	return nil
}

// onnx times feature extraction from an ONNX file in batches and one by one; the peer is ONNX
// Runtime on the same file.
func (s *session) onnx(ctx context.Context) error {
	e, err := s.open(ctx)
	if err != nil {
		return err
	}
	net, err := s.load(ctx, "resnet50_thin")
	if err != nil {
		return err
	}
	for _, batch := range []int{8, 1} {
		err := s.extraction(ctx, e, net, batchOf{size: batch, input: golden.Input(net.Preset.Size, batch),
			what: "forward " + net.Row.Name + " (ONNX)", peer: peerJob{"what": "onnx", "path": net.Path}})
		if err != nil {
			return err
		}
	}
	return nil
}

// batchOf is what a network is timed on, and the peer's side of it.
type batchOf struct {
	size  int
	input []float32
	what  string
	peer  peerJob
}

// extraction times the forward pass of a network up to its features.
func (s *session) extraction(ctx context.Context, e *engine.Engine, net *zoo.Net, b batchOf) error {
	s.doing("forward " + net.Row.Name)
	x, err := net.NewExtractor(e.Backend, b.size)
	if err != nil {
		return err
	}
	defer x.Close()
	b.peer["batch"], b.peer["seconds"], b.peer["threads"] = b.size, s.Seconds, e.Threads
	one := func() error { _, _, err := x.Run(b.input); return err }
	return s.rates(ctx, contest{
		what: fmt.Sprintf("%s, batch %d, %s", b.what, b.size, e.Name), unit: "pictures/s",
		ours: func() (float64, error) { return repeat(s.Seconds, b.size, one) },
		peer: b.peer,
	})
}

// madeUpNet is an architecture with weights made by a formula: speed does not depend on them.
func madeUpNet(ctx context.Context, name string) (*zoo.Net, error) {
	row, err := zoo.Find(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tlkit-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "formula.safetensors")
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 1); err != nil {
		return nil, err
	}
	return zoo.Load(ctx, name, zoo.Options{Weights: file})
}
