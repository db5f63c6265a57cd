// Package plugin finds, verifies and installs the PJRT plugin: the shared library that
// contains XLA, the compiler that makes networks fast.
//
// It is plain Go without cgo and loads nothing, so that set-up and doctor can use it on a
// machine where XLA itself is broken. Package engine opens what it finds.
//
// The CPU plugin is an unmodified third-party build, pinned by sha256 and downloaded as a
// Python wheel (see [CPUBuilds]). It is kept in the cache under its hash, never in a folder
// that a loader searches. For NVIDIA cards, the plugin of an installed jax is used, or jax's
// own wheels after [InstallCUDA].
package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/sharedlib"
)

// Plugin is one PJRT plugin on disk.
type Plugin struct {
	Platform string // "cpu" or "cuda"
	Path     string // absolute path of the shared library
	SHA256   string // of the shared library, 64 hex digits
	Version  string // which XLA: "XLA of jaxlib 0.11.2"
	Source   string // where the file comes from, in words

	// For CUDA only. Libraries are opened before the plugin, in this order, with
	// their symbols visible to it; DataDir holds bin/ptxas and nvvm/libdevice.
	Libraries []string
	DataDir   string

	file *fetch.File // set for a CPU plugin in our cache
	dir  string      // set for a CUDA installation of ours
}

// String describes the plugin in one line.
func (p *Plugin) String() string {
	if p == nil {
		return "none"
	}
	return fmt.Sprintf("%s (%s), sha256 %.12s", p.Version, p.Source, p.SHA256)
}

// ErrNotInstalled says that no plugin is installed.
var ErrNotInstalled = advice.New(errors.New("no XLA plugin is installed"), "run: tlkit setup")

// Build is a pinned build of the CPU plugin.
type Build struct {
	OS, Arch string
	Version  string
	Source   string // who built it
	Licence  string

	file fetch.File
}

// CPUBuilds returns the pinned builds, best first. Both are XLA's own CPU plugin, compiled by
// third parties and repackaged as wheels, and both were measured on linux/amd64 with glibc
// 2.27 or newer. The first trains fastest; the second is a replacement in case the first
// disappears.
func CPUBuilds() []Build {
	return []Build{
		{
			OS: "linux", Arch: "amd64",
			Version: "XLA of jaxlib 0.11.2",
			Source:  "Python wheel lammps-jax-pjrt-cpu 0.11.2",
			Licence: "Apache-2.0",
			file: fetch.File{
				Name:   "pjrt_c_api_cpu_plugin.so",
				SHA256: "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
				Bytes:  201_600_336,
				Sources: []fetch.Source{{Wheel: &fetch.Wheel{
					Name: "lammps-jax-pjrt-cpu", Version: "0.11.2",
					SHA256: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1",
					File:   "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
					Bytes:  62_711_338,
				}}},
			},
		},
		{
			OS: "linux", Arch: "amd64",
			Version: "XLA of zml/pjrt-artifacts, PJRT 0.106",
			Source:  "Python wheel fastatomstruct-xla-cpu 2026.6.23",
			Licence: "Apache-2.0",
			file: fetch.File{
				Name:   "pjrt_c_api_cpu_plugin.so",
				SHA256: "0a0fe56ca17be9efc7b942e89e534e5e0ad4a0f1e369b66d27b62184509015b9",
				Bytes:  273_768_800,
				Sources: []fetch.Source{{Wheel: &fetch.Wheel{
					Name: "fastatomstruct-xla-cpu", Version: "2026.6.23",
					SHA256: "88b1c430b341b4bea40a37420311c9c75db6e22b46d2ff95b6986577bee6afe9",
					File:   "fastatomstruct_xla_cpu/libpjrt_cpu.so",
					Bytes:  63_200_622,
				}}},
			},
		},
	}
}

func (b Build) plugin(path string) *Plugin {
	file := b.file
	return &Plugin{Platform: "cpu", Path: path, SHA256: b.file.SHA256, Version: b.Version, Source: b.Source, file: &file}
}

func buildsHere() []Build {
	var here []Build
	for _, b := range CPUBuilds() {
		if b.OS == runtime.GOOS && b.Arch == runtime.GOARCH {
			here = append(here, b)
		}
	}
	return here
}

// pinned are the files of builds.
func pinned(builds []Build) (files sharedlib.Pinned) {
	for _, b := range builds {
		files = append(files, b.file)
	}
	return files
}

// pjrt is what every plugin is.
var pjrt = sharedlib.Kind{Name: "PJRT plugin", Entry: "GetPjrtApi"}

// Sound checks a plugin without loading it. The error says whether it is not a shared library,
// truncated, for another machine, or no PJRT plugin.
func Sound(path string) error {
	if err := pjrt.Sound(path); err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	return nil
}

