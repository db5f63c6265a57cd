package zoo

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// nsfwjsRow is Keras' MobileNetV2 as TensorFlow.js keeps it with 8 bits a weight, from the npm package of that name. Its
// blocks 0 to 10 are ImageNet's, the later ones were trained to recognise pornography, so that it is a worse trunk than
// the others: an example of the format. Its classifier is left where it is.
var nsfwjsRow = Row{
	Name: "mobilenetv2.nsfwjs", Tag: "nsfwjs", Family: "MobileNetV2",
	File: fetch.File{
		Name:   "nsfwjs-4.4.0.tgz",
		SHA256: "585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382",
		Bytes:  nsfwjsBytes,
		Sources: []fetch.Source{{NPM: &fetch.NPM{
			Name: "nsfwjs", Version: "4.4.0",
			SHA256: "585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382",
			Bytes:  nsfwjsBytes,
		}}},
	},
	Licence: "MIT", Origin: "https://github.com/infinitered/nsfwjs",
	Preset: transforms.Preset{
		Name: "mobilenetv2.nsfwjs", Size: 224, Geometry: "squash", Interpolation: "bilinear",
		Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB",
	},
	Params: 2223872, Features: 1280,
	arch:   mobileNetV2Keras(1, 0),
	golden: "mobilenetv2_100.trunk",
	ignore: []string{"dense"},
	unwrap: unwrapNSFWJS,
}

const nsfwjsBytes = 24973068

// The package wraps both files of the model into JavaScript: the topology as an object literal, the weights as text in
// base 64. Nothing of it is run.
const (
	nsfwjsFolder = "package/dist/models/mobilenet_v2/"
	nsfwjsLimit  = 8 << 20 // of one of the two
)

var base64Text = regexp.MustCompile(`exports="([A-Za-z0-9+/=]+)"`)

// unwrapNSFWJS writes model.json and the file it names into dir. Any other file than a tgz is taken as weights.
func unwrapNSFWJS(path, dir string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if errors.Is(err, gzip.ErrHeader) {
		return path, nil
	} else if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	const topology, shard = "model.min.js", "group1-shard1of1.min.js"
	found := map[string][]byte{}
	for t := tar.NewReader(z); len(found) < 2; {
		h, err := t.Next()
		if err == io.EOF {
			return "", fmt.Errorf("%s has no %s{%s,%s}; pass the package nsfwjs 4.4.0, or a model.json", path, nsfwjsFolder, topology, shard)
		} else if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		for _, name := range []string{topology, shard} {
			if h.Name != nsfwjsFolder+name || h.Typeflag != tar.TypeReg {
				continue
			}
			if h.Size > nsfwjsLimit {
				return "", fmt.Errorf("%s: %s has %d bytes, want at most %d", path, h.Name, h.Size, nsfwjsLimit)
			}
			if found[name], err = io.ReadAll(t); err != nil {
				return "", fmt.Errorf("%s: %s: %w", path, h.Name, err)
			}
		}
	}
	json, err := objectLiteral(found[topology])
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", path, topology, err)
	}
	text := base64Text.FindSubmatch(found[shard])
	if text == nil {
		return "", fmt.Errorf("%s: no text of base 64 is exported by %s", path, shard)
	}
	binary, err := base64.StdEncoding.DecodeString(string(text[1]))
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", path, shard, err)
	}
	// The name that the topology gives its weights.
	if err := os.WriteFile(filepath.Join(dir, "group1-shard1of1"), binary, 0o600); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "model.json")
	return out, os.WriteFile(out, json, 0o600)
}
