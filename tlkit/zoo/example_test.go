package zoo_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func ExampleFind() {
	row, err := zoo.Find("resnet18.tv_in1k")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(row.Name, row.Params, row.Preset.Resize, row.Preset.Size, row.Top1)
	_, err = zoo.Find("resnt18")
	fmt.Println(err)
	// Output:
	// resnet18 11689512 256 224 69.758
	// zoo: no model "resnt18"; nearest are resnet18, resnet34, resnet50 (all: tlkit models)
}

// A network from an ONNX file: what it is made of, and where it can be frozen.
func ExampleLoad_onnx() {
	preset := transforms.Preset{
		Size: 18, Geometry: transforms.GeometryShort, Range: [2]float32{0, 1},
		Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}, Channels: "RGB",
	}
	net, err := zoo.Load(context.Background(), "../onnx/testdata/mobile.onnx", zoo.Options{Preset: &preset})
	if err != nil {
		log.Fatal(err)
	}
	d := net.Declaration()
	fmt.Println(net.Row.Name, d.Features, d.Classes)
	for _, s := range d.Stages {
		fmt.Println(s.Name, s.Shape)
	}
	_, err = zoo.Load(context.Background(), "../onnx/testdata/mobile.onnx#nowhere", zoo.Options{Preset: &preset})
	fmt.Println(err)
	// Output:
	// mobile.onnx#hidden 12 7
	// mul.3 [9 9 8]
	// maxpool.4 [5 5 8]
	// leakyrelu.20 [3 3 16]
	// features [1 1 12]
	// onnx: ../onnx/testdata/mobile.onnx: no value or node "nowhere" to cut at; the last ones before its end are "logits" (Gemm), "dropout.27" (Dropout), "hidden" (Clip), "gemm.24" (Gemm), "reshape.23" (Reshape), "globalaveragepool.21" (GlobalAveragePool), "leakyrelu.20" (LeakyRelu), "conv.19" (Conv)
}

// Features of prepared pictures, 8 at a time.
func ExampleNet_NewExtractor() {
	var backend compute.Backend // engine.Open gives one
	net, err := zoo.Load(context.Background(), "mobilenetv2", zoo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	x, err := net.NewExtractor(backend, 8)
	if err != nil {
		log.Fatal(err)
	}
	defer x.Close()
	pictures := make([]float32, 8*224*224*3) // what net.Preset.Eval() makes of eight pictures
	features, _, err := x.Run(pictures)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(features)/8, "features a picture")
}

// A pretrained network inside a graph function of your own.
func ExampleNet_Graph() {
	var backend compute.Backend // engine.Open gives one
	net, err := zoo.Load(context.Background(), "resnet18", zoo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	exec, err := model.NewExec(backend, model.NewStore(), func(scope *model.Scope, images *graph.Node) *graph.Node {
		out := net.Graph(scope.In("backbone"), images)
		return graph.L2Normalize(graph.StopGradient(out.Features), -1) // [N,512]
	})
	if err != nil {
		log.Fatal(err)
	}
	directions, err := exec.Call1(tensors.FromFlatDataAndDimensions(make([]float32, 224*224*3), 1, 224, 224, 3))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(directions.Shape())
}
