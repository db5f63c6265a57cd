package zoo

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// nsfwjsRow is Keras' MobileNetV2 as TensorFlow.js stores it with 8 bits a weight, from the npm
// package of that name. Its blocks 0 to 10 are ImageNet's; the later ones were trained to recognise
// pornography, which makes it a worse trunk than the others. It is an example of the format. Its
// classifier is not loaded.
var nsfwjsRow = Row{
	Name: "mobilenetv2.nsfwjs", Tag: "nsfwjs", Family: "MobileNetV2",
	file: fetch.File{
		Name:   "nsfwjs-4.4.0.tgz",
		SHA256: "585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382",
		Bytes:  nsfwjsBytes,
		Sources: []fetch.Source{{NPM: &fetch.NPM{
			Name: "nsfwjs", Version: "4.4.0",
			SHA256: "585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382",
			Bytes:  nsfwjsBytes,
		}}},
	},
	TrainedOn: "ImageNet-1k, from block 11 on also indecent pictures",
	Licence:   "MIT", Origin: "https://github.com/infinitered/nsfwjs",
	Preset: transforms.Preset{
		Name: "mobilenetv2.nsfwjs", Size: 224, Geometry: transforms.GeometrySquash, Interpolation: transforms.Bilinear,
		Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB",
	},
	Params: 2223872, Features: 1280,
	arch:   mobileNetV2Keras(1, 0),
	golden: "mobilenetv2_100.trunk",
	ignore: []string{"dense"},
	unwrap: unwrapNSFWJS,
}

const nsfwjsBytes = 24973068

// The npm package wraps the two files of the model into JavaScript modules, which package weights
// reads as they are.
const (
	nsfwjsFolder = "package/dist/models/mobilenet_v2/"
	nsfwjsLimit  = 8 << 20 // bytes of one of the two
)

// unwrapNSFWJS copies the two modules from the npm package into dir and returns the path of the
// first. A file that is not packed is returned as it is.
func unwrapNSFWJS(path, dir string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := bufio.NewReader(f)
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return path, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	missing := map[string]bool{"model.min.js": true, "group1-shard1of1.min.js": true}
	for t := tar.NewReader(z); len(missing) > 0; {
		h, err := t.Next()
		if err == io.EOF {
			return "", advice.New(fmt.Errorf("%s has no %s{model,group1-shard1of1}.min.js", path, nsfwjsFolder), "pass the package nsfwjs 4.4.0, or a model.json")
		} else if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		name, ok := strings.CutPrefix(h.Name, nsfwjsFolder)
		if !ok || !missing[name] || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > nsfwjsLimit {
			return "", fmt.Errorf("%s: %s has %d bytes, want at most %d", path, h.Name, h.Size, nsfwjsLimit)
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", path, h.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
		delete(missing, name)
	}
	return filepath.Join(dir, "model.min.js"), nil
}
