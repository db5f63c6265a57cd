package hdf5

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

var (
	mutants     = flag.Int("mutants", 4_000, "files that TestCampaign makes")
	mutantsSeed = flag.Uint64("mutants-seed", 1, "and what it starts from")
)

// fixtures are the committed files of Keras and h5py, those below a size.
func fixtures(t testing.TB, most int) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../../testdata/*.h5.gz")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, n := range names {
		f, err := os.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) <= most {
			out[filepath.Base(n)] = b
		}
	}
	if len(out) < 5 {
		t.Fatalf("only %d files", len(out))
	}
	return out
}

// readAll follows everything there is in a file, numbers included, and counts the arrays.
// Errors end a branch, not the walk.
func readAll(t testing.TB, b []byte, anyChecksum bool) (arrays int) {
	known := func(err error) {
		for _, e := range []error{ErrDamaged, ErrOutside, ErrUnsupported, ErrTooLarge} {
			if errors.Is(err, e) {
				return
			}
		}
		t.Errorf("an error of no kind: %v", err)
	}
	f, err := open(bytes.NewReader(b), int64(len(b)), budget.ForFile(context.Background(), int64(len(b))), anyChecksum)
	if err != nil {
		known(err)
		return 0
	}
	var walk func(o *Object, depth int)
	walk = func(o *Object, depth int) {
		if depth > maxDepth {
			return
		}
		for _, name := range []string{"layer_names", "weight_names", "keras_version", "name", "dtype", "model_config"} {
			a, err := o.Attribute(name)
			if err == nil && a != nil && a.typ.text {
				_, err = a.Strings()
			}
			if err != nil {
				known(err)
			}
		}
		if o.IsDataset() {
			d, err := o.Dataset()
			if err == nil {
				var numbers []byte
				numbers, err = d.Read()
				if err == nil && int64(len(numbers)) != d.Bytes() {
					t.Errorf("%d bytes of %d", len(numbers), d.Bytes())
				}
			}
			if err != nil {
				known(err)
				return
			}
			arrays++
			return
		}
		links, err := o.Links()
		if err != nil {
			known(err)
			return
		}
		for _, l := range links {
			inner, err := f.Follow(l)
			if err != nil {
				known(err)
				continue
			}
			walk(inner, depth+1)
		}
	}
	root, err := f.Root()
	if err != nil {
		known(err)
		return 0
	}
	walk(root, 0)
	return arrays
}

// TestCampaign changes files where they describe themselves: numbers, addresses
// (taken from elsewhere in the file, so that structures point at each other in
// unintended ways), pieces. Checksums are not compared, so that the changes are
// seen by the code behind them. No mutant may panic, take long or allocate much.
//
//	go test ./tlkit/weights/internal/hdf5 -run TestCampaign -v -mutants 1000000
func TestCampaign(t *testing.T) {
	var names []string
	files := fixtures(t, 64<<10)
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	rng := rand.New(rand.NewPCG(*mutantsSeed, 11))
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	total := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	arrays, most, slowest := 0, uint64(0), time.Duration(0)
	start := time.Now()
	for i := range *mutants {
		name := names[rng.IntN(len(names))]
		b := mangle(files[name], rng)
		before, began := total(), time.Now()
		arrays += readAll(t, b, true)
		took, used := time.Since(began), total()-before
		most, slowest = max(most, used), max(slowest, took)
		if used > 64<<20 {
			t.Errorf("%d bytes of file made %d bytes of allocations", len(b), used)
		}
		if t.Failed() {
			path := filepath.Join(os.TempDir(), "mutant.h5")
			os.WriteFile(path, b, 0o600)
			t.Fatalf("mutant %d of seed %d, from %s: it is in %s", i, *mutantsSeed, name, path)
		}
	}
	t.Logf("%d mutants in %v: %d arrays were still readable; at most %d kB allocated and %v taken by one", *mutants, time.Since(start).Round(time.Millisecond), arrays, most>>10, slowest)
}

// mangle makes one to four changes of the kinds that break parsers, most of them
// in place: what moves everything behind it is found out at once.
func mangle(b []byte, rng *rand.Rand) []byte {
	b = bytes.Clone(b)
	numbers := []uint64{0, 1, 2, 3, 0x10, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1 << 32, 1 << 40, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1, uint64(len(b))}
	used := func() int { // a place that is not among zeros
		for range 64 {
			if pos := rng.IntN(len(b)); b[pos] != 0 {
				return pos
			}
		}
		return 0
	}
	for range []int{1, 1, 1, 2, 2, 4}[rng.IntN(6)] {
		if len(b) < 64 {
			return b
		}
		pos := used()
		switch rng.IntN(12) {
		case 0, 1:
			b[pos] ^= 1 << rng.IntN(8)
		case 2:
			b[pos] = byte(rng.Uint32())
		case 3:
			b[pos] += byte(rng.IntN(5)) - 2
		case 4, 5: // a number of 1, 2, 4 or 8 bytes
			var n [8]byte
			binary.LittleEndian.PutUint64(n[:], numbers[rng.IntN(len(numbers))])
			copy(b[pos:], n[:1<<rng.IntN(4)])
		case 6, 7: // an address from elsewhere
			start, target := used()&^7, pos&^7
			copy(b[target:], b[start:min(start+8, len(b))])
		case 8: // the address of something
			if i := bytes.Index(b[rng.IntN(len(b)):], []byte([]string{"TREE", "SNOD", "HEAP", "OHDR", "GCOL", "FRHP", "BTHD", "BTLF", "FHDB", "FHIB", "FADB"}[rng.IntN(11)])); i >= 0 && pos+8 < len(b) {
				binary.LittleEndian.PutUint64(b[pos&^7:], uint64(i))
			}
		case 9: // a piece from elsewhere
			start := used()
			copy(b[pos:], b[start:min(len(b), start+1+rng.IntN(64))])
		case 10:
			if rng.IntN(4) == 0 {
				b = b[:pos]
			}
		case 11:
			end := min(len(b), pos+1+rng.IntN(16))
			if rng.IntN(4) == 0 {
				b = slices.Delete(b, pos, end)
			} else {
				clear(b[pos:end])
			}
		}
	}
	return b
}

func FuzzOpen(f *testing.F) {
	for _, b := range fixtures(f, 16<<10) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		readAll(t, b, true)
		readAll(t, b, false)
	})
}
