package weights

import (
	"sync"
	"testing"
)

// TestReadingFromSeveralGoroutines: packed chunks, byte-swapped and 8-bit numbers too.
func TestReadingFromSeveralGoroutines(t *testing.T) {
	for _, name := range []string{"h_gzip.h5", "h_big_endian.h5", "k3.keras", "tfjs/model.json"} {
		var f *File
		var err error
		if name == "tfjs/model.json" {
			f, err = Open("testdata/" + name)
		} else {
			f, err = openBytes(packed(t, name))
		}
		if err != nil {
			t.Fatal(err)
		}
		want := contentCRC(t, f)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if got := contentCRC(t, f); got != want {
					t.Errorf("%s: other numbers when several read: %08x, want %08x", name, got, want)
				}
			})
		}
		all.Wait()
		f.Close()
	}
}
