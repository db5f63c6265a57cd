//go:build cgo && unix

package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gomlx/go-xla/pjrt"

	"github.com/tlkit/transfer-learning/internal/bitrot"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// A program that does not compile gives XLA's error, not one of the cache.
func TestCompileErrorsPassThrough(t *testing.T) {
	p := needPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	e := open4test(t, Options{})
	start := e.CompileCache()
	l, err := load(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pjrt.GetPlugin(l.name)
	if err != nil {
		t.Fatal(err)
	}
	client, err := again.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Destroy()
	_, err = client.Compile().WithStableHLO([]byte("this is no program")).Done()
	if err == nil || !strings.Contains(err.Error(), "PJRT error") {
		t.Errorf("err = %v, want XLA's own", err)
	}
	if s := e.CompileCache(); s.Hits != start.Hits || s.Misses != start.Misses+1 {
		t.Errorf("cache %+v, before %+v; want one miss more", s, start)
	}
}

// Our excerpt of the PJRT C API says what the full header says.
func TestExcerptAgreesWithPJRT(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler here")
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	header := filepath.Join(strings.TrimSpace(string(out)), "pjrt")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var c strings.Builder
	c.WriteString("#include \"pjrt_c_api.h\"\n#include \"pjrt_excerpt.h\"\n")
	same := func(ours, theirs string) {
		c.WriteString("_Static_assert(" + ours + " == " + theirs + ", \"" + ours + "\");\n")
	}
	for slot, function := range map[string]string{
		"TLKIT_ERROR_DESTROY": "PJRT_Error_Destroy", "TLKIT_CLIENT_COMPILE": "PJRT_Client_Compile",
		"TLKIT_EXECUTABLE_DESTROY": "PJRT_Executable_Destroy", "TLKIT_EXECUTABLE_SERIALIZE": "PJRT_Executable_Serialize",
		"TLKIT_LOADED_GET_EXECUTABLE":  "PJRT_LoadedExecutable_GetExecutable",
		"TLKIT_EXECUTABLE_DESERIALIZE": "PJRT_Executable_DeserializeAndLoad",
	} {
		same("offsetof(tlkit_api, fn) + "+slot+" * sizeof(tlkit_fn)", "offsetof(PJRT_Api, "+function+")")
	}
	same("offsetof(tlkit_api, major)", "offsetof(PJRT_Api, pjrt_api_version.major_version)")
	same("offsetof(tlkit_api, minor)", "offsetof(PJRT_Api, pjrt_api_version.minor_version)")
	for ours, theirs := range map[string][]string{
		"tlkit_error_destroy_args":      {"PJRT_Error_Destroy_Args", "error", "error"},
		"tlkit_program":                 {"PJRT_Program", "code", "code", "code_size", "code_size", "format", "format", "format_size", "format_size"},
		"tlkit_compile_args":            {"PJRT_Client_Compile_Args", "client", "client", "program", "program", "options", "compile_options", "options_size", "compile_options_size", "loaded", "executable"},
		"tlkit_get_executable_args":     {"PJRT_LoadedExecutable_GetExecutable_Args", "loaded", "loaded_executable", "executable", "executable"},
		"tlkit_executable_destroy_args": {"PJRT_Executable_Destroy_Args", "executable", "executable"},
		"tlkit_serialize_args":          {"PJRT_Executable_Serialize_Args", "executable", "executable", "bytes", "serialized_bytes", "bytes_size", "serialized_bytes_size", "owner", "serialized_executable", "release", "serialized_executable_deleter"},
		"tlkit_deserialize_args":        {"PJRT_Executable_DeserializeAndLoad_Args", "client", "client", "bytes", "serialized_executable", "bytes_size", "serialized_executable_size", "loaded", "loaded_executable", "options", "overridden_serialized_compile_options", "options_size", "overridden_serialized_compile_options_size"},
	} {
		same("sizeof("+ours+")", "sizeof("+theirs[0]+")")
		for i := 1; i < len(theirs); i += 2 {
			same("offsetof("+ours+", "+theirs[i]+")", "offsetof("+theirs[0]+", "+theirs[i+1]+")")
		}
	}
	src := filepath.Join(t.TempDir(), "check.c")
	if err := os.WriteFile(src, []byte(c.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-fsyntax-only", "-I", header, "-I", here, src).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A library that kills its process kills the probe's child and nothing else.
func TestProbeSurvives(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler here")
	}
	for how, code := range map[string]string{
		"SIGSEGV at opening": `__attribute__((constructor)) static void f(void) { *(volatile int*)0 = 1; } void* GetPjrtApi(void) { return 0; }`,
		"SIGBUS at opening":  `#include <signal.h>` + "\n" + `__attribute__((constructor)) static void f(void) { raise(SIGBUS); } void* GetPjrtApi(void) { return 0; }`,
		"abort at the table": `#include <stdlib.h>` + "\n" + `void* GetPjrtApi(void) { abort(); }`,
		"exit at opening":    `#include <stdlib.h>` + "\n" + `__attribute__((constructor)) static void f(void) { _Exit(1); } void* GetPjrtApi(void) { return 0; }`,
	} {
		dir := t.TempDir()
		src, so := filepath.Join(dir, "bad.c"), filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
		if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, src).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		setenv(t, BackendVar, "xla:"+so)
		_, err := plugin.Probe(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), "kills the process") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: err = %v, want one sentence", how, err)
		}
		t.Logf("%s: %v", how, err)
	}
	// One that opens and is no plugin is an error of its own, in the child as here.
	dir := t.TempDir()
	src, so := filepath.Join(dir, "empty.c"), filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	os.WriteFile(src, []byte("void* GetPjrtApi(void) { return 0; }"), 0o600)
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	setenv(t, BackendVar, "xla:"+so)
	if _, err := plugin.Probe(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "returned nothing") {
		t.Errorf("no table: err = %v", err)
	}
}

