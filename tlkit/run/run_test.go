package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// heard collects the sentences of a run.
type heard struct{ lines []string }

func (h *heard) State(string, int64, int64) {}
func (h *heard) Say(s string)               { h.lines = append(h.lines, s) }

func (h *heard) has(word string) bool {
	return slices.ContainsFunc(h.lines, func(l string) bool { return strings.Contains(l, word) })
}

func train(t *testing.T, s Spec, p Place) *Result {
	t.Helper()
	r, err := Train(context.Background(), s, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMainJob goes from a folder to predictions, with real weights on the real engine. Both are
// fetched once, as `tlkit setup` does.
func TestMainJob(t *testing.T) {
	ctx := context.Background()
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 20), t.TempDir()
	out := filepath.Join(work, "a", "folder", "shapes.head.safetensors")
	spec, place := Spec{Data: folder, Model: "mobilenetv2", Seed: 1}, Place{Folder: work, Out: out}
	said := &heard{}
	first, err := Train(ctx, spec, place, said)
	if err != nil {
		t.Fatal(err)
	}
	if first.Total != 8 || first.Correct < 7 || first.Split != "valid" {
		t.Errorf("%s, want at least 7 of 8: discs and bars are easy", first.Line())
	}
	for _, name := range []string{"spec.json", "plan.json", "history.jsonl", "curves.png", "confusion.png", "report.txt", "head.safetensors", "result.json", "cache.json"} {
		if info, err := os.Stat(filepath.Join(first.Run, name)); err != nil || info.Size() == 0 {
			t.Errorf("run folder: %v", err)
		}
	}
	history, err := curves.ReadFile(filepath.Join(first.Run, "history.jsonl"))
	if err != nil || len(history.Series(curves.Folds, curves.Accuracy)) < 2 {
		t.Errorf("history: %v, %d points", err, len(history.Points))
	}
	parts := map[string]bool{}
	for _, phase := range first.Phases {
		sum := 0.0
		for _, part := range phase.Parts {
			parts[part.Name] = true
			sum += part.Seconds
		}
		if sum > phase.Seconds+1e-9 {
			t.Errorf("phase %s took %v s, its parts %v s", phase.Name, phase.Seconds, sum)
		}
	}
	for _, want := range []string{"opening data", "loading weights", "opening engine", "extracting features", "choosing the head on folds", "drawing the figures"} {
		if !parts[want] {
			t.Errorf("the time of %q is not told: %v", want, parts)
		}
	}
	if !said.has("out-of-fold") {
		t.Errorf("the plan's reasons were not reported: %q", said.lines)
	}

	t.Run("same seed, same bytes", func(t *testing.T) {
		before, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		train(t, spec, place)
		after, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, after) {
			t.Error("the same spec gave another head")
		}
	})
	t.Run("predict agrees with evaluate", func(t *testing.T) {
		e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: folder}, Place{Folder: work}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Correct != first.Correct || e.Total != first.Total {
			t.Errorf("evaluate: %d of %d, train said %d of %d", e.Correct, e.Total, first.Correct, first.Total)
		}
		// A neutral name, so that only the pixels tell the label.
		disc, err := os.ReadFile(filepath.Join(folder, "discs", "03.png"))
		if err != nil {
			t.Fatal(err)
		}
		x, text := filepath.Join(work, "x.png"), filepath.Join(work, "text.png")
		testpictures.Write(t, x, disc)
		testpictures.Write(t, text, []byte("no picture"))
		p, err := Predict(ctx, HeadSpec{Head: out}, []string{x, text}, Place{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p[0].Label != "discs" || p[0].Probability < 0.5 || len(p[0].Probabilities) != 2 {
			t.Errorf("a disc is %+v", p[0])
		}
		if p[1].Error == "" || p[1].Label != "" {
			t.Errorf("a text file is %+v, want an error of its own", p[1])
		}
	})
	t.Run("resume", func(t *testing.T) {
		said := &heard{}
		r, err := Train(ctx, spec, Place{Folder: work, Resume: true}, said)
		if err != nil || r.Correct != first.Correct || !said.has("resumed") {
			t.Errorf("%v, %v", err, said.lines)
		}
		grown := filepath.Join(folder, "discs", "new.png")
		disc, _ := os.ReadFile(filepath.Join(folder, "discs", "04.png"))
		testpictures.Write(t, grown, append(disc, 0))
		defer os.Remove(grown)
		if _, err := Train(ctx, spec, Place{Folder: work, Resume: true}, said); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("resume on other pictures: %v", err)
		}
	})
	t.Run("another spec under the same name", func(t *testing.T) {
		said := &heard{}
		named := Place{Folder: work, Name: "mine"}
		train(t, spec, named)
		other := spec
		other.Head, other.Epochs = "sgd", 3
		r, err := Train(ctx, other, named, said)
		if err != nil || !said.has("mine.1") {
			t.Errorf("%v, %v", err, said.lines)
		}
		if _, err := os.Stat(r.Run + ".1/result.json"); err != nil {
			t.Errorf("the older run is gone: %v", err)
		}
	})
	t.Run("folds and seeds", func(t *testing.T) {
		cv := spec
		cv.Folds = 4
		r := train(t, cv, Place{Folder: work})
		if len(r.Folds) != 4 || r.Total != 40 || !r.Interval.Known() {
			t.Errorf("%d folds over %d pictures, %+v", len(r.Folds), r.Total, r.Interval)
		}
		many := spec
		many.Seeds = 3
		r = train(t, many, Place{Folder: work})
		if len(r.Runs) != 3 || r.Runs[2].Seed != 3 || r.Correct != r.Runs[0].Correct {
			t.Errorf("%+v", r.Runs)
		}
	})
	t.Run("views", func(t *testing.T) {
		views := spec
		views.Views = 2
		if r := train(t, views, Place{Folder: work}); r.Total != 8 || r.Train != 32 {
			t.Errorf("%s after %d pictures", r.Line(), r.Train)
		}
	})
	t.Run("another backbone file", func(t *testing.T) {
		h, err := export.Read(out)
		if err != nil {
			t.Fatal(err)
		}
		h.Backbone.SHA256 = strings.Repeat("0", 64)
		changed := filepath.Join(work, "changed.safetensors")
		if err := h.Write(changed); err != nil {
			t.Fatal(err)
		}
		if _, err := Predict(ctx, HeadSpec{Head: changed}, []string{filepath.Join(work, "x.png")}, Place{}, nil); err == nil || !strings.Contains(err.Error(), "sha256") {
			t.Errorf("a head over other weights opens: %v", err)
		}
		h, _ = export.Read(out)
		h.Preset.Mean[0] += 0.3 // the most common silent failure in the field
		if err := h.Write(changed); err != nil {
			t.Fatal(err)
		}
		if _, err := Predict(ctx, HeadSpec{Head: changed}, []string{filepath.Join(work, "x.png")}, Place{}, nil); err == nil || !strings.Contains(err.Error(), "largest logit") {
			t.Errorf("a head with another mean opens: %v", err)
		}
	})
}

