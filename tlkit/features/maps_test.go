package features

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Rows in float16 are within the bound that Backbone.Half states, whatever the size of their numbers,
// and rounding a second time changes nothing.
func TestHalfIsWithinItsBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		row := make([]float32, 40)
		scale := math.Pow(10, 60*r.Float64()-30)
		var largest float64
		for i := range row {
			row[i] = float32(scale * r.NormFloat64() * math.Pow(10, -9*r.Float64()))
			if i%7 == 0 {
				row[i] = 0
			}
			largest = max(largest, math.Abs(float64(row[i])))
		}
		if r.IntN(4) == 0 { // rounds up to the next power of two
			row[3] = float32(math.Ldexp(1, r.IntN(200)-100) * (1 - 1e-5))
			largest = max(largest, math.Abs(float64(row[3])))
		}
		once := slices.Clone(row)
		roundHalf(once)
		for i, v := range row {
			off := math.Abs(float64(v) - float64(once[i]))
			if off > math.Abs(float64(v))/2048 && off > math.Ldexp(largest, -28) {
				t.Fatalf("%g became %g in a row whose largest is %g", v, once[i], largest)
			}
		}
		twice := slices.Clone(once)
		if roundHalf(twice); !slices.Equal(once, twice) {
			t.Fatalf("rounded again, %v became %v", once, twice)
		}
	}
	zero := []float32{0, 0}
	if roundHalf(zero); zero[0] != 0 || zero[1] != 0 {
		t.Errorf("zeros became %v", zero)
	}
}

// drawn is a job of pictures that are not files: squares of one colour.
func drawn(t *testing.T, b Backbone, pictures []*transforms.Picture) Job {
	t.Helper()
	t.Setenv("TLKIT_CACHE", t.TempDir())
	job := Job{
		Backbone: b, Picture: func(i int) (*transforms.Picture, error) { return pictures[i], nil },
		Preset: transforms.Preset{Size: 8, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
	}
	for i, p := range pictures {
		job.Items = append(job.Items, datasets.Item{Rel: fmt.Sprintf("frame %d", i), SHA256: Sum(p)})
	}
	return job
}

func flat(colour ...uint8) *transforms.Picture {
	p := transforms.NewPicture(8, 8)
	for i := range p.Pix {
		p.Pix[i] = colour[i%3]
	}
	return p
}

// Pictures that are not files are kept by their pixels: the same picture is computed once, wherever
// it is in the job; another picture under the old key is refused.
func TestDrawnPicturesAreKeptByTheirPixels(t *testing.T) {
	calls := 0
	mean := Backbone{Identity: "mean", Features: 3, Batch: 2, Half: true, Open: func(context.Context, int) (func([]float32) ([]float32, error), error) {
		return func(batch []float32) ([]float32, error) {
			calls++
			out := make([]float32, 6)
			for i, v := range batch {
				out[i/(64*3)*3+i%3] += v / 64
			}
			return out, nil
		}, nil
	}}
	red, blue := flat(255, 0, 0), flat(0, 0, 255)
	job := drawn(t, mean, []*transforms.Picture{red, blue, red})
	m, err := Extract(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, 0, 0, 0, 0, 1, 1, 0, 0}; !slices.Equal(m.Data, want) || calls != 1 {
		t.Errorf("rows %v after %d calls, want %v after 1", m.Data, calls, want)
	}
	again := job
	again.Items = job.Items[:2]
	if m, err := Extract(t.Context(), again); err != nil || m.Cached != 2 || calls != 1 {
		t.Errorf("%v after %d calls: want both rows from the cache", err, calls)
	}
	full := job
	full.Items = job.Items[:2]
	full.Backbone.Half = false
	if m, err := Extract(t.Context(), full); err != nil || m.Cached != 0 {
		t.Errorf("%v: rows of float16 were taken for rows of float32", err)
	}
	other := job
	other.Items = []datasets.Item{{Rel: "frame", SHA256: Sum(flat(1, 2, 3))}}
	if _, err := Extract(t.Context(), other); err == nil || !strings.Contains(err.Error(), "features.Sum") {
		t.Errorf("another picture than its key says: %v", err)
	}
	// The size is part of the content.
	wide := &transforms.Picture{Width: 16, Height: 4, Pix: red.Pix}
	if Sum(wide) == Sum(red) {
		t.Error("pictures of other shapes have the same sum")
	}
}

// Both runtimes give the same map, cell by cell, and the cache gives what Forward gives.
func TestMapsOfBothRuntimesAgree(t *testing.T) {
	e := needRuntime(t)
	row, err := zoo.Find("mobilenetv2")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "formula.safetensors")
	if err := formulanet.Write(file, row.Arch(), 96, 1); err != nil {
		t.Fatal(err)
	}
	preset := row.Preset
	preset.Size, preset.Geometry, preset.Resize, preset.CropFraction = 96, transforms.GeometrySquash, 0, 0
	net, err := zoo.Load(t.Context(), "mobilenetv2", zoo.Options{Weights: file, Preset: &preset})
	if err != nil {
		t.Fatal(err)
	}
	b, err := FromStage(net, e, "features.13")
	if err != nil {
		t.Fatal(err)
	}
	if b.Map != [3]int{6, 6, 96} || b.Features != 6*6*96 || b.Form.Runtime != engine.ONNXRuntime {
		t.Fatalf("map %v of %d numbers in the form %s", b.Map, b.Features, b.Form)
	}
	plain, err := engine.Open(t.Context(), engine.Options{Form: engine.Form{Runtime: engine.XLA, Batch: cpuBatch}})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	x, err := FromStage(net, plain, "features.13")
	if err != nil {
		t.Fatal(err)
	}
	pixels := golden.Input(96, cpuBatch)
	values := func(b Backbone) []float32 {
		run, err := b.Open(t.Context(), 96)
		if err != nil {
			t.Fatal(err)
		}
		out, err := run(pixels)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if off := difference(values(b), values(x)); off > 2e-5 {
		t.Errorf("the runtimes differ by %.2g of the largest", off)
	}
	if b.Identity == x.Identity {
		t.Error("rows of both runtimes share a file")
	}
	if _, err := FromStage(net, e, "features.99"); err == nil || !strings.Contains(err.Error(), "features.13") {
		t.Errorf("an unknown stage: %v", err)
	}
	job := drawn(t, b, []*transforms.Picture{flat(200, 30, 90), flat(0, 160, 10), flat(7, 7, 7)})
	job.Preset = preset
	m, err := Extract(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	eval := preset.Eval()
	err = Forward(t.Context(), b, Pass{
		Size: 96, Pictures: 3,
		Prepare: func(i int) (transforms.Tensor, error) {
			p, _ := job.Picture(i)
			return eval.Apply(p, transforms.Rand{})
		},
		Use: func(pictures []int, rows []float32) error {
			for k, i := range pictures {
				if !slices.Equal(rows[k*b.Features:][:b.Features], m.Row(i)) {
					t.Errorf("picture %d: the cache and Forward differ", i)
				}
			}
			return nil
		},
		Bad: func(i int, err error) { t.Error(i, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
}
