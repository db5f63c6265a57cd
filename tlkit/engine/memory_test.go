//go:build cgo && linux && (amd64 || arm64)

package engine

import (
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// heavy4test returns a function that runs a program with a result of so many MiB, and drops it.
func heavy4test(t *testing.T, e *Engine, mib int) func() {
	t.Helper()
	const inner, columns = 16, 1 << 12
	rows := mib << 20 / (4 * columns)
	x := graph.MustNewExec(e.Backend, func(a, b *graph.Node) *graph.Node { return graph.MatMul(a, b) })
	t.Cleanup(x.Finalize)
	a := tensors.FromFlatDataAndDimensions(make([]float32, rows*inner), rows, inner)
	b := tensors.FromFlatDataAndDimensions(make([]float32, inner*columns), inner, columns)
	return func() {
		out, err := x.Call1(a, b)
		if err != nil {
			t.Fatal(err)
		}
		out.MustFinalizeAll()
	}
}

// The memory of a call is used again by the next one. Kept memory is bounded by what was in use at
// one time, and closing the engine gives it back.
func TestMemoryOfCallsIsKept(t *testing.T) {
	withPlugin(t)
	setenv(t, BackendVar, "xla:cpu")
	e := open4test(t, Options{})
	const mib = 1 << 20
	// XLA frees a result a moment after it was dropped.
	freed := func() blockBytes {
		t.Helper()
		for range 500 {
			if b := blocks(); b.used < 32*mib {
				return b
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%+v: still in use", blocks())
		return blockBytes{}
	}
	start, call := freed(), heavy4test(t, e, 96)
	call()
	first := freed()
	if first.kept < 96*mib || first.given < start.given+96*mib {
		t.Fatalf("%+v after a call that needs 96 MiB, %+v before", first, start)
	}
	call()
	if again := freed(); again.given != first.given {
		t.Errorf("the second call got %d MiB of new memory", (again.given-first.given)/mib)
	}
	heavy4test(t, e, 160)()
	if b := freed(); b.kept > 200*mib {
		t.Errorf("%+v after calls that need 96 and 160 MiB", b)
	}
	e.Close()
	if b := freed(); b.kept != 0 {
		t.Errorf("%+v after Close", b)
	}
}
