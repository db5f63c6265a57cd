package keypoint_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/keypoint"
)

// Maps of 4 x 4 cells with one channel, which is bright where the thing is. Those of a network have
// hundreds of channels, and [Fit] finds out which of them matter.
func ExampleFit() {
	s := keypoint.Samples{Map: [3]int{4, 4, 1}}
	for i := range 12 {
		x, y := i%4, (i/4+i)%4
		row := make([]float32, 16)
		row[y*4+x] = 1
		s.X = append(s.X, row...)
		s.At = append(s.At, [2]float64{(float64(x) + 0.5) / 4, (float64(y) + 0.5) / 4}) // middles of cells
	}
	fit, err := keypoint.Fit(context.Background(), s, keypoint.Options{})
	if err != nil {
		log.Fatal(err)
	}
	seen := make([]float32, 16)
	seen[1*4+2] = 1
	p, err := fit.Head.Find(seen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("x %.2f, y %.2f of the picture\n", p.X, p.Y)
	// Output:
	// x 0.62, y 0.38 of the picture
}
