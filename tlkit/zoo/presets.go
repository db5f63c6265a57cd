package zoo

import "github.com/tlkit/transfer-learning/tlkit/transforms"

// The presets and the small constants that several families share.

const (
	torchEps      = 1e-5 // torch.nn.BatchNorm2d's default
	tensorflowEps = 1e-3 // what TensorFlow's networks were trained with
)

// short is torchvision's evaluation: the short side to resize pixels, the square of size in the
// middle, ImageNet's statistics.
func short(name string, resize, size int, filter transforms.Interpolation) transforms.Preset {
	p := transforms.Preset{Name: name, Size: size, Resize: resize, Geometry: transforms.GeometryShort, Interpolation: filter}
	return p.WithStatistics(statistics("imagenet"))
}

// kerasPreset has the statistics of Keras' preprocess_input in that mode. Of its published
// accuracies Keras says only that they are of a single crop in the middle, so the geometry is that
// of the people who trained: Caffe's is the short side to 256 and the middle 224, TensorFlow's the
// middle seven eighths, then to size.
func kerasPreset(name string, size int, mode string) transforms.Preset {
	p := transforms.Preset{Name: name, Size: size, Geometry: transforms.GeometryCrop, CropFraction: 0.875, Interpolation: transforms.Bilinear}
	if mode == "caffe" {
		p.Resize, p.Geometry, p.CropFraction = size*8/7, transforms.GeometryShort, 0
	}
	return p.WithStatistics(statistics(mode))
}

// statistics are those of a name that package transforms knows.
func statistics(name string) transforms.Preset {
	p, err := transforms.Statistics(name)
	if err != nil {
		panic(err) // a name that this package misspelt
	}
	return p
}
