package look

import (
	"os"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }
