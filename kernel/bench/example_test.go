package bench_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/kernel/bench"
)

// A figure is a line of a table, next to the peer's from the same run.
func ExampleFigure() {
	fmt.Println(bench.Figure{Name: "forward mobilenetv2", Ours: 66, Unit: "pictures/s",
		Peers: map[bench.Peer]float64{"torch": 44}, By: map[bench.Peer]string{"torch": "torch 2.9.0"}})
	fmt.Println(bench.Figure{Name: "head, 25 epochs of SGD, 244 x 1280", Ours: 0.12, Unit: "s"})
	// Output:
	// forward mobilenetv2                               66.00 pictures/s   torch 2.9.0 44.00, ratio 1.50
	// head, 25 epochs of SGD, 244 x 1280                 0.12 s
}
