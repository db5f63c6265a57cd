package plugin

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// tree writes files below a folder that plays the root of a machine.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCard(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("cards are looked for on Linux only")
	}
	const (
		closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Sat Sep  2 00:00:00 UTC 2023\nGCC version:  gcc version 12.2.0\n"
		open   = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  %s  Release Build  (dvs-builder)  Tue Jul  1 2025\nGCC version: 13\n"
	)
	version := func(format, v string) string { return strings.Replace(format, "%s", v, 1) }
	none, err := cardBelow(tree(t, nil))
	if none != nil || err != nil {
		t.Errorf("no card: %v, %v", none, err)
	}
	c, err := cardBelow(tree(t, map[string]string{
		"proc/driver/nvidia/version":                       version(closed, "570.86.15"),
		"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 0\n",
		"dev/nvidiactl":                                    "",
	}))
	if err != nil || c.Driver != "570.86.15" || c.Major != 570 || c.cuda() != "12" || len(c.Models) != 1 || c.Models[0] != "NVIDIA H100 80GB HBM3" {
		t.Errorf("570: %+v, %v", c, err)
	}
	d, err := cardBelow(tree(t, map[string]string{"proc/driver/nvidia/version": version(open, "580.65.06"), "dev/nvidiactl": ""}))
	if err != nil || d.Driver != "580.65.06" || d.cuda() != "13" {
		t.Errorf("580, open module: %+v, %v", d, err)
	}
	if c.text == d.text {
		t.Error("two drivers have one ID")
	}
	w, err := cardBelow(tree(t, map[string]string{"dev/dxg": "", "usr/lib/wsl/lib/libcuda.so.1": ""}))
	if err != nil || w == nil || w.cuda() != "13" {
		t.Errorf("WSL: %+v, %v", w, err)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"old driver":              {map[string]string{"proc/driver/nvidia/version": version(closed, "470.199.02"), "dev/nvidiactl": ""}, "470.199.02 is too old"},
		"no driver":               {map[string]string{"dev/nvidiactl": ""}, "no NVIDIA driver loaded"},
		"container without cards": {map[string]string{"proc/driver/nvidia/version": version(closed, "570.86.15")}, "--gpus all"},
	} {
		if card, err := cardBelow(tree(t, c.files)); card != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v; want one sentence with %q", name, card, err, c.want)
		}
	}
}

