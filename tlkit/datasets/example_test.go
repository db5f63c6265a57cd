package datasets_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// folder makes label folders with grey pictures, for the examples.
func folder(labels map[string]int) string {
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		panic(err)
	}
	grey := 0
	for label, n := range labels {
		os.Mkdir(filepath.Join(dir, label), 0o700)
		for i := range n {
			img := image.NewGray(image.Rect(0, 0, 4, 4))
			img.Pix[0], img.Pix[1] = uint8(grey), uint8(len(label))
			grey++
			f, err := os.Create(filepath.Join(dir, label, fmt.Sprintf("%d.png", i)))
			if err != nil {
				panic(err)
			}
			png.Encode(f, img)
			f.Close()
		}
	}
	return dir
}

func ExampleOpen() {
	dir := folder(map[string]int{"ants": 10, "bees": 5}) // a folder of yours
	defer os.RemoveAll(dir)

	set, err := datasets.Open(context.Background(), dir, datasets.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(set.Report.Text())
	fmt.Println("reported on:", set.Evaluation())
	fmt.Println("fit for training:", set.CheckTraining() == nil)
	// Output:
	// label    train    valid
	// ants         8        2
	// bees         4        1
	//             12        3
	// reported on: valid
	// fit for training: true
}

func ExampleFolds() {
	items := []datasets.Item{
		{Rel: "a1", Class: 0, SHA256: "1"}, {Rel: "a2", Class: 0, SHA256: "2"}, {Rel: "a2 again", Class: 0, SHA256: "2"}, {Rel: "a3", Class: 0, SHA256: "3"},
		{Rel: "b1", Class: 1, SHA256: "4"}, {Rel: "b2", Class: 1, SHA256: "5"},
	}
	for _, held := range datasets.Folds(items, 2, 1) {
		classes := map[int]int{}
		together := 0
		for _, i := range held {
			classes[items[i].Class]++
			if items[i].SHA256 == "2" {
				together++
			}
		}
		fmt.Println(classes, together != 1)
	}
	// Output:
	// map[0:2 1:1] true
	// map[0:2 1:1] true
}