// Find returns the installed plugins, nil for those that are missing. It goes by the size and times
// of the files that were verified when they arrived; opening one reads it, see [Plugin.Verify]. It does not
// use the network and loads nothing. It looks for cuda only if the machine has an NVIDIA card.
//
// The error says why something that is installed cannot be used; the other result may still be
// good.
func Find(ctx context.Context) (cuda, cpu *Plugin, err error) {
	cuda, err = FindCUDA(ctx)
	cpu = FindCPU()
	if files := pinned(buildsHere()); cpu == nil {
		if i, path, damaged := files.Damaged(); damaged {
			err = errors.Join(err, advice.New(fmt.Errorf("plugin: %s is damaged: its sha256 is not %.12s…", path, files[i].SHA256), "run: tlkit setup"))
		}
	}
	return cuda, cpu, err
}

// FindCPU returns the installed CPU plugin, or nil.
func FindCPU() *Plugin {
	builds := buildsHere()
	if i, path, ok := pinned(builds).Find(); ok {
		return builds[i].plugin(path)
	}
	return nil
}

// FindAt returns the plugin in the file at path, after checking and hashing it. As in go-xla,
// the file name says whether it is for the CPU or for CUDA.
func FindAt(ctx context.Context, path string) (*Plugin, error) {
	if err := Sound(path); err != nil {
		return nil, err
	}
	sum, err := fetch.Sum(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	p := &Plugin{Platform: "other", Path: path, SHA256: sum, Version: "PJRT plugin " + filepath.Base(path), Source: path}
	switch name := strings.ToLower(filepath.Base(path)); {
	case strings.Contains(name, "cuda"):
		p.Platform = "cuda"
	case strings.Contains(name, "cpu"):
		p.Platform = "cpu"
	}
	return p, nil
}

// Options for [InstallCPU] and [InstallCUDA]. The zero value downloads what is missing and
// reports nothing.
type Options struct {
	Offline bool // use only the cache and files put there by hand
	// Report gets the progress: what is being done, with the bytes done and in total
	// (0 = unknown). It is called from one goroutine at a time and may be nil.
	Report func(what string, done, total int64)
	// Note gets a sentence about a damaged plugin that was fetched anew. It may be nil.
	Note func(sentence string)
}

func (o Options) fetch() fetch.Options {
	return fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report), Note: o.Note}
}

// InstallCPU downloads a pinned CPU plugin into the cache, or returns the one that is there.
// Only InstallCPU and InstallCUDA install anything.
func InstallCPU(ctx context.Context, o Options) (*Plugin, error) {
	builds := buildsHere()
	if len(builds) == 0 {
		return nil, advice.New(fmt.Errorf("plugin: there is no pinned CPU plugin for %s/%s (measured: linux/amd64); go-xla has an installer of its own, which checks no hash: go run github.com/gomlx/go-xla/cmd/pjrt_installer@latest", runtime.GOOS, runtime.GOARCH), "then set GOMLX_BACKEND=xla:/the/path/it/prints")
	}
	i, path, err := pinned(builds).Install(ctx, o.fetch())
	switch {
	case err == nil:
		return builds[i].plugin(path), nil
	case path != "": // it is here and cannot be read
		return nil, builds[i].plugin(path).advise(err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("plugin: %w", err)
	}
	return nil, fmt.Errorf("plugin: the CPU plugin could not be installed: %w", err)
}

// Verify reads the file and checks that it is what was found. The error wraps fetch.ErrHash if it is
// damaged. With full, its sha256 is computed and its structure checked; without, a faster checksum
// is enough that was noted together with the sha256.
func (p *Plugin) Verify(ctx context.Context, full bool) error {
	if err := pjrt.Verify(ctx, p.Path, p.SHA256, full); err != nil {
		return p.advise(err)
	}
	return nil
}

// unchanged checks by size and times that the file is still what was verified.
func (p *Plugin) unchanged(ctx context.Context) error {
	got, err := fetch.Sum(ctx, p.Path)
	if err == nil && got != p.SHA256 {
		err = &fetch.HashError{What: p.Path, Want: p.SHA256, Got: got}
	}
	if err != nil {
		return p.advise(err)
	}
	return nil
}

func (p *Plugin) advise(err error) error {
	switch {
	case p.file == nil && p.dir == "":
		return advice.New(fmt.Errorf("plugin: %w", err), "install it again with what installed it (%s)", p.Source)
	case p.Platform == "cuda":
		return advice.New(fmt.Errorf("plugin: %w", err), "run: tlkit setup --cuda")
	}
	return advice.New(fmt.Errorf("plugin: %w", err), "run: tlkit setup")
}

// SetAside renames the damaged file of a CPU plugin that tlkit installed, and returns its new name.
// Any other plugin is left alone, with an error.
func (p *Plugin) SetAside() (string, error) {
	if p.file == nil {
		return "", advice.New(fmt.Errorf("plugin: %s was not installed by tlkit and is left alone", p.Path), "install it again with what installed it (%s)", p.Source)
	}
	return fetch.SetAside(p.Path)
}

// Remove deletes a plugin that tlkit installed from the cache. For any other plugin it returns
// an error and deletes nothing.
func (p *Plugin) Remove() error {
	if p.dir != "" {
		return os.RemoveAll(p.dir)
	}
	if p.file == nil {
		return advice.New(fmt.Errorf("plugin: %s was not installed by tlkit", p.Path), "remove it with what installed it (%s)", p.Source)
	}
	return p.file.Remove()
}
