package export_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A head file holds the head and everything needed to turn a picture into a prediction. With one
// flipped bit, it does not open.
func ExampleRead() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "ants-and-bees.head.safetensors")
	trained := &export.Head{
		Labels:   []string{"ants", "bees"},
		Preset:   transforms.Preset{Name: "small", Size: 32, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
		Backbone: export.Backbone{Name: "mobilenetv2", SHA256: strings.Repeat("0f", 32), Features: 3},
		Data:     export.Data{Name: "insects", Fingerprint: "of the pictures", Train: 244},
		Result:   export.Result{Split: "valid", Score: metrics.Fraction{Correct: 146, Total: 153}.Score()},
		Linear:   head.Linear{Features: 3, Classes: 2, Weight: []float32{1, 2, 3, -1, -2, -3}, Bias: []float32{0.5, -0.5}},
		Parity:   make([]float32, 2*export.ParityPictures),
	}
	if err := trained.Write(path); err != nil {
		log.Fatal(err)
	}
	h, err := export.Read(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Labels, "on", h.Backbone.Name)
	fmt.Println(h.Result.Score)

	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		log.Fatal(err)
	}
	_, err = export.Read(path)
	fmt.Println("opens with a flipped bit:", err == nil)
	// Output:
	// [ants bees] on mobilenetv2
	// accuracy 95.4 % (146 of 153, 95 % 90.9-97.8)
	// opens with a flipped bit: false
}
