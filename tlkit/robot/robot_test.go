package robot

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

func open(t *testing.T, s Spec, place run.Place) *Lab {
	t.Helper()
	lab, err := Open(t.Context(), s, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lab.Close)
	return lab
}

// Twenty demonstrations are enough to beat random weights, and a second job takes the policy of the
// first, with the same bits.
func TestTeachFitTry(t *testing.T) {
	if testing.Short() {
		t.Skip("runs MobileNetV2 on some hundred pictures")
	}
	place := run.Place{Folder: t.TempDir(), Name: "bee"}
	spec := Spec{Task: "bench/sort", Demos: 20}
	lab := open(t, spec, place)
	if lab.Spec.Stage != "features.13" {
		t.Errorf("stage %s, want the last with a cell every 16 pixels, features.13", lab.Spec.Stage)
	}
	taught, err := lab.Teach(t.Context())
	if err != nil || taught.Success != 20 || taught.Frames < 200 {
		t.Fatal(taught, err)
	}
	const episodes = 20
	tried, err := lab.Try(t.Context(), episodes, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s, r := tried.Success(), tried.Random(); s.Correct < 14 || r.Correct > 5 || s.Total != episodes {
		t.Errorf("success %s, with random weights %s", s, r)
	}
	if worst, err := tried.Worst(); err != nil || worst.OnlyB-worst.OnlyA != tried.Success().Correct-tried.Random().Correct {
		t.Errorf("%+v, %v", worst, err)
	}
	first, err := os.ReadFile(lab.PolicyFile())
	if err != nil {
		t.Fatal(err)
	}

	broken, err := lab.Break(t.Context(), 5, "black")
	if err != nil || len(broken) != 2 || broken[0].Success.Correct < 3 || broken[1].Success.Correct > 2 || broken[1].Noticed.Correct < 4 || broken[0].Noticed.Correct > 1 {
		t.Errorf("black pictures: %+v, %v; want failures, noticed", broken, err)
	}
	if _, err := lab.Break(t.Context(), 5, "foggy"); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("a disturbance that is not known: %v", err)
	}

	again := open(t, spec, place)
	fitted, err := again.Fit(t.Context())
	if err != nil || !fitted.Kept {
		t.Errorf("%+v, %v: want the policy of the first job", fitted, err)
	}
	if err := os.Remove(lab.PolicyFile()); err != nil {
		t.Fatal(err)
	}
	if fitted, err = open(t, spec, place).Fit(t.Context()); err != nil || fitted.Kept {
		t.Fatal(fitted, err)
	}
	if second, err := os.ReadFile(lab.PolicyFile()); err != nil || !bytes.Equal(second, first) {
		t.Errorf("the second fit has other bits (%v)", err)
	}
	testPolicyFile(t, again, place)
	other := open(t, Spec{Task: "bench/sort", Demos: 19}, place)
	if fitted, err := other.Fit(t.Context()); err != nil || fitted.Kept {
		t.Errorf("%+v, %v: a policy of other demonstrations was taken", fitted, err)
	}
	if _, err := policy.Open(filepath.Join(place.Folder, run.Home, "bee", "policy.safetensors")); err != nil {
		t.Error(err)
	}
}

// Features of more frames than fit into memory are let go, but those that say which scene is shown.
func TestFeaturesAreBounded(t *testing.T) {
	s := &sighted{}
	const episodes, long = 130, 50
	for e := range episodes {
		for range long {
			s.kept = append(s.kept, len(s.seen.Frames))
			s.seen.Frames = append(s.seen.Frames, policy.Frame{Episode: e, Seen: []float32{1}})
		}
		s.thin()
	}
	kept, late := 0, 0
	for i, f := range s.seen.Frames {
		if f.Seen != nil {
			kept++
			if f.Episode >= episodes/2 {
				late++
			}
		} else if i%long == 0 {
			t.Errorf("demonstration %d begins without features", f.Episode)
		}
	}
	if kept != mostSeen || len(s.kept) != mostSeen || late < mostSeen*2/5 || late > mostSeen*3/5 {
		t.Errorf("%d of %d frames have features, %d of them in the second half; want %d, and about half", kept, len(s.seen.Frames), late, mostSeen)
	}
}

