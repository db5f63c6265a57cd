package wrapper_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/kernel/wrapper"
)

// Cells are linked without debugging tables, and a -mod=vendor of the person's is left out,
// because no cell builds with it.
func ExampleEnviron() {
	place := wrapper.Place{Tools: "/cache/tools", Flags: "-mod=vendor -tags=blas"}
	env := wrapper.Environ([]string{"PATH=/usr/bin", "LANG=C.UTF-8"}, place, "")
	slices.Sort(env)
	for _, setting := range env {
		if !strings.HasPrefix(setting, "TLKIT_") {
			fmt.Println(setting)
		}
	}
	// Output:
	// GOFLAGS=-tags=blas -ldflags=-s
	// GOWORK=auto
	// GO_EXTLINK_ENABLED=0
	// LANG=C.UTF-8
	// PATH=/cache/tools:/usr/bin
}
