package audit

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// noise draws a picture of coarse random patches, w x h pixels, between two brightnesses.
func noise(seed uint64, w, h int, low, high uint8) *image.RGBA {
	const cells = 9
	r := rand.New(rand.NewPCG(seed, 1))
	var patch [cells * cells]color.RGBA
	for i := range patch {
		one := func() uint8 { return low + uint8(r.IntN(int(high-low)+1)) }
		patch[i] = color.RGBA{one(), one(), one(), 255}
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, patch[y*cells/h*cells+x*cells/w])
		}
	}
	return m
}

func save(t testing.TB, path string, m image.Image) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// audited audits a folder whose features are made by a function.
func audited(t *testing.T, dir string, group datasets.Group, feature func(item datasets.Item) []float32) (*Report, error) {
	t.Helper()
	set, err := datasets.Open(context.Background(), dir, datasets.Options{BadLimit: 1, Group: group})
	if err != nil {
		return nil, err
	}
	m := &features.Matrix{}
	for i, item := range set.Items {
		row := feature(item)
		m.Features, m.Data, m.Items = len(row), append(m.Data, row...), append(m.Items, i)
	}
	return Run(context.Background(), Input{Set: set, Features: m, Seed: 1})
}

// random are features that tell nothing.
func random() func(datasets.Item) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	return func(datasets.Item) []float32 {
		row := make([]float32, 8)
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		return row
	}
}

// clean writes n ordinary pictures of each of two labels into train, and half as many into valid.
func clean(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 2 * n {
		label := []string{"ants", "bees"}[i%2]
		save(t, filepath.Join(dir, "train", label, fmt.Sprintf("p%d.png", i)), noise(uint64(i), 90, 80, 0, 255))
		if i < n {
			save(t, filepath.Join(dir, "valid", label, fmt.Sprintf("q%d.png", i)), noise(uint64(1000+i), 90, 80, 0, 255))
		}
	}
	return dir
}

// Each poor picture is found for what it is, and the others are not.
func TestQuality(t *testing.T) {
	dir := clean(t, 20)
	flat := image.NewRGBA(image.Rect(0, 0, 90, 80))
	for i := range flat.Pix {
		flat.Pix[i] = 128 + uint8(i/4%2)
		if i%4 == 3 {
			flat.Pix[i] = 255
		}
	}
	soft := image.NewRGBA(image.Rect(0, 0, 90, 80))
	for y := range 80 {
		for x := range 90 {
			soft.SetRGBA(x, y, color.RGBA{uint8(2 * x), uint8(2 * y), uint8(x + y), 255})
		}
	}
	want := map[string]Kind{}
	for name, p := range map[string]struct {
		kind Kind
		m    image.Image
	}{
		"dark": {Dark, noise(50, 90, 80, 0, 20)}, "bright": {Bright, noise(51, 90, 80, 240, 255)}, "empty": {Empty, flat}, "soft": {Blurred, soft},
		"tiny": {OddSize, noise(52, 20, 18, 0, 255)}, "long": {OddShape, noise(53, 400, 40, 0, 255)},
	} {
		rel := "train/ants/" + name + ".png"
		save(t, filepath.Join(dir, rel), p.m)
		want[rel] = p.kind
	}
	r, err := audited(t, dir, "", random())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []Kind{Dark, Bright, Empty, Blurred, OddSize, OddShape} {
		for _, f := range r.Of(k) {
			if want[f.Files[0]] != k {
				t.Errorf("%s is said to be %s", f.Files[0], k)
			}
			delete(want, f.Files[0])
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	if r.Serious() != 0 {
		t.Errorf("serious: %+v", r.Findings[:r.Serious()])
	}
}

// A label that gives itself away is a shortcut: by the size, by the border, or by the type of the file.
func TestShortcuts(t *testing.T) {
	for name, c := range map[string]struct {
		draw func(i int, bees bool) image.Image
		want string
	}{
		"size": {func(i int, bees bool) image.Image {
			if bees {
				return noise(uint64(i), 120, 80, 0, 255)
			}
			return noise(uint64(i), 90, 80, 0, 255)
		}, "size of the picture"},
		"border": {func(i int, bees bool) image.Image {
			m := noise(uint64(i), 90, 80, 0, 255)
			if bees {
				for x := range 90 {
					for y := range 3 {
						m.SetRGBA(x, y, color.RGBA{255, 255, 255, 255})
					}
				}
			}
			return m
		}, "outermost pixels"},
		"none": {func(i int, bees bool) image.Image { return noise(uint64(i), 90, 80, 0, 255) }, ""},
	} {
		dir := t.TempDir()
		for i := range 60 {
			save(t, filepath.Join(dir, []string{"ants", "bees"}[i%2], fmt.Sprintf("%d.png", i)), c.draw(i, i%2 == 1))
		}
		r, err := audited(t, dir, "", random())
		if err != nil {
			t.Fatal(err)
		}
		found := r.Of(Shortcut)
		if c.want == "" && len(found) > 0 || c.want != "" && !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Why, c.want) && f.Serious }) {
			t.Errorf("%s: %+v, want %q", name, found, c.want)
		}
	}
}

