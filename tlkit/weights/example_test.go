package weights_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

func ExampleOpen() {
	f, err := weights.Open("testdata/checkpoint.pth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Println(f.Format, f.Metadata["entry"], f.Metadata["prefix"])
	for _, name := range f.Names()[:3] {
		t, _ := f.Tensor(name)
		fmt.Println(name, t.DType, t.Shape)
	}
	// Output:
	// pytorch zip state_dict _orig_mod.module.
	// conv.weight F32 [4 3 3 3]
	// bn.weight F32 [4]
	// bn.bias F32 [4]
}

func ExampleOpen_refused() {
	_, err := weights.Open("testdata/script.pt")
	fmt.Println(err)
	// Output:
	// weights: testdata/script.pt: this is TorchScript (torch.jit.save): a program with its weights. Load it with torch.jit.load and torch.save(model.state_dict(), ...)
}

func ExampleMatch() {
	f, err := weights.Open("testdata/zip.pth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	want := []weights.Want{
		{Name: "conv.weight", Shape: []int{4, 3, 3, 3}, Layout: weights.OIHWtoHWIO},
		{Name: "bn.weight", Shape: []int{4}},
		{Name: "bn.bias", Shape: []int{4}},
		{Name: "bn.running_mean", Shape: []int{4}},
		{Name: "bn.running_var", Shape: []int{4}},
		{Name: "depthwise.weight", Shape: []int{4, 1, 3, 3}, Layout: weights.DepthwiseToHWC},
		{Name: "depthwise.bias", Shape: []int{4}},
	}
	// The file's linear layer is for another number of classes.
	loaded, report, err := weights.Match(f, want, weights.MatchOptions{Ignore: []string{"tail."}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded["conv.weight"].Shape, loaded["depthwise.weight"].Shape)
	fmt.Println(report)
	// Output:
	// [3 3 3 4] [3 3 4]
	// testdata/zip.pth: 7 of 7 wanted tensors loaded, 2 ignored
}

// What does not fit is listed whole.
func ExampleMatch_differences() {
	f, err := weights.Open("testdata/python.safetensors")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	_, _, err = weights.Match(f, []weights.Want{
		{Name: "a.weight", Shape: []int{2, 2}},
		{Name: "b.weight", Shape: []int{4, 3}},
		{Name: "b.bias", Shape: []int{3}},
	}, weights.MatchOptions{Ignore: []string{"half", "empty"}})
	fmt.Println(err)
	// Output:
	// weights: testdata/python.safetensors does not fit the network (3 tensors wanted): 1 missing, 1 unexpected, 1 of the wrong shape
	//   missing b.bias
	//   unexpected count
	//   wrong shape b.weight: got [3 4], want [4 3]
}

func ExampleWriteSafetensors() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "head.safetensors")
	err = weights.WriteSafetensors(path, []weights.Tensor{
		weights.FromFloat32("head.weight", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}),
		weights.FromFloat32("head.bias", []int{2}, []float32{0.5, -0.5}),
	}, map[string]string{"format": "pt", "labels": "ants,bees"})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := weights.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	bias, _ := f.Tensor("head.bias")
	values, err := bias.Float32()
	fmt.Println(f.Names(), f.Metadata["labels"], values, err)
	// Output:
	// [head.bias head.weight] ants,bees [0.5 -0.5] <nil>
}

// A file of Keras has names of its own form in each of Keras' formats, and layers
// that were numbered when they were made. KerasNames brings them to the names that an
// architecture uses.
func ExampleKerasNames() {
	f, err := weights.Open("testdata/tfjs/model.json")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Println(f.Format, "of", f.Metadata["layers"])
	rename := weights.KerasNames(f, []weights.KerasLayer{
		{Name: "conv2d", Class: "Conv2D", Vars: []string{"kernel", "bias"}},
		{Name: "conv2d_1", Class: "Conv2D", Vars: []string{"kernel", "bias"}},
	})
	for _, key := range f.Names() {
		fmt.Println(key, "->", rename(key))
	}
	// Output:
	// tensorflow.js of InputLayer 1, Conv2D 2
	// conv2d_2/kernel -> conv2d_1/kernel
	// conv2d_2/bias -> conv2d_1/bias
	// conv2d_10/kernel -> conv2d/kernel
	// conv2d_10/bias -> conv2d/bias
	// count -> count
	// mask -> mask
	// steps -> steps
}
