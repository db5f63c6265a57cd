package engine

import (
	"os"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
)

// The test binary stands in for programs that open the engine: as a probe, or as
// a second process (see TestSecondProcess).
func TestMain(m *testing.M) {
	ProbeMain()
	if os.Getenv(childVar) != "" {
		child()
		return
	}
	os.Exit(ownhome.Run(m))
}
