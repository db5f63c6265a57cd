package parts

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

var kills = flag.Int("kills", 3, "how often TestKill kills a worker")

// preset is small, so that these tests are about parts.
var preset = transforms.Preset{Size: 8, Resize: 8, Geometry: transforms.GeometryShort, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}

// means is a backbone whose features are the mean of each channel.
func means(pause time.Duration) features.Backbone {
	return features.Backbone{Identity: "means", Features: 3, Batch: 4, Open: func(_ context.Context, size int) (func([]float32) ([]float32, error), error) {
		return func(batch []float32) ([]float32, error) {
			time.Sleep(pause)
			out := make([]float32, 4*3)
			for i, v := range batch {
				out[3*(i/(size*size*3))+i%3] += v / float32(size*size)
			}
			return out, nil
		}, nil
	}}
}

func slow(m *Manifest, out string, milliseconds int) Job {
	return Job{Manifest: m, Function: Function{Model: "means", Weights: "none", Preset: preset.Digest(), Features: 3}, Backbone: means(time.Duration(milliseconds) * time.Millisecond), Preset: preset, Out: out, Machine: "here"}
}

// poisoned returns a job that ends the process at files of this content.
func poisoned(j Job, content string) Job {
	eval := j.Preset.Eval()
	j.Prepare = func(data []byte) (transforms.Tensor, error) {
		if bytes.HasSuffix(data, []byte(content)) {
			os.Exit(99)
		}
		return eval.Load(nil, data, transforms.DecodeOptions{}, transforms.Rand{})
	}
	return j
}

// photos returns a folder of pictures with a label each: 2 x n.
func photos(t *testing.T, n int) string {
	t.Helper()
	return testpictures.Shapes(t, []string{"round", "square"}, n)
}

func listed(t *testing.T, source string, size int) *Manifest {
	t.Helper()
	m, err := Write(context.Background(), filepath.Join(t.TempDir(), "m"), source, Options{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// all computes all parts.
func all(t *testing.T, j Job) {
	t.Helper()
	for k := range j.Manifest.Parts {
		if _, err := j.Extract(context.Background(), k); err != nil {
			t.Fatal(err)
		}
	}
}

// The rows of the shards are those of features.Extract, to the bit, with the labels of the folders.
func TestShardsAreTheFeatures(t *testing.T) {
	dir := photos(t, 7)
	m := listed(t, dir, 4)
	if m.Parts != 4 || m.Pictures != 14 {
		t.Fatalf("%d parts of %d pictures, want 4 of 14", m.Parts, m.Pictures)
	}
	job := slow(m, t.TempDir(), 0)
	all(t, job)
	g, err := Gather(job.Out, nil, "")
	if err != nil || g.Whole() != nil || g.Rows != 14 || g.Machines["here"] != 4 {
		t.Fatalf("%+v, %v", g, err)
	}
	ds, err := g.Dataset("photos", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := datasets.Open(context.Background(), dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ds.Labels, want.Labels) || ds.Fingerprint() != want.Fingerprint() || !ds.Dealt {
		t.Errorf("the data set is another: %v, want %v", ds.Items, want.Items)
	}
	matrix, err := features.Extract(context.Background(), features.Job{Items: want.Items, Preset: preset, Backbone: means(0)})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]float32{}
	_ = g.Each(func(r Row, x []float32) error { rows[r.Path] = x; return nil })
	for i, item := range matrix.Items {
		if !slices.Equal(matrix.Row(i), rows[want.Items[item].Rel]) {
			t.Errorf("%s: %v, want %v", want.Items[item].Rel, rows[want.Items[item].Rel], matrix.Row(i))
		}
	}
}

// A worker is killed at random moments and started again, with a second one beside it. Nothing is lost,
// nothing is there twice, and the shards are those of an undisturbed run, to the bit.
func TestKill(t *testing.T) {
	m := listed(t, photos(t, 30), 5)
	straight := slow(m, t.TempDir(), 0)
	all(t, straight)
	for seed := range *kills {
		out := t.TempDir()
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		for range 4 {
			first, second := worker(m.dir, out, "", 3), worker(m.dir, out, "", 3)
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			if err := second.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.IntN(80)) * time.Millisecond)
			_, _ = first.Process.Kill(), second.Process.Kill()
			_, _ = first.Wait(), second.Wait()
		}
		if text, err := worker(m.dir, out, "", 0).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		same(t, straight.Out, out)
	}
}

func worker(manifest, out, poison string, milliseconds int) *exec.Cmd {
	cmd := exec.Command(os.Args[0], manifest, out, poison, fmt.Sprint(milliseconds))
	cmd.Env = append(os.Environ(), childVar+"=1")
	return cmd
}

// same compares the shards of two folders, and what else is there.
func same(t *testing.T, want, got string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(want, "*"+ending))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, path := range names {
		a, _ := os.ReadFile(path)
		b, err := os.ReadFile(filepath.Join(got, filepath.Base(path)))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v", filepath.Base(path), err)
		}
	}
	there, _ := filepath.Glob(filepath.Join(got, "[^.]*"))
	tries, _ := os.ReadDir(filepath.Join(got, triesDir))
	if len(there) != len(names)+1 || len(tries) != 0 {
		t.Errorf("%d files for %d shards, and %d tries", len(there)-1, len(names), len(tries))
	}
}

