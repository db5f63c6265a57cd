package weights

import (
	"encoding/binary"
	"testing"
)

// Every length of a header up to 70,000, among them those that spell the first bytes of a
// pickle (642 is 0x80 0x02), of gzip (35,615 is 0x1f 0x8b) and of other formats.
func TestAnyHeaderLengthIsSafetensors(t *testing.T) {
	head := []byte(`12345678{"__metadata__":{"format":"pt"},"w":{"dtype":"F32"`)
	for n := range uint64(70_000) {
		binary.LittleEndian.PutUint64(head, n)
		if format, why := sniff(head, 1<<20); format != formatSafetensors {
			t.Fatalf("a header of %d bytes makes it %q: %s", n, format, why)
		}
	}
}
