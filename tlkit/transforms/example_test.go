package transforms_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The well-known training pipeline of PyTorch's tutorials.
func ExampleCompose() {
	train := transforms.Compose(
		transforms.RandomResizedCrop(224),
		transforms.RandomHorizontalFlip(),
		transforms.ToTensor(),
		transforms.Normalize([3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}),
	)
	pic, err := transforms.DecodeFile("testdata/jpeg_420.jpg", transforms.DecodeOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := train.Apply(pic, transforms.Rand{Seed: 1, Epoch: 0, Picture: 17})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.Height, x.Width, x.Channels, len(x.Data))
	// Output: 224 224 3 150528
}

// A preset is what a checkpoint expects; its statistics can be exchanged by name.
func ExamplePreset() {
	imagenet, _ := transforms.Statistics("imagenet")
	p := transforms.Preset{
		Name: "resnet18", Size: 224, Resize: 256, Geometry: transforms.GeometryShort,
	}.WithStatistics(imagenet)
	fmt.Println(p.Eval())

	caffe, _ := transforms.Statistics("caffe")
	fmt.Println(p.WithStatistics(caffe).Eval())
	// Output:
	// Compose(Resize(256), CenterCrop(224), ToTensor(), Normalize([0.485 0.456 0.406], [0.229 0.224 0.225]))
	// Compose(Resize(256), CenterCrop(224), ToTensor(0 to 255), BGR, Normalize([103.939 116.779 123.68], [1 1 1]))
}

func ExampleDecode() {
	_, err := transforms.Decode([]byte("<html>404 not found</html>"), transforms.DecodeOptions{})
	var d *transforms.DecodeError
	if errors.As(err, &d) {
		fmt.Println(d.Kind)
		fmt.Println(err)
	}
	// Output:
	// not a picture
	// transforms: not a picture: HTML, XML or SVG text; wanted JPEG, PNG, GIF, WebP, BMP, TIFF or PNM
}

// Pictures are decoded in parallel and used in order.
func ExampleEach() {
	paths := []string{"testdata/jpeg_420.jpg", "testdata/golden.json", "testdata/gif.gif"}
	pipeline := transforms.Compose(transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor())
	err := transforms.Each(context.Background(), len(paths), 2, func(i int) (transforms.Tensor, error) {
		return pipeline.LoadFile(nil, paths[i], transforms.DecodeOptions{}, transforms.Rand{Picture: i})
	}, func(i int, x transforms.Tensor, err error) error {
		var d *transforms.DecodeError
		if errors.As(err, &d) {
			fmt.Println(d.Path, "is", d.Kind)
			return nil // go on
		}
		fmt.Println(paths[i], x.Height, x.Width)
		return err
	})
	fmt.Println(err)
	// Output:
	// testdata/jpeg_420.jpg 32 32
	// testdata/golden.json is not a picture
	// testdata/gif.gif 32 32
	// <nil>
}

func ExampleMeasureStatistics() {
	m, err := transforms.MeasureStatistics(context.Background(), []string{"testdata/jpeg_420.jpg", "testdata/png_rgb.png"}, transforms.MeasureOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d pictures, %d pixels, mean %.3f, std %.3f\n", m.Pictures, m.Pixels, m.Mean, m.Std)
	// Output: 2 pictures, 2970 pixels, mean [0.542 0.553 0.554], std [0.276 0.277 0.271]
}