// A picture that ends the process ends it four times at most; then it is left out by name, and the others
// are there.
func TestPoison(t *testing.T) {
	dir := photos(t, 6)
	victim := filepath.Join(dir, "round")
	entries, _ := os.ReadDir(victim)
	victim = filepath.Join(victim, entries[2].Name())
	data, _ := os.ReadFile(victim)
	if err := os.WriteFile(victim, append(data, "poison"...), 0o600); err != nil {
		t.Fatal(err)
	}
	m, out := listed(t, dir, 5), t.TempDir()
	ends := 0
	for ends < 9 && worker(m.dir, out, "poison", 0).Run() != nil {
		ends++
	}
	g, err := Gather(out, m, "means")
	if err != nil || g.Whole() != nil || ends != 3 {
		t.Fatalf("it ended %d times, want 3; %v %v", ends, err, g.Whole())
	}
	if g.Rows != 11 || len(g.Bad) != 1 || !strings.HasSuffix(victim, g.Bad[0].Path[len("round"):]) || !strings.Contains(g.Bad[0].Why, "2 times") {
		t.Errorf("%d rows, bad %v", g.Rows, g.Bad)
	}
}

// What a disk or a person does to shards is found, and running again mends it.
func TestDamage(t *testing.T) {
	m := listed(t, photos(t, 8), 4)
	clean := slow(m, t.TempDir(), 0)
	all(t, clean)
	names, _ := filepath.Glob(filepath.Join(clean.Out, "*"+ending))
	for what, spoil := range map[string]func([]byte) []byte{
		"torn":      func(b []byte) []byte { return b[:len(b)/2] },
		"empty":     func([]byte) []byte { return nil },
		"longer":    func(b []byte) []byte { return append(b, 0) },
		"a feature": func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
		"a label":   func(b []byte) []byte { return bytes.Replace(b, []byte("round"), []byte("squid"), 1) },
		"no shard":  func([]byte) []byte { return []byte("hello") },
	} {
		job := slow(m, t.TempDir(), 0)
		all(t, job)
		path := filepath.Join(job.Out, filepath.Base(names[1]))
		data, _ := os.ReadFile(path)
		if err := os.WriteFile(path, spoil(data), 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := Gather(job.Out, m, "")
		if err != nil || len(g.Damaged) != 1 || !slices.Equal(g.Missing, []int{1}) || !strings.Contains(fmt.Sprint(g.Whole()), "--only 1") {
			t.Errorf("%s: damaged %v, missing %v, %v %v", what, g.Damaged, g.Missing, err, g.Whole())
		}
		all(t, job)
		same(t, clean.Out, job.Out)
	}
}

// A manifest that changed gives shards other names, and those of the old one are foreign.
func TestAnotherManifest(t *testing.T) {
	dir := photos(t, 4)
	old := listed(t, dir, 3)
	job := slow(old, t.TempDir(), 0)
	all(t, job)
	if err := os.Remove(filepath.Join(dir, "round", first(t, filepath.Join(dir, "round")))); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(context.Background(), old.dir, dir, Options{Size: 3}); err == nil || !strings.Contains(err.Error(), "other pictures") {
		t.Errorf("written over: %v", err)
	}
	m := listed(t, dir, 3)
	if _, err := Gather(job.Out, m, ""); err == nil || !strings.Contains(err.Error(), "no shard that counts") {
		t.Errorf("old shards for a new manifest: %v", err)
	}
	job.Manifest = m
	all(t, job)
	g, err := Gather(job.Out, m, "")
	if err != nil || len(g.Foreign) != 3 || g.Rows != 7 {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err := Gather(job.Out, nil, ""); err == nil || !strings.Contains(err.Error(), "2 manifests") {
		t.Errorf("two manifests: %v", err)
	}
	job.Function.Model, job.Function.Weights = "other", "other"
	all(t, job)
	if _, err := Gather(job.Out, m, ""); err == nil || !strings.Contains(err.Error(), "several networks") {
		t.Errorf("two networks: %v", err)
	}
	if g, err := Gather(job.Out, m, "other"); err != nil || g.Rows != 7 {
		t.Errorf("%+v, %v", g, err)
	}
}

func first(t *testing.T, dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatal(err)
	}
	return entries[0].Name()
}

// Pictures that cannot be read are listed, and the rest counts.
func TestUnreadable(t *testing.T) {
	dir := photos(t, 3)
	if err := os.WriteFile(filepath.Join(dir, "round", "zz.jpg"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := listed(t, dir, 100)
	if err := os.Remove(filepath.Join(dir, "square", first(t, filepath.Join(dir, "square")))); err != nil {
		t.Fatal(err)
	}
	job := slow(m, t.TempDir(), 0)
	done, err := job.Extract(context.Background(), 0)
	if err != nil || done.Rows != 5 || len(done.Bad) != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	again, err := job.Extract(context.Background(), 0)
	if err != nil || !again.There || again.Rows != 5 || len(again.Bad) != 2 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// An interrupted part leaves nothing, and blames no picture.
func TestInterrupt(t *testing.T) {
	m := listed(t, photos(t, 30), 100)
	job := slow(m, t.TempDir(), 20)
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if _, err := job.Extract(ctx, 0); err == nil {
		t.Fatal("not interrupted")
	}
	if names, _ := filepath.Glob(filepath.Join(job.Out, "*", "*")); len(names) != 0 {
		t.Errorf("left there: %v", names)
	}
}
