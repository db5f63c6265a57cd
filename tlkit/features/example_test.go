package features_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// meanColour stands in for a network: its three features are the mean red, green and blue.
// features.FromNet makes such a Backbone from a checkpoint of the zoo.
var meanColour = features.Backbone{
	Identity: "mean colour", Features: 3, Batch: 2,
	Open: func(_ context.Context, size int) (func([]float32) ([]float32, error), error) {
		return func(batch []float32) ([]float32, error) {
			out := make([]float32, 2*3)
			for i, v := range batch {
				picture, channel := i/(size*size*3), i%3
				out[3*picture+channel] += v / float32(size*size)
			}
			return out, nil
		}, nil
	},
}

// The first pass computes, the second one finds everything in the cache.
func ExampleExtract() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer os.Setenv("TLKIT_CACHE", os.Getenv("TLKIT_CACHE"))
	os.Setenv("TLKIT_CACHE", filepath.Join(dir, "cache")) // otherwise it is in the user's cache folder
	paint(filepath.Join(dir, "data", "warm", "red.png"), color.RGBA{255, 0, 0, 255})
	paint(filepath.Join(dir, "data", "cold", "blue.png"), color.RGBA{0, 0, 255, 255})
	paint(filepath.Join(dir, "data", "cold", "teal.png"), color.RGBA{0, 51, 102, 255})

	ctx := context.Background()
	ds, err := datasets.Open(ctx, filepath.Join(dir, "data"), datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	job := features.Job{
		Items: ds.Items, Backbone: meanColour,
		Preset: transforms.Preset{
			Size: 8, Resize: 8, Geometry: transforms.GeometryShort,
			Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB",
		},
	}
	for range 2 {
		m, err := features.Extract(ctx, job)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d rows, %d of them from the cache\n", m.Rows(), m.Cached)
		for i := range m.Rows() {
			fmt.Printf("  %s %.1f\n", filepath.Base(ds.Items[m.Items[i]].Path), m.Row(i))
		}
	}
	// Output:
	// 3 rows, 0 of them from the cache
	//   blue.png [0.0 0.0 1.0]
	//   teal.png [0.0 0.2 0.4]
	//   red.png [1.0 0.0 0.0]
	// 3 rows, 3 of them from the cache
	//   blue.png [0.0 0.0 1.0]
	//   teal.png [0.0 0.2 0.4]
	//   red.png [1.0 0.0 0.0]
}

func paint(path string, c color.Color) {
	img := image.NewRGBA(image.Rect(0, 0, 12, 10))
	for i := range 12 * 10 {
		img.Set(i%12, i/12, c)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		log.Fatal(err)
	}
}

// The rows that are most similar to one, and a file of all rows that NumPy reads.
func ExampleFile() {
	m := &features.Matrix{Features: 2, Items: []int{0, 1, 2}, Data: []float32{1, 0, 0, 1, 1, 1}}
	pictures := []string{"a.jpg", "b.jpg", "c.jpg"}
	for _, n := range m.Nearest([]float32{3, 2}, 2) {
		fmt.Printf("%s %.3f\n", pictures[m.Items[n.Row]], n.Cosine)
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f := features.File{Path: filepath.Join(dir, "all.npy")}
	if err := f.Write(m, pictures); err != nil {
		log.Fatal(err)
	}
	for _, name := range f.Files() {
		fmt.Println(filepath.Base(name))
	}
	// Output:
	// c.jpg 0.981
	// a.jpg 0.832
	// all.npy
	// all.npy.txt
}
