package audit

import (
	"context"
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// quickly is audited with Quick.
func quickly(t *testing.T, dir string, feature func(item datasets.Item) []float32) *results.Brief {
	t.Helper()
	set, err := datasets.Open(context.Background(), dir, datasets.Options{BadLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := &features.Matrix{}
	for i, item := range set.Items {
		row := feature(item)
		m.Features, m.Data, m.Items = len(row), append(m.Data, row...), append(m.Items, i)
	}
	b, err := Input{Set: set, Features: m, Seed: 1}.Quick(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Near copies across splits and a size that tells the label are said; what is clean is not.
func TestQuick(t *testing.T) {
	dir := clean(t, 20)
	if b := quickly(t, dir, random()); len(b.Lines) > 0 || len(b.Counts) > 0 || b.Pictures != 60 {
		t.Errorf("a clean set: %+v", b)
	}
	small := noise(4, 90, 80, 0, 255)
	for i := range small.Pix {
		small.Pix[i] = small.Pix[i]/8*8 + 3 // other bytes, hardly another picture
	}
	save(t, filepath.Join(dir, "valid", "ants", "again.png"), small)
	some, rows := random(), map[string][]float32{}
	b := quickly(t, dir, func(item datasets.Item) []float32 {
		key := strings.Replace(item.Rel, "valid/ants/again", "train/ants/p4", 1)
		if rows[key] == nil {
			rows[key] = some(item)
		}
		return rows[key]
	})
	if len(b.Lines) != 1 || !strings.Contains(b.Lines[0], "such as train/ants/p4.png = valid/ants/again.png") || b.Counts[Leak] != 1 {
		t.Errorf("a near copy: %+v", b)
	}
	sized := t.TempDir()
	for i := range 60 {
		var m image.Image = noise(uint64(i), 90+30*(i%2), 80, 0, 255)
		save(t, filepath.Join(sized, []string{"ants", "bees"}[i%2], fmt.Sprintf("%d.png", i)), m)
	}
	if b := quickly(t, sized, random()); len(b.Lines) == 0 || !strings.Contains(b.Lines[0], "size of the picture") {
		t.Errorf("a shortcut: %+v", b)
	}
}

// Of many files, some are measured, also where copies of one stand in several places.
func TestQuickOfMany(t *testing.T) {
	set := &datasets.Dataset{Name: "many", Root: t.TempDir(), Task: datasets.Classes, Labels: []string{"ants", "bees"}}
	m := &features.Matrix{Features: 2}
	for k := range 7 {
		save(t, filepath.Join(set.Root, fmt.Sprintf("%d.png", k)), noise(uint64(k), 40+20*(k%2), 40, 0, 255))
	}
	for i := range 3 * mostMeasured {
		k := i * 5 % 7
		set.Items = append(set.Items, datasets.Item{Path: filepath.Join(set.Root, fmt.Sprintf("%d.png", k)), Rel: fmt.Sprintf("%d.png", i), Class: k % 2, Split: datasets.Train, SHA256: strings.Repeat(fmt.Sprint(k), 64)})
		m.Items, m.Data = append(m.Items, i), append(m.Data, float32(k), 1)
	}
	b, err := Input{Set: set, Features: m}.Quick(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Lines) != 1 || !strings.Contains(b.Lines[0], "size of the picture") || !strings.Contains(b.Lines[0], "of 400,") {
		t.Errorf("%+v", b)
	}
}

// Copies of one picture are one finding, whatever their number, and cost nothing.
func TestManyCopies(t *testing.T) {
	set := &datasets.Dataset{Name: "copies", Root: t.TempDir(), Task: datasets.Classes, Labels: []string{"ants", "bees"}}
	file := filepath.Join(set.Root, "a.png")
	save(t, file, noise(1, 60, 60, 0, 255))
	m := &features.Matrix{Features: 8}
	for i := range 20_000 {
		set.Items = append(set.Items, datasets.Item{Path: file, Rel: fmt.Sprintf("%d.png", i), Split: datasets.Train, SHA256: strings.Repeat("1", 64)})
		m.Items, m.Data = append(m.Items, i), append(m.Data, 1, 2, 3, 4, 5, 6, 7, 8)
	}
	r, err := Run(context.Background(), Input{Set: set, Features: m})
	if err != nil {
		t.Fatal(err)
	}
	copies := r.Of(Copy)
	if len(copies) != 1 || len(copies[0].Files) != 20_000 || len(copies[0].Changes) != 19_999 || !strings.Contains(copies[0].Why, "20000 files with the same content") {
		t.Errorf("%d findings of %v", len(r.Findings), r.Kinds())
	}
	set.Items[7].Split = datasets.Valid
	r, err = Run(context.Background(), Input{Set: set, Features: m})
	if err != nil {
		t.Fatal(err)
	}
	if leaks := r.Of(Leak); len(leaks) != 1 || leaks[0].Changes[0].File != "0.png" || leaks[0].Changes[7].File != "8.png" {
		t.Errorf("a leak keeps what is measured: %+v", leaks[0].Changes[:9])
	}
	set.Items[9].Class = 1
	r, err = Run(context.Background(), Input{Set: set, Features: m})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Of(Contradiction); len(c) != 1 || c[0].Changes != nil {
		t.Errorf("two labels: %d, %v", len(c), c[0].Changes)
	}
}
