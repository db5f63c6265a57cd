package zoo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// Whoever else names the tensors of an architecture has the same tensors in the same order, each name
// once.
func TestOtherNamesAreOfTheSameTensors(t *testing.T) {
	seen, done := 0, map[string]bool{}
	for _, r := range table {
		a, ok := r.arch.(renamed)
		if !ok || done[r.golden] {
			continue
		}
		done[r.golden] = true
		own, err := backbone.Declare(r.arch, r.Preset.Size)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range a.otherNames() {
			seen++
			theirs, err := backbone.Declare(other.arch, r.Preset.Size)
			if err != nil || len(theirs.Weights) != len(own.Weights) {
				t.Errorf("%s in the names of %s: %v", r.Name, other.by, err)
				continue
			}
			same := 0
			for i, w := range theirs.Weights {
				if w.Size() != own.Weights[i].Size() || w.Stage == backbone.Classifier != (own.Weights[i].Stage == backbone.Classifier) {
					t.Errorf("%s: %s is %v, in the names of %s %s %v", r.Name, own.Weights[i].Name, own.Weights[i].Shape, other.by, w.Name, w.Shape)
				}
				if w.Name == own.Weights[i].Name {
					same++
				}
			}
			if same == len(own.Weights) {
				t.Errorf("%s: the names of %s are no others", r.Name, other.by)
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d dialects", seen)
	}
}

// A neighbour's file is refused with all differences at once and the row that it fits. Writing the files
// takes seconds, so TLKIT_GOLDENS=all tests most pairs; TestMisfits has more.
func TestNeighboursFile(t *testing.T) {
	for _, c := range []struct{ model, file, says, fits string }{
		{"resnext50_32x4d", "resnet50", "176 of the wrong shape", "--model resnet50"},
		{"resnet50", "resnext50_32x4d", "wrong shape layer1.0.conv1.weight: got [128 64 1 1], want [64 64 1 1]", "--model resnext50_32x4d"},
		{"resnet50", "wide_resnet50_2", "layer1.0.conv1.weight", "--model wide_resnet50_2"},
		{"resnet50", "seresnet50.ra2_in1k", "layer1.0.se.fc1.weight", "--model seresnet50.ra2_in1k"},
		{"resnet18", "resnet18d.ra2_in1k", "conv1", "--model resnet18d.ra2_in1k"},
		{"densenet121", "densenet169", "features.denseblock3.denselayer25", "--model densenet169"},
		{"vgg11_bn", "vgg11", "features.0", "--model vgg11"},
		{"squeezenet1_0", "squeezenet1_1", "features.0.weight", "--model squeezenet1_1"},
		{"regnet_y_800mf", "regnety_008.pycls_in1k", "s2.b1.conv1.conv.weight: got [128 64 1 1], want [144 64 1 1]", "--model regnety_008.pycls_in1k"},
		{"mobilenetv4_conv_small.e2400_r224_in1k", "mobilenetv4_conv_small_050.e3000_r224_in1k", "blocks.0.0.conv.weight", "--model mobilenetv4_conv_small_050.e3000_r224_in1k"},
	} {
		if os.Getenv("TLKIT_GOLDENS") != "all" && c.model != "resnext50_32x4d" && c.model != "squeezenet1_0" {
			continue
		}
		r, err := Find(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if r.small != nil { // matrices of the classifier play no part
			r.arch = r.small
		}
		path := filepath.Join(t.TempDir(), "neighbour.safetensors")
		if err := formulanet.Write(path, r.arch, r.Preset.Size, 1); err != nil {
			t.Fatal(err)
		}
		_, err = Load(t.Context(), c.model, Options{Weights: path, Offline: true})
		if err == nil {
			t.Errorf("%s takes the file of %s", c.model, c.file)
			continue
		}
		var load *LoadError
		if !errors.As(err, &load) {
			t.Errorf("%s with the file of %s: %v", c.model, c.file, err)
		}
		if _, fix := advice.Split(err); !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(fix, "it fits ") || !strings.Contains(fix, c.fits) {
			t.Errorf("%s with the file of %s: %v", c.model, c.file, err)
		}
	}
}