// wheelOf puts a wheel into the drop folder, as a person without a network would,
// and returns its pin.
func wheelOf(t *testing.T, name, version string, files map[string][]byte) wheel {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for n, data := range files {
		w, err := z.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	z.Close()
	dir, err := fetch.Incoming()
	if err != nil {
		t.Fatal(err)
	}
	file := strings.ReplaceAll(name, "-", "_") + "-" + version + "-py3-none-any.whl"
	if err := os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return wheel{name, version, hex.EncodeToString(sum[:])}
}

// The whole installation with small wheels of the same layout.
func TestInstallCUDAFromDroppedWheels(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CUDA is installed on Linux only")
	}
	root := setCache(t)
	so, err := os.ReadFile(library(t, pluginCode))
	if err != nil {
		t.Fatal(err)
	}
	set := cudaSet{"13", []wheel{
		wheelOf(t, "jax-cuda13-pjrt", "0", map[string][]byte{"jax_plugins/xla_cuda13/xla_cuda_plugin.so": so, "jax_plugins/xla_cuda13/__init__.py": nil}),
		wheelOf(t, "nvidia-cublas", "1", map[string][]byte{"nvidia/cu13/lib/libcublas.so.13": so, "nvidia/cu13/lib/libcublasLt.so.13": so, "nvidia/__init__.py": nil, "nvidia/cu13/include/cublas.h": []byte("x")}),
		wheelOf(t, "nvidia-cuda-runtime", "1", map[string][]byte{"nvidia/cu13/lib/libcudart.so.13": so, "nvidia/__init__.py": nil, "nvidia/cu13/lib/libcudart_static.a": []byte("x")}),
		wheelOf(t, "nvidia-cuda-nvcc", "1", map[string][]byte{"nvidia/cu13/bin/ptxas": []byte("#!/bin/sh\n"), "nvidia/cu13/bin/nvcc": []byte("x")}),
	}}
	if p, err := installedCUDA(t.Context(), set); p != nil || err != nil {
		t.Fatalf("before: %v, %v", p, err)
	}
	// Stopped after two wheels: the third is not there yet.
	dir, _ := fetch.Incoming()
	hidden := filepath.Join(dir, "nvidia_cuda_runtime-1-py3-none-any.whl")
	os.Rename(hidden, hidden+".away")
	if _, err := installCUDA(t.Context(), set, fetch.Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "nvidia-cuda-runtime") {
		t.Fatalf("one missing: err = %v, want its name", err)
	}
	os.Rename(hidden+".away", hidden)
	// What was unpacked is not asked for again.
	cublas := filepath.Join(dir, "nvidia_cublas-1-py3-none-any.whl")
	os.Rename(cublas, cublas+".away")
	p, err := installCUDA(t.Context(), set, fetch.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	var libs []string
	for _, l := range p.Libraries {
		libs = append(libs, filepath.Base(l))
	}
	if got := strings.Join(libs, " "); got != "libcudart.so.13 libcublasLt.so.13 libcublas.so.13" {
		t.Errorf("libraries in order: %s", got)
	}
	ptxas := filepath.Join(p.DataDir, "bin", "ptxas")
	if info, err := os.Stat(ptxas); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("ptxas: %v, %v; want a program", info, err)
	}
	for _, gone := range []string{"nvidia/cu13/include/cublas.h", "nvidia/cu13/lib/libcudart_static.a", "nvidia/cu13/bin/nvcc"} {
		if _, err := os.Stat(filepath.Join(root, "cuda", set.id(), gone)); err == nil {
			t.Errorf("%s was kept", gone)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(root, "cuda", "*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "files", "*", "*")); len(left) != 0 {
		t.Errorf("wheels left: %v", left)
	}
	if err := p.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	// Damage is noticed, and installing again repairs it.
	os.Truncate(p.Path, 100)
	if q, err := installedCUDA(t.Context(), set); q != nil || err == nil || !strings.Contains(err.Error(), "tlkit setup --cuda") {
		t.Errorf("damaged: %v, %v", q, err)
	}
	os.Rename(cublas+".away", cublas)
	p, err = installCUDA(t.Context(), set, fetch.Options{Offline: true})
	if err != nil {
		t.Fatalf("again: %v", err)
	}
	if err := p.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	if err := p.Remove(); err != nil {
		t.Error(err)
	}
}

// A real Python is asked where an installed jax has its plugin.
func TestJaxPlugin(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 here")
	}
	setCache(t)
	so, err := os.ReadFile(library(t, pluginCode))
	if err != nil {
		t.Fatal(err)
	}
	site := tree(t, map[string]string{
		"jax_plugins/xla_cuda13/__init__.py":        "raise SystemExit('nobody may import this')",
		"jax_plugins/xla_cuda13/xla_cuda_plugin.so": string(so),
		"jax_cuda13_pjrt-0.11.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: jax-cuda13-pjrt\nVersion: 0.11.2\n",
		"nvidia/cudnn/lib/libcudnn.so.9":            "x",
		"nvidia/cu13/lib/libcudart.so.13":           "x",
		"nvidia/cu13/bin/ptxas":                     "x",
	})
	t.Setenv("PYTHONPATH", site)
	p, err := jaxCUDA(t.Context(), &Card{Major: 580})
	if err != nil || p == nil {
		t.Fatalf("%v, %v", p, err)
	}
	if p.Platform != "cuda" || !strings.Contains(p.Version, "jax-cuda13-pjrt 0.11.2") || len(p.Libraries) != 2 || !strings.HasSuffix(p.DataDir, "cu13") {
		t.Errorf("%+v", p)
	}
	if p.Remove() == nil {
		t.Error("jax's own plugin was removed")
	}
	if p, err := jaxCUDA(t.Context(), &Card{Major: 550, Driver: "550.1"}); p != nil || err == nil || !strings.Contains(err.Error(), "driver 580") {
		t.Errorf("driver for CUDA 12 only: %v, %v", p, err)
	}
	os.Truncate(filepath.Join(site, "jax_plugins/xla_cuda13/xla_cuda_plugin.so"), 1000)
	if p, err := jaxCUDA(t.Context(), &Card{Major: 580}); p != nil || err == nil {
		t.Errorf("a plugin that is cut off: %v, %v", p, err)
	}
	t.Setenv("PYTHONPATH", "")
	if p, err := jaxCUDA(t.Context(), &Card{Major: 580}); p != nil || err != nil {
		t.Skipf("this python3 has a jax of its own: %v, %v", p, err)
	}
}
