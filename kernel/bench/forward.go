package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// forwardNetworks are the networks that forward measures.
var forwardNetworks = []string{"resnet18", "mobilenetv2", "efficientnet_lite0", thinResNet}

// thinResNet is a ResNet-50 with half the channels, from an ONNX file.
const thinResNet = "resnet50_thin"

// forward times feature extraction from prepared pictures, in the fastest form that this machine has
// for each network. Each peer runs at the fastest of some batch sizes.
func (s *session) forward(ctx context.Context) error {
	if len(s.Networks) > 0 {
		return s.passes(ctx)
	}
	e, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	for _, name := range forwardNetworks {
		if err := s.forwardOf(ctx, e, name); err != nil {
			return err
		}
	}
	return nil
}

// forwardOf measures one network, ours and the peers in turn.
func (s *session) forwardOf(ctx context.Context, e *engine.Engine, name string) error {
	s.doing("forward " + name + ": choosing the form")
	net, err := s.speedNet(ctx, name)
	if err != nil {
		return err
	}
	c, err := features.FromNet(net, e).Tune(ctx)
	if err != nil {
		return err
	}
	ours, err := newCalls(ctx, c.Backbone, net.Preset.Size)
	if err != nil {
		return err
	}
	s.doing("forward " + name + ": preparing the peers")
	peers, err := s.forwardPeers(ctx, name, e.Threads)
	if err != nil {
		return err
	}
	defer peers.close()
	s.doing("forward " + name)
	var rates []float64
	for range rounds {
		rate, err := ours.rate(s.Seconds)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
		if err := peers.round(s.Seconds); err != nil {
			return err
		}
	}
	f := Figure{Name: "forward " + name, Model: name, Batch: c.Form.Batch, Form: c.Form.String(), Ours: median(rates), Unit: picturesPerSecond, Note: c.Form.String()}
	s.add(peers.beside(f))
	return nil
}

// speedNet is a network to be timed: with weights made by a formula, where no file is the network.
func (s *session) speedNet(ctx context.Context, name string) (*zoo.Net, error) {
	if name == thinResNet {
		return s.load(ctx, name)
	}
	return madeUpNet(ctx, name)
}

// calls are calls of a network, as many side by side as its form has.
type calls struct {
	run    func([]float32) ([]float32, error)
	pixels []float32
	batch  int
	side   int
}

func newCalls(ctx context.Context, b features.Backbone, size int) (*calls, error) {
	run, err := b.Open(ctx, size)
	if err != nil {
		return nil, err
	}
	c := &calls{run: run, pixels: make([]float32, b.Batch*size*size*3), batch: b.Batch, side: max(b.Side, 1)}
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range c.pixels {
		c.pixels[i] = float32(rng.NormFloat64())
	}
	return c, nil
}

// rate returns pictures/s.
func (c *calls) rate(seconds float64) (float64, error) {
	rates := make([]float64, c.side)
	var all errgroup.Group
	for i := range c.side {
		all.Go(func() (err error) {
			rates[i], err = repeat(seconds, c.batch, func() error { _, err := c.run(c.pixels); return err })
			return err
		})
	}
	err := all.Wait()
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum, err
}

// each makes one call on each side.
func (c *calls) each() error {
	var all errgroup.Group
	for range c.side {
		all.Go(func() error { _, err := c.run(c.pixels); return err })
	}
	return all.Wait()
}

// onnx times feature extraction from an ONNX file in batches and one by one; the peer is ONNX
// Runtime on the same file.
func (s *session) onnx(ctx context.Context) error {
	e, err := s.open(ctx)
	if err != nil {
		return err
	}
	net, err := s.load(ctx, thinResNet)
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
		what: fmt.Sprintf("%s, batch %d, %s", b.what, b.size, e.Name), unit: picturesPerSecond,
		ours: func() (float64, error) { return repeat(s.Seconds, b.size, one) },
		peer: b.peer, which: onnxRuntime,
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
