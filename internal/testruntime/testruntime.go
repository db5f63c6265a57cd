// Package testruntime opens ONNX Runtime for tests.
package testruntime

import (
	"errors"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
)

// Open opens ONNX Runtime, which is fetched once. It skips the test where there is no build for this
// platform, or where no source can be reached.
func Open(t testing.TB) *onnxruntime.Runtime {
	t.Helper()
	if len(onnxruntime.Here()) == 0 {
		t.Skip("no ONNX Runtime for this platform")
	}
	l, err := onnxruntime.Install(t.Context(), onnxruntime.Options{})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("ONNX Runtime cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	rt, err := onnxruntime.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}
