package engine

import (
	"os"
	"testing"
)

// BenchmarkOpen is plugin, client and all in a process that has opened it before;
// the first opening of a process costs the loading of 200 MB more (see
// BenchmarkProcess).
func BenchmarkOpen(b *testing.B) {
	needPlugin(b)
	setenv(b, BackendVar, "xla:cpu")
	for b.Loop() {
		e, err := Open(b.Context(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

// BenchmarkCompile builds and runs the test network, loaded from the cache or
// compiled anew.
func BenchmarkCompile(b *testing.B) {
	_, root := withPlugin(b)
	setenv(b, BackendVar, "xla:cpu")
	e := open4test(b, Options{})
	run := func(b *testing.B, prepare func()) {
		for b.Loop() {
			prepare()
			if _, err := compute4test(e); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("hit", func(b *testing.B) { run(b, func() {}) })
	b.Run("miss", func(b *testing.B) {
		run(b, func() {
			b.StopTimer()
			for _, p := range entries(b, root) {
				os.Remove(p)
			}
			b.StartTimer()
		})
	})
}

// BenchmarkProcess is a whole second process: start, open, load from the cache, run.
func BenchmarkProcess(b *testing.B) {
	withPlugin(b)
	setenv(b, BackendVar, "xla:cpu")
	secondProcess(b)
	for b.Loop() {
		if r := secondProcess(b); r.Stats.Hits != 1 {
			b.Fatalf("%+v", r.Stats)
		}
	}
}
