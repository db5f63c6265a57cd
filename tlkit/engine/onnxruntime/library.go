package onnxruntime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/sharedlib"
)

// Library is one ONNX Runtime on disk.
type Library struct {
	Path    string // absolute path of the shared library
	SHA256  string // of the shared library, 64 hex digits
	Version string // "1.32.0"; "" where only opening it tells
	Source  string // where the file comes from, in words

	file *fetch.File // set for a pinned library in our cache
}

// String describes the library in one line.
func (l *Library) String() string {
	if l == nil {
		return "none"
	}
	if l.Version == "" {
		return fmt.Sprintf("ONNX Runtime (%s), sha256 %.12s", l.Source, l.SHA256)
	}
	return fmt.Sprintf("ONNX Runtime %s (%s), sha256 %.12s", l.Version, l.Source, l.SHA256)
}

// setUp is how the library is installed, and installed again.
const setUp = "run: tlkit setup --no-jupyter"

// ErrNotInstalled says that no library is installed.
var ErrNotInstalled = advice.New(errors.New("ONNX Runtime is not installed"), setUp)

// Build is a pinned build of the library.
type Build struct {
	OS, Arch string
	Version  string
	Source   string // who built it
	Licence  string
	Needs    string // what must be there to open it
	Download int64  // bytes that Install fetches

	file fetch.File
}

// version is that of all pinned builds.
const version = "1.32.0"

// Builds returns the pinned builds: Microsoft's own, as they are in the Python wheels.
func Builds() []Build {
	linux := "libonnxruntime.so." + version
	return []Build{
		build("linux/amd64", "glibc 2.28 or newer, libstdc++; any 64-bit processor", fetch.File{
			Name: linux, SHA256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f", Bytes: 34_824_680,
		}, fetch.Wheel{
			Tags: "cp311-cp311-manylinux_2_28_x86_64", Bytes: 27_773_237,
			SHA256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
		}),
		build("linux/arm64", "glibc 2.28 or newer, libstdc++", fetch.File{
			Name: linux, SHA256: "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a", Bytes: 27_165_936,
		}, fetch.Wheel{
			Tags: "cp311-cp311-manylinux_2_28_aarch64", Bytes: 23_195_070,
			SHA256: "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
		}),
		build("darwin/arm64", "macOS 14 or newer", fetch.File{
			Name: "libonnxruntime." + version + ".dylib", SHA256: "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7", Bytes: 35_272_344,
		}, fetch.Wheel{
			Tags: "cp311-cp311-macosx_14_0_arm64", Bytes: 22_506_162,
			SHA256: "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
		}),
	}
}

func build(platform, needs string, file fetch.File, wheel fetch.Wheel) Build {
	system, arch := filepath.Split(platform)
	wheel.Name, wheel.Version, wheel.File = "onnxruntime", version, "onnxruntime/capi/"+file.Name
	file.Sources = []fetch.Source{{Wheel: &wheel}}
	return Build{
		OS: system[:len(system)-1], Arch: arch, Version: version, Needs: needs, Download: wheel.Bytes,
		Source: "Microsoft's Python wheel onnxruntime " + version, Licence: "MIT", file: file,
	}
}

func (b Build) library(path string) *Library {
	file := b.file
	return &Library{Path: path, SHA256: file.SHA256, Version: b.Version, Source: b.Source, file: &file}
}

// Here returns the builds for this machine's system and processor, best first.
func Here() (here []Build) {
	for _, b := range Builds() {
		if b.OS == runtime.GOOS && b.Arch == runtime.GOARCH {
			here = append(here, b)
		}
	}
	return here
}

func pinned(builds []Build) (files sharedlib.Pinned) {
	for _, b := range builds {
		files = append(files, b.file)
	}
	return files
}

// kind is what every library is.
var kind = sharedlib.Kind{Name: "ONNX Runtime", Entry: "OrtGetApiBase"}

// Find returns the installed library. It goes by the size and times of the file that was verified when
// it arrived; [Open] reads it. It uses no network and loads nothing. Where no library is installed,
// the error is ErrNotInstalled; where a damaged one is, the error says which.
func Find() (*Library, error) {
	builds := Here()
	files := pinned(builds)
	if i, path, ok := files.Find(); ok {
		return builds[i].library(path), nil
	}
	if i, path, damaged := files.Damaged(); damaged {
		return nil, builds[i].library(path).advise(fmt.Errorf("%s is damaged: its sha256 is not %.12s…", path, files[i].SHA256))
	}
	return nil, ErrNotInstalled
}

// FindAt returns the library in the file at path, a build of your own, after checking and hashing it.
func FindAt(ctx context.Context, path string) (*Library, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("onnxruntime: path %q of the library is not absolute", path)
	}
	if err := kind.Sound(path); err != nil {
		return nil, fmt.Errorf("onnxruntime: %w", err)
	}
	sum, err := fetch.Sum(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("onnxruntime: %w", err)
	}
	return &Library{Path: path, SHA256: sum, Source: path}, nil
}

// Options for [Install]. The zero value downloads what is missing and reports nothing.
type Options struct {
	Offline bool // use only the cache and files put there by hand
	// Report gets the progress: what is being done, with the bytes done and in total
	// (0 = unknown). It is called from one goroutine at a time and may be nil.
	Report func(what string, done, total int64)
	// Note gets a sentence about a damaged library that was fetched anew. It may be nil.
	Note func(sentence string)
}

// Install downloads the pinned library into the cache, or returns the one that is there.
func Install(ctx context.Context, o Options) (*Library, error) {
	builds := Here()
	if len(builds) == 0 {
		return nil, advice.New(fmt.Errorf("onnxruntime: there is no pinned build for %s/%s (there are: linux/amd64, linux/arm64, darwin/arm64)", runtime.GOOS, runtime.GOARCH), "to use one of your own, set GOMLX_BACKEND=onnxruntime:/path/of/the/library")
	}
	i, path, err := pinned(builds).Install(ctx, fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report), Note: o.Note})
	switch {
	case err == nil:
		return builds[i].library(path), nil
	case path != "": // it is here and cannot be read
		return nil, builds[i].library(path).advise(err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("onnxruntime: %w", err)
	}
	return nil, fmt.Errorf("onnxruntime: the library could not be installed: %w", err)
}

// Verify reads the file and checks that it is what was found. The error wraps fetch.ErrHash if it is
// damaged. With full, its sha256 is computed and its structure checked; without, a faster checksum
// is enough that was noted together with the sha256.
func (l *Library) Verify(ctx context.Context, full bool) error {
	if err := kind.Verify(ctx, l.Path, l.SHA256, full); err != nil {
		return l.advise(err)
	}
	return nil
}

func (l *Library) advise(err error) error {
	if l.file == nil {
		return advice.New(fmt.Errorf("onnxruntime: %w", err), "install it again with what installed it (%s)", l.Source)
	}
	return advice.New(fmt.Errorf("onnxruntime: %w", err), setUp)
}
