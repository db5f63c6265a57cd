package audit

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// planted is a copy of a data set with known faults.
type planted struct {
	dir    string
	leaks  [][2]string // copies in another split
	flips  []string    // files whose label is another one
	broken []string
}

// plant copies two labels of a set and plants faults: 12 near copies across splits, 10 other labels, 3
// broken files.
func plant(t *testing.T, set *datasets.Dataset) planted {
	t.Helper()
	p := planted{dir: t.TempDir()}
	r := rand.New(rand.NewPCG(5, 6))
	most := 110 // of a label in a split
	if os.Getenv("TLKIT_DATA") != "" {
		most = 1000
	}
	byPlace := map[string][]string{} // split/label: files
	for _, item := range set.Items {
		if item.Split == datasets.Test && len(set.In(datasets.Valid)) > 0 || item.Class > 1 {
			continue
		}
		split := "train"
		if item.Split != datasets.Train {
			split = "valid"
		}
		place := split + "/" + set.Labels[item.Class]
		if len(byPlace[place]) == most {
			continue
		}
		raw, err := os.ReadFile(item.Path)
		if err != nil {
			t.Fatal(err)
		}
		rel := fmt.Sprintf("%s/%04d%s", place, len(byPlace[place]), filepath.Ext(item.Path))
		write(t, filepath.Join(p.dir, rel), raw)
		byPlace[place] = append(byPlace[place], rel)
	}
	other := map[string]string{set.Labels[0]: set.Labels[1], set.Labels[1]: set.Labels[0]}
	for i := range 12 {
		label := set.Labels[i%2]
		from := byPlace["train/"+label][r.IntN(len(byPlace["train/"+label]))]
		to := fmt.Sprintf("valid/%s/copy%d.jpg", label, i)
		write(t, filepath.Join(p.dir, to), changed(t, filepath.Join(p.dir, from), i, r))
		p.leaks = append(p.leaks, [2]string{from, to})
	}
	for i := range 10 {
		label := set.Labels[i%2]
		files := byPlace["train/"+label]
		from := files[3+i/2*8]
		to := "train/" + other[label] + "/flipped-" + filepath.Base(from)
		if err := os.Rename(filepath.Join(p.dir, from), filepath.Join(p.dir, to)); err != nil {
			t.Fatal(err)
		}
		for k := range p.leaks {
			if p.leaks[k][0] == from {
				p.leaks[k][0] = to
			}
		}
		p.flips = append(p.flips, to)
	}
	for i := range 3 {
		raw, err := os.ReadFile(filepath.Join(p.dir, byPlace["valid/"+set.Labels[0]][i]))
		if err != nil {
			t.Fatal(err)
		}
		rel := fmt.Sprintf("train/%s/broken%d%s", set.Labels[0], i, filepath.Ext(byPlace["valid/"+set.Labels[0]][i]))
		write(t, filepath.Join(p.dir, rel), raw[:len(raw)/(2+i)])
		p.broken = append(p.broken, rel)
	}
	return p
}

// changed returns a picture compressed anew, cropped, flipped, or all of these.
func changed(t *testing.T, path string, i int, r *rand.Rand) []byte {
	pic, err := transforms.DecodeFile(path, transforms.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if i%3 == 1 || i > 8 {
		share := 0.75 + 0.2*r.Float64()
		w, h := int(share*float64(pic.Width)), int(share*float64(pic.Height))
		pic, err = pic.Crop(r.IntN(pic.Width-w+1), r.IntN(pic.Height-h+1), w, h)
		if err != nil {
			t.Fatal(err)
		}
	}
	if i%3 == 2 || i > 8 {
		pic, err = pic.FlipHorizontal()
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, pic, &jpeg.Options{Quality: 55}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func write(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// featuresOf runs MobileNetV2, which knows photographs.
func featuresOf(t testing.TB, set *datasets.Dataset) *features.Matrix {
	t.Helper()
	e, err := engine.Open(context.Background(), engine.Options{Install: true})
	if err != nil || e.Plugin == "" {
		t.Skip("needs XLA")
	}
	t.Cleanup(e.Close)
	net, err := zoo.Load(context.Background(), "mobilenetv2", zoo.Options{})
	if err != nil {
		t.Skipf("needs the weights of MobileNetV2: %v", err)
	}
	m, err := features.Extract(context.Background(), features.Job{Items: set.Items, Preset: net.Preset, Backbone: features.FromNet(net, e), BadLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Planted faults are found, and hardly anything else.
func TestPlanted(t *testing.T) {
	name := "insects"
	if os.Getenv("TLKIT_DATA") != "" { // photographs
		name = "hymenoptera"
	}
	source, err := datasets.Open(context.Background(), name, datasets.Options{})
	if err != nil {
		t.Skip(err)
	}
	p := plant(t, source)
	set, err := datasets.Open(context.Background(), p.dir, datasets.Options{BadLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(context.Background(), Input{Set: set, Features: featuresOf(t, set), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range report.Kinds() {
		t.Logf("%s: %d", k, len(report.Of(k)))
		for _, f := range report.Of(k)[:min(len(report.Of(k)), 16)] {
			t.Logf("   %.3f %v %s", f.Score, f.Files, f.Why)
		}
	}
	hits, others := 0, 0
	known := map[string]bool{}
	for _, l := range p.leaks {
		known[key(l[0], l[1])] = true
	}
	for _, f := range slices.Concat(report.Of(Leak), report.Of(Contradiction)) {
		if known[key(f.Files[0], f.Files[1])] {
			hits++
		} else {
			others++
		}
	}
	if hits < 12 {
		t.Errorf("%d of 12 near copies across splits", hits)
	}
	if pairs := report.Pictures * (report.Pictures - 1) / 2; float64(others) > 0.01*float64(pairs) || others > report.Pictures/100 {
		t.Errorf("%d pairs that were not planted", others)
	}
	for _, file := range p.broken {
		if !slices.ContainsFunc(report.Of(Unreadable), func(f Finding) bool { return f.Files[0] == file }) {
			t.Errorf("%s is broken, and not among %v", file, report.Of(Unreadable))
		}
	}
	wrong := report.Of(WrongLabel)
	flips := 0
	for _, f := range wrong[:min(15, len(wrong))] {
		if strings.Contains(f.Files[0], "flipped-") {
			flips++
		}
	}
	if flips < 8 {
		t.Errorf("%d of 10 wrong labels in the first 15", flips)
	}
}

func key(a, b string) string { return min(a, b) + " " + max(a, b) }
