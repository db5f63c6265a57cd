package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

var (
	mutants     = flag.Int("mutants", 20_000, "files that TestCampaign makes")
	mutantsSeed = flag.Uint64("mutants-seed", 1, "and what it starts from")
)

// TestCampaign breaks files with some knowledge of what they are made of: a
// zip's pickle is changed and packed again with right checksums, a safetensors
// header gets its right length back. No mutant may panic, take long or allocate much.
//
//	go test -run TestCampaign -mutants 1000000 -v ./tlkit/weights
func TestCampaign(t *testing.T) {
	var seeds []seed
	for _, b := range fixtures(t) {
		// Several times: a mutant of a good file gets further than one of a bad file.
		seeds = append(seeds, slices.Repeat([]seed{takeApart(b)}, 8)...)
	}
	for _, x := range hostileTorch() {
		if len(x.file) < 1<<13 {
			seeds = append(seeds, takeApart(x.file))
		}
	}
	for _, x := range hostileSafetensors() {
		if len(x.file) < 1<<13 {
			seeds = append(seeds, takeApart(x.file))
		}
	}
	// Maps give no order; the same seed shall give the same mutants.
	slices.SortFunc(seeds, func(a, b seed) int { return bytes.Compare(a.whole, b.whole) })
	rng := rand.New(rand.NewPCG(*mutantsSeed, 7))
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	total := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	read, most, slowest := 0, uint64(0), time.Duration(0)
	start := time.Now()
	for i := range *mutants {
		b := seeds[rng.IntN(len(seeds))].mutate(rng)
		before, began := total(), time.Now()
		f, ok := tryFile(t, b)
		if ok {
			read++
			if f.Format == formatSafetensors {
				compareWithMaruel(t, f, b)
			}
		}
		took, used := time.Since(began), total()-before
		most, slowest = max(most, used), max(slowest, took)
		if used > 64<<20 { // 100,000 names of up to 512 bytes have room
			t.Errorf("mutant %d: %d bytes of file made %d bytes of allocations", i, len(b), used)
		}
		if t.Failed() {
			t.Fatalf("mutant %d of seed %d: %q", i, *mutantsSeed, b)
		}
	}
	t.Logf("%d mutants in %v: %d were still readable; at most %d kB allocated and %v taken by one", *mutants, time.Since(start).Round(time.Millisecond), read, most>>10, slowest)
}

// seed is a file and, where mutation can go deeper, the part of it that matters.
type seed struct {
	whole   []byte
	inner   []byte // data.pkl of a zip, or the JSON of a safetensors header
	rebuild func(inner []byte) []byte
}

func takeApart(b []byte) seed {
	s := seed{whole: b}
	if z, err := zip.NewReader(bytes.NewReader(b), int64(len(b))); err == nil {
		records := map[string][]byte{}
		for _, r := range z.File {
			_, name, _ := bytes.Cut([]byte(r.Name), []byte("/"))
			if r.UncompressedSize64 > 1<<16 {
				continue
			}
			rc, err := r.Open()
			if err != nil {
				continue
			}
			content, _ := io.ReadAll(rc) // a wrong checksum is no matter here
			rc.Close()
			if string(name) == "data.pkl" {
				s.inner = content
			} else if string(name) != "constants.pkl" {
				records[string(name)] = content
			}
		}
		s.rebuild = func(inner []byte) []byte { return torchZip(string(inner), records) }
		return s
	}
	if len(b) > 9 && b[8] == '{' {
		if n := binary.LittleEndian.Uint64(b); n <= uint64(len(b)-8) {
			s.inner = b[8 : 8+n]
			s.rebuild = func(inner []byte) []byte { return append(safetensorsFile(string(inner), 0), b[8+n:]...) }
		}
	}
	return s
}

func (s seed) mutate(rng *rand.Rand) []byte {
	if len(s.inner) > 0 && rng.IntN(3) > 0 {
		return s.rebuild(mangle(s.inner, rng))
	}
	return mangle(s.whole, rng)
}

// mangle makes one to four changes of the kinds that break parsers.
func mangle(b []byte, rng *rand.Rand) []byte {
	b = bytes.Clone(b)
	interesting := []uint64{0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1 << 32, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1, uint64(len(b))}
	opcodes := "(.0123NJKMGXUTCB})]tlqrhjaesucRbQ\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8d\x8e\x8f\x90\x93\x94\x95"
	for range []int{1, 1, 1, 2, 2, 4}[rng.IntN(6)] {
		if len(b) < 2 {
			return b
		}
		at := rng.IntN(len(b))
		end := min(len(b), at+1+rng.IntN(40))
		switch rng.IntN(10) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = byte(rng.Uint32())
		case 2:
			b[at] = opcodes[rng.IntN(len(opcodes))]
		case 3: // a number of 1, 2, 4 or 8 bytes
			var n [8]byte
			binary.LittleEndian.PutUint64(n[:], interesting[rng.IntN(len(interesting))])
			copy(b[at:], n[:1<<rng.IntN(4)])
		case 4:
			b = slices.Delete(b, at, end)
		case 5:
			b = slices.Insert(b, at, slices.Clone(b[at:end])...)
		case 6: // a piece from elsewhere
			from := rng.IntN(len(b))
			b = slices.Insert(b, at, slices.Clone(b[from:min(len(b), from+1+rng.IntN(60))])...)
		case 7:
			b = b[:at]
		case 8: // a digit or a sign, for JSON
			b[at] = "0123456789-+e.,:[]{}\""[rng.IntN(21)]
		case 9:
			b = slices.Insert(b, at, []byte(opcodes[rng.IntN(len(opcodes)):][:1])...)
		}
	}
	return b
}
