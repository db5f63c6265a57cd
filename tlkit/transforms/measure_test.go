package transforms

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestMeasureEqualsNumpy(t *testing.T) {
	g := loadGolden(t).Measure
	var paths []string
	for _, f := range g.Files {
		paths = append(paths, filepath.Join("testdata", f))
	}
	m, err := MeasureStatistics(context.Background(), paths, MeasureOptions{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if m.Pictures != len(paths) || m.Pixels != g.Pixels || len(m.Errors) != 0 {
		t.Errorf("%+v", m)
	}
	for c := range 3 {
		if math.Abs(m.Mean[c]-g.Mean[c]) > 1e-12 || math.Abs(m.Std[c]-g.Std[c]) > 1e-12 {
			t.Errorf("channel %d: %v %v, numpy %v %v", c, m.Mean[c], m.Std[c], g.Mean[c], g.Std[c])
		}
	}
}

func TestMeasureFolder(t *testing.T) {
	dir := t.TempDir()
	copyTo := func(name, target string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, target)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, target), fixture(t, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyTo("png_rgb.png", "a/one.png")
	copyTo("jpeg_420.jpg", "b/two.JPG")
	copyTo("golden.json", "b/notes.json") // no picture by its name: not even tried
	m, err := MeasureStatistics(context.Background(), []string{dir}, MeasureOptions{Prepare: Compose(ResizeTo(10, 10))})
	if err != nil || m.Pictures != 2 || m.Pixels != 200 || len(m.Errors) != 0 {
		t.Fatalf("%+v %v", m, err)
	}
	if err := m.Preset().WithStatistics(m.Preset()).Validate(); err == nil {
		t.Error("a preset without a size must not be valid")
	}
	if err := imagenetPreset().WithStatistics(m.Preset()).Validate(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "bad.png"), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := MeasureStatistics(context.Background(), []string{dir}, MeasureOptions{}); err != nil || m.Pictures != 2 || len(m.Errors) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := MeasureStatistics(context.Background(), []string{filepath.Join(dir, "a", "bad.png")}, MeasureOptions{}); err == nil {
		t.Error("nothing readable must be an error")
	}
	if _, err := MeasureStatistics(context.Background(), []string{filepath.Join(dir, "none")}, MeasureOptions{}); err == nil {
		t.Error("a missing folder must be an error")
	}
}
