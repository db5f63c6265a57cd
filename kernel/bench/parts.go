package bench

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// head times 25 epochs of the tutorial's SGD on features in memory, and the default head.
func (s *session) head(ctx context.Context) error {
	const n, folds = 244, 5 // ants and bees
	samples := madeUpFeatures(n, 1280)
	start := time.Now()
	if _, err := head.SGD(ctx, samples, head.SGDOptions{Epochs: tutorialEpochs}); err != nil {
		return err
	}
	s.add(Figure{Name: "head, 25 epochs of SGD, 244 x 1280", Ours: time.Since(start).Seconds(), Unit: "s"})
	parts := make([][]int, folds)
	for i := range n {
		parts[i%folds] = append(parts[i%folds], i)
	}
	start = time.Now()
	if _, err := head.Logistic(ctx, samples, head.LogisticOptions{Folds: parts}); err != nil {
		return err
	}
	s.add(Figure{Name: "head, logistic, strength by 5 folds", Ours: time.Since(start).Seconds(), Unit: "s"})
	return nil
}

// madeUpFeatures are n rows of two classes that differ a little in every other feature.
func madeUpFeatures(n, width int) head.Samples {
	s := head.Samples{X: make([]float32, n*width), Features: width, Y: make([]int, n), Classes: 2}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range s.X {
		class := i / width % 2
		s.X[i], s.Y[i/width] = rng.Float32(), class
		if class == i%2 {
			s.X[i] += 0.1
		}
	}
	return s
}

// pictures times the evaluation pipeline on one core. The picture is a 500 x 375 JPEG of
// quality 90 made on the spot, 4:2:0 as photographs are.
func (s *session) pictures(ctx context.Context) error {
	data, err := photo(3)
	if err != nil {
		return err
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("tlkit-bench-%d.jpg", os.Getpid()))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	row, err := zoo.Find("mobilenetv2")
	if err != nil {
		return err
	}
	pipeline := row.Preset.Eval()
	one := func() error {
		_, err := pipeline.LoadFile(nil, file, transforms.DecodeOptions{}, transforms.Rand{})
		return err
	}
	s.doing("preparing pictures")
	return s.rates(ctx, contest{
		what: "pictures, 500x375 JPEG to 224 tensor, one core", unit: picturesPerSecond,
		ours: func() (float64, error) { return repeat(s.Seconds, 1, one) },
		peer: peerJob{"what": "pictures", "path": file, "seconds": s.Seconds},
	})
}

// photo is a JPEG of 500 x 375 pixels and quality 90, one for each seed.
func photo(seed uint64) ([]byte, error) {
	const w, h = 500, 375
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, &transforms.Picture{Width: w, Height: h, Pix: smooth(w, h, seed)}, &jpeg.Options{Quality: 90})
	return buf.Bytes(), err
}

// smooth is a picture as hard to code as a photograph: slow ramps and a little grain.
func smooth(w, h int, seed uint64) []uint8 {
	rng := rand.New(rand.NewPCG(seed, 4))
	out := make([]uint8, 0, w*h*3)
	for y := range h {
		for x := range w {
			for c := range 3 {
				out = append(out, uint8(60+(x*(c+1)/6+y*(3-c)/5)%120+rng.IntN(20)))
			}
		}
	}
	return out
}

// overlap compares extraction from files, nothing cached, with the network alone on the same
// batches.
func (s *session) overlap(ctx context.Context) error {
	ds, err := s.dataset(ctx)
	if err != nil {
		return err
	}
	e, err := s.open(ctx)
	if err != nil {
		return err
	}
	net, err := s.load(ctx, zoo.Rows()[0].Name)
	if err != nil {
		return err
	}
	back := features.FromNet(net, e).Usual()
	network, err := back.Open(ctx, net.Preset.Size)
	if err != nil {
		return err
	}
	back.Open = func(context.Context, int) (func([]float32) ([]float32, error), error) { return network, nil }
	items, pipeline := ds.In("all"), net.Preset.Eval()
	items = items[:min(len(items), 400)]
	pass := features.Pass{
		Size: net.Preset.Size, Pictures: len(items),
		Prepare: func(i int) (transforms.Tensor, error) {
			return pipeline.LoadFile(nil, items[i].Path, transforms.DecodeOptions{}, transforms.Rand{})
		},
		Use: func([]int, []float32) error { return nil },
		Bad: func(int, error) {},
	}
	var whole, alone []float64
	for range rounds {
		s.doing("extracting from files")
		start := time.Now()
		if err := features.Forward(ctx, back, pass); err != nil {
			return err
		}
		whole = append(whole, float64(len(items))/time.Since(start).Seconds())
		input := make([]float32, back.Batch*net.Preset.Size*net.Preset.Size*3)
		rate, err := repeat(s.Seconds, back.Batch, func() error { _, err := network(input); return err })
		if err != nil {
			return err
		}
		alone = append(alone, rate)
	}
	s.add(Figure{Name: "extraction from files, " + net.Row.Name, Ours: median(whole), Unit: picturesPerSecond}.
		against(otherWay, "the network alone", median(alone)))
	return nil
}
