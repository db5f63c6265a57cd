package wrapper

import (
	"os"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
)

func TestMain(m *testing.M) {
	beBound()
	os.Exit(ownhome.Run(m))
}
