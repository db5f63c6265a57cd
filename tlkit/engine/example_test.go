package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/engine"
)

func ExampleOpen() {
	e, err := engine.Open(context.Background(), engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	// log.Print(e) tells the backend, the device, and why it is not a better one.
	double := graph.MustNewExec(e.Backend, func(x *graph.Node) *graph.Node { return graph.Add(x, x) })
	fmt.Println(double.MustCall([]float32{1, 2, 3})[0].Value())
	// Output: [2 4 6]
}

// The compile cache keeps programs between processes. Engines of one process share a backend.
func ExampleEngine_CompileCache() {
	e, err := engine.Open(context.Background(), engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	before := e.CompileCache()
	square := graph.MustNewExec(e.Backend, func(x *graph.Node) *graph.Node { return graph.Mul(x, x) })
	fmt.Println(square.MustCall(float32(3))[0].Value())
	after := e.CompileCache()
	// With XLA, one more program was compiled, or loaded from the cache; plain Go has no cache.
	programs := after.Hits + after.Misses - before.Hits - before.Misses
	fmt.Println(programs <= 1, after.Rejected == before.Rejected)
	// Output:
	// 9
	// true true
}
