package curves

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

func wild() Run {
	return Run{Name: "<b>\"ants\" & bees\u202e\n", Axis: Epochs,
		Points: []Point{
			{Step: 1, Epoch: 0.25, Phase: Head, Split: Train, Metric: Loss, Value: 0.1},
			{Step: 2, Epoch: 1, Phase: Head, Split: Valid, Metric: Accuracy, Value: 145. / 153, N: 153},
			{Step: 3, Epoch: 2, Metric: Loss, Value: math.Inf(1)},
			{Step: 4, Epoch: 2, Metric: Loss, Value: math.Inf(-1)},
			{Step: math.MaxInt, Epoch: 1e300, Metric: Rate, Value: 5e-324},
		},
		Marks: []Mark{{Kind: Unfreeze, Step: 3, Epoch: 2, Text: "the last stage moves"}}}
}

func TestFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	want := wild()
	for i, p := range want.Points {
		// One process a point: each goes on where the last one stopped.
		w, got, err := Run{Name: want.Name, Axis: want.Axis}.AppendTo(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != want.Name || len(got.Points) != i {
			t.Fatalf("reopened: %+v", got)
		}
		if err := w.Add(p); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := w.Mark(want.Marks[0]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadFile(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
	var all bytes.Buffer
	if _, err := want.WriteTo(&all); err != nil {
		t.Fatal(err)
	}
	got, _, err = read(&all)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	nan := Run{Points: []Point{{Metric: Loss, Value: math.NaN()}}}
	if _, err := nan.WriteTo(&all); err != nil {
		t.Fatal(err)
	}
	got, _, err = read(&all)
	if err != nil || !math.IsNaN(got.Points[0].Value) {
		t.Fatalf("NaN came back as %+v, %v", got, err)
	}
}

// A process can be killed after any byte: what was complete must be there, and
// the next process must be able to go on.
func TestTornAtEveryByte(t *testing.T) {
	var all bytes.Buffer
	if _, err := wild().WriteTo(&all); err != nil {
		t.Fatal(err)
	}
	full := all.Bytes()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	for n := range len(full) + 1 {
		lines := bytes.Count(full[:n], []byte("\n"))
		if n == 1 {
			continue // a lone brace does not say whose it is, and is refused
		}
		if n < len(full) && full[n] == '\n' {
			lines++ // only the newline is missing
		}
		if err := os.WriteFile(path, full[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		w, got, err := Run{Name: "x", Axis: Epochs}.AppendTo(path)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if have := len(got.Points) + len(got.Marks); have != max(0, lines-1) {
			t.Fatalf("%d bytes with %d whole lines gave %d points and marks", n, lines, have)
		}
		if err := w.Add(Point{Metric: "after", Value: 1}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := ReadFile(path)
		if err != nil || len(again.Series("", "after")) != 1 || len(again.Points) != len(got.Points)+1 {
			t.Fatalf("%d bytes: after going on: %+v, %v", n, again, err)
		}
	}
}

func TestCorruptMiddleIsRefusedWithItsLine(t *testing.T) {
	head := `{"run":"x"}` + "\n"
	point := `{"step":1,"epoch":1,"metric":"loss","value":1}` + "\n"
	for bad, want := range map[string]string{
		`{"step":`: "line 3", `[]`: "line 3", `{"step":1}`: "neither metric", `{"metric":"loss"}`: "without a value",
		`{"metric":"loss","value":"x"}`: "want a number", `{"metric":"loss","value":1,"step":-1}`: "0 or more",
		`{"metric":"loss","value":1,"epoch":"NaN"}`: "finite", `{"mark":""}`: "without a kind",
		`{"metric":"loss","value":1e999}`: "line 3", strings.Repeat("x", maxLine): "longer than", "\x00\x00": "line 3",
	} {
		text := head + point + bad + "\n" + point
		_, _, err := read(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%.40q: %v, want %q", bad, err, want)
		}
		path := filepath.Join(t.TempDir(), "history.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := (Run{Name: "x"}).AppendTo(path); err == nil {
			t.Errorf("%.40q: appended to a corrupt file", bad)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("%.40q: the corrupt file was changed", bad)
		}
	}
	// Another file without a newline is not an incomplete run and is not changed.
	path := filepath.Join(t.TempDir(), "thesis.txt")
	if err := os.WriteFile(path, []byte("my thesis"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (Run{Name: "x"}).AppendTo(path); err == nil {
		t.Error("appended to a stranger's file")
	}
	if b, _ := os.ReadFile(path); string(b) != "my thesis" {
		t.Error("a stranger's file was cut")
	}
	if _, _, err := (Run{Name: "x"}).AppendTo(filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("opened a file in no folder")
	}
}

func TestRecorder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	w, run, err := Run{Name: "x", Axis: Epochs}.AppendTo(path)
	if err != nil {
		t.Fatal(err)
	}
	const every = 20 * time.Millisecond
	var mu sync.Mutex
	var times []time.Time
	last := 0
	r := NewRecorder(run, w, every, func(r Run) {
		mu.Lock()
		defer mu.Unlock()
		times, last = append(times, time.Now()), len(r.Points)
	})
	var all sync.WaitGroup
	const each = 50
	for range 4 {
		all.Go(func() {
			for i := range each {
				if err := r.Add(Point{Step: i, Metric: Loss, Value: 1}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	all.Wait()
	if r.Add(Point{}) == nil || r.Mark(Mark{}) == nil {
		t.Error("a point or mark without a name was recorded")
	}
	if err := r.Mark(Mark{Kind: Chosen, Step: 3}); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error("second Close:", err)
	}
	if r.Add(Point{Metric: Loss}) == nil {
		t.Error("a closed recorder took a point")
	}
	if last != 4*each {
		t.Errorf("the last callback saw %d points of %d", last, 4*each)
	}
	// The last one may come early, at Close; the others keep their distance.
	for i := 1; i < len(times)-1; i++ {
		if d := times[i].Sub(times[i-1]); d < every-5*time.Millisecond {
			t.Errorf("callbacks %v apart, want %v", d, every)
		}
	}
	got, err := ReadFile(path)
	if err != nil || len(got.Points) != 4*each || len(got.Marks) != 1 {
		t.Errorf("file: %d points, %d marks, %v", len(got.Points), len(got.Marks), err)
	}
	quiet := NewRecorder(Run{}, nil, 0, nil)
	if err := quiet.Add(Point{Metric: Loss}); err != nil || len(quiet.Run().Points) != 1 || quiet.Close() != nil {
		t.Error("a recorder without file and callback")
	}
}

func FuzzRead(f *testing.F) {
	var all bytes.Buffer
	if _, err := wild().WriteTo(&all); err != nil {
		f.Fatal(err)
	}
	f.Add(all.Bytes())
	f.Add(all.Bytes()[:all.Len()-7])
	f.Add([]byte(`{"metric":"loss","value":"NaN"}`))
	f.Add([]byte("\n\n{\"mark\":\"chosen\"}\n{\"run\":\"\\ud800\"}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		run, _, err := read(bytes.NewReader(b))
		if err != nil {
			return
		}
		// What was read can be written, and reads back the same.
		var out bytes.Buffer
		if _, err := run.WriteTo(&out); err != nil {
			if strings.Contains(err.Error(), "a line of") {
				return // escapes made it longer than a line may be
			}
			t.Fatal(err)
		}
		again, _, err := read(bytes.NewReader(out.Bytes()))
		if err != nil || len(again.Points) != len(run.Points) || len(again.Marks) != len(run.Marks) {
			t.Fatalf("%v\n%q", err, out.Bytes())
		}
		run.Series("", Loss)
		run.Kept()
		run.Unfrozen()
	})
}

func BenchmarkAppend(b *testing.B) {
	w, _, err := Run{Name: "x", Axis: Epochs}.AppendTo(filepath.Join(b.TempDir(), "h.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for b.Loop() {
		if err := w.Add(Point{Step: 1, Epoch: 1, Phase: Head, Split: Train, Metric: Loss, Value: 0.25}); err != nil {
			b.Fatal(err)
		}
	}
}

// Metrics had other spellings in histories written before 0.1.0.
func TestOldSpellingsOfMetrics(t *testing.T) {
	run, _, err := read(strings.NewReader(`{"step":1,"epoch":1,"split":"valid","metric":"mAP","value":0.5}` + "\n" + `{"step":1,"epoch":1,"split":"valid","metric":"R²","value":0.25}` + "\n"))
	if err != nil || len(run.Series(Valid, MAP)) != 1 || len(run.Series(Valid, R2)) != 1 {
		t.Errorf("%+v, %v", run, err)
	}
}

// A bit that flips on the disk, in a number or anywhere else, is noticed.
func TestEveryFlippedBitOfAFileIsNoticed(t *testing.T) {
	run := Run{Name: "mobilenetv2 on bees", Axis: "step", Marks: []Mark{{Kind: Chosen, Step: 3, Epoch: 1, Text: "last epoch"}}}
	for i := range 3 {
		run.Points = append(run.Points, Point{Step: i, Epoch: float64(i) / 2, Split: Valid, Metric: Loss, Value: 0.7 - 0.1*float64(i), N: 9})
	}
	var text bytes.Buffer
	if _, err := run.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "history.jsonl")
	for bit := range 8 * (text.Len() - 1) { // the last newline is that of a line that may be incomplete
		bad := bytes.Clone(text.Bytes())
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(path)
		if errors.Is(err, atomicfile.ErrDamaged) {
			continue
		}
		if err != nil || !reflect.DeepEqual(got, run) {
			t.Errorf("bit %d: %v, %+v; want damage, or the run as it was", bit, err, got)
		}
	}
	// Files of earlier versions have no checksums.
	old := regexp.MustCompile(`,"crc":"[0-9a-f]{8}"`).ReplaceAll(text.Bytes(), nil)
	if got, _, err := read(bytes.NewReader(old)); err != nil || !reflect.DeepEqual(got, run) {
		t.Errorf("without checksums: %v, %+v", err, got)
	}
}
