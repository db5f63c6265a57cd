package audit_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/audit"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// One picture of the training split is also in valid, mirrored. The features come from features.Extract or
// run.Spec.Features; here the mean colour stands for them.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i := range 16 {
		split, seed := "train", uint64(i)
		if i >= 12 {
			split = "valid"
		}
		if i == 15 {
			seed = 5
		}
		draw(filepath.Join(dir, split, []string{"ants", "bees"}[i%2], fmt.Sprintf("%d.png", i)), seed, i == 15)
	}
	set, err := datasets.Open(context.Background(), dir, datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	report, err := audit.Run(context.Background(), audit.Input{Set: set, Features: colours(set)})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range report.Of(audit.Leak) {
		fmt.Println(f.Kind, f.Files, "serious:", f.Serious)
	}
	// Output:
	// leak [train/bees/5.png valid/bees/15.png] serious: true
}

// draw writes a picture of random patches.
func draw(path string, seed uint64, mirrored bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	m := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for y := 0; y < 64; y += 8 {
		for x := 0; x < 64; x += 8 {
			c := color.RGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
			at := x
			if mirrored {
				at = 56 - x
			}
			for i := range 64 {
				m.SetRGBA(at+i%8, y+i/8, c)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

// colours returns the mean colour of each picture as its features.
func colours(set *datasets.Dataset) *features.Matrix {
	m := &features.Matrix{Features: 3}
	for i, item := range set.Items {
		f, err := os.Open(item.Path)
		if err != nil {
			log.Fatal(err)
		}
		picture, err := png.Decode(f)
		f.Close()
		if err != nil {
			log.Fatal(err)
		}
		var sum [3]float32
		for k := range 64 * 64 {
			r, g, b, _ := picture.At(k%64, k/64).RGBA()
			sum[0], sum[1], sum[2] = sum[0]+float32(r), sum[1]+float32(g), sum[2]+float32(b)
		}
		m.Items, m.Data = append(m.Items, i), append(m.Data, sum[:]...)
	}
	return m
}
