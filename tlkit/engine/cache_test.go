package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// network is a small program with something to get wrong: a convolution, a matrix
// product, a softmax and a gradient.
func network(e *Engine, image, kernel, weights []float32) (string, error) {
	exec, err := graph.NewExec(e.Backend, func(x, k, w *graph.Node) (loss, dk, dw *graph.Node) {
		y := graph.Tanh(graph.Convolve(x, k).Strides(2).PadSame().Done())
		y = graph.ReduceMean(y, 1, 2)
		logits := graph.MatMul(y, w)
		p := graph.Softmax(logits)
		l := graph.ReduceAllMean(graph.Mul(p, logits))
		g := graph.Gradient(l, k, w)
		return l, g[0], g[1]
	})
	if err != nil {
		return "", err
	}
	defer exec.Finalize()
	outs, err := exec.Call(
		tensors.FromFlatDataAndDimensions(image, 2, 16, 16, 3),
		tensors.FromFlatDataAndDimensions(kernel, 3, 3, 3, 8),
		tensors.FromFlatDataAndDimensions(weights, 8, 5))
	if err != nil {
		return "", err
	}
	// The very bits.
	h := sha256.New()
	for _, o := range outs {
		o.MustConstFlatData(func(flat any) {
			for _, v := range flat.([]float32) {
				fmt.Fprintf(h, "%08x", math.Float32bits(v))
			}
		})
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func wave(n int, step float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(float64(i) * step))
	}
	return v
}

func compute4test(e *Engine) (string, error) {
	return network(e, wave(2*16*16*3, 0.37), wave(3*3*3*8, 0.91), wave(8*5, 1.7))
}

// childVar makes the test binary compute the network in a process of its own and
// print the result and what the cache did.
const childVar = "TLKIT_ENGINE_TEST_CHILD"

type childReport struct {
	Bits  string
	Stats Stats
	Error string
}

func child() {
	var r childReport
	e, err := Open(context.Background(), Options{})
	if err == nil {
		r.Bits, err = compute4test(e)
		r.Stats = e.CompileCache()
		e.Close()
	}
	if err != nil {
		r.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(r)
}

func secondProcess(t testing.TB, env ...string) childReport {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childVar+"=1"), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	var r childReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("child said %q: %v", out, err)
	}
	if r.Error != "" {
		t.Fatalf("child: %s", r.Error)
	}
	return r
}

func entries(t testing.TB, root string) []string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(root, "compile", "*"+cacheSuffix))
	return found
}

// The second process loads what the first compiled, and gets the same bits.
func TestSecondProcess(t *testing.T) {
	_, root := withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	first := secondProcess(t)
	if first.Stats != (Stats{Misses: 1}) || len(entries(t, root)) != 1 {
		t.Fatalf("first: %+v, entries %v; want one miss and one entry", first.Stats, entries(t, root))
	}
	second := secondProcess(t)
	if second.Stats != (Stats{Hits: 1}) {
		t.Errorf("second: %+v, want one hit", second.Stats)
	}
	if second.Bits != first.Bits {
		t.Errorf("compiled and cached program differ: %s, %s", first.Bits, second.Bits)
	}
	// Other flags are another program.
	other := secondProcess(t, "XLA_FLAGS=--xla_cpu_enable_fast_math=false")
	if other.Stats != (Stats{Misses: 1}) {
		t.Errorf("with other XLA_FLAGS: %+v, want a miss", other.Stats)
	}
	if runtime.GOOS == "linux" && runtime.NumCPU() > 1 {
		if taskset, err := exec.LookPath("taskset"); err == nil {
			cmd := exec.Command(taskset, "-c", "0", os.Args[0])
			cmd.Env = append(os.Environ(), childVar+"=1")
			var r childReport
			out, err := cmd.Output()
			if err == nil {
				err = json.Unmarshal(out, &r)
			}
			if err != nil || r.Stats != (Stats{Misses: 1}) || r.Bits != first.Bits {
				t.Errorf("on one processor: %+v, %v; want a miss and the same bits", r, err)
			}
		}
	}
}

