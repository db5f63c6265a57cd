package engine

import (
	"crypto/sha256"
	"fmt"
)

// Identity names everything about the engine that can change the last bits of a result:
// backend, plugin, library versions, processor. Equal identities give the same bits. A cache
// of results needs the identity in its key. The number of threads is not part of it: features do
// not depend on it. The gradients of norms that follow the batch do, in their last digits.
func (e *Engine) Identity() string {
	machine := sha256.Sum256([]byte(processor().features + e.Device + compilerEnv()))
	return fmt.Sprintf("%s, %s, gomlx %s, go-xla %s, processor %x", e.share.key, e.Name, gomlxVersion, goXLAVersion, machine[:8])
}

// Versions returns the versions of the libraries that compute results, to be recorded with
// them.
func Versions() map[string]string {
	return map[string]string{"gomlx": gomlxVersion, "go-xla": goXLAVersion}
}