func TestBadSpecsAreRefusedBeforeAnyWork(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 3)
	lonely := testpictures.Shapes(t, []string{"discs", "bars"}, 1)
	for name, c := range map[string]struct {
		spec  Spec
		place Place
		word  string
	}{
		"no such model":    {spec: Spec{Data: folder, Model: "mobilnetv2"}, word: "mobilenetv2"},
		"no such data":     {spec: Spec{Data: filepath.Join(folder, "none"), Model: "mobilenetv2"}, word: "none"},
		"one picture":      {spec: Spec{Data: lonely, Model: "mobilenetv2"}, word: "discs"},
		"name with slash":  {spec: Spec{Data: folder, Model: "mobilenetv2"}, place: Place{Name: "../x"}, word: "name"},
		"one fold":         {spec: Spec{Data: folder, Model: "mobilenetv2", Folds: 1}, word: "folds"},
		"statistics":       {spec: Spec{Data: folder, Model: "mobilenetv2", Statistics: "imagnet"}, word: "imagenet"},
		"size":             {spec: Spec{Data: folder, Model: "vit_small_patch14_dinov2.lvd142m", Size: 256}, word: "--size 252 or 266"},
		"negative size":    {spec: Spec{Data: folder, Model: "mobilenetv2", Size: -1}, word: "size -1"},
		"split":            {spec: Spec{Data: folder, Model: "mobilenetv2", Split: "test"}, word: "test"},
		"out is a folder":  {spec: Spec{Data: folder, Model: "mobilenetv2"}, place: Place{Out: folder}, word: "is a folder"},
		"out is a picture": {spec: Spec{Data: folder, Model: "mobilenetv2"}, place: Place{Out: filepath.Join(folder, "discs", "00.png")}, word: "not a head file"},
		"weights device":   {spec: Spec{Data: folder, Model: "mobilenetv2", Weights: os.DevNull}, word: "ordinary file"},
		"many folds":       {spec: Spec{Data: folder, Model: "mobilenetv2", Folds: 100_000}, word: "at most"},
		"head":             {spec: Spec{Data: folder, Model: "mobilenetv2", Head: "forest"}, word: "logistic"},
	} {
		c.place.Folder = t.TempDir()
		if _, err := Train(context.Background(), c.spec, c.place, nil); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want %q in it", name, err, c.word)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	testpictures.Write(t, file, nil)
	if _, err := Train(context.Background(), Spec{Data: folder, Model: "mobilenetv2"}, Place{Folder: file}, nil); err == nil {
		t.Error("a run below a file is accepted")
	}
}

func TestOneWriterPerRunFolder(t *testing.T) {
	place := Place{Folder: t.TempDir(), Name: "mine"}
	f, _, err := openFolder(place, Spec{Data: "a"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openFolder(place, Spec{Data: "a"}, func(string) {}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another process (number %d, since ", os.Getpid())) {
		t.Errorf("a second writer: %v", err)
	}
	f.close()
	g, _, err := openFolder(place, Spec{Data: "a"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	g.close()
}

// In a notebook, a name stands for one job: other settings are refused, with the differences, and
// so is a folder whose spec cannot be read.
func TestKeptRunsAreRefused(t *testing.T) {
	place := Place{Folder: t.TempDir(), Name: "mine", Keep: true}
	f, _, err := openFolder(place, Spec{Data: "a", Model: "m", Seed: 1}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, f.file("head.safetensors"), []byte("learnt"))
	f.close()
	_, _, err = openFolder(place, Spec{Data: "a", Model: "m", Seed: 2, Head: "sgd"}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "  head:  there, sgd now\n  seed: 1 there, 2 now; give") {
		t.Errorf("%v", err)
	}
	spec := filepath.Join(place.Folder, Home, "mine", "spec.json")
	testpictures.Write(t, spec, []byte(`{"data": "a", "mod`))
	if _, _, err := openFolder(place, Spec{Data: "a", Model: "m", Seed: 1}, func(string) {}); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(spec); err != nil || len(b) != 18 {
		t.Errorf("the folder was touched: %q, %v", b, err)
	}
}

// A mistyped first attempt leaves a folder without results.
func TestFailedRunDoesNotHoldItsName(t *testing.T) {
	place := Place{Folder: t.TempDir(), Name: "mine", Keep: true}
	f, _, err := openFolder(place, Spec{Data: "hymenopetra"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	f.close()
	if f, _, err = openFolder(place, Spec{Data: "hymenoptera"}, func(string) {}); err != nil {
		t.Fatalf("the corrected spec is refused: %v", err)
	}
	testpictures.Write(t, f.file("head.safetensors"), []byte("learnt"))
	f.close()
	if _, _, err := openFolder(place, Spec{Data: "insects"}, func(string) {}); err == nil || !strings.Contains(err.Error(), "data: hymenoptera there, insects now") {
		t.Errorf("a run with a head is replaced by another spec: %v", err)
	}
}

// A folder of the user with the name of the run keeps its files.
func TestForeignFilesAreNotTouched(t *testing.T) {
	place := Place{Folder: t.TempDir(), Name: "mine"}
	testpictures.Write(t, filepath.Join(place.Folder, Home, "mine", "thesis.txt"), []byte("words"))
	if _, _, err := openFolder(place, Spec{Data: "a"}, func(string) {}); err == nil || !strings.Contains(err.Error(), "not a run") {
		t.Errorf("%v", err)
	}
}

func TestResultIsOneJSONObjectWithThePromisedFields(t *testing.T) {
	raw, err := json.Marshal(Result{})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"accuracy", "correct", "total", "interval", "model", "data", "seconds", "seed", "run", "head", "split"} {
		if !strings.Contains(string(raw), `"`+field+`":`) {
			t.Errorf("no field %q in %s", field, raw)
		}
	}
}

// A run that fails before it has learnt anything costs the one of its name nothing, whatever it
// fails at: the data, the network's weights, or a limit.
func TestMistakesMoveNoRunAside(t *testing.T) {
	work := t.TempDir()
	home := filepath.Join(work, Home)
	earlier := Spec{Data: "earlier", Model: "mobilenetv2", Seed: 1}
	write := func(name string, v any) {
		f := &folder{path: filepath.Join(home, "mine")}
		if err := os.MkdirAll(f.path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := f.write(name, v); err != nil {
			t.Fatal(err)
		}
	}
	write("spec.json", earlier)
	write("result.json", Result{Model: "mobilenetv2"})
	one := testpictures.Shapes(t, []string{"discs"}, 4)
	two := testpictures.Shapes(t, []string{"discs", "bars"}, 4)
	for name, s := range map[string]Spec{
		"no such data":    {Data: filepath.Join(work, "nowhere"), Model: "mobilenetv2"},
		"one label":       {Data: one, Model: "mobilenetv2"},
		"another network": {Data: two, Model: "resnet18.a1_in1k"}, // it would have to be fetched
	} {
		said := &heard{}
		if _, err := Train(t.Context(), s, Place{Folder: work, Name: "mine", Offline: true}, said); err == nil {
			t.Fatalf("%s: trained", name)
		}
		var there Spec
		text, err := os.ReadFile(filepath.Join(home, "mine", "spec.json"))
		if err != nil || json.Unmarshal(text, &there) != nil || there != earlier {
			t.Errorf("%s: the earlier run is not in its place: %v, %+v", name, err, there)
		}
		if _, err := os.Stat(filepath.Join(home, "mine.1")); err == nil {
			t.Errorf("%s: the earlier run was moved aside", name)
		}
	}
}

func TestPlainGoIsNoAccident(t *testing.T) {
	t.Setenv(engine.BackendVar, "")
	t.Setenv(engine.PlainGoVar, "")
	t.Setenv("TLKIT_CACHE", t.TempDir()) // without the plugin
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 4)
	bench := func(p Place) error {
		p.Offline = true
		b, err := OpenBench(t.Context(), Spec{Data: folder, Seed: 1}, p, nil)
		if err == nil {
			b.Engine.Close()
		}
		return err
	}
	err := bench(Place{})
	if err == nil {
		t.Skip("another XLA is installed here")
	}
	if !errors.Is(err, engine.ErrPlainGo) {
		t.Fatal(err)
	}
	for _, words := range []string{"hundred times", "tlkit setup", "--plain-go", "%env TLKIT_PLAIN_GO 1"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("no %q in %q", words, err)
		}
	}
	if err := bench(Place{PlainGo: true}); err != nil {
		t.Errorf("with consent: %v", err)
	}
	for name, value := range map[string]string{engine.PlainGoVar: "1", engine.BackendVar: "go"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if err := bench(Place{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLicencesThatRestrictAreRepeated(t *testing.T) {
	restricted, err := zoo.Find("resnet18.fb_swsl_ig1b_ft_in1k")
	if err != nil {
		t.Fatal(err)
	}
	free, err := zoo.Find("mobilenetv2")
	if err != nil {
		t.Fatal(err)
	}
	set, _ := data.FindSet("hymenoptera")
	for _, c := range []struct {
		row  zoo.Row
		data export.Data
		want []string
	}{
		{free, export.Data{Name: "my pictures"}, nil},
		{free, export.Data{Name: "insects", Licence: "BSD-2-Clause"}, nil},
		{free, export.Data{Name: "hymenoptera"}, nil}, // a folder of that name
		{restricted, export.Data{Name: "my pictures"}, []string{"CC-BY-NC"}},
		{restricted, export.Data{Name: set.Name, Licence: set.Licence}, []string{"CC-BY-NC", "hymenoptera"}},
	} {
		said := &heard{}
		sayRestrictions(&export.Head{Data: c.data}, c.row, said)
		if len(said.lines) != len(c.want) {
			t.Errorf("%s, %s: said %q", c.row.Name, c.data.Name, said.lines)
		}
		for _, w := range c.want {
			if !said.has(w) || !said.has("non-commercial use only") {
				t.Errorf("%s, %s: no %q in %q", c.row.Name, c.data.Name, w, said.lines)
			}
		}
	}
}