// The baseline is tried and filmed like the policy, but there is nothing to fit or keep.
func TestNearest(t *testing.T) {
	if testing.Short() {
		t.Skip("runs MobileNetV2 on some pictures")
	}
	lab := open(t, Spec{Task: "bench/sort", Demos: 3, Policy: Nearest}, run.Place{Folder: t.TempDir(), Name: "bee"})
	if _, err := lab.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), "has nothing to fit") {
		t.Errorf("fit: %v", err)
	}
	if _, err := lab.Try(t.Context(), 2, 1); err == nil || !strings.Contains(err.Error(), "--controls 0") {
		t.Errorf("with random weights: %v", err)
	}
	tried, err := lab.Try(t.Context(), 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	film, err := lab.Film(t.Context(), tried.Try, 1)
	if err != nil || len(film.Clips) != 1 || !strings.Contains(film.Words, "Ring: where it believes") {
		t.Errorf("%+v, %v", film.Words, err)
	}
	if lab.PolicyFile() != "" {
		t.Errorf("a policy file %s", lab.PolicyFile())
	}
}

// An exported policy opens, gives what it gave, and knows its robot. With other weights it does not open.
func testPolicyFile(t *testing.T, lab *Lab, place run.Place) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bee.policy.safetensors")
	f, err := lab.Export(t.Context(), file)
	if err != nil || f.Learnt.Demonstrations != 20 || f.Sight.Stage != "features.13" || f.Familiarity == nil {
		t.Fatalf("%+v, %v", f, err)
	}
	p, err := OpenPolicy(t.Context(), file, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Parity > 0.01 {
		t.Errorf("on the machine that wrote it, the built-in scenes are off by %v of what is allowed", p.Parity)
	}
	if err := p.Fits(lab.Robot); err != nil {
		t.Error(err)
	}
	other := lab.Robot.Clone()
	other.State[0].Name, other.Rate, other.Cameras[0].Side = "y", 30, 224
	if err := p.Fits(other); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("another robot: %v, want three differences", err)
	}
	for want, change := range map[string]func(){
		"other results for the built-in scenes": func() { f.Parity[1][7] += 0.5 },
		"weights of mobilenetv2 that are":       func() { f.Sight.SHA256 = "0" },
		"results of 2 built-in scenes":          func() { f.Parity = f.Parity[:2] },
		"the map behind features.13":            func() { f.Sight.Preset.Size = 96 },
	} {
		if f, err = policy.Open(file); err != nil {
			t.Fatal(err)
		}
		change()
		changed := filepath.Join(t.TempDir(), "changed.safetensors")
		if err := f.Write(changed); err != nil {
			t.Fatal(err)
		}
		if p, err := OpenPolicy(t.Context(), changed, place, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v, %v", want, p, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for want, s := range map[string]Spec{
		"a policy of kind \"oracle\"": {Task: "bench/sort", Policy: "oracle"},
		"no task;":                    {},
		`no task "bench/fly"`:         {Task: "bench/fly"},
		"-1 demonstrations":           {Task: "bench/sort", Demos: -1},
		"1001 demonstrations":         {Task: "bench/sort", Demos: 1001},
		"seed 1000":                   {Task: "bench/sort", Seed: 1000},
		"mobilenetv22":                {Task: "bench/sort", Model: "mobilenetv22"},
		`no map called "layer"`:       {Task: "bench/sort", Stage: "layer"},
	} {
		if lab, err := Open(t.Context(), s, run.Place{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: want an error with %q, got %v", s, want, err)
			if err == nil {
				lab.Close()
			}
		}
	}
	lab := open(t, Spec{Task: "bench/sort", Demos: 1}, run.Place{})
	if _, err := lab.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), "1 demonstrations, want 2") {
		t.Errorf("one demonstration: %v", err)
	}
	if _, err := lab.Try(t.Context(), 0, 0); err == nil {
		t.Error("no episodes pass")
	}
	push := open(t, Spec{Task: "bench/push", Demos: 3}, run.Place{})
	if _, err := push.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), "has no event") {
		t.Errorf("a task without events: %v", err)
	} else if !strings.Contains(err.Error(), "--policy chunk") {
		t.Errorf("%v, want what to use instead", err)
	}
}
