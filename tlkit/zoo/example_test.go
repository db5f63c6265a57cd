package zoo_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

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
