//go:build !cgo || !unix

package engine

import (
	"errors"

	"github.com/gomlx/compute"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// xlaBuilt is false: XLA is a shared library, and opening one needs cgo.
const xlaBuilt = false

func newXLA(*plugin.Plugin, string) (compute.Backend, error) {
	return nil, advice.New(errors.New("this program was built without cgo"), "build it with a C compiler and CGO_ENABLED=1")
}

func useCache(*plugin.Plugin, *compileCache) {}

func withOptions(_ []byte, build func() error) error { return build() }

func releaseMemory() {}
