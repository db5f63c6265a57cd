package shim

import (
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// The prelude declares no name that could collide with one of a cell.
//
// Logging goes to standard output: on standard error GoNB v0.11.5 takes a line with a time and a
// source position for a compiler message, and ends. The one that set-up builds is patched, but a
// person may run another one.
const preludeText = `package main

import (
	"log"
	"os"
)

func init() { log.SetOutput(os.Stdout) }
`

// In a %test cell every file is a test file, because a package main without func main would not
// compile.
const (
	preludeName     = "tlkit_prelude.go"
	preludeTestName = "tlkit_prelude_test.go"
)

func prelude(dir string, test bool) error {
	name, other := preludeName, preludeTestName
	if test {
		name, other = other, name
	}
	if err := os.Remove(filepath.Join(dir, other)); err != nil && !os.IsNotExist(err) {
		return err
	}
	path := filepath.Join(dir, name)
	if have, err := os.ReadFile(path); err == nil && string(have) == preludeText {
		return nil
	}
	return atomicfile.WriteBytes(path, []byte(preludeText), 0o600)
}
