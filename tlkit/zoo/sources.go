package zoo

import (
	"path"
	"strings"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// Where the files of several families come from, and their licences.

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

// fileOfYours is a file that is not fetched: it is your own, or no hash of it is published.
func fileOfYours(name string) fetch.File { return fetch.File{Name: name} }
