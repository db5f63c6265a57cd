package features

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tlkit/transfer-learning/internal/bitrot"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// pictures writes n different small PNG files and returns them as items.
func pictures(t *testing.T, dir string, n int) []datasets.Item {
	t.Helper()
	items := make([]datasets.Item, n)
	for i := range items {
		img := image.NewRGBA(image.Rect(0, 0, 12, 10))
		for y := range 10 {
			for x := range 12 {
				img.SetRGBA(x, y, color.RGBA{uint8(i * 7), uint8(x * 20), uint8(y*20 + i), 255})
			}
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		items[i] = item(t, dir, fmt.Sprintf("%03d.png", i), buf.Bytes())
	}
	return items
}

func item(t *testing.T, dir, name string, data []byte) datasets.Item {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return datasets.Item{Path: path, Rel: name, SHA256: hex.EncodeToString(sum[:])}
}

// sums is a backbone whose features are sums over the pixels. They tell pictures, presets and
// places in a batch apart, and can be checked by hand.
func sums(calls *atomic.Int32) Backbone {
	return Backbone{Identity: "sums", Features: 3, Batch: 4, Open: func(_ context.Context, size int) (func([]float32) ([]float32, error), error) {
		return func(batch []float32) ([]float32, error) {
			calls.Add(1)
			out := make([]float32, 4*3)
			for i, v := range batch {
				out[i/(size*size*3)*3+i%3] += v
			}
			return out, nil
		}, nil
	}}
}

var sumsPreset = transforms.Preset{Size: 8, Resize: 8, Geometry: transforms.GeometryShort, Interpolation: "bilinear", Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}

func job(items []datasets.Item, calls *atomic.Int32) Job {
	return Job{Items: items, Preset: sumsPreset, Backbone: sums(calls)}
}

func extract(t *testing.T, j Job) *Matrix {
	t.Helper()
	m, err := Extract(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRowsComeBackInOrderAndOnlyOnce(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	items := pictures(t, t.TempDir(), 11)
	var calls atomic.Int32
	first := extract(t, job(items, &calls))
	if first.Rows() != 11 || first.Cached != 0 || calls.Load() != 3 {
		t.Fatalf("%d rows, %d cached, %d batches; want 11, 0, 3", first.Rows(), first.Cached, calls.Load())
	}
	for i := 1; i < 11; i++ { // red is 7·i/255 on every pixel
		if want := float32(64*i*7) / 255; first.Row(i)[0] < want-0.01 || first.Row(i)[0] > want+0.01 {
			t.Errorf("row %d is %v, want red %v: rows are mixed up", i, first.Row(i), want)
		}
	}
	second := extract(t, job(items, &calls))
	if calls.Load() != 3 || second.Cached != 11 || !reflect.DeepEqual(first.Data, second.Data) {
		t.Errorf("second pass: %d batches, %d cached, equal %v", calls.Load(), second.Cached, reflect.DeepEqual(first.Data, second.Data))
	}
	// The folder grew, and one picture is in it twice: only what is new is computed.
	more := append(pictures(t, t.TempDir(), 12), items[3])
	third := extract(t, job(more, &calls))
	if calls.Load() != 4 || third.Rows() != 13 || !reflect.DeepEqual(third.Row(12), first.Row(3)) {
		t.Errorf("grown folder: %d batches, %d rows", calls.Load(), third.Rows())
	}
}

func TestWhatChangesARowChangesTheKey(t *testing.T) {
	var calls atomic.Int32
	base := job(nil, &calls)
	seen := map[string]string{base.digest(): "base"}
	for name, change := range map[string]func(*Job){
		"weights": func(j *Job) { j.Backbone.Identity = "others" },
		"batch":   func(j *Job) { j.Backbone.Batch = 8 },
		"mean":    func(j *Job) { j.Preset.Mean[1] = 0.1 },
		"size":    func(j *Job) { j.Preset.Size = 9 },
		"views":   func(j *Job) { j.Views = 2 },
		"seed":    func(j *Job) { j.Views, j.Seed = 2, 5 },
	} {
		j := base
		change(&j)
		if other, taken := seen[j.digest()]; taken {
			t.Errorf("%s shares its rows with %s", name, other)
		}
		seen[j.digest()] = name
	}
}

func TestViewsDifferAndRepeat(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	var calls atomic.Int32
	j := job(pictures(t, t.TempDir(), 5), &calls)
	j.Views, j.Seed = 3, 7
	a := extract(t, j)
	if a.Rows() != 15 || reflect.DeepEqual(a.Row(0), a.Row(1)) {
		t.Fatalf("%d rows, first two views equal: %v", a.Rows(), reflect.DeepEqual(a.Row(0), a.Row(1)))
	}
	t.Setenv("TLKIT_CACHE", t.TempDir())
	j.Workers = 1
	if b := extract(t, j); !reflect.DeepEqual(a.Data, b.Data) {
		t.Error("the same seed gave other views with another number of workers")
	}
}

func TestDamageIsComputedAgain(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("TLKIT_CACHE", cache)
	var calls atomic.Int32
	j := job(pictures(t, t.TempDir(), 9), &calls)
	want := extract(t, j)
	file := filepath.Join(cache, "features", j.digest()+".rows")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{
		"torn tail":    whole[:len(whole)-7],
		"flipped bit":  append(append(bytes.Clone(whole[:100]), whole[100]^4), whole[101:]...),
		"empty":        {},
		"another file": []byte("hello, I am not a cache"),
		"half header":  whole[:9],
	} {
		if err := os.WriteFile(file, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		earlier := calls.Load()
		if got := extract(t, j); !reflect.DeepEqual(got.Data, want.Data) || calls.Load() == earlier {
			t.Errorf("%s: equal %v after %d new batches", name, reflect.DeepEqual(got.Data, want.Data), calls.Load()-earlier)
		}
	}
}

// One flipped bit anywhere in the file costs the row it is in, or the file if it is in the header; it
// is said, and the next run finds everything whole.
func TestRotCostsOneRow(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("TLKIT_CACHE", cache)
	var calls atomic.Int32
	var notes []string
	j := job(pictures(t, t.TempDir(), 9), &calls)
	j.Note = func(s string) { notes = append(notes, s) }
	want := extract(t, j)
	file := filepath.Join(cache, "features", j.digest()+".rows")
	head, row := int64(len(magic)+4), int64(32+4*j.Backbone.Features+4)
	for _, c := range []struct {
		name   string
		at     int64
		cached int
		says   string
	}{
		{"magic", 3, 0, file + ".damaged"},
		{"width", head - 4, 0, file + ".damaged"},
		{"key of the first row", head, 8, "1 of 9 rows"},
		{"value in the middle", head + 4*row + 34, 8, "1 of 9 rows"},
		{"checksum of the last row", -1, 8, "1 of 9 rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			notes = nil
			if err := bitrot.Flip(file, c.at); err != nil {
				t.Fatal(err)
			}
			got := extract(t, j)
			if !reflect.DeepEqual(got.Data, want.Data) || got.Cached != c.cached {
				t.Errorf("%d rows were cached, want %d; equal: %v", got.Cached, c.cached, reflect.DeepEqual(got.Data, want.Data))
			}
			if len(notes) != 1 || !strings.Contains(notes[0], c.says) || !strings.Contains(notes[0], "damaged") || !strings.Contains(notes[0], file) {
				t.Errorf("notes %q, want one with %q", notes, c.says)
			}
			notes = nil
			if got := extract(t, j); got.Cached != 9 || len(notes) != 0 || !reflect.DeepEqual(got.Data, want.Data) {
				t.Errorf("the next time %d of 9 rows are cached, notes %q", got.Cached, notes)
			}
			if info, err := os.Stat(file); err != nil || info.Size() != head+9*row {
				t.Errorf("the file has %d bytes (%v), want %d: a row takes the place of the damaged one", info.Size(), err, head+9*row)
			}
		})
	}
}

func TestBadPicturesAreNamedAndCounted(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	dir := t.TempDir()
	items := append(pictures(t, dir, 30), item(t, dir, "text.png", []byte("not a picture")))
	var calls atomic.Int32
	m := extract(t, job(items, &calls))
	if m.Rows() != 30 || len(m.Bad) != 1 || m.Bad[0].Item != 30 || !strings.Contains(m.Bad[0].Err.Error(), "text.png") {
		t.Fatalf("%d rows, bad %v", m.Rows(), m.Bad)
	}
	items = append(items, item(t, dir, "two.png", []byte("nor this")))
	if _, err := Extract(context.Background(), job(items[20:], &calls)); err == nil || !strings.Contains(err.Error(), "2 of 12") {
		t.Errorf("2 of 12 unreadable: %v", err)
	}
	lenient := job(items[20:], &calls)
	lenient.BadLimit = 1
	if m := extract(t, lenient); m.Rows() != 10 || len(m.Bad) != 2 {
		t.Errorf("with any number allowed: %d rows, bad %v", m.Rows(), m.Bad)
	}
	if err := os.WriteFile(items[0].Path, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := job(items[:25], &calls)
	j.Preset.Size = 7
	if m := extract(t, j); len(m.Bad) != 1 || !strings.Contains(m.Bad[0].Err.Error(), "changed on disk") {
		t.Errorf("a file that changed: %v", m.Bad)
	}
}

func TestInterruptedRunKeepsWhatIsFinished(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	items := pictures(t, t.TempDir(), 40)
	var calls atomic.Int32
	ctx, cancel := context.WithCancel(context.Background())
	j := job(items, &calls)
	j.Progress = func(done, _, _ int) {
		if done >= 12 {
			cancel()
		}
	}
	if _, err := Extract(ctx, j); err == nil {
		t.Fatal("an interrupted pass reports success")
	}
	j.Progress = nil
	if m := extract(t, j); m.Rows() != 40 || m.Cached < 12 {
		t.Errorf("%d rows, %d kept from the interrupted pass, want 40 and at least 12", m.Rows(), m.Cached)
	}
}

func TestBrokenBackboneIsAnError(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	items := pictures(t, t.TempDir(), 9)
	var calls atomic.Int32
	nan := float32(0)
	for name, open := range map[string]func(context.Context, int) (func([]float32) ([]float32, error), error){
		"does not open": func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return nil, fmt.Errorf("no such backbone")
		},
		"fails": func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return func([]float32) ([]float32, error) { return nil, fmt.Errorf("out of memory") }, nil
		},
		"too short": func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return func([]float32) ([]float32, error) { return make([]float32, 5), nil }, nil
		},
		"NaN": func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return func([]float32) ([]float32, error) {
				out := make([]float32, 12)
				out[1] = nan / nan
				return out, nil
			}, nil
		},
	} {
		j := job(items, &calls)
		j.Backbone.Open = open
		if _, err := Extract(context.Background(), j); err == nil {
			t.Errorf("a backbone that %s gives no error", name)
		}
	}
}

// Rows read in any order are those of Extract, and an unreadable picture has none.
func TestRowsOnDisk(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	dir := t.TempDir()
	items := append(pictures(t, dir, 30), item(t, dir, "text.png", []byte("not a picture")))
	var calls atomic.Int32
	j := job(items, &calls)
	j.Views = 2
	want := extract(t, j)
	earlier := calls.Load()
	r, err := Open(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if calls.Load() != earlier {
		t.Error("rows that were there are computed again")
	}
	for row := want.Rows() - 1; row >= 0; row-- {
		got, err := r.Read(want.Items[row], row%2)
		if err != nil || !reflect.DeepEqual(got, want.Row(row)) {
			t.Fatalf("row %d: %v, %v, want %v", row, got, err, want.Row(row))
		}
	}
	if _, err := r.Read(30, 0); err == nil || !strings.Contains(err.Error(), "text.png") || len(r.Bad) != 1 {
		t.Errorf("an unreadable picture: %v, bad %v", err, r.Bad)
	}
	if _, err := r.Read(0, 2); err == nil {
		t.Error("a third view of two is read")
	}
}
