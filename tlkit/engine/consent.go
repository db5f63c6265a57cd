package engine

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// PlainGoVar is the environment variable TLKIT_PLAIN_GO. Set to 1, it agrees to long work in plain
// Go where XLA is missing.
const PlainGoVar = "TLKIT_PLAIN_GO"

// ErrPlainGo is wrapped by the errors of [Engine.Agreed].
var ErrPlainGo = errors.New("XLA is missing here, and plain Go takes about a hundred times as long")

const slower = "; computing in plain Go, which is about a hundred times slower on convolutions"

// Agreed returns an error if e computes in plain Go because XLA is missing, and nobody has asked
// for that by PlainGoVar or BackendVar. Whatever measures or trains calls it before it begins.
func (e *Engine) Agreed() error {
	said, order := os.Getenv(PlainGoVar), os.Getenv(BackendVar)
	if _, ok := ordersONNXRuntime(order); ok {
		order = "" // it says nothing about what trains
	}
	if e.Plugin != "" || e.Why == "" || order != "" || said != "" && said != "0" {
		return nil
	}
	return advice.New(fmt.Errorf("engine: %w (%s)", ErrPlainGo, strings.TrimSuffix(e.Why, slower)),
		"install XLA: tlkit setup --no-jupyter. To go on without it: --plain-go, in a notebook %%env %s 1", PlainGoVar)
}
