package onnx_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// What is in a file: where it is cut, what a head is trained on, where it can be frozen.
func ExampleOpen() {
	net, err := onnx.Open(onnx.Ref{File: "testdata/mobile.onnx"})
	if err != nil {
		log.Fatal(err)
	}
	d, err := backbone.Declare(net, net.Size())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("cut at %q: %d features, %d classes\n", net.Cut(), d.Features, d.Classes)
	for _, s := range d.Stages {
		fmt.Println(s.Name, s.Shape)
	}
	// Output:
	// cut at "hidden": 12 features, 7 classes
	// mul.3 [9 9 8]
	// maxpool.4 [5 5 8]
	// leakyrelu.20 [3 3 16]
	// features [1 1 12]
}

func ExampleParseRef() {
	for _, name := range []string{"my.onnx", "nets/my.onnx#pool/AvgPool:0", "resnet18"} {
		ref, ok := onnx.ParseRef(name)
		fmt.Printf("%v: file %q, cut %q\n", ok, ref.File, ref.Cut)
	}
	// Output:
	// true: file "my.onnx", cut ""
	// true: file "nets/my.onnx", cut "pool/AvgPool:0"
	// false: file "", cut ""
}

// From a file to features and logits of two pictures.
func Example() {
	const file, size = "testdata/tokens.onnx", 16
	net, err := onnx.Open(onnx.Ref{File: file})
	if err != nil {
		log.Fatal(err)
	}
	d, err := backbone.Declare(net, size)
	if err != nil {
		log.Fatal(err)
	}

	f, err := weights.Open(file)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	found, _, err := weights.Match(f, d.Wants(), weights.MatchOptions{Rename: net.Key})
	if err != nil {
		log.Fatal(err)
	}
	store := model.NewStore()
	for name, w := range found {
		value := tensors.FromFlatDataAndDimensions(w.Data, w.Shape...)
		if _, err := store.RootScope().CreateVariable(name, value); err != nil {
			log.Fatal(err)
		}
	}

	backend, err := gobackend.New("ops_sequential") // package engine opens the fast ones
	if err != nil {
		log.Fatal(err)
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		out := backbone.Graph(net, scope, x)
		return []*graph.Node{out.Features, out.Logits}
	})
	if err != nil {
		log.Fatal(err)
	}
	pictures := tensors.FromFlatDataAndDimensions(make([]float32, 2*size*size*3), 2, size, size, 3)
	out, err := exec.Call(pictures)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out[0].Shape(), out[1].Shape())
	// Output:
	// (Float32)[2, 12] (Float32)[2, 5]
}
