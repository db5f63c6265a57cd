package episodes_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// readAll opens, reads and checks a set, and returns how many bytes it allocated for that.
func readAll(t testing.TB, dir string) (bytes uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := episodes.Open(dir)
	if err == nil {
		defer s.Close()
		for _, e := range s.Episodes() {
			if err2 := s.Read(t.Context(), e.Index, episodes.ReadOptions{}, func(sim.Frame) error { return nil }); err2 != nil {
				err = err2
			}
		}
		_, _ = s.Check(t.Context(), episodes.CheckOptions{})
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// Whatever is changed in the files of a set, there is no panic and no memory out of proportion.
func TestMutatedFiles(t *testing.T) {
	good, _ := record(t, 2, nil)
	normal, _ := readAll(t, good)
	names := []string{dataFile, "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet", "meta/info.json", "meta/stats.json", "meta/tlkit.json"}
	dir := filepath.Join(t.TempDir(), "set")
	if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
		t.Fatal(err)
	}
	d := dice.New(1)
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for round := range rounds {
		name := names[round%len(names)]
		raw, err := os.ReadFile(filepath.Join(good, name))
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.Clone(raw)
		for range 1 + d.Below(6) {
			at := d.Below(len(raw))
			if d.Chance(0.5) { // the footer of a parquet file says the most
				at = len(raw) - 1 - d.Below(min(len(raw), 1500))
			}
			switch d.Below(4) {
			case 0:
				raw[at] = byte(d.Next())
			case 1:
				raw[at] ^= 1 << d.Below(8)
			case 2:
				raw[at] = 0xff
			default:
				copy(raw[at:], []byte{0xff, 0xff, 0xff, 0xff, 0x7f})
			}
		}
		if d.Chance(0.1) {
			raw = raw[:d.Below(len(raw))]
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if used, err := readAll(t, dir); used > 8*normal+256<<20 {
			t.Errorf("round %d, %s: %d MB for a set that takes %d MB (%v)", round, name, used>>20, normal>>20, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile(filepath.Join(good, name))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func must(raw []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return raw
}

// A file of a few kilobytes that unpacks to gigabytes is refused before it does.
func TestParquetBombs(t *testing.T) {
	for name, bomb := range map[string]func(path string) error{
		"rows of one number": func(path string) error {
			return bombOf(path, 2_000_000, func(int) row { return row{} })
		},
		"pictures of zeros": func(path string) error {
			zeros := make([]byte, 16<<20)
			return bombOf(path, 40, func(i int) row {
				return row{State: make([]float32, 4), Action: make([]float32, 3), Truth: make([]float32, 4), Top: &cell{Bytes: zeros}, Frame: int64(i)}
			})
		},
		"a list of zeros": func(path string) error {
			return bombOf(path, 3, func(i int) row {
				return row{State: make([]float32, 5_000_000), Action: make([]float32, 3), Truth: make([]float32, 4)}
			})
		},
	} {
		dir, _ := record(t, 1, nil)
		path := filepath.Join(dir, dataFile)
		if err := bomb(path); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Size() > 1<<20 {
			t.Fatalf("%s: the bomb has %d bytes, %v", name, st.Size(), err)
		}
		if used, err := readAll(t, dir); err == nil || used > 256<<20 {
			t.Errorf("%s: %d kB take %d MB, %v", name, st.Size()>>10, used>>20, err)
		}
	}
}

// bombOf writes n rows with the best compression.
func bombOf(path string, n int, r func(i int) row) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	pictures := []string{"observation.images.top", "bytes"}
	w := parquet.NewGenericWriter[row](f, parquet.Compression(&parquet.Zstd), parquet.SkipPageBounds(pictures...), parquet.SkipPageStatistics(pictures...))
	for i := range n {
		if _, err := w.Write([]row{r(i)}); err != nil {
			return err
		}
	}
	return w.Close()
}

// FuzzDataFile reads a set with a data file of any bytes.
func FuzzDataFile(f *testing.F) {
	good, _ := record(f, 1, nil)
	raw, err := os.ReadFile(filepath.Join(good, dataFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[len(raw)/2:])
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(good, dataFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		readAll(t, good)
	})
}
