package plugin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// library compiles a small shared library that exports GetPjrtApi, or not.
func library(t *testing.T, code string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler here")
	}
	dir := t.TempDir()
	src, so := filepath.Join(dir, "p.c"), filepath.Join(dir, "p.so")
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return so
}

const pluginCode = "void* GetPjrtApi(void) { return 0; }"

func TestSound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the damaged libraries are made for Linux")
	}
	good := library(t, pluginCode)
	if err := Sound(good); err != nil {
		t.Errorf("a plugin: %v", err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) string {
		p := filepath.Join(t.TempDir(), "pjrt_c_api_cpu_plugin.so")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	other := append([]byte(nil), data...)
	other[18], other[19] = 243, 0 // e_machine: RISC-V
	exe := append([]byte(nil), data...)
	exe[16] = 2 // e_type: program
	for name, c := range map[string]struct{ path, want string }{
		"text":            {write([]byte("404: not found\n")), "not a shared library"},
		"empty":           {write(nil), "not a shared library"},
		"head only":       {write(data[:64]), "cut off"},
		"other machine":   {write(other), "is made for"},
		"a program":       {write(exe), "want a shared library"},
		"another library": {library(t, "int f(void) { return 1; }"), "no PJRT plugin"},
		"only wants one":  {library(t, "extern void* GetPjrtApi(void); void* f(void) { return GetPjrtApi(); }"), "no PJRT plugin"},
		"a folder":        {t.TempDir(), "not a file"},
		"missing":         {filepath.Join(t.TempDir(), "x.so"), "no such file"},
	} {
		if err := Sound(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: err = %v, want %q in it", name, err, c.want)
		}
		if _, err := FindAt(t.Context(), c.path); err == nil {
			t.Errorf("%s: At found nothing wrong", name)
		}
	}
	// Wherever a library is cut: an error, never a panic, never "sound".
	for n := 0; n < len(data); n += 97 {
		if err := Sound(write(data[:n])); err == nil {
			t.Errorf("cut to %d of %d bytes it is called sound", n, len(data))
		}
	}
}

func TestAt(t *testing.T) {
	setCache(t)
	good := library(t, pluginCode)
	for name, platform := range map[string]string{
		"pjrt_c_api_cpu_plugin.so": "cpu", "xla_cuda_plugin.so": "cuda", "plugin.so": "other",
	} {
		target := filepath.Join(t.TempDir(), name)
		if err := os.Link(good, target); err != nil {
			t.Skip(err)
		}
		p, err := FindAt(t.Context(), target)
		if err != nil || p.Platform != platform || p.Path != target || len(p.SHA256) != 64 {
			t.Errorf("%s: %+v, %v; want %s", name, p, err, platform)
		}
	}
}

func setCache(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	return root
}

// The pinned plugin, installed as setup does it (into the person's own cache).
func TestInstallCPU(t *testing.T) {
	if len(buildsHere()) == 0 {
		_, err := InstallCPU(t.Context(), Options{})
		if err == nil || !strings.Contains(err.Error(), runtime.GOOS) {
			t.Errorf("err = %v, want a sentence about this platform", err)
		}
		t.Skip("no pinned build for this platform")
	}
	p, err := InstallCPU(t.Context(), Options{})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("the plugin cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	start := time.Now()
	q := FindCPU()
	if q == nil || q.Path != p.Path || q.SHA256 != p.SHA256 {
		t.Errorf("FindCPU = %v, want %v", q, p)
	}
	if err := q.Verify(t.Context(), false); err != nil {
		t.Error(err)
	}
	t.Logf("found and verified by its stamp in %s", time.Since(start))
	if a, err := FindAt(t.Context(), p.Path); err != nil || a.SHA256 != p.SHA256 || a.Platform != "cpu" {
		t.Errorf("At = %+v, %v", a, err)
	}
}

// Without a network nothing hangs, and the message says what to put where.
func TestInstallCPUWithoutNetwork(t *testing.T) {
	if len(buildsHere()) == 0 {
		t.Skip("no pinned build for this platform")
	}
	root := setCache(t)
	_, err := InstallCPU(t.Context(), Options{Offline: true})
	if !errors.Is(err, fetch.ErrOffline) {
		t.Errorf("offline: err = %v", err)
	}
	t.Setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
	t.Setenv("PIP_EXTRA_INDEX_URL", "")
	t.Setenv("PIP_FIND_LINKS", "")
	start := time.Now()
	_, err = InstallCPU(t.Context(), Options{})
	if err == nil {
		t.Fatal("installed without a network")
	}
	if d := time.Since(start); d > 45*time.Second {
		t.Errorf("took %s to give up on both sources", d)
	}
	for _, want := range []string{"lammps_jax_pjrt_cpu-0.11.2", "fastatomstruct_xla_cpu-2026.6.23", filepath.Join(root, "incoming")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
	if p := FindCPU(); p != nil {
		t.Errorf("found %v", p)
	}
}

func TestBuildsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range CPUBuilds() {
		if len(b.file.SHA256) != 64 || b.file.Bytes < 1e8 || b.Licence == "" || b.Source == "" || len(b.file.Sources) == 0 || seen[b.file.SHA256] {
			t.Errorf("%+v", b)
		}
		seen[b.file.SHA256] = true
	}
	for cuda, set := range cudaSets {
		names := map[string]bool{}
		for _, w := range set.wheels {
			if len(w.sha256) != 64 || w.version == "" || names[w.name] {
				t.Errorf("cuda %s: %+v", cuda, w)
			}
			names[w.name] = true
		}
		if set.cuda != cuda || set.wheels[0].name != "jax-cuda"+cuda+"-pjrt" {
			t.Errorf("cuda %s: %+v", cuda, set.wheels[0])
		}
	}
	if cudaSets["12"].id() == cudaSets["13"].id() {
		t.Error("both sets have one folder")
	}
}

func ExampleCPUBuilds() {
	best := CPUBuilds()[0]
	fmt.Println(best.Version, "for", best.OS+"/"+best.Arch)
	fmt.Println(best.Source, "under", best.Licence)
	// Output:
	// XLA of jaxlib 0.11.2 for linux/amd64
	// Python wheel lammps-jax-pjrt-cpu 0.11.2 under Apache-2.0
}
