package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"slices"
	"strings"
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
//	go test ./tlkit/weights -run TestCampaign -v -mutants 1000000
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
	for _, s := range kerasSeeds(t) {
		seeds = append(seeds, slices.Repeat([]seed{s}, 8)...)
	}
	campaign(t, seeds)
}

// TestCampaignONNX is the same for networks in ONNX' form.
func TestCampaignONNX(t *testing.T) { campaign(t, onnxSeeds(t)) }

func campaign(t *testing.T, seeds []seed) {
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
	change  func([]byte, *rand.Rand) []byte // one that knows the format
	// it is full of addresses, which a change of length would all make wrong
	inPlace bool
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

// kerasSeeds are the files of Keras. The parts of an archive are seeds of their own.
func kerasSeeds(t testing.TB) []seed {
	t.Helper()
	var seeds []seed
	for name := range readKerasGolden(t).Files {
		if b := packed(t, name); len(b) < 1<<16 && strings.HasSuffix(name, ".h5") {
			seeds = append(seeds, seed{whole: b, inPlace: true})
		}
	}
	archive := packed(t, "k3.keras")
	config, _ := takeRecord(archive, "config.json")
	lambda, _ := takeRecord(packed(t, "k_lambda.keras"), "config.json")
	h5 := packed(t, "k3_half.weights.h5")
	zipped := func(method uint16, config, h5 []byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, r := range []struct {
			name    string
			content []byte
		}{{"metadata.json", []byte(`{"keras_version":"3"}`)}, {"config.json", config}, {"model.weights.h5", h5}} {
			w, _ := z.CreateHeader(&zip.FileHeader{Name: r.name, Method: method})
			w.Write(r.content)
		}
		z.Close()
		return b.Bytes()
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		seeds = append(seeds,
			seed{whole: zipped(method, config, h5), inner: h5, inPlace: true, rebuild: func(b []byte) []byte { return zipped(method, config, b) }},
			seed{whole: zipped(method, lambda, h5), inner: lambda, rebuild: func(b []byte) []byte { return zipped(method, b, h5) }})
	}
	model, err := os.ReadFile("testdata/tfjs/model.json")
	if err != nil {
		t.Fatal(err)
	}
	return append(seeds, seed{whole: model}, seed{whole: []byte(bundleHead + bundledModel + bundleTail)})
}

func takeRecord(archive []byte, name string) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	r, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// poke changes numbers and addresses where they are.
func poke(b []byte, rng *rand.Rand) []byte {
	b = bytes.Clone(b)
	used := func() int { // a place that is not among zeros
		pos := rng.IntN(len(b))
		for range 64 {
			if b[pos] != 0 {
				break
			}
			pos = rng.IntN(len(b))
		}
		return pos
	}
	for range 1 + rng.IntN(3) {
		pos := used()
		switch rng.IntN(4) {
		case 0:
			b[pos] ^= 1 << rng.IntN(8)
		case 1:
			b[pos] = byte(rng.Uint32())
		case 2:
			n := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
			copy(b[pos:], n[:1<<rng.IntN(4)])
		case 3: // an address from elsewhere
			start := used() &^ 7
			copy(b[pos&^7:], b[start:min(start+8, len(b))])
		}
	}
	return b
}

func (s seed) mutate(rng *rand.Rand) []byte {
	if s.change != nil && rng.IntN(8) > 0 {
		return s.change(s.whole, rng)
	}
	change := mangle
	if s.inPlace && rng.IntN(8) > 0 {
		change = poke
	}
	if len(s.inner) > 0 && rng.IntN(3) > 0 {
		return s.rebuild(change(s.inner, rng))
	}
	if s.inner == nil && s.inPlace {
		return change(s.whole, rng)
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
		pos := rng.IntN(len(b))
		end := min(len(b), pos+1+rng.IntN(40))
		switch rng.IntN(10) {
		case 0:
			b[pos] ^= 1 << rng.IntN(8)
		case 1:
			b[pos] = byte(rng.Uint32())
		case 2:
			b[pos] = opcodes[rng.IntN(len(opcodes))]
		case 3: // a number of 1, 2, 4 or 8 bytes
			var n [8]byte
			binary.LittleEndian.PutUint64(n[:], interesting[rng.IntN(len(interesting))])
			copy(b[pos:], n[:1<<rng.IntN(4)])
		case 4:
			b = slices.Delete(b, pos, end)
		case 5:
			b = slices.Insert(b, pos, slices.Clone(b[pos:end])...)
		case 6: // a piece from elsewhere
			start := rng.IntN(len(b))
			b = slices.Insert(b, pos, slices.Clone(b[start:min(len(b), start+1+rng.IntN(60))])...)
		case 7:
			b = b[:pos]
		case 8: // a digit or a sign, for JSON
			b[pos] = "0123456789-+e.,:[]{}\""[rng.IntN(21)]
		case 9:
			b = slices.Insert(b, pos, []byte(opcodes[rng.IntN(len(opcodes)):][:1])...)
		}
	}
	return b
}
