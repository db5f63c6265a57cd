package onnxruntime

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	onnx "github.com/gomlx/compute-onnx/support/protos"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// needLibrary installs the library into the person's own cache, as setup does.
func needLibrary(t testing.TB) *Library {
	t.Helper()
	if len(Here()) == 0 {
		t.Skip("no pinned build for this platform")
	}
	l, err := Install(t.Context(), Options{})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("the library cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func needRuntime(t testing.TB) *Runtime {
	t.Helper()
	if !built {
		t.Skip("built without cgo: ONNX Runtime cannot be opened")
	}
	rt, err := Open(t.Context(), needLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func session(t testing.TB, model []byte, o SessionOptions) *Session {
	t.Helper()
	s, err := needRuntime(t).Session(model, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestOpen(t *testing.T) {
	rt := needRuntime(t)
	if rt.Version() != version {
		t.Errorf("version %s, want %s", rt.Version(), version)
	}
	if l := rt.Library(); !strings.Contains(rt.Identity(), l.SHA256) || !strings.Contains(rt.Identity(), version) {
		t.Errorf("identity %q", rt.Identity())
	}
	if err := rt.Check(); err != nil {
		t.Error(err)
	}
	again, err := Open(t.Context(), needLibrary(t))
	if err != nil || again != rt {
		t.Errorf("opened again: %p, %v; want %p", again, err, rt)
	}
	other := rt.Library()
	other.SHA256 = strings.Repeat("0", 64)
	if _, err := Open(t.Context(), &other); err == nil || !strings.Contains(err.Error(), "open in this process") {
		t.Errorf("another library: %v", err)
	}
	if _, err := Open(t.Context(), nil); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("nil: %v", err)
	}
}

func TestRun(t *testing.T) {
	model := twice(t)
	s := session(t, model, SessionOptions{Threads: 1})
	clear(model) // the session has what it needs
	x := []float32{1, 2, 3, 40, 50, 60}
	out, err := s.Run(Tensor{Shape: []int{2, 3}, Float32: x})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{2, 4, 6, 80, 100, 120}; !slices.Equal(out[0].Float32, want) || !slices.Equal(out[0].Shape, []int{2, 3}) {
		t.Errorf("y = %v, want %v", out[0], want)
	}
	if want := []float32{12, 300}; !slices.Equal(out[1].Float32, want) || !slices.Equal(out[1].Shape, []int{2, 1}) {
		t.Errorf("sum = %v, want %v", out[1], want)
	}
	if x[0] != 1 {
		t.Error("the input was changed")
	}
	only := session(t, twice(t), SessionOptions{Outputs: []string{"sum"}})
	out, err = only.Run(Tensor{Shape: []int{1, 3}, Float32: x[:3]})
	if err != nil || len(out) != 1 || !slices.Equal(out[0].Float32, []float32{12}) {
		t.Errorf("the sum alone: %v, %v", out, err)
	}
	if got := listed(only.Outputs()); got != "sum float32[?,1]" {
		t.Errorf("outputs %s", got)
	}
}

// A session has one thread fewer than it is told, since the caller's works too.
func TestThreads(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("threads are counted in /proc")
	}
	count := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	rt, model := needRuntime(t), twice(t)
	for threads, want := range map[int]int{1: 0, 9: 8, 17: 16} {
		var all []*Session
		before := count()
		for range 3 { // Go starts threads of its own now and then
			s, err := rt.Session(model, SessionOptions{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if got := count() - before; got < 3*want || got > 3*want+4 {
			t.Errorf("three sessions of %d threads: %d more, want %d", threads, got, 3*want)
		}
		for _, s := range all {
			s.Close()
		}
	}
}

func TestRunOnBytes(t *testing.T) {
	model := encoded(t, &onnx.GraphProto{
		Input:  []*onnx.ValueInfoProto{port("x", onnx.TensorProto_UINT8, -1)},
		Output: []*onnx.ValueInfoProto{port("f", onnx.TensorProto_FLOAT, -1), port("same", onnx.TensorProto_UINT8, -1)},
		Node: []*onnx.NodeProto{operator("Cast", []string{"x"}, "f", map[string][]int64{"to": {int64(onnx.TensorProto_FLOAT)}}),
			operator("Identity", []string{"x"}, "same", nil)},
	})
	out, err := session(t, model, SessionOptions{}).Run(Tensor{Shape: []int{3}, Uint8: []byte{0, 7, 255}})
	if err != nil || !slices.Equal(out[0].Float32, []float32{0, 7, 255}) || !slices.Equal(out[1].Uint8, []byte{0, 7, 255}) {
		t.Errorf("%v, %v", out, err)
	}
}

// What does not fit is an error that says what was wanted; the library never sees it.
func TestRunOnWrongInputs(t *testing.T) {
	s := session(t, twice(t), SessionOptions{})
	for name, c := range map[string]struct {
		in   []Tensor
		want string
	}{
		"none":        {nil, "0 inputs, want 1"},
		"two":         {make([]Tensor, 2), "2 inputs, want 1"},
		"width":       {[]Tensor{{Shape: []int{1, 4}, Float32: make([]float32, 4)}}, "want [?,3]"},
		"rank":        {[]Tensor{{Shape: []int{3}, Float32: make([]float32, 3)}}, "want [?,3]"},
		"no rows":     {[]Tensor{{Shape: []int{0, 3}}}, "every axis 1 or longer"},
		"negative":    {[]Tensor{{Shape: []int{-1, 3}}}, "every axis 1 or longer"},
		"too few":     {[]Tensor{{Shape: []int{2, 3}, Float32: make([]float32, 5)}}, "with 5 numbers, want 6"},
		"far too few": {[]Tensor{{Shape: []int{1 << 62, 3}, Float32: make([]float32, 3)}}, "every axis"},
		"bytes":       {[]Tensor{{Shape: []int{1, 3}, Uint8: make([]byte, 3)}}, "is uint8, want float32"},
		"both":        {[]Tensor{{Shape: []int{1, 3}, Uint8: make([]byte, 3), Float32: make([]float32, 3)}}, "want one"},
	} {
		if _, err := s.Run(c.in...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func TestWrongModels(t *testing.T) {
	rt := needRuntime(t)
	unknown := encoded(t, &onnx.GraphProto{
		Input: []*onnx.ValueInfoProto{port("x", onnx.TensorProto_FLOAT, 1)}, Output: []*onnx.ValueInfoProto{port("y", onnx.TensorProto_FLOAT, 1)},
		Node: []*onnx.NodeProto{operator("Frobnicate", []string{"x"}, "y", nil)}})
	dangling := encoded(t, &onnx.GraphProto{
		Input: []*onnx.ValueInfoProto{port("x", onnx.TensorProto_FLOAT, 1)}, Output: []*onnx.ValueInfoProto{port("y", onnx.TensorProto_FLOAT, 1)},
		Node: []*onnx.NodeProto{operator("Relu", []string{"nowhere"}, "y", nil)}})
	for name, c := range map[string]struct {
		model []byte
		o     SessionOptions
		want  string
	}{
		"empty":            {nil, SessionOptions{}, "no ONNX model"},
		"text":             {[]byte("this is not a model"), SessionOptions{}, "no ONNX model"},
		"cut off":          {twice(t)[:100], SessionOptions{}, "no ONNX model"},
		"unknown operator": {unknown, SessionOptions{}, "Frobnicate"},
		"dangling input":   {dangling, SessionOptions{}, "nowhere"},
		"no such output":   {twice(t), SessionOptions{Outputs: []string{"z"}}, `no output "z"; it has y float32[?,3], sum float32[?,1]`},
		"no output":        {twice(t), SessionOptions{Outputs: []string{}}, "at least one"},
		"negative threads": {twice(t), SessionOptions{Threads: -1}, "-1 threads"},
	} {
		s, err := rt.Session(c.model, c.o)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", name, err, c.want)
		}
	}
	// A changed byte may give a model or none, and never ends the process.
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		changed := twice(t)
		changed[rng.IntN(len(changed))] ^= byte(1 + rng.IntN(255))
		if s, err := rt.Session(changed, SessionOptions{Threads: 1}); err == nil {
			s.Close()
		}
	}
}

func pictures(n, size int) []float32 {
	rng := rand.New(rand.NewPCG(7, 8))
	all := make([]float32, n*size*size*3)
	for i := range all {
		all[i] = float32(rng.NormFloat64())
	}
	return all
}

// rows runs the network on pictures in batches and returns the features.
func rows(t testing.TB, s *Session, all []float32, batch int) (out []float32) {
	t.Helper()
	size := s.Inputs()[0].Shape[1]
	one := size * size * 3
	for at := 0; at < len(all); at += batch * one {
		end := min(at+batch*one, len(all))
		y, err := s.Run(Tensor{Shape: []int{(end - at) / one, size, size, 3}, Float32: all[at:end]})
		if err != nil {
			t.Error(err)
			return nil
		}
		out = append(out, y[0].Float32...)
	}
	return out
}

func TestClosedSession(t *testing.T) {
	s := session(t, network(t, 32), SessionOptions{Threads: 1})
	x := pictures(8, 32)
	var runs sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			for {
				_, err := s.Run(Tensor{Shape: []int{8, 32, 32, 3}, Float32: x})
				if errors.Is(err, errClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	rows(t, s, x, 4)
	s.Close() // while others run
	s.Close()
	runs.Wait()
	if _, err := s.Run(Tensor{Shape: []int{8, 32, 32, 3}, Float32: x}); !errors.Is(err, errClosed) {
		t.Errorf("a closed session: %v", err)
	}
}

// Runs and sessions need no more memory than those before them.
func TestMemoryStaysFlat(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc")
	}
	s := session(t, network(t, 64), SessionOptions{Threads: 1})
	x := pictures(4, 64)
	measure := func(runs int) int {
		for range runs {
			rows(t, s, x, 4)
		}
		debug.FreeOSMemory()
		return resident(t)
	}
	flat(t, "runs", measure, 500)
	tiny := session(t, twice(t), SessionOptions{Threads: 1})
	few := func(runs int) int { // shows what is lost with each call
		for range runs {
			if _, err := tiny.Run(Tensor{Shape: []int{1, 3}, Float32: x[:3]}); err != nil {
				t.Fatal(err)
			}
		}
		debug.FreeOSMemory()
		return resident(t)
	}
	flat(t, "tiny runs", few, 50_000)
	model := network(t, 64)
	open := func(n int) int {
		for range n {
			s, err := needRuntime(t).Session(model, SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			rows(t, s, x, 4)
			s.Close()
		}
		debug.FreeOSMemory()
		return resident(t)
	}
	flat(t, "sessions", open, 60)
}

// flat does something again and again: what loses memory loses it each time, while the C library's
// pools for threads grow now and then.
func flat(t *testing.T, what string, do func(n int) int, n int) {
	t.Helper()
	do(n)
	before := do(n)
	const slack, rounds = 8 << 20, 5
	for range rounds {
		after := do(n)
		t.Logf("%d MB, then %d MB after %d %s more", before>>20, after>>20, n, what)
		if after <= before+slack {
			return
		}
		before = after
	}
	t.Errorf("%d %s take more than %d MB each of %d times", n, what, slack>>20, rounds)
}

// resident is the memory of this process in bytes.
func resident(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// tokens is a network whose features are a mean along a middle axis, as in Mixer and Swin.
func tokens(t testing.TB) []byte {
	return encoded(t, &onnx.GraphProto{
		Input:       []*onnx.ValueInfoProto{port("pictures", onnx.TensorProto_FLOAT, -1, 64, 64, 3)},
		Output:      []*onnx.ValueInfoProto{port("features", onnx.TensorProto_FLOAT, -1, 96)},
		Initializer: []*onnx.TensorProto{{Name: "shape", DataType: int32(onnx.TensorProto_INT64), Dims: []int64{3}, Int64Data: []int64{-1, 128, 96}}},
		Node: []*onnx.NodeProto{operator("Reshape", []string{"pictures", "shape"}, "tokens", nil),
			operator("ReduceMean", []string{"tokens"}, "features", map[string][]int64{"axes": {1}, "keepdims": {0}})},
	})
}

// A row of features has the same bits in whatever batch it is computed, with any number of threads,
// beside other runs in the same session, and again. Caches of rows rely on it.
func TestRowsHaveTheSameBits(t *testing.T) {
	x := pictures(24, 64)
	for name, model := range map[string][]byte{"convolutions": network(t, 64), "mean": tokens(t)} {
		want := rows(t, session(t, model, SessionOptions{Threads: 1}), x, 24)
		if len(want) != 24*96 || want[0] == want[1] {
			t.Fatalf("%s: %d numbers, which begin with %v", name, len(want), want[:2])
		}
		for _, threads := range []int{1, 2, 3, 4} {
			s := session(t, model, SessionOptions{Threads: threads})
			for _, batch := range []int{1, 2, 3, 4, 5, 8, 23} {
				var runs sync.WaitGroup
				for range 3 {
					runs.Go(func() {
						if !slices.Equal(rows(t, s, x, batch), want) {
							t.Errorf("%s, %d threads: other bits in batches of %d", name, threads, batch)
						}
					})
				}
				runs.Wait()
			}
		}
	}
}

// Rows are filled up only where the first axis is the batch of all.
func TestRowsThatDependOnEachOther(t *testing.T) {
	model := encoded(t, &onnx.GraphProto{
		Input:       []*onnx.ValueInfoProto{port("x", onnx.TensorProto_FLOAT, -1, 3)},
		Output:      []*onnx.ValueInfoProto{port("sum", onnx.TensorProto_FLOAT, 1, 3)},
		Initializer: []*onnx.TensorProto{{Name: "axis", DataType: int32(onnx.TensorProto_INT64), Dims: []int64{1}, Int64Data: []int64{0}}},
		Node:        []*onnx.NodeProto{operator("ReduceSum", []string{"x", "axis"}, "sum", nil)},
	})
	out, err := session(t, model, SessionOptions{Threads: 4}).Run(Tensor{Shape: []int{1, 3}, Float32: []float32{1, 2, 3}})
	if err != nil || !slices.Equal(out[0].Float32, []float32{1, 2, 3}) {
		t.Errorf("the sum over one row: %v, %v", out, err)
	}
}
