package weights

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/maruel/safetensors"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

// fixtures are the committed files as bytes.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, n := range names {
		if ext := filepath.Ext(n); ext == ".pth" || ext == ".pt" || ext == ".safetensors" {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(n)] = b
		}
	}
	if len(out) < 15 {
		t.Fatalf("only %d fixtures", len(out))
	}
	return out
}

// The most that opening a file and reading all its tensors may allocate, garbage included, and the
// time that it may take on a machine that does other things too.
const (
	allocBase, allocRate = 160 << 20, 32
	longest              = 20 * time.Second
)

// tryFile opens and reads everything; a panic that open caught is a failure, and so is a file that
// costs more than is in proportion to its size, or an error that shows what it should not.
func tryFile(t testing.TB, b []byte) (*File, bool) {
	t.Helper()
	began := time.Now()
	var f *File
	var ok bool
	before := allocations()
	f, ok = tryContent(t, b)
	used := allocations() - before
	if most := uint64(allocBase + allocRate*len(b)); used > most {
		t.Errorf("a file of %d bytes made %d bytes of allocations, at most %d are allowed", len(b), used, most)
	}
	if took := time.Since(began); took > longest {
		t.Errorf("a file of %d bytes took %v", len(b), took)
	}
	return f, ok
}

// allocations is what the process has allocated since it began; runtime.ReadMemStats would stop it.
func allocations() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func tryContent(t testing.TB, b []byte) (*File, bool) {
	t.Helper()
	f, err := openBytes(b)
	if err != nil && !errors.As(err, new(*FormatError)) {
		t.Errorf("%T, want *FormatError: %v", err, err)
	}
	if err == nil {
		err = readAll(f)
	}
	if err == nil {
		return f, true
	}
	if text := err.Error(); len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
		t.Errorf("an error of %d bytes, or with a control character: %.200q", len(text), text)
	}
	if text := err.Error(); strings.Contains(text, "internal:") || !strings.HasPrefix(text, "weights: ") {
		t.Errorf("a panic was caught, or an error has no name: %v", err)
	}
	return f, false
}

func FuzzOpenTorch(f *testing.F) {
	for name, b := range fixtures(f) {
		if !strings.HasSuffix(name, ".safetensors") {
			f.Add(b)
		}
	}
	for _, x := range hostileTorch() {
		if len(x.file) < 1<<14 {
			f.Add(x.file)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { tryFile(t, b) })
}

func FuzzUnpickle(f *testing.F) {
	for name, b := range fixtures(f) {
		if inner := takeApart(b).inner; strings.HasSuffix(name, ".pth") && inner != nil {
			f.Add(inner)
		}
	}
	f.Add([]byte(pickled(pDict(pText("w"), pTensor(4, 0, []int64{2, 2}, []int64{2, 1})))))
	f.Add([]byte(pickled(pGlobal("collections", "OrderedDict") + "(](]N(]etetR")))
	f.Add([]byte("\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94."))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Once as a bare pickle, and once with all its storages present, so that
		// what the pickle says about tensors is followed to the end.
		found := &storages{byKey: map[string]*pickledStorage{}}
		u := newUnpickler(bytes.NewReader(b), int64(len(b)), budget.ForFile(context.Background(), int64(len(b))), found.persistent)
		if _, err := u.load(); err != nil {
			return
		}
		if u.pos > len(b) {
			t.Errorf("read %d of %d bytes", u.pos, len(b))
		}
		records := map[string][]byte{}
		for key, st := range found.byKey {
			if st.size() > 1<<20 || len(records) > 64 {
				return
			}
			records["data/"+key] = make([]byte, st.size())
		}
		tryFile(t, torchZip(string(b[:u.pos]), records))
	})
}

func FuzzOpenSafetensors(f *testing.F) {
	f.Add(fixtures(f)["python.safetensors"])
	for _, x := range hostileSafetensors() {
		if len(x.file) < 1<<12 {
			f.Add(x.file)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := tryFile(t, b)
		if !ok || got.Format != formatSafetensors {
			return
		}
		compareWithMaruel(t, got, b)
	})
}

// compareWithMaruel: what our reader accepts, another one must read alike.
func compareWithMaruel(t testing.TB, got *File, b []byte) {
	t.Helper()
	for _, x := range got.tensors {
		if x.Len() == 0 {
			return // maruel sorts empty tensors by chance
		}
		if x.DType == "C64" {
			return // unknown to it
		}
	}
	if len(got.tensors) == 0 {
		return // an error there
	}
	want, err := safetensors.Parse(b)
	if err != nil {
		t.Fatalf("accepted here, refused by maruel/safetensors: %v", err)
	}
	for i, x := range want.Tensors {
		mine, err := got.tensors[i].Bytes()
		if err != nil || got.tensors[i].Name != x.Name || got.tensors[i].DType != string(x.DType) || !bytes.Equal(mine, x.Data) {
			t.Errorf("tensor %q differs (%v)", x.Name, err)
		}
	}
}

func FuzzOpenKeras(f *testing.F) {
	for _, s := range kerasSeeds(f) {
		if len(s.whole) < 1<<14 {
			f.Add(s.whole)
		}
	}
	layers := []KerasLayer{{"conv2d", "Conv2D", []string{"kernel", "bias"}}, {"a", "Dense", []string{"kernel", "bias"}}, {"layer_0", "Conv2D", []string{"kernel"}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, ok := tryFile(t, b)
		if !ok {
			return
		}
		rename := KerasNames(file, layers)
		made := map[string]bool{}
		for _, name := range file.Names() {
			if target := rename(name); target != name && target != "" {
				if made[target] {
					t.Errorf("two keys became %q", target)
				}
				made[target] = true
			}
		}
	})
}

func FuzzBundle(f *testing.F) {
	f.Add([]byte(bundledModel))
	f.Add([]byte(`{a:[!0,!1,null,void 0,.5,-.5,1e-7],"b":"\"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		js := slices.Concat([]byte(bundleHead), b, []byte(bundleTail))
		// Whatever comes out is no longer than what JSON needs more: a zero for each
		// number, two quotes for each name.
		out, err := bundled(js)
		if err == nil && len(out) > 4*len(b)+8 {
			t.Errorf("%d bytes became %d", len(b), len(out))
		}
		tryFile(t, js)
		tryFile(t, js[:len(bundleHead)+len(b)]) // and cut off
	})
}
