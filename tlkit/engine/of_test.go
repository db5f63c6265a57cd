package engine

import (
	"context"
	"testing"

	"github.com/gomlx/compute"
)

// An engine on somebody else's backend computes, and leaves the backend open.
func TestOf(t *testing.T) {
	own, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Finalize()
	e := Of(own)
	t.Log(e, "|", e.Identity())
	if err := smoke(e.Backend); err != nil {
		t.Error(err)
	}
	if e.CompileCache() != (Stats{}) {
		t.Error("a compile cache")
	}
	if _, err := e.ONNXRuntime(context.Background()); err == nil {
		t.Error("an engine on a given backend opens another runtime")
	}
	e.Close()
	e.Close()
	if own.IsFinalized() {
		t.Error("Close released a backend that is not the engine's")
	}
	if again := Of(own); again.Identity() != e.Identity() {
		t.Error("the same backend has two identities")
	}
}