// A group in two splits is a leak, and a picture without a group is an error.
func TestGroups(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		split := "train"
		if i > 7 {
			split = "valid"
		}
		for _, label := range []string{"ants", "bees"} {
			save(t, filepath.Join(dir, split, label, fmt.Sprintf("video%d_%s%d.png", i%9, label, i)), noise(uint64(2*i+len(label)*i*97), 40, 40, 0, 255))
		}
	}
	r, err := audited(t, dir, `path:(video\d+)_`, random())
	if err != nil {
		t.Fatal(err)
	}
	leaks := r.Of(GroupLeak) // 9, 10 and 11 are of the videos 0, 1 and 2
	if len(leaks) != 3 {
		t.Fatalf("%d groups in two splits, want 3: %+v", len(leaks), leaks)
	}
	for _, f := range leaks {
		if len(f.Files) != 4 || !f.Serious {
			t.Errorf("%+v", f)
		}
	}
	if _, err := audited(t, dir, `path:video1\d*`, random()); err == nil || !strings.Contains(err.Error(), "have no group, such as") {
		t.Errorf("pictures without a group: %v", err)
	}
}

// A rare label and a far picture are worth a look.
func TestRareAndFar(t *testing.T) {
	dir := clean(t, 20)
	save(t, filepath.Join(dir, "train", "wasps", "w.png"), noise(7000, 90, 80, 0, 255))
	r := rand.New(rand.NewPCG(8, 9))
	report, err := audited(t, dir, "", func(item datasets.Item) []float32 {
		row := make([]float32, 40)
		for i := range row {
			row[i] = 1 + float32(0.3*r.NormFloat64())
		}
		if strings.Contains(item.Rel, "wasps") {
			row[3] = -60
		}
		return row
	})
	if err != nil {
		t.Fatal(err)
	}
	if rare := report.Of(Imbalance); len(rare) != 1 || rare[0].Labels[0] != "wasps" {
		t.Errorf("rare labels: %+v", rare)
	}
	if far := report.Of(Outlier); len(far) != 1 || !strings.Contains(far[0].Files[0], "wasps") {
		t.Errorf("outliers: %+v", far)
	}
}

// Proposals open the set that they lead to.
func TestChangesOpenTheSet(t *testing.T) {
	dir := clean(t, 10)
	again, err := os.ReadFile(filepath.Join(dir, "train", "ants", "p0.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "train", "ants", "copy.png"), append(again, 0), 0o600); err != nil { // other bytes, the same picture
		t.Fatal(err)
	}
	row := map[string][]float32{}
	some := random()
	report, err := audited(t, dir, "", func(item datasets.Item) []float32 {
		key := strings.Replace(item.Rel, "copy", "p0", 1)
		if row[key] == nil {
			row[key] = some(item)
		}
		return row[key]
	})
	if err != nil {
		t.Fatal(err)
	}
	if copies := report.Of(Copy); len(copies) != 1 {
		t.Fatalf("copies: %+v", copies)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "changes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WriteChanges(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := datasets.Open(context.Background(), dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	after, err := datasets.Open(context.Background(), dir, datasets.Options{Changes: file.Name()})
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for _, item := range before.Items {
		if !slices.ContainsFunc(after.Items, func(other datasets.Item) bool { return other.Rel == item.Rel }) {
			dropped++
			if !strings.Contains(item.Rel, "copy") && !strings.Contains(item.Rel, "p0.") {
				t.Errorf("%s was dropped", item.Rel)
			}
		}
	}
	if dropped != 1 {
		t.Errorf("%d pictures dropped, want 1", dropped)
	}
}

// A set whose pictures are all equal is audited too.
func TestAllEqual(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		save(t, filepath.Join(dir, []string{"ants", "bees"}[i%2], fmt.Sprintf("%d.png", i)), noise(1, 40, 40, 0, 255))
	}
	r, err := audited(t, dir, "", func(datasets.Item) []float32 { return []float32{1, 2, 3} })
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Of(Contradiction)) == 0 || len(r.Of(WrongLabel)) > 0 {
		t.Errorf("%+v", r.Findings)
	}
}

func TestRunRefuses(t *testing.T) {
	if _, err := Run(context.Background(), Input{}); err == nil || !strings.HasPrefix(err.Error(), "audit: ") {
		t.Errorf("nothing: %v", err)
	}
	dir := clean(t, 6)
	set, err := datasets.Open(context.Background(), dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), Input{Set: set, Features: &features.Matrix{}}); err == nil || !strings.Contains(err.Error(), "no picture that can be read") {
		t.Errorf("no rows: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := &features.Matrix{Features: 1}
	for i := range set.Items {
		m.Items, m.Data = append(m.Items, i), append(m.Data, float32(i))
	}
	if _, err := Run(ctx, Input{Set: set, Features: m}); err == nil {
		t.Error("an interrupted audit ends without an error")
	}
}
