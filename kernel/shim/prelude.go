package shim

import (
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// The prelude declares no name, so nothing of a cell can collide with it.
//
// Logging goes to standard output: on standard error a line with a time and a source
// position is taken for a compiler message, and GoNB ends with it (v0.11.5; ours is patched,
// but a person may run another one).
const preludeText = `package main

import (
	"log"
	"os"
)

func init() { log.SetOutput(os.Stdout) }
`

// In a %test cell everything is a test file: a package main without func main would not
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
