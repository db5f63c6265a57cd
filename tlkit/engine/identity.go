package engine

import (
	"crypto/sha256"
	"fmt"
)

// Identity names everything about the engine that can move a result in its last bits:
// backend, plugin, library versions, processor. Equal identities give equal numbers, bit
// for bit; whatever caches results puts it into the key. The number of threads is not part
// of it: features do not depend on it. The gradients of norms that follow the batch do, in
// their last digits.
func (e *Engine) Identity() string {
	machine := sha256.Sum256([]byte(processor().features + e.Device + compilerEnv()))
	return fmt.Sprintf("%s, %s, gomlx %s, go-xla %s, processor %x", e.share.key, e.Name, gomlxVersion, goXLAVersion, machine[:8])
}

// Versions are the libraries that computed a result, for its record.
func Versions() map[string]string {
	return map[string]string{"gomlx": gomlxVersion, "go-xla": goXLAVersion}
}
