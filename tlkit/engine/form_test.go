package engine

import (
	"strings"
	"sync"
	"testing"
)

func TestParseFormReadsWhatStringWrites(t *testing.T) {
	for _, f := range []Form{
		{Runtime: XLA}, {Runtime: ONNXRuntime}, {Runtime: XLA, Batch: 8}, {Runtime: ONNXRuntime, Batch: 2, Side: 2},
		{Runtime: XLA, Convolutions: Eigen, Batch: 32, Side: 4},
	} {
		got, err := ParseForm(f.String())
		if err != nil || got != f {
			t.Errorf("ParseForm(%q) = %+v, %v; want %+v", f.String(), got, err, f)
		}
	}
	if got := (Form{}).String(); got != "xla" {
		t.Errorf("the zero form is %q", got)
	}
	for _, bad := range []string{"", "tensorrt", "xla,batch", "xla,batch=0", "xla,batch=1e3", "xla,batch=9999999", "xla,side=-1",
		"xla,convolutions=mkl", "onnxruntime,convolutions=eigen", "xla,speed=2", "xla,,", "XLA"} {
		if f, err := ParseForm(bad); err == nil || !strings.Contains(err.Error(), "batch=N") {
			t.Errorf("ParseForm(%q) = %+v, %v", bad, f, err)
		}
	}
}

// A program compiled under a form is another program to the compile cache, with XLA's default for
// the programs of other goroutines at the same time.
func TestCompileUnderAForm(t *testing.T) {
	withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	e := open4test(t, Options{})
	compile := func(f Form) {
		t.Helper()
		if err := e.Compile(f, func() error { _, err := compute4test(e); return err }); err != nil {
			t.Fatal(err)
		}
	}
	eigen := Form{Convolutions: Eigen}
	for _, step := range []struct {
		form         Form
		misses, hits int
	}{{Form{}, 1, 0}, {eigen, 1, 0}, {Form{}, 0, 1}, {eigen, 0, 1}} {
		before := e.CompileCache()
		compile(step.form)
		s := e.CompileCache()
		if s.Misses-before.Misses != step.misses || s.Hits-before.Hits != step.hits {
			t.Errorf("form %v: %+v after %+v, want %d misses and %d hits", step.form, s, before, step.misses, step.hits)
		}
	}
	// Inside, another goroutine compiles XLA's default: a hit.
	before := e.CompileCache()
	err := e.Compile(eigen, func() error {
		var wg sync.WaitGroup
		wg.Go(func() { compile(Form{}) })
		wg.Wait()
		return nil
	})
	if s := e.CompileCache(); err != nil || s.Hits != before.Hits+1 || s.Misses != before.Misses {
		t.Errorf("another goroutine's program: %v, %+v after %+v", err, s, before)
	}
}

// XLA reads the options: a flag that does not exist is refused by its name.
func TestCompileOptionsReachXLA(t *testing.T) {
	withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	e := open4test(t, Options{})
	wrong := []byte(strings.Replace(string(eigenOptions), "fusion_type", "fusion_mode", 1))
	err := withOptions(wrong, func() error { _, err := compute4test(e); return err })
	if err == nil || !strings.Contains(err.Error(), "fusion_mode") {
		t.Errorf("an unknown flag: %v", err)
	}
	if _, err := compute4test(e); err != nil {
		t.Errorf("after it: %v", err)
	}
}
