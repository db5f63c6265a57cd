package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// needPlugin installs the CPU plugin into the person's own cache, as setup does,
// and returns it.
func needPlugin(t testing.TB) *plugin.Plugin {
	t.Helper()
	if !xlaBuilt {
		t.Skip("built without cgo: XLA cannot be opened")
	}
	p, err := plugin.InstallCPU(t.Context(), plugin.Options{})
	if err != nil {
		if errors.Is(err, fetch.ErrUnreachable) || p == nil && plugin.FindCPU() == nil {
			t.Skipf("the XLA plugin cannot be fetched here: %v", err)
		}
		t.Fatal(err)
	}
	return p
}

// withPlugin gives the test a cache of its own that holds the plugin, as a link:
// it has 200 MB.
func withPlugin(t testing.TB) (*plugin.Plugin, string) {
	t.Helper()
	p := needPlugin(t)
	root := t.TempDir()
	dir := filepath.Join(root, "files", p.SHA256)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.Path, filepath.Join(dir, filepath.Base(p.Path))); err != nil {
		t.Skipf("no links here: %v", err)
	}
	setenv(t, cachedir.EnvVar, root)
	return p, root
}

func setenv(t testing.TB, key, value string) {
	t.Helper()
	t.Setenv(key, value)
}

func open4test(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func TestOpenXLA(t *testing.T) {
	p := needPlugin(t)
	setenv(t, BackendVar, "")
	e := open4test(t, Options{})
	if card, err := plugin.FindCard(); card == nil && err == nil && e.Name != "xla:cpu" {
		t.Errorf("opened %s, want xla:cpu", e)
	}
	if e.Name == "xla:cpu" && e.Plugin != p.String() {
		t.Errorf("plugin %q, want %q", e.Plugin, p)
	}
	if e.Device == "" || e.Threads < 1 {
		t.Errorf("device %q, threads %d", e.Device, e.Threads)
	}
	if err := smoke(e.Backend); err != nil {
		t.Error(err)
	}
	// Once more: the same backend, which stays when one of the two is closed.
	f := open4test(t, Options{})
	if f.Backend != e.Backend {
		t.Error("a second Open made another backend")
	}
	f.Close()
	f.Close()
	if err := smoke(e.Backend); err != nil {
		t.Errorf("after closing the other engine: %v", err)
	}
	e.Close()
	if !e.Backend.IsFinalized() {
		t.Error("the last Close did not release the backend")
	}
	g := open4test(t, Options{})
	if err := smoke(g.Backend); err != nil {
		t.Errorf("opened again after all were closed: %v", err)
	}
}

func TestNothingInstalled(t *testing.T) {
	setenv(t, cachedir.EnvVar, t.TempDir())
	setenv(t, BackendVar, "")
	e := open4test(t, Options{})
	if e.Name != "go:ops_sequential" {
		t.Errorf("opened %s", e)
	}
	want := "tlkit setup"
	if !xlaBuilt {
		want = "cgo"
	}
	if !strings.Contains(e.Why, want) || strings.Contains(e.Why, "\n") {
		t.Errorf("Why = %q, want one line with %q", e.Why, want)
	}
	if err := smoke(e.Backend); err != nil {
		t.Error(err)
	}
	if s := e.CompileCache(); s != (Stats{}) {
		t.Errorf("plain Go has a compile cache: %+v", s)
	}
}

// What GOMLX_BACKEND names is opened, or nothing is.
func TestOrders(t *testing.T) {
	setenv(t, cachedir.EnvVar, t.TempDir()) // no plugin
	text := filepath.Join(t.TempDir(), "pjrt_c_api_cpu_plugin.so")
	if err := os.WriteFile(text, []byte("<html>not found</html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	orders := map[string]string{
		"nonsense":              `no backend "nonsense"`,
		"nonsense:with,options": `no backend "nonsense"`,
		":":                     `no backend ""`,
		"go:colour=red":         "does not open",
	}
	if xlaBuilt {
		for order, want := range map[string]string{
			"xla:cpu":         "tlkit setup",
			"xla":             "tlkit setup",
			"xla:tpu":         "want cpu, cuda",
			"xla:/nowhere.so": "no such file",
			"xla:" + text:     "not a shared library",
		} {
			orders[order] = want
		}
		if card, err := plugin.FindCard(); card == nil && err == nil {
			orders["xla:cuda"] = "no NVIDIA card"
		}
	} else {
		orders["xla:cpu"] = "without cgo"
	}
	for order, want := range orders {
		setenv(t, BackendVar, order)
		e, err := Open(t.Context(), Options{})
		if err == nil {
			t.Errorf("%s: opened %s, want an error", order, e)
			e.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), BackendVar) {
			t.Errorf("%s: err = %v, want %q in it", order, err, want)
		}
	}
	for order, want := range map[string]string{
		"go":                "go:ops_sequential",
		"go:ops_sequential": "go:ops_sequential",
		"go:parallelism=1":  "go:parallelism=1,ops_sequential",
		"go:ops_parallel":   "go:ops_parallel",
	} {
		setenv(t, BackendVar, order)
		if e := open4test(t, Options{}); e.Name != want || e.Why != "" {
			t.Errorf("%s: opened %s (%q), want %s without a Why", order, e.Name, e.Why, want)
		}
	}
}

func TestOrderedXLA(t *testing.T) {
	p := needPlugin(t)
	for order, want := range map[string]string{
		"xla:cpu":                "xla:cpu",
		"hlo:cpu":                "xla:cpu",
		"xla:" + p.Path:          "xla:cpu",
		"xla:cpu,shared_buffers": "xla:cpu,shared_buffers",
	} {
		setenv(t, BackendVar, order)
		e := open4test(t, Options{})
		if e.Name != want {
			t.Errorf("%s: opened %s", order, e.Name)
		}
		if err := smoke(e.Backend); err != nil {
			t.Errorf("%s: %v", order, err)
		}
	}
	setenv(t, BackendVar, "xla:cpu,colour=red")
	if _, err := Open(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("unknown option: err = %v", err)
	}
}

// A plugin that went bad in the cache is not opened: opening one that is cut off
// would end this process.
func TestDamagedPluginIsNotOpened(t *testing.T) {
	p, root := withPlugin(t)
	setenv(t, BackendVar, "")
	child := filepath.Join(root, "files", p.SHA256, filepath.Base(p.Path))
	if e := open4test(t, Options{}); !strings.HasPrefix(e.Name, "xla:") {
		t.Fatalf("the untouched plugin: %s", e)
	}
	data, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), data...)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"cut":     data[:len(data)/2],
		"empty":   {},
		"text":    []byte("not found"),
		"flipped": flipped,
	} {
		// A new file in the link's place: its other end must stay whole.
		os.Remove(child)
		if err := os.WriteFile(child, content, 0o600); err != nil {
			t.Fatal(err)
		}
		e := open4test(t, Options{})
		if e.Name != "go:ops_sequential" || !strings.Contains(e.Why, "tlkit setup") {
			t.Errorf("%s: opened %s", name, e)
		}
	}
}

func TestStoppedBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func TestPanicsComeBackAsErrors(t *testing.T) {
	_, err := acquire("test", func() (compute.Backend, *compileCache, error) { panic("backend fell over") })
	if err == nil || !strings.Contains(err.Error(), "fell over") {
		t.Errorf("err = %v", err)
	}
	if _, err := acquire("test", func() (compute.Backend, *compileCache, error) { return nil, nil, nil }); err == nil {
		t.Error("no backend and no error went through")
	}
}

func TestWithDefaults(t *testing.T) {
	for input, want := range map[string]string{
		"":                    "preallocate=false,tf32=false",
		"tf32=true":           "tf32=true,preallocate=false",
		"notf32,preallocate":  "notf32,preallocate",
		"memory_fraction=0.5": "memory_fraction=0.5,preallocate=false,tf32=false",
	} {
		if got := withDefaults(input, cudaDefaults); got != want {
			t.Errorf("withDefaults(%q) = %q, want %q", input, got, want)
		}
	}
}

func TestCUDASentences(t *testing.T) {
	for said, want := range map[string]string{
		"PJRT error (code=9): No visible GPU devices.":                                  "nvidia-smi",
		"RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4294967296 bytes.":  "memory is taken",
		"CUDA driver version is insufficient for CUDA runtime version":                  "update the driver",
		"libcuda.so.1: cannot open shared object file: No such file or directory":       "no driver",
		"Failed to load libcudnn.so.9":                                                  "setup --cuda",
		"DNN library initialization failed. Look at the errors above for more details.": "setup --cuda",
		"something nobody has seen":                                                     "something nobody has seen",
	} {
		if got := explainCUDA(errors.New(said)); !strings.Contains(got, want) || !strings.Contains(got, said) {
			t.Errorf("%q is explained as %q, want %q and the original in it", said, got, want)
		}
	}
}

// On a machine with an NVIDIA card and a CUDA plugin the card computes.
func TestOpenCUDA(t *testing.T) {
	if !xlaBuilt {
		t.Skip("built without cgo: XLA cannot be opened")
	}
	card, err := plugin.FindCard()
	if card == nil {
		t.Skipf("no NVIDIA card here (%v)", err)
	}
	p, err := plugin.FindCUDA(t.Context())
	if p == nil {
		t.Skipf("there is a card and no CUDA plugin: %v", err)
	}
	setenv(t, BackendVar, "xla:cuda")
	e := open4test(t, Options{})
	if err := smoke(e.Backend); err != nil {
		t.Error(err)
	}
	t.Logf("%s", e)
}

// What may move the last bits of a result is in the identity, and nothing that
// differs between two openings.
func TestIdentity(t *testing.T) {
	setenv(t, BackendVar, "go")
	e := open4test(t, Options{})
	if a, b := e.Identity(), open4test(t, Options{}).Identity(); a != b {
		t.Errorf("two openings: %s and %s", a, b)
	}
	before := e.Identity()
	setenv(t, "XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
	if e.Identity() == before {
		t.Error("other compiler flags, same identity")
	}
	setenv(t, BackendVar, "go:ops_parallel")
	if f := open4test(t, Options{}); f.Identity() == e.Identity() {
		t.Error("another backend, same identity")
	}
}
