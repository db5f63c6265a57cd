package main

import (
	"bytes"
	"encoding/csv"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// Features leave as files, in the order of the pictures; what training computed is not computed again,
// and what cannot be read is named and sets the status.
func TestFeaturesAndNeighbours(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	t.Chdir(t.TempDir())
	do := func(want int, args ...string) (out, errs string) {
		t.Helper()
		var o, e strings.Builder
		if status := execute(t.Context(), args, &o, &e); status != want {
			t.Fatalf("%v: status %d, want %d\n%s", args, status, want, e.String())
		}
		return o.String(), e.String()
	}
	do(0, "train", folder, "--name", "shapes")
	out, _ := do(0, "features", folder, "-o", "all.csv", "--json")
	if w := one[written](t, out); w.Pictures != 16 || w.Cached != 16 || w.Features != 1280 || len(w.LeftOut) != 0 {
		t.Errorf("after a training: %s", out)
	}
	rows := csvRows(t, "all.csv")
	var names []string
	for _, r := range rows {
		names = append(names, r[0])
	}
	if len(rows) != 16 || len(rows[0]) != 1281 || !slices.IsSorted(names) || slices.Equal(rows[0][1:], rows[1][1:]) {
		t.Errorf("%d rows of %q", len(rows), names)
	}
	slices.Reverse(names)
	stdin = strings.NewReader(strings.Join(names, "\n"))
	defer func() { stdin = os.Stdin }()
	do(0, "features", "-", "-o", "back.csv")
	back := csvRows(t, "back.csv")
	slices.Reverse(back)
	if !slices.EqualFunc(rows, back, slices.Equal[[]string]) {
		t.Error("the rows do not follow the pictures")
	}

	// The map of a stage, and a stage that is not there.
	out, _ = do(0, "features", folder, "-o", "maps.npy", "--stage", "features.13", "--json")
	if w := one[written](t, out); !slices.Equal(w.Map, []int{14, 14, 96}) || w.Features != 14*14*96 || w.Pictures != 16 {
		t.Errorf("maps: %s", out)
	}
	if _, errs := do(1, "features", folder, "-o", "none.npy", "--stage", "block99"); !strings.Contains(errs, "features.13") {
		t.Errorf("the error does not name the stages: %s", errs)
	}

	// A header that is whole and pixels that are not, no picture at all, and no file.
	whole, err := os.ReadFile(filepath.Join(folder, "bars", "03.png"))
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, filepath.Join(folder, "bars", "03.png"), whole[:len(whole)/2])
	testpictures.Write(t, filepath.Join(folder, "bars", "text.jpg"), []byte("hello"))
	out, errs := do(2, "features", "gone.jpg", folder, "-o", "some.npy", "--json")
	w := one[written](t, out)
	if w.Pictures != 15 || len(w.LeftOut) != 3 || !slices.Equal(w.Files, []string{"some.npy", "some.npy.txt"}) {
		t.Errorf("%s", out)
	}
	for i, name := range []string{"gone.jpg", "03.png", "text.jpg"} {
		if !strings.HasSuffix(w.LeftOut[i].Rel, name) || !strings.Contains(errs, name+": "+w.LeftOut[i].Why) {
			t.Errorf("%s is not named: %+v\n%s", name, w.LeftOut, errs)
		}
	}
	list, err := os.ReadFile("some.npy.txt")
	if err != nil || strings.Count(string(list), "\n") != 15 || strings.Contains(string(list), "bars/03.png") {
		t.Errorf("%s, %v", list, err)
	}
	if info, err := os.Stat("some.npy"); err != nil || info.Size() != 128+15*1280*4 {
		t.Errorf("%v, %v", info, err)
	}
	out, _ = do(1, "features", "gone.jpg", filepath.Join(folder, "bars", "text.jpg"), "-o", "none.npy", "--json")
	if w := one[written](t, out); len(w.LeftOut) != 2 || len(w.Files) != 0 {
		t.Errorf("%s", out)
	}
	if _, err := os.Stat("none.npy"); err == nil {
		t.Error("a file without rows is written")
	}
	testpictures.Write(t, "mine.csv", []byte("a,b\n"))
	if _, errs := do(1, "features", folder, "-o", "mine.csv"); !strings.Contains(errs, "--force") {
		t.Errorf("over another file: %s", errs)
	}
	testNeighbours(t, folder, do)
}

func testNeighbours(t *testing.T, folder string, do func(want int, args ...string) (out, errs string)) {
	given := filepath.Join(folder, "discs", "00.png")
	same, err := os.ReadFile(given)
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, "copy.png", same)
	out, errs := do(2, "neighbours", given, folder, "copy.png", "--k", "3", "--png", "near.png", "--json")
	near := one[[]neighbour](t, out)
	if len(near) != 3 || near[0] != (neighbour{"copy.png", 1}) || !(near[1].Cosine < 1 && near[1].Cosine >= near[2].Cosine) || slices.Contains([]string{near[1].Path, near[2].Path}, given) {
		t.Errorf("%s", out)
	}
	if !strings.Contains(errs, "2 of 17 pictures") || !strings.Contains(errs, "text.jpg") {
		t.Errorf("%s", errs)
	}
	figure, err := os.ReadFile("near.png")
	if err != nil {
		t.Fatal(err)
	}
	if img, err := png.Decode(bytes.NewReader(figure)); err != nil || img.Bounds().Dx() < 600 {
		t.Errorf("the figure: %v", err)
	}
	if out, _ := do(0, "neighbours", given, filepath.Join(folder, "discs"), "--k", "99"); strings.Count(out, ".png") != 7 {
		t.Errorf("%s", out)
	}
	for word, args := range map[string][]string{
		"--force":        {given, folder, "--png", "near.png"},
		"--k is 0":       {given, folder, "--k", "0"},
		"is a folder":    {folder, given},
		"no other":       {given, given},
		"cannot be read": {filepath.Join(folder, "bars", "text.jpg"), folder},
		"none of 1":      {given, filepath.Join(folder, "bars", "text.jpg")},
		"want a picture": {given},
	} {
		if _, errs := do(1, append([]string{"neighbours"}, args...)...); !strings.Contains(errs, word) {
			t.Errorf("%v: no %q in %s", args, word, errs)
		}
	}
}

func csvRows(t *testing.T, path string) [][]string {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}
