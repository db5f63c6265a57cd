// Package ownhome gives a test binary a home folder of its own, so that no test reads or writes
// what a person keeps at home: kernels of an earlier clone, settings of Jupyter, the caches of
// PyTorch, Keras and Hugging Face, variables that change what tlkit does.
//
// Tests may compute in plain Go, where XLA is missing.
//
// The verified files in tlkit's cache stay shared, and so do the caches of Go: they take minutes
// to make. What Go, pip, npm and git need to reach the network is still read from where the
// person keeps it.
//
//	func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }
package ownhome

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// backendVar is a value of GOMLX_BACKEND to run the tests with, which otherwise run without one.
const backendVar = "TLKIT_TEST_BACKEND"

// marker is set where a parent process has moved already.
const marker = "TLKIT_TEST_HOME"

// Run runs the tests of m in a home folder of their own and returns their exit status.
func Run(m interface{ Run() int }) int {
	if os.Getenv(marker) != "" {
		return m.Run()
	}
	home, err := os.MkdirTemp("", "tlkit-home-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "ownhome:", err)
		return 1
	}
	defer os.RemoveAll(home)
	if err := enter(home); err != nil {
		fmt.Fprintln(os.Stderr, "ownhome:", err)
		return 1
	}
	return m.Run()
}

// enter moves this process and its children to another home folder.
func enter(home string) error {
	set, err := pinned()
	if err != nil {
		return err
	}
	if backend := os.Getenv(backendVar); backend != "" {
		set["GOMLX_BACKEND"] = backend
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); personal(name) {
			os.Unsetenv(name)
		}
	}
	maps.Copy(set, map[string]string{marker: home, "HOME": home, "TLKIT_PLAIN_GO": "1"})
	if runtime.GOOS == "windows" {
		maps.Copy(set, map[string]string{"USERPROFILE": home, "APPDATA": filepath.Join(home, "Roaming"), "LOCALAPPDATA": filepath.Join(home, "Local")})
	}
	for name, value := range set {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// ours are the variables of tlkit that say where things are or which tests run; the others
// change what tlkit does.
var ours = map[string]bool{
	cachedir.EnvVar: true, "TLKIT_DATA": true, "TLKIT_INCOMING": true, "TLKIT_PYTHON": true, "TLKIT_KERNEL_TEST": true, "TLKIT_FAMILIES": true, "TLKIT_GOLDENS": true, "TLKIT_COVERAGE": true, "TLKIT_WORKER": true,
	"TLKIT_HUB_PYTHON": true, "TLKIT_ONNX_PYTHON": true, "TLKIT_KERAS_FILES": true, "TLKIT_CHECKPOINTS": true, "TLKIT_GALLERY": true,
	"TLKIT_MUJOCO_PYTHON": true, "TLKIT_WORDS_TEST": true, "TLKIT_GUARD": true,
}

// personal reports whether a variable moves what is at home, or changes what is tested.
func personal(name string) bool {
	for _, prefix := range []string{"XDG_", "JUPYTER_", "IPYTHON", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH_HOME", "KERAS_HOME", "GONB_", "GOMLX_", "PYTHONSTARTUP"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasPrefix(name, "TLKIT_") && !ours[name]
}

// pinned are the variables that keep what may be shared where it is now.
func pinned() (map[string]string, error) {
	root, err := cachedir.Root()
	if err != nil {
		return nil, err
	}
	set := map[string]string{cachedir.EnvVar: root}
	if out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOENV").Output(); err == nil {
		if err := json.Unmarshal(out, &set); err != nil {
			return nil, fmt.Errorf("go env: %w", err)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return set, nil
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	for name, paths := range map[string][]string{
		"PIP_CONFIG_FILE":       {filepath.Join(config, "pip", "pip.conf"), filepath.Join(home, ".pip", "pip.conf")},
		"PYTHONUSERBASE":        {filepath.Join(home, ".local")}, // pip itself may lie there
		"NPM_CONFIG_USERCONFIG": {filepath.Join(home, ".npmrc")},
		"GIT_CONFIG_GLOBAL":     {filepath.Join(home, ".gitconfig"), filepath.Join(config, "git", "config")},
		"NETRC":                 {filepath.Join(home, ".netrc")},
	} {
		for _, path := range paths {
			if _, err := os.Stat(path); err == nil && os.Getenv(name) == "" {
				set[name] = path
				break
			}
		}
	}
	return set, nil
}
