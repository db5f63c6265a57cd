package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// FindCUDA returns the CUDA plugin for this machine's NVIDIA card: the one that InstallCUDA
// installed, or else that of the jax installed for python3. Without a card it returns nil and
// no error; if the card cannot be used, the error says why.
func FindCUDA(ctx context.Context) (*Plugin, error) {
	card, err := FindCard()
	if card == nil || err != nil {
		return nil, err
	}
	p, err := installedCUDA(ctx, cudaSets[card.cuda()])
	if p != nil || err != nil {
		return p, err
	}
	p, err = jaxCUDA(ctx, card)
	if p != nil || err != nil {
		return p, err
	}
	return nil, advice.New(errors.New("plugin: this machine has an NVIDIA card and no CUDA plugin"), "run: tlkit setup --cuda")
}

// preload is the order in which NVIDIA's libraries are opened before the plugin, each after
// those it needs. The plugin opens them by name; if they are already in the process, it does
// not depend on search paths.
var preload = []string{
	"libcudart.so.*", "libnvrtc.so.*", "libnvJitLink.so.*", "libcublasLt.so.*", "libcublas.so.*", "libcufft.so.*",
	"libcusparse.so.*", "libcusolver.so.*", "libcupti.so.*", "libnccl.so.*", "libnvshmem_host.so.*", "libcudnn.so.*",
}

// nvidiaBelow finds the libraries and the data folder in a tree with the layout of NVIDIA's
// wheels, nvidia/PART/lib/*.so.
func nvidiaBelow(nvidia string) (libraries []string, dataDir string) {
	for _, pattern := range preload {
		found, _ := filepath.Glob(filepath.Join(nvidia, "*", "lib", pattern))
		sort.Strings(found)
		if len(found) > 0 {
			libraries = append(libraries, found[0])
		}
	}
	for _, part := range []string{"cu13", "cuda_nvcc"} {
		if _, err := os.Stat(filepath.Join(nvidia, part, "bin", "ptxas")); err == nil {
			return libraries, filepath.Join(nvidia, part)
		}
	}
	return libraries, ""
}

// jaxLocations makes Python print where the packages are, without importing them.
const jaxLocations = `
import importlib.util, importlib.metadata, json, sys
out = {"plugins": [], "nvidia": []}
for cuda in ("13", "12"):
    try:
        spec = importlib.util.find_spec("jax_plugins.xla_cuda" + cuda)
    except Exception:
        spec = None
    if spec is not None:
        try:
            version = importlib.metadata.version("jax-cuda" + cuda + "-pjrt")
        except Exception:
            version = ""
        for place in spec.submodule_search_locations or []:
            out["plugins"].append({"cuda": cuda, "dir": place, "version": version})
try:
    spec = importlib.util.find_spec("nvidia")
    out["nvidia"] = list(spec.submodule_search_locations or []) if spec else []
except Exception:
    pass
json.dump(out, sys.stdout)
`

// jaxCUDA finds the plugin of an installed jax; nil if there is none.
func jaxCUDA(ctx context.Context, card *Card) (*Plugin, error) {
	python := ""
	names := []string{"python3", "python"}
	if n := os.Getenv(fetch.PythonVar); n != "" {
		names = []string{n}
	}
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			python = p
			break
		}
	}
	if python == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", jaxLocations)
	// Not in the current folder: Python would import modules from there.
	cmd.Dir = os.TempDir()
	cmd.WaitDelay = time.Second
	text, err := cmd.Output()
	if err != nil {
		return nil, nil // without a working Python there is no jax
	}
	var found struct {
		Plugins []struct{ CUDA, Dir, Version string }
		NVIDIA  []string
	}
	if json.Unmarshal(text, &found) != nil {
		return nil, nil
	}
	var last error
	for _, location := range found.Plugins {
		path := filepath.Join(location.Dir, "xla_cuda_plugin.so")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if location.CUDA == "13" && card.cuda() == "12" {
			last = advice.New(fmt.Errorf("plugin: the installed jax is for CUDA 13, which wants NVIDIA driver %d or newer, and this one is %s", driverCUDA13, card.Driver), "update the driver, or run: tlkit setup --cuda")
			continue
		}
		p, err := FindAt(ctx, path)
		if err != nil {
			last = err
			continue
		}
		p.Platform = "cuda"
		p.Version = "XLA of jax-cuda" + location.CUDA + "-pjrt " + location.Version
		p.Source = "the jax installed for " + python
		for _, n := range found.NVIDIA {
			if libs, data := nvidiaBelow(n); len(libs) > 0 {
				p.Libraries, p.DataDir = libs, data
				break
			}
		}
		return p, nil
	}
	return nil, last
}

// manifest describes an installation. It is written last.
type manifest struct {
	Plugin  string `json:"plugin"` // slash path below the folder
	SHA256  string `json:"sha256"`
	Version string `json:"version"`
}

const manifestName = "tlkit.json"

// installedCUDA returns what installCUDA installed; nil if there is nothing.
func installedCUDA(ctx context.Context, set cudaSet) (*Plugin, error) {
	root, err := cachedir.Root()
	if err != nil {
		return nil, nil
	}
	dir := filepath.Join(root, "cuda", set.id())
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, nil
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil || !filepath.IsLocal(filepath.FromSlash(m.Plugin)) {
		return nil, advice.New(fmt.Errorf("plugin: %s is damaged", filepath.Join(dir, manifestName)), "run: tlkit setup --cuda")
	}
	p := &Plugin{Platform: "cuda", Path: filepath.Join(dir, filepath.FromSlash(m.Plugin)), SHA256: m.SHA256,
		Version: m.Version, Source: "jax's and NVIDIA's wheels, installed by tlkit setup --cuda", dir: dir}
	p.Libraries, p.DataDir = nvidiaBelow(filepath.Join(dir, "nvidia"))
	if err := p.unchanged(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// needless reports whether a file of NVIDIA's wheels is only for compiling C++. Such files
// are a large part of several gigabytes.
func needless(name string) bool {
	return strings.Contains(name, "/include/") || strings.HasSuffix(name, ".a") || strings.HasSuffix(name, ".h") ||
		strings.HasSuffix(name, "/cicc") || strings.HasSuffix(name, "/nvcc") || strings.HasSuffix(name, "/cudafe++")
}
