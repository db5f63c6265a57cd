package zoo

import (
	"path"
	"strings"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// What several families share.

const (
	torchEps      = 1e-5 // torch.nn.BatchNorm2d's default
	tensorflowEps = 1e-3 // what TensorFlow's networks were trained with
)

// Mean and standard deviation of ImageNet's pictures in [0,1], as every torchvision example has
// them.
var (
	imagenetMean = [3]float32{0.485, 0.456, 0.406}
	imagenetStd  = [3]float32{0.229, 0.224, 0.225}
)

// short is torchvision's evaluation: the short side to resize pixels, the square of size in the
// middle, ImageNet's statistics.
func short(name string, resize, size int, filter transforms.Interpolation) transforms.Preset {
	return transforms.Preset{
		Name: name, Size: size, Resize: resize, Geometry: transforms.GeometryShort, Interpolation: filter,
		Range: [2]float32{0, 1}, Mean: imagenetMean, Std: imagenetStd, Channels: "RGB",
	}
}

const (
	torchvisionOrigin = "https://docs.pytorch.org/vision/stable/models.html"
	// The licence of the library. Its documentation warns that weights may carry terms of the data
	// they were trained on.
	torchvisionLicence = "BSD-3-Clause"
)

// torchvision is a file on PyTorch's own host. The eight hex digits in its name are the beginning
// of its sha256, which torch.hub checks in the same way.
func torchvision(name string) fetch.File {
	hash := strings.TrimSuffix(name[strings.LastIndexByte(name, '-')+1:], ".pth")
	return fetch.File{Name: name, SHA256: hash, Sources: []fetch.Source{{URL: "https://download.pytorch.org/models/" + name}}}
}

const (
	kerasOrigin  = "https://keras.io/api/applications/"
	kerasLicence = "Apache-2.0"
)

// kerasFile is a file on Keras' own host, below keras-applications. Keras publishes nothing but its
// md5.
func kerasFile(place, md5 string) fetch.File {
	return fetch.File{Name: path.Base(place), MD5: md5, Sources: []fetch.Source{
		{URL: "https://storage.googleapis.com/tensorflow/keras-applications/" + place},
	}}
}

// kerasPreset has the statistics of Keras' preprocess_input in that mode. Of its published
// accuracies Keras says only that they are of a single crop in the middle, so the geometry is that
// of the people who trained: Caffe's is the short side to 256 and the middle 224, TensorFlow's the
// middle seven eighths, then to size.
func kerasPreset(name string, size int, mode string) transforms.Preset {
	statistics, err := transforms.Statistics(mode)
	if err != nil {
		panic(err) // a mode that this package misspelt
	}
	p := transforms.Preset{Name: name, Size: size, Geometry: transforms.GeometryCrop, CropFraction: 0.875, Interpolation: transforms.Bilinear}
	if mode == "caffe" {
		p.Resize, p.Geometry, p.CropFraction = size*8/7, transforms.GeometryShort, 0
	}
	return p.WithStatistics(statistics)
}

// fileOfYours is a file that is not fetched: it is your own, or no hash of it is published.
func fileOfYours(name string) fetch.File { return fetch.File{Name: name} }
