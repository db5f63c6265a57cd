package zoo

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// Each row has a twin in PyTorch, or an error that says what to do instead.
func TestTwinOfEachRow(t *testing.T) {
	none := map[string]bool{
		"MobileNetV2": false, "EfficientNet-Lite": false, "ResNet": false, "VGG": false,
		"ResNeXt": false, "Wide ResNet": false, "SE-ResNet": false, "ResNet-D": false,
	}
	for _, r := range table {
		twin, trunk, err := r.twin()
		_, usual := none[r.Family]
		if keras := strings.Contains(r.FileName(), ".h5") || r.FileName() == "model.json" || r.unwrap != nil; keras || !usual {
			if _, fix := advice.Split(err); err == nil || !strings.Contains(fix, "--onnx") {
				t.Errorf("%s: twin %q, %v", r.Name, twin.Model, err)
			}
			continue
		}
		if err != nil || trunk == nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		none[r.Family] = true
	}
	for family, seen := range none {
		if !seen {
			t.Errorf("no row of %s has a twin", family)
		}
	}
	for name, want := range map[string]string{
		"mobilenetv2": "torchvision mobilenet_v2 classifier.1", "mobilenetv2.tv2_in1k": "torchvision mobilenet_v2 classifier.1",
		"efficientnet_lite0": "timm tf_efficientnet_lite0 classifier", "efficientnet_lite1": "timm tf_efficientnet_lite1 classifier",
		"efficientnet_lite2": "timm tf_efficientnet_lite2 classifier",
		"resnet18":           "torchvision resnet18 fc", "resnet50.a1_in1k": "torchvision resnet50 fc", "resnet152": "torchvision resnet152 fc",
		"vgg16": "torchvision vgg16 classifier", "vgg19": "torchvision vgg19 classifier", "vgg13_bn": "torchvision vgg13_bn classifier",
		"resnext50_32x4d.a1h_in1k": "torchvision resnext50_32x4d fc", "wide_resnet101_2": "torchvision wide_resnet101_2 fc",
		"seresnet50.ra2_in1k": "timm seresnet50 fc", "resnet26d.bt_in1k": "timm resnet26d fc",
	} {
		r, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		twin, _, err := r.twin()
		if got := twin.Library + " " + twin.Model + " " + twin.Classifier; got != want || err != nil {
			t.Errorf("%s: %q, want %q, %v", name, got, want, err)
		}
	}
}

// The tensors are those of the file, in its layout and order. Their names are the keys that
// torchvision's and timm's own files have.
func TestTwinTensors(t *testing.T) {
	for name, keys := range map[string]backbone.Arch{
		"mobilenetv2":        mobileNetV2Torch(nested, 0),
		"efficientnet_lite0": efficientNetLite{width: 1, depth: 1, names: timmLite},
		"resnet18":           resNets["resnet18"].trunk(),
	} {
		r, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "w.safetensors")
		if err := formulanet.Write(path, r.arch, r.Preset.Size, 1); err != nil {
			t.Fatal(err)
		}
		n, err := Load(t.Context(), name, Options{Weights: path, Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		changed := n.declared.Weights[3].Name
		tensor, err := formulanet.Tensors(r.arch, r.Preset.Size, 2)
		if err != nil {
			t.Fatal(err)
		}
		if n, err = n.With(tensor[3:4]); err != nil || tensor[3].Name != changed {
			t.Fatal(err, changed)
		}
		twin, err := n.Twin()
		if err != nil {
			t.Fatal(err)
		}
		file, err := formulanet.Tensors(r.arch, r.Preset.Size, 1)
		if err != nil {
			t.Fatal(err)
		}
		file[3] = tensor[3]
		d, err := backbone.Declare(keys, r.Preset.Size)
		if err != nil {
			t.Fatal(err)
		}
		i, counters := 0, 0
		for _, got := range twin.Tensors {
			if strings.HasSuffix(got.Name, ".num_batches_tracked") {
				if b, err := got.Bytes(); err != nil || len(b) != 8 || len(got.Shape) != 0 || got.DType != "I64" {
					t.Errorf("%s: %s: %d bytes, shape %v, %s, %v", name, got.Name, len(b), got.Shape, got.DType, err)
				}
				counters++
				continue
			}
			a, err1 := got.Float32()
			b, err2 := file[i].Float32()
			if err1 != nil || err2 != nil || got.Name != d.Weights[i].Name || !reflect.DeepEqual(got.Shape, file[i].Shape) || !reflect.DeepEqual(a, b) {
				t.Errorf("%s: tensor %d is %s %v, want %s %v: %v %v", name, i, got.Name, got.Shape, d.Weights[i].Name, file[i].Shape, err1, err2)
			}
			i++
		}
		if i != len(d.Weights) || counters == 0 {
			t.Errorf("%s: %d tensors and %d counters, want %d tensors", name, i, counters, len(d.Weights))
		}
	}
}
