package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// shapesHead trains a small head in a folder of its own, which becomes the working folder, and returns the
// pictures' folder.
func shapesHead(t *testing.T) string {
	t.Helper()
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	t.Chdir(t.TempDir())
	predictStatus(t, 0, "train", folder, "--name", "shapes")
	return folder
}

// predictStatus runs a command line that must end with this status.
func predictStatus(t *testing.T, want int, args ...string) (out, errs string) {
	t.Helper()
	var o, e strings.Builder
	if status := execute(t.Context(), args, &o, &e); status != want {
		t.Fatalf("%v: status %d, want %d\n%s%s", args, status, want, o.String(), e.String())
	}
	return o.String(), e.String()
}

// mixed makes a folder with n links to a picture and, between them, files that cannot be read in
// every way. It returns the paths in order, and which of them cannot be read.
func mixed(t *testing.T, picture string, n int) (folder string, paths []string, bad map[string]bool) {
	t.Helper()
	whole, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	folder, bad = t.TempDir(), map[string]bool{}
	for i := range n {
		path := filepath.Join(folder, fmt.Sprintf("%05d.png", i))
		paths = append(paths, path)
		if i%10 != 3 {
			if err := os.Symlink(picture, path); err != nil {
				t.Skipf("no links here: %v", err)
			}
			continue
		}
		bad[path] = true
		switch i / 10 % 5 {
		case 0:
			testpictures.Write(t, path, nil)
		case 1:
			testpictures.Write(t, path, whole[:len(whole)/2])
		case 2:
			testpictures.Write(t, path, []byte("<!DOCTYPE html><html></html>"))
		case 3:
			if err := os.Symlink(filepath.Join(folder, "nowhere.png"), path); err != nil {
				t.Fatal(err)
			}
		case 4:
			testpictures.Write(t, path, append([]byte("\xff\xd8\xff\xe0"), bytes.Repeat([]byte{7}, 500)...))
		}
	}
	return folder, paths, bad
}

// One unreadable picture does not stop a folder, in any format; each is named at the end, and the
// status tells.
func TestUnreadablePicturesAreNamedAtTheEnd(t *testing.T) {
	shapes := shapesHead(t)
	folder, paths, bad := mixed(t, filepath.Join(shapes, "discs", "00.png"), 60)
	for _, format := range []string{"", "--json", "--jsonl", "--csv"} {
		args := []string{"predict", "shapes", folder}
		if format != "" {
			args = append(args, format)
		}
		out, errs := predictStatus(t, 2, args...)
		var order []string
		failed := map[string]bool{}
		for _, p := range predictionsIn(t, format, out) {
			order = append(order, p.Path)
			if p.Error != "" {
				failed[p.Path] = true
			} else if p.Label != "discs" || !(p.Probability > 0.5) {
				t.Errorf("%s: %+v, want a disc", format, p)
			}
		}
		want := paths
		if format == "" { // only those that could be read
			want = slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return bad[p] })
		} else if len(failed) != len(bad) {
			t.Errorf("%s: %d lines with an error, want %d", format, len(failed), len(bad))
		}
		if !slices.Equal(order, want) {
			t.Errorf("%s: order %v\nwant %v", format, order, want)
		}
		last := strings.Split(strings.TrimSpace(errs), "\n")
		last = last[max(0, len(last)-len(bad)-1):]
		if got := last[len(last)-1]; got != "tlkit: predict: 6 of 60 pictures cannot be read" {
			t.Errorf("%s: last line %q", format, got)
		}
		for _, line := range last[:len(last)-1] {
			path, why, ok := strings.Cut(line, "  cannot be read: ")
			if !ok || !bad[path] || len(why) < 10 {
				t.Errorf("%s: standard error has the line %q, want an unreadable picture and its reason", format, line)
			}
		}
	}
	if _, errs := predictStatus(t, 1, "predict", "shapes", paths[3], paths[13], "--jsonl"); !strings.Contains(errs, "none of 2 pictures can be read") {
		t.Errorf("%s", errs)
	}
	if out, errs := predictStatus(t, 1, "predict", "shapes", folder, "--csv", "--json"); !strings.Contains(errs, "--csv and --json at once") {
		t.Errorf("two formats: %s%s", out, errs)
	}
}

