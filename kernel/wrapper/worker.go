package wrapper

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WorkerVar, set to "on" or "off", says whether the verbs of cells run in a worker of the kernel, so that
// cells link little and the worker keeps what it has loaded.
const WorkerVar = "TLKIT_WORKER"

// workerDefault is what holds without the variable.
const workerDefault = "off"

// workerFor returns the program that does the work of the cells' verbs: this one. It is "" where the
// person has turned that off, and where the checkout that cells compile against has changed since this
// program was built: what it computes is not what the cells say then, until set-up has run again.
func workerFor(p Place, getenv func(string) string) string {
	mode := getenv(WorkerVar)
	if mode == "" {
		mode = workerDefault
	}
	if mode != "on" || p.Module.Root != "" && newerThan(p.Self, p.Module.Root) {
		return ""
	}
	return p.Self
}

// newerThan reports whether a source file of the checkout is newer than a program.
func newerThan(program, root string) bool {
	built, err := os.Stat(program)
	if err != nil {
		return true
	}
	newer := false
	for _, folder := range []string{"tlkit", "internal", "data"} {
		_ = filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || newer {
				return filepath.SkipAll
			}
			if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				if info, err := d.Info(); err == nil && info.ModTime().After(built.ModTime()) {
					newer = true
				}
			}
			return nil
		})
	}
	return newer
}
