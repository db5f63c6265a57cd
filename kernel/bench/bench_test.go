package bench

import (
	"context"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
)

func needsXLA(t *testing.T) {
	t.Helper()
	e, err := engine.Open(context.Background(), engine.Options{})
	if err != nil || !strings.HasPrefix(e.Name, "xla") {
		t.Skip("needs XLA (tlkit setup)")
	}
	e.Close()
}

func TestMeasureStep(t *testing.T) {
	needsXLA(t)
	job := Step{Model: "resnet20_cifar10", Batch: 4, Norms: finetune.BatchNorms, Seconds: 0.05}
	for _, from := range []string{"", "layer3"} {
		job.From = from
		s, err := MeasureStep(context.Background(), job)
		if err != nil {
			t.Fatal(err)
		}
		if s.Rate <= 0 || s.Compiled <= 0 || s.CPU < 0 || runtime.GOOS == "linux" && s.Peak < 50 || s.Threads < 1 {
			t.Errorf("from %q: %+v", from, s)
		}
	}
	job.From = "layer9"
	if _, err := MeasureStep(context.Background(), job); err == nil || !strings.Contains(err.Error(), "layer3") {
		t.Errorf("a stage that does not exist: %v, want an error that names those that do", err)
	}
}

func TestRunMeasuresInOrder(t *testing.T) {
	said := &sayings{}
	figures, err := Run(context.Background(), Options{Seconds: 0.01, Data: "insects", Progress: said}, Pictures, Head)
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != 3 || figures[0].What != "pictures" || figures[0].Rate != figures[0].Ours || figures[1].What != "head" || figures[1].Rate != 0 {
		t.Fatalf("figures %v", figures)
	}
	for i, f := range figures {
		if f.Ours <= 0 || f.Unit == "" || f.Peers != nil || f.What == "" || said.sentences[i] != f.String() {
			t.Errorf("%+v, said as %q", f, said.sentences[i])
		}
	}
}

func TestRunKeepsTheFiguresBeforeAnError(t *testing.T) {
	o := Options{Data: "insects"}
	figures, err := Run(context.Background(), o, Head, Finetune)
	if len(figures) != 2 || err == nil || !strings.HasPrefix(err.Error(), "bench finetune: ") || !strings.Contains(err.Error(), "--python PY") {
		t.Errorf("%d figures, %v", len(figures), err)
	}
	if _, err := Run(context.Background(), o, "haed"); err == nil || !strings.Contains(err.Error(), "pictures") {
		t.Errorf("an unknown measurement: %v, want an error that lists the known ones", err)
	}
	o.Python, o.Epochs = "python3", 26
	if _, err := Run(context.Background(), o, Tutorial); err == nil || !strings.Contains(err.Error(), "want 1 to 25") {
		t.Errorf("26 epochs of 25: %v", err)
	}
}

// The peer does its job after ours in each round, and the medians make the ratio.
func TestRatesComparesMedians(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the peer here is a shell script")
	}
	dir := t.TempDir()
	peer := filepath.Join(dir, "peer")
	script := "#!/bin/sh\ncd " + "\"" + dir + "\"\necho x >> calls\nn=$(wc -l < calls)\nprintf '{\"rate\": %s, \"by\": \"peer 1\"}' $((n * n))\n"
	if err := os.WriteFile(peer, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	rates := []float64{8, 1, 4, 2, 16}
	s := &session{Options: Options{Python: peer, Progress: &sayings{}}}
	err := s.rates(context.Background(), contest{what: "x", unit: "1/s", ours: func() (float64, error) {
		rate := rates[0]
		rates = rates[1:]
		return rate, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := Figure{Name: "x", Unit: "1/s", Ours: 4, Peers: map[Peer]float64{torch: 9}, By: map[Peer]string{torch: "peer 1"}}
	if f := s.figures[0]; !reflect.DeepEqual(f, want) || math.Abs(f.Ratio(torch)-4./9) > 1e-12 || f.Ratio(onnxRuntime) != 0 {
		t.Errorf("%+v, want %+v", f, want)
	}
	seconds := Figure{Ours: 2, Unit: "s"}.against(torch, "torch 1", 6)
	if r := seconds.Ratio(torch); r != 3 {
		t.Errorf("6 s next to 2 s has the ratio %v, want 3", r)
	}
	s.Python = filepath.Join(dir, "gone")
	if _, _, err := s.peer(context.Background(), peerJob{"what": "x"}); err == nil || !strings.Contains(err.Error(), s.Python) {
		t.Errorf("a peer that does not exist: %v", err)
	}
}

func TestLinkTreeLeavesFoldersOut(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	for _, name := range []string{"files/a", "compile/b", "features/c/d"} {
		path := filepath.Join(from, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := linkTree(from, to, "features", "compile"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(to)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v: want the folder files alone", entries, err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "files", "a")); err != nil || string(text) != "files/a" {
		t.Errorf("%q, %v", text, err)
	}
}

type sayings struct{ sentences []string }

func (s *sayings) State(string, int64, int64) {}
func (s *sayings) Say(sentence string)        { s.sentences = append(s.sentences, sentence) }

// The peer imports nothing from the folder that it is started in, and beside networks its waiting
// threads use no processor time.
func TestPeersEnvironment(t *testing.T) {
	for _, c := range []struct {
		networks []string
		passive  bool
	}{{nil, false}, {[]string{"resnet18"}, true}} {
		s := &session{Options: Options{Python: "python3", Networks: c.networks}}
		env := s.python(context.Background(), nil).Env
		if !slices.Contains(env, "PYTHONSAFEPATH=1") || slices.Contains(env, "OMP_WAIT_POLICY=passive") != c.passive {
			t.Errorf("networks %v: %v", c.networks, env)
		}
	}
}

// The processor time of a picture is compared as its rate is, and only the first process compiled.
func TestFigureOfNetworks(t *testing.T) {
	ours := timings{{Rate: 9, CPU: 30, Compiled: 5}, {Rate: 10, CPU: 20, Compiled: 0.5}, {Rate: 12, CPU: 10, Compiled: 0.4}}
	f := ours.figure(Figure{Name: "step x"}, timings{{Rate: 5, CPU: 30, By: "torch 2"}})
	if f.Ratio(torch) != 2 || f.RatioCPU(torch) != 1.5 || f.Compiled != 5 || f.Cached != 0.4 || f.Processor == "" {
		t.Errorf("%+v", f)
	}
	if alone := ours.figure(Figure{Name: "step x"}, nil); alone.Peers != nil || alone.RatioCPU(torch) != 0 {
		t.Errorf("without a peer: %+v", alone)
	}
	if text := f.String(); !strings.Contains(text, "processor time 20.0 ms, torch 2 30.0, ratio 1.50   compiled in 5.0 s, from the cache in 0.40 s") {
		t.Error(text)
	}
}

// The cells have the names by which they are compared from one version to the next.
func TestSecondsOfCells(t *testing.T) {
	facade := Figure{Key: "facade_warm_s", Ours: 0.5, Unit: "s"}.against(plainGoNB, "plain GoNB", 4)
	got := Cells.Seconds([]Figure{facade, {Key: "worker_start_s", Ours: 0.1}, {Name: "no cell", Ours: 3}})
	if want := map[string]float64{"facade_warm_s": 0.5, "gonb_warm_s": 4, "worker_start_s": 0.1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
