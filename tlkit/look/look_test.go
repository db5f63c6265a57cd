package look

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/explain"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// trained is a head on a small network with the weights of the formula.
func trained(t *testing.T, kind head.Kind) (spec run.Spec, place run.Place) {
	t.Helper()
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	weights := filepath.Join(dir, "formula.safetensors")
	if err := formulanet.Write(weights, row.Arch(), row.Preset.Size, 1); err != nil {
		t.Fatal(err)
	}
	spec = run.Spec{Data: testpictures.Shapes(t, []string{"discs", "bars"}, 14), Model: row.Name, Weights: weights, Head: kind, Seed: 1}
	place = run.Place{Folder: dir, Name: "shapes", Offline: true, PlainGo: true}
	if _, err := run.Train(t.Context(), spec, place, nil); err != nil {
		t.Fatal(err)
	}
	return spec, place
}

func blank(string) image.Image { return image.NewGray(image.Rect(0, 0, 8, 8)) }

func TestWhy(t *testing.T) {
	spec, place := trained(t, "")
	head := run.HeadSpec{Head: "shapes", Weights: spec.Weights}
	pictures, err := filepath.Glob(filepath.Join(spec.Data, "discs", "*"))
	if err != nil || len(pictures) == 0 {
		t.Fatal(err)
	}
	r, err := Why(t.Context(), Question{Head: head, Picture: pictures[0], Near: 5}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Near) != 5 || r.Near[0].Cosine < r.Near[4].Cosine || r.NoNear != "" || r.Heat == nil || r.Control == nil || r.Seen == nil {
		t.Errorf("%+v", r)
	}
	itself, err := Why(t.Context(), Question{Head: head, Picture: r.Near[4].Path}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := itself.Near[0]; !n.Same || n.Cosine < 1-1e-9 || itself.Near[1].Same {
		t.Errorf("the nearest of a training picture is %+v, then %+v", n, itself.Near[1])
	}
	var b bytes.Buffer
	if err := r.Figure(blank).PNG(&b); err != nil {
		t.Error(err)
	}
	if text := r.Text(); !strings.Contains(text, "Grad-CAM behind layer3") || !strings.Contains(text, "Of the 5 nearest training pictures: ") {
		t.Error(text)
	}
	if raw, err := json.Marshal(r); err != nil || !bytes.Contains(raw, []byte(`"near":[{`)) {
		t.Errorf("%s %v", raw, err)
	}
	// A head whose run is not here has no training pictures, and says so.
	alone := filepath.Join(t.TempDir(), "alone.safetensors")
	raw, err := os.ReadFile(filepath.Join(place.Folder, run.Home, "shapes", "head.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, alone, raw)
	r, err = Why(t.Context(), Question{Head: run.HeadSpec{Head: alone, Weights: spec.Weights}, Picture: pictures[0]}, run.Place{Folder: t.TempDir(), Offline: true, PlainGo: true}, nil)
	if err != nil || len(r.Near) != 0 || !strings.Contains(r.NoNear, "--data") {
		t.Errorf("%v: %d neighbours, %q", err, len(r.Near), r.NoNear)
	}
	if err := r.Figure(blank).PNG(&b); err != nil {
		t.Error(err)
	}
	torn := filepath.Join(t.TempDir(), "torn.png")
	testpictures.Write(t, torn, []byte("\x89PNG torn"))
	for _, bad := range []string{torn, "not there.png"} {
		if _, err := Why(t.Context(), Question{Head: head, Picture: bad}, place, nil); err == nil {
			t.Errorf("%s is no error", bad)
		}
	}
}

// A vote of neighbours has no gradient: its reasons are the neighbours.
func TestWhyOfAVote(t *testing.T) {
	spec, place := trained(t, heads.KNNKind)
	pictures, err := filepath.Glob(filepath.Join(spec.Data, "bars", "*"))
	if err != nil || len(pictures) == 0 {
		t.Fatal(err)
	}
	r, err := Why(t.Context(), Question{Head: run.HeadSpec{Head: "shapes", Weights: spec.Weights}, Picture: pictures[0]}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Heat != nil || len(r.Near) != 6 || !strings.Contains(r.Text(), "vote of training pictures") {
		t.Errorf("%v, %d neighbours: %s", r.Heat, len(r.Near), r.Text())
	}
	if err := r.Figure(blank).PNG(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

// A value below its mean is explained by what lowers it.
func TestTowards(t *testing.T) {
	l := &head.Linear{Features: 2, Classes: 1, Weight: []float32{1, -2}, Bias: []float32{3}}
	if m := towards(l, false); m != heads.Model(l) {
		t.Error("turned unasked")
	}
	if m := towards(l, true).(*head.Linear); m.Weight[0] != -1 || m.Weight[1] != 2 || l.Weight[0] != 1 {
		t.Errorf("%+v of %+v", m, l)
	}
}

func TestMap(t *testing.T) {
	spec, place := trained(t, "")
	for name, c := range map[string]Territory{
		"of a head":    {Head: "shapes", Spec: run.Spec{Weights: spec.Weights}},
		"of a network": {Spec: spec, Method: PCA},
		"of a few":     {Spec: spec, Most: 3},
	} {
		a, err := Map(t.Context(), c, place, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := 28
		if c.Most > 0 {
			want = c.Most
		}
		if len(a.Pictures) != want || a.All != 28 || a.Pictures[0].Label == "" || (a.Method == PCA) != (len(a.Variance) == 2) || (a.Trust == 0) != (want == 3) {
			t.Errorf("%s: %+v", name, a)
		}
		for _, f := range []func(string) image.Image{nil, blank} {
			if err := a.Figure(f).PNG(&bytes.Buffer{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if text := a.Figure(nil).Text(); !strings.Contains(text, "discs") {
			t.Error(text)
		}
	}
	for name, bad := range map[string]Territory{"no data": {}, "method": {Spec: spec, Method: "umap"}, "one": {Spec: spec, Most: 1}, "too many": {Spec: spec, Most: 1e6}} {
		if _, err := Map(t.Context(), bad, place, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func ExampleReasons_Text() {
	r := Reasons{
		Prediction: export.Prediction{Path: "bee.jpg", Label: "bees", Probability: 0.982}, Output: "bees", Stage: "layer4",
		Heat:    &explain.Heat{Width: 2, Height: 2, Values: []float64{0, 0, 0, 3}},
		Control: &explain.Heat{Width: 2, Height: 2, Values: []float64{1, 2, 1, 1}},
		Near:    []Neighbour{{Path: "a.jpg", Truth: "bees", Cosine: 0.91}, {Path: "b.jpg", Truth: "ants", Cosine: 0.84}},
	}
	alike := r.Heat.Alike(r.Control)
	r.Alike = &alike
	fmt.Println(r.Text())
	// Output: bee.jpg: bees 98.2 %. Half of what speaks for bees is on 25 % of the picture, the most at 75 % from the left and 75 % from the top (Grad-CAM behind layer4). Random weights look elsewhere (rank correlation -0.33). Of the 2 nearest training pictures: 1 bees, 1 ants.
}