// A damaged entry is noticed, deleted, and compiled anew with the right result.
func TestDamagedEntries(t *testing.T) {
	_, root := withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	e := open4test(t, Options{})
	want, err := compute4test(e)
	if err != nil {
		t.Fatal(err)
	}
	all := entries(t, root)
	if len(all) != 1 {
		t.Fatalf("entries %v, want one", all)
	}
	good, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		return b
	}
	start := e.CompileCache()
	n := 0
	var said []string
	note := func(s string) { said = append(said, s) }
	e.share.cache.note.Store(&note)
	for name, content := range map[string][]byte{
		"flipped in the code": flip(len(good) / 2),
		"flipped at the end":  flip(len(good) - 1),
		"flipped in the hash": flip(len(cacheFormat) + 3),
		"flipped in the head": flip(2),
		"cut":                 good[:len(good)/2],
		"only the head":       good[:len(cacheFormat)+sha256.Size],
		"empty":               {},
		"longer":              append(bytes.Clone(good), 0),
	} {
		if err := os.WriteFile(all[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := compute4test(e)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want the right result", name, got, err)
		}
		n++
		s := e.CompileCache()
		if s.Rejected != start.Rejected+n || s.Misses != start.Misses+n || s.Hits != start.Hits {
			t.Errorf("%s: %+v after %d damages, want each rejected and compiled", name, s, n)
		}
		if now, err := os.ReadFile(all[0]); err != nil || !bytes.Equal(now[:len(cacheFormat)], []byte(cacheFormat)) {
			t.Errorf("%s: the entry was not replaced: %v", name, err)
		}
		if aside, err := os.ReadFile(all[0] + ".damaged"); err != nil || !bytes.Equal(aside, content) {
			t.Errorf("%s: the damaged entry was not set aside: %v", name, err)
		}
		if len(said) != n || !strings.Contains(said[n-1], "damaged") || !strings.Contains(said[n-1], all[0]+".damaged") {
			t.Errorf("%s: said %q", name, said)
		}
	}
	// An entry under another name is rejected too.
	other := filepath.Join(filepath.Dir(all[0]), strings.Repeat("0", 64)+cacheSuffix)
	os.WriteFile(other, good, 0o600)
	if _, ok := e.share.cache.get(strings.Repeat("0", 64)); ok {
		t.Error("an entry copied to another name was believed")
	}
}

func TestNoCompileCache(t *testing.T) {
	_, root := withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	e := open4test(t, Options{NoCompileCache: true})
	if _, err := compute4test(e); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, root); len(got) != 0 || e.CompileCache() != (Stats{}) {
		t.Errorf("entries %v, %+v; want none", got, e.CompileCache())
	}
}

// A cache that cannot be written to costs a compilation, nothing else.
func TestUnwritableCompileCache(t *testing.T) {
	_, root := withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	os.WriteFile(filepath.Join(root, "compile"), []byte("a file is in the way"), 0o600)
	e := open4test(t, Options{})
	if _, err := compute4test(e); err != nil {
		t.Error(err)
	}
	// The folder vanishes while the program runs.
	os.Remove(filepath.Join(root, "compile"))
	e.Close()
	f := open4test(t, Options{})
	os.RemoveAll(filepath.Join(root, "compile"))
	if _, err := compute4test(f); err != nil {
		t.Error(err)
	}
}

