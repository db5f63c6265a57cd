package parts_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/parts"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Three pictures in parts of two. The second pass finds every shard there.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, c := range map[string]color.Color{"cold/blue.png": color.RGBA{0, 0, 255, 255}, "cold/teal.png": color.RGBA{0, 51, 102, 255}, "warm/red.png": color.RGBA{255, 0, 0, 255}} {
		paint(filepath.Join(dir, "photos", filepath.FromSlash(name)), c)
	}

	ctx := context.Background()
	m, err := parts.Write(ctx, filepath.Join(dir, "manifest"), filepath.Join(dir, "photos"), parts.Options{Size: 2})
	if err != nil {
		log.Fatal(err)
	}
	preset := transforms.Preset{Size: 8, Resize: 8, Geometry: transforms.GeometryShort, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
	job := parts.Job{
		Manifest: m, Preset: preset, Backbone: meanColour, Out: filepath.Join(dir, "shards"),
		Function: parts.Function{Model: "mean colour", Preset: preset.Digest(), Features: 3},
	}
	for range 2 {
		for k := range m.Parts {
			done, err := job.Extract(ctx, k)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("part %d: %d rows, there before: %v\n", k, done.Rows, done.There)
		}
	}
	all, err := parts.Gather(job.Out, m, "")
	if err != nil {
		log.Fatal(err)
	}
	_ = all.Each(func(r parts.Row, x []float32) error {
		fmt.Printf("%s %s %.1f\n", r.Label, r.Path, x)
		return nil
	})
	// Output:
	// part 0: 2 rows, there before: false
	// part 1: 1 rows, there before: false
	// part 0: 2 rows, there before: true
	// part 1: 1 rows, there before: true
	// cold cold/blue.png [0.0 0.0 1.0]
	// cold cold/teal.png [0.0 0.2 0.4]
	// warm warm/red.png [1.0 0.0 0.0]
}

// meanColour stands in for a network: features.FromNet makes a Backbone from a checkpoint of the zoo.
var meanColour = features.Backbone{
	Identity: "mean colour", Features: 3, Batch: 2,
	Open: func(_ context.Context, size int) (func([]float32) ([]float32, error), error) {
		return func(batch []float32) ([]float32, error) {
			out := make([]float32, 2*3)
			for i, v := range batch {
				out[3*(i/(size*size*3))+i%3] += v / float32(size*size)
			}
			return out, nil
		}, nil
	},
}

func paint(path string, c color.Color) {
	picture := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		picture.Set(i%8, i/8, c)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, picture); err != nil {
		log.Fatal(err)
	}
}
