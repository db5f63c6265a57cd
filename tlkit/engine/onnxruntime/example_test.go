package onnxruntime_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
)

// One session on one thread serves several goroutines: each computes its own batch.
func ExampleRuntime_Session() {
	lib, err := onnxruntime.Find()
	if err != nil {
		log.Fatal(err) // with what to type
	}
	rt, err := onnxruntime.Open(context.Background(), lib)
	if err != nil {
		log.Fatal(err)
	}
	model, err := os.ReadFile("mobilenetv2.onnx")
	if err != nil {
		log.Fatal(err)
	}
	s, err := rt.Session(model, onnxruntime.SessionOptions{Threads: 1, Outputs: []string{"features"}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	fmt.Println("wants", s.Inputs()[0])
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{2, 224, 224, 3}, Float32: make([]float32, 2*224*224*3)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("features", out[0].Shape)
}