func TestEviction(t *testing.T) {
	setenv(t, cachedir.EnvVar, t.TempDir())
	c := newCompileCache("")
	if c == nil {
		t.Skip("the processor is unknown here, so there is no cache")
	}
	c.limit = 10_000
	key := func(i int) string { return c.key("plugin", []byte(fmt.Sprint(i))) }
	for i := range 8 {
		c.put(key(i), make([]byte, 1000))
		when := time.Now().Add(time.Duration(i-100) * time.Hour)
		os.Chtimes(c.path(key(i)), when, when)
	}
	// Entry 0 is the oldest, but used now.
	if _, ok := c.get(key(0)); !ok {
		t.Fatal("entry 0 is gone already")
	}
	for i := 8; i < 12; i++ {
		c.put(key(i), make([]byte, 1000))
	}
	var sum int64
	for _, p := range entries(t, filepath.Dir(c.dir)) {
		info, _ := os.Stat(p)
		sum += info.Size()
	}
	if sum > c.limit {
		t.Errorf("%d bytes kept, limit %d", sum, c.limit)
	}
	if _, ok := c.get(key(0)); !ok {
		t.Error("the entry used last was evicted")
	}
	if _, ok := c.get(key(1)); ok {
		t.Error("the least recently used entry is still there")
	}
	if _, ok := c.get(key(11)); !ok {
		t.Error("the newest entry was evicted")
	}
	// One entry may not push out all others.
	c.put(key(99), make([]byte, 5000))
	if _, ok := c.get(key(99)); ok {
		t.Error("an entry of half the cache was kept")
	}
}

func TestKeys(t *testing.T) {
	setenv(t, cachedir.EnvVar, t.TempDir())
	c := newCompileCache("card")
	if c == nil {
		t.Skip("the processor is unknown here, so there is no cache")
	}
	base := c.key("plugin", []byte("mlir"), []byte("program"), []byte("options"))
	seen := map[string]string{base: "base"}
	add := func(what, key string) {
		if other, ok := seen[key]; ok {
			t.Errorf("%s has the key of %s", what, other)
		}
		seen[key] = what
	}
	add("another plugin", c.key("plugin2", []byte("mlir"), []byte("program"), []byte("options")))
	add("shifted parts", c.key("plugin", []byte("mlirp"), []byte("rogram"), []byte("options")))
	add("another order", c.key("plugin", []byte("mlir"), []byte("options"), []byte("program")))
	d := newCompileCache("another card")
	add("another card", d.key("plugin", []byte("mlir"), []byte("program"), []byte("options")))
	d.machine = strings.Replace(c.machine, "threads", "threads 9", 1)
	add("another machine", d.key("plugin", []byte("mlir"), []byte("program"), []byte("options")))
	setenv(t, "XLA_FLAGS", "--other")
	add("other flags", c.key("plugin", []byte("mlir"), []byte("program"), []byte("options")))
	setenv(t, "NPROC", "9")
	add("other threads", c.key("plugin", []byte("mlir"), []byte("program"), []byte("options")))
}

func TestProcessor(t *testing.T) {
	const a = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\ncpu MHz\t\t: 2500.1\nflags\t\t: fpu sse avx2\n\nprocessor\t: 1\nmodel name\t: other\n"
	b := strings.NewReplacer("2500.1", "3100.9", "fpu sse avx2", "avx2 fpu  sse").Replace(a)
	ca, cb := parseCPUInfo(strings.NewReader(a)), parseCPUInfo(strings.NewReader(b))
	if ca.name != "AMD EPYC" || ca.features == "" {
		t.Errorf("read %+v", ca)
	}
	if ca != cb {
		t.Errorf("clock and order of flags make a difference: %+v, %+v", ca, cb)
	}
	if c := parseCPUInfo(strings.NewReader(strings.Replace(a, "avx2", "avx512f", 1))); c.features == ca.features {
		t.Error("other flags make no difference")
	}
	if c := parseCPUInfo(strings.NewReader("")); c.features != "" {
		t.Errorf("nothing read as %+v", c)
	}
}

// The versions in the keys are those of go.mod.
func TestVersionsAgreeWithGoMod(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Skipf("no go.mod beside the source: %v", err)
	}
	for module, version := range map[string]string{
		"github.com/gomlx/gomlx":  gomlxVersion,
		"github.com/gomlx/go-xla": goXLAVersion,
	} {
		if !strings.Contains(string(text), module+" "+version) {
			t.Errorf("go.mod does not require %s %s", module, version)
		}
	}
}