func TestProbe(t *testing.T) {
	needPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	p, err := plugin.Probe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "xla:cpu" || p.Threads < 1 || p.Open <= 0 || p.Run <= 0 {
		t.Errorf("%+v", p)
	}
	setenv(t, "XLA_FLAGS", "--no_such_flag")
	if _, err := plugin.Probe(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no_such_flag") {
		t.Errorf("an unknown flag: err = %v, want it named", err)
	}
	setenv(t, plugin.ProbeVar, "1")
	if _, err := plugin.Probe(t.Context(), ""); err == nil {
		t.Error("a probe started a probe")
	}
}

// A bit that flips in the installed plugin changes neither its size nor its times. The library is not
// opened; plain Go computes, and says why.
func TestRottenPlugin(t *testing.T) {
	p := needPlugin(t)
	root := t.TempDir()
	path := filepath.Join(root, "files", p.SHA256, filepath.Base(p.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(p.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, cachedir.EnvVar, root)
	if plugin.FindCPU() == nil { // reads it, and notes what it is
		t.Fatal("the copy is not found")
	}
	if err := bitrot.Flip(path, int64(len(data)/2)); err != nil {
		t.Fatal(err)
	}
	if plugin.FindCPU() == nil {
		t.Fatal("the stamp is not true: this test tests nothing")
	}
	got, err := plugin.Probe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Name, "go:") || !strings.Contains(got.Why, "damaged") || !strings.Contains(got.Why, path+".damaged") || !strings.Contains(got.Why, "tlkit setup") {
		t.Errorf("%s: %s; want plain Go, the damage, where the file is now, and what to run", got.Name, got.Why)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
	// Without a network it says where to put another by hand.
	_, err = plugin.InstallCPU(t.Context(), plugin.Options{Offline: true})
	if err == nil || !strings.Contains(err.Error(), "was damaged in the cache") || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("offline: %v", err)
	}
}

// Notebook cells are linked by Go's own linker, which is three times as fast as the system's and
// does not know everything that a C compiler makes, such as variables of a thread.
func TestGoLinksThePackageAlone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the system's linker is used")
	}
	cmd := exec.Command("go", "test", "-c", "-ldflags=-s", "-o", filepath.Join(t.TempDir(), "engine.test"), ".")
	cmd.Env = append(os.Environ(), "GO_EXTLINK_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