// predictionsIn reads what predict has printed in one of its formats.
func predictionsIn(t *testing.T, format, out string) (all []export.Prediction) {
	t.Helper()
	switch format {
	case "--json":
		return one[[]export.Prediction](t, out)
	case "--jsonl":
		for line := range strings.Lines(out) {
			var p export.Prediction
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all = append(all, p)
		}
	case "--csv":
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || len(rows) == 0 || strings.Join(rows[0], ",") != "path,label,probability,error" {
			t.Fatalf("%v\n%.300s", err, out)
		}
		for _, r := range rows[1:] {
			p := export.Prediction{Path: r[0], Label: r[1], Error: r[3]}
			p.Probability, _ = strconv.ParseFloat(r[2], 64)
			all = append(all, p)
		}
	default:
		for line := range strings.Lines(out) {
			words := strings.Fields(line)
			if len(words) != 4 || words[3] != "%" {
				t.Fatalf("line %q", line)
			}
			p := export.Prediction{Path: words[0], Label: words[1]}
			p.Probability, _ = strconv.ParseFloat(words[2], 64)
			p.Probability /= 100
			all = append(all, p)
		}
	}
	return all
}

// With -o, the same command goes on where it was interrupted: lines that are there stay as they are, a
// torn one is written again, and what could not be read counts.
func TestPredictGoesOn(t *testing.T) {
	shapes := shapesHead(t)
	folder, paths, _ := mixed(t, filepath.Join(shapes, "discs", "00.png"), 40)
	for _, name := range []string{"all.jsonl", "all.csv"} {
		format := "--" + strings.TrimPrefix(filepath.Ext(name), ".")
		read := func() string {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		predictStatus(t, 2, "predict", "shapes", folder, "-o", name)
		whole := read()
		if all := predictionsIn(t, format, whole); len(all) != len(paths) || all[0].Path != paths[0] {
			t.Fatalf("%s: %d lines, want %d", name, len(all), len(paths))
		}
		rows := strings.SplitAfter(whole, "\n")
		for _, kept := range []int{len(whole), len(rows[0]) - 3, len(rows[0]), len(strings.Join(rows[:17], "")), len(strings.Join(rows[:17], "")) - 1, len(strings.Join(rows[:17], "")) + 9, len(whole) - 1} {
			if err := os.WriteFile(name, []byte(whole[:kept]), 0o600); err != nil {
				t.Fatal(err)
			}
			_, errs := predictStatus(t, 2, "predict", "shapes", folder, "-o", name)
			if got := read(); got != whole {
				t.Errorf("%s: from %d of %d bytes, got\n%swant\n%s", name, kept, len(whole), got, whole)
			}
			if !strings.Contains(errs, "4 of 40 pictures cannot be read") || strings.Count(errs, "cannot be read: ") != 4 {
				t.Errorf("%s: from %d bytes: %s", name, kept, errs)
			}
		}
		// A file that has grown, but whose last bytes never reached the disk.
		if err := os.WriteFile(name, []byte(strings.Join(rows[:17], "")+strings.Repeat("\x00", len(whole))), 0o600); err != nil {
			t.Fatal(err)
		}
		predictStatus(t, 2, "predict", "shapes", folder, "-o", name)
		if got := read(); got != whole {
			t.Errorf("%s: with zero bytes at the end, %d bytes, want %d", name, len(got), len(whole))
		}
		// A picture more is added below.
		more := filepath.Join(shapes, "bars", "00.png")
		predictStatus(t, 2, "predict", "shapes", folder, more, "-o", name)
		if got := read(); !strings.HasPrefix(got, whole) || !strings.Contains(got[len(whole):], more) {
			t.Errorf("%s: %s", name, got[len(whole):])
		}
		// Other flags, a file that something else has written, or one that was changed.
		if _, errs := predictStatus(t, 1, "predict", "shapes", folder, "-o", name, "--threshold", "0.9"); !strings.Contains(errs, "was not written by this head with these flags") {
			t.Errorf("%s: %s", name, errs)
		}
		if err := os.WriteFile(name, []byte(rows[0]+"changed\n"+rows[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs := predictStatus(t, 1, "predict", "shapes", folder, "-o", name); !strings.Contains(errs, "line 2 is not what predict wrote") {
			t.Errorf("%s: %s", name, errs)
		}
		testpictures.Write(t, "mine"+filepath.Ext(name), []byte("mine"))
		predictStatus(t, 1, "predict", "shapes", folder, "-o", "mine"+filepath.Ext(name))
		if data, err := os.ReadFile("mine" + filepath.Ext(name)); err != nil || string(data) != "mine" {
			t.Errorf("a file of another origin is now %q, %v", data, err)
		}
	}
	if _, errs := predictStatus(t, 1, "predict", "shapes", folder, "-o", "all.txt"); !strings.Contains(errs, "--jsonl or --csv") {
		t.Errorf("no format: %s", errs)
	}
}

// Pictures are linked into a folder for each label, and nothing is overwritten.
func TestPredictSorts(t *testing.T) {
	shapes := shapesHead(t)
	a, b := filepath.Join(shapes, "discs", "00.png"), filepath.Join(shapes, "bars", "00.png")
	bad := filepath.Join(t.TempDir(), "bad.png")
	testpictures.Write(t, bad, nil)
	twin := filepath.Join(t.TempDir(), "00.png")
	disc, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, twin, disc)
	testpictures.Write(t, "sorted/bars/00.png", []byte("mine"))
	for _, format := range []string{"--json", "--csv"} { // the second time, all are there
		predictStatus(t, 2, "predict", "shapes", a, b, twin, bad, "--sort-into", "sorted", format)
		want := map[string]string{"discs/00.png": a, "discs/00-2.png": twin, "bars/00-2.png": b, "bars/00.png": ""}
		found, err := filepath.Glob("sorted/*/*")
		if err != nil || len(found) != len(want) {
			t.Errorf("%q, %v", found, err)
		}
		for name, target := range want {
			if to, err := os.Readlink(filepath.Join("sorted", name)); target != "" && (err != nil || to != target) {
				t.Errorf("%s leads to %q, %v, want %s", name, to, err, target)
			}
		}
		if data, err := os.ReadFile("sorted/bars/00.png"); err != nil || string(data) != "mine" {
			t.Errorf("the file that was there is %q, %v", data, err)
		}
	}
	out, _ := predictStatus(t, 0, "predict", "shapes", a, b, "--threshold", "1", "--sort-into", "none", "--csv")
	for _, p := range predictionsIn(t, "--csv", out) {
		if p.Label != "" || !(p.Probability > 0.5 && p.Probability < 1) {
			t.Errorf("below the threshold: %+v", p)
		}
	}
	if found, _ := filepath.Glob("none/unsure/*"); len(found) != 2 {
		t.Errorf("unsure: %q", found)
	}
	if out, _ := predictStatus(t, 0, "predict", "shapes", a, "--threshold", "1"); !strings.Contains(out, "unsure:") {
		t.Errorf("%s", out)
	}
	if _, errs := predictStatus(t, 1, "predict", "shapes", shapes, "--sort-into", filepath.Join(shapes, "sorted")); !strings.Contains(errs, "name a folder outside") {
		t.Errorf("inside the pictures: %s", errs)
	}
	if _, errs := predictStatus(t, 1, "predict", "shapes", a, "--threshold", "80"); !strings.Contains(errs, "want 0 to 1") {
		t.Errorf("%s", errs)
	}
}

func TestFoldersOfLabels(t *testing.T) {
	for label, want := range map[string]string{"ants": "ants", "a/b": "a%2Fb", "..": "%2E.", "a%2Fb": "a%252Fb", `c:\d`: "c%3A%5Cd", "bleu clair é": "bleu clair é"} {
		if got := folderOf(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}

// Pictures in a zip archive get the predictions of the files.
func TestPredictReadsZips(t *testing.T) {
	shapes := shapesHead(t)
	f, err := os.Create("shapes.zip")
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	if err := w.AddFS(os.DirFS(shapes)); err != nil {
		t.Fatal(err)
	}
	if e, err := w.Create("z/torn.png"); err != nil {
		t.Fatal(err)
	} else if _, err := e.Write([]byte("\x89PNG\r\n\x1a\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out, errs := predictStatus(t, 2, "predict", "shapes", "shapes.zip", "--jsonl")
	got := predictionsIn(t, "--jsonl", out)
	out, _ = predictStatus(t, 0, "predict", "shapes", shapes, "--jsonl")
	want := predictionsIn(t, "--jsonl", out)
	if len(got) != len(want)+1 || got[len(want)].Path != "shapes.zip/z/torn.png" || got[len(want)].Error == "" || !strings.Contains(errs, "shapes.zip/z/torn.png") {
		t.Fatalf("%d lines, want %d; the last %+v\n%s", len(got), len(want)+1, got[len(got)-1], errs)
	}
	for i, w := range want {
		rel, err := filepath.Rel(shapes, w.Path)
		if err != nil {
			t.Fatal(err)
		}
		if g := got[i]; g.Path != "shapes.zip/"+filepath.ToSlash(rel) || g.Label != w.Label || math.Abs(g.Probability-w.Probability) > 1e-6 {
			t.Errorf("%+v, want %+v", g, w)
		}
	}
	testpictures.Write(t, "torn.zip", []byte("PK"))
	if out, errs := predictStatus(t, 2, "predict", "shapes", "torn.zip", want[0].Path, "--jsonl"); !strings.Contains(errs, "torn.zip  cannot be read") || len(predictionsIn(t, "--jsonl", out)) != 2 {
		t.Errorf("a torn archive: %s%s", out, errs)
	}
	if _, errs := predictStatus(t, 1, "predict", "shapes", "shapes.zip", "--sort-into", "sorted"); !strings.Contains(errs, "unpack") {
		t.Errorf("sorting an archive: %s", errs)
	}
}

// The columns of CSV for every task, with what must be quoted.
func TestLinesOfCSV(t *testing.T) {
	classes := &export.Head{Labels: []string{"ants", "bees", `wasps, "yellow"`}}
	both := &export.Head{Task: datasets.Labels, Labels: []string{"wings", "legs"}}
	values := &export.Head{Task: datasets.Values, Labels: []string{"x", "y"}}
	share := map[string]float64{"ants": 0.25, "bees": 0.125, `wasps, "yellow"`: 0.625}
	for _, c := range []struct {
		head *export.Head
		top  int
		p    export.Prediction
		want string
	}{
		{classes, 1, export.Prediction{Path: "a,b\n.jpg", Label: `wasps, "yellow"`, Probability: 0.625, Probabilities: share},
			"path,label,probability,error\n\"a,b\n.jpg\",\"wasps, \"\"yellow\"\"\",0.625,\n"},
		{classes, 2, export.Prediction{Path: "a.jpg", Label: `wasps, "yellow"`, Probability: 0.625, Probabilities: share},
			"path,label,probability,label_2,probability_2,error\na.jpg,\"wasps, \"\"yellow\"\"\",0.625,ants,0.25,\n"},
		{classes, 1, export.Prediction{Path: "a.jpg", Error: "cut short"}, "path,label,probability,error\na.jpg,,,cut short\n"},
		{both, 1, export.Prediction{Path: "a.jpg", Labels: []string{"wings", "legs"}, Probabilities: map[string]float64{"wings": 0.75, "legs": 0.5}},
			"path,labels,wings,legs,error\na.jpg,wings|legs,0.75,0.5,\n"},
		{both, 1, export.Prediction{Path: "a.jpg", Labels: []string{}, Probabilities: map[string]float64{"wings": 0.25, "legs": 0.125}},
			"path,labels,wings,legs,error\na.jpg,,0.25,0.125,\n"},
		{values, 1, export.Prediction{Path: "a.jpg", Values: map[string]float64{"y": -2.5, "x": 1013}}, "path,x,y,error\na.jpg,1013,-2.5,\n"},
		{values, 1, export.Prediction{Path: "a.jpg", Error: "cut short"}, "path,x,y,error\na.jpg,,,cut short\n"},
	} {
		var out strings.Builder
		l := &lineWriter{w: &out, format: csvLines, head: c.head, top: c.top}
		if err := l.write(c.p); err != nil || out.String() != c.want {
			t.Errorf("%v, got\n%swant\n%s", err, out.String(), c.want)
		}
	}
}

// An interrupt keeps the lines that are written.
func TestInterruptedLines(t *testing.T) {
	shapes := shapesHead(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := &cancelling{cancel: cancel, after: 3}
	folder, paths, _ := mixed(t, filepath.Join(shapes, "bars", "00.png"), 200)
	var e strings.Builder
	if status := execute(ctx, []string{"predict", "shapes", folder, "--jsonl"}, w, &e); status != 130 || !strings.Contains(e.String(), "interrupted after ") {
		t.Errorf("status %d, %s", status, e.String())
	}
	all := predictionsIn(t, "--jsonl", w.String())
	if len(all) < 3 || len(all) >= len(paths) {
		t.Fatalf("%d lines of %d", len(all), len(paths))
	}
	for i, p := range all {
		if p.Path != paths[i] {
			t.Errorf("line %d is %s, want %s", i, p.Path, paths[i])
		}
	}
}

// cancelling is a writer that interrupts after some writes.
type cancelling struct {
	strings.Builder
	cancel func()
	after  int
}

func (c *cancelling) Write(b []byte) (int, error) {
	if c.after--; c.after == 0 {
		c.cancel()
	}
	return c.Builder.Write(b)
}
