package compare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func TestForecast(t *testing.T) {
	var rows []zoo.Row
	for _, params := range []int{10e6, 20e6, 40e6} {
		r := zoo.Row{Name: string(rune('a' + len(rows))), Params: params}
		r.Preset.Size = 224
		rows = append(rows, r)
	}
	work := t.TempDir()
	f := newForecast(rows, 100, work)
	if s := f.before(); !strings.Contains(s, "3 network(s), 100 pictures each") || !strings.Contains(s, "said after the first one") {
		t.Errorf("%q", s)
	}
	// 0.1 s a picture, although all its features were cached: 11 units took
	// 10 s, the others have 21 and 41.
	f.took(0, 0.1, time.Second)
	if left, ok := f.left(1); !ok || left.Round(time.Second) != 56*time.Second {
		t.Errorf("%v %v left, want 56 s", left, ok)
	}
	if s := f.after(0); s != " · 1 of 3, about 60 s left" {
		t.Errorf("%q", s)
	}
	// The second takes three times what was expected: the rest is expected to do so in proportion.
	f.took(1, 0.1, time.Minute)
	if left, _ := f.left(2); left.Round(time.Second) != 90*time.Second {
		t.Errorf("%v left, want 70 s / 32 of 41", left)
	}
	if s := f.after(2); s != " · 3 of 3" {
		t.Errorf("%q", s)
	}

	// What an earlier comparison found is said before the first one.
	dir := filepath.Join(work, run.Home, "compare-x")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `[{"model": "b", "seconds_per_picture": 2}, {"model": "c", "seconds_per_picture": null}]`
	if err := os.WriteFile(filepath.Join(dir, "compare.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f = newForecast(rows, 100, work)
	if left, ok := f.left(0); !ok || left.Round(time.Second) != 695*time.Second {
		t.Errorf("%v %v, want 695 s: 105, 200 and 390", left, ok)
	}
	if s := f.before(); !strings.Contains(s, "about 12 min at the rates of earlier comparisons") {
		t.Errorf("%q", s)
	}
	f.took(1, 1, time.Second)
	if left, _ := f.left(2); left.Round(time.Second) != 195*time.Second {
		t.Errorf("%v left, want 195 s: what was measured now replaces the record", left)
	}
}

// The cheap networks come first: by their rates where this machine has timed them, else by a guess.
func TestCheapNetworksComeFirst(t *testing.T) {
	var rows []zoo.Row
	for i, params := range []int{40e6, 10e6, 20e6, 5e6} {
		r := zoo.Row{Name: string(rune('a' + i)), Params: params}
		r.Preset.Size = 224
		rows = append(rows, r)
	}
	order := func(f *forecast) (names string) {
		for _, r := range f.rows {
			names += r.Name
		}
		return names
	}
	work := t.TempDir()
	if got := order(newForecast(rows, 10, work)); got != "dbca" {
		t.Errorf("order %s, want dbca", got)
	}
	dir := filepath.Join(work, run.Home, "compare-x")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `[{"model": "a", "seconds_per_picture": 0.001}, {"model": "d", "seconds_per_picture": 5}]`
	if err := os.WriteFile(filepath.Join(dir, "compare.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// 50 s for 47 units: b is expected at 12 s, c at 22 s.
	f := newForecast(rows, 10, work)
	if got := order(f); got != "abcd" || !f.timed[0] || f.timed[1] || !f.timed[3] {
		t.Errorf("order %s, timed %v, want abcd, a and d", got, f.timed)
	}
}

// With a limit, the default network comes first, and what does not fit is left out.
func TestForecastWithALimit(t *testing.T) {
	named, err := zoo.Named("resnet152", "mobilenetv2", "mobilenetv2_050.keras_in1k")
	if err != nil {
		t.Fatal(err)
	}
	dear, usual, cheap := named[0], named[1], named[2]
	f := newForecast([]zoo.Row{dear, usual, cheap}, 100, t.TempDir())
	f.hurry(time.Now().Add(10 * time.Second))
	if f.rows[0].Name != usual.Name || f.rows[1].Name != cheap.Name || f.rows[2].Name != dear.Name {
		t.Errorf("order %s, %s, %s", f.rows[0].Name, f.rows[1].Name, f.rows[2].Name)
	}
	f.took(0, 0.01, time.Second)
	if takes := f.expected(1); takes < 0.5 || takes > 0.7 {
		t.Errorf("cheap takes %v s, want 150 + 97 of the 150 + 279 million multiplications of the first", takes)
	}
	f.until = time.Now().Add(-time.Second)
	if why := f.tooLong(t.Context(), 1, probing{}); why != "no time was left" {
		t.Errorf("%q", why)
	}
	if why := f.tooLong(t.Context(), 0, probing{}); why != "" {
		t.Errorf("the first is tried in any case, and is left out because %s", why)
	}
}

// Of those within a standard error of the best, the fastest is picked.
func TestPick(t *testing.T) {
	one := func(name string, ms, difference, half float64) Ranked {
		return Ranked{Model: name, Seconds: ms / 1000, Gap: &Gap{Difference: difference, Interval: metrics.Interval{Low: difference - half, High: difference + half}}}
	}
	best := Ranked{Model: "best", Seconds: 0.05}
	for want, others := range map[string][]Ranked{
		"best":  {one("worse", 1, -0.05, 0.049), one("slower", 60, -0.001, 0.05), {Model: "unknown", Gap: &Gap{Interval: metrics.Unknown()}}},
		"close": {one("close", 10, -0.02, 0.05), one("worse", 1, -0.03, 0.05)},
		"twin":  {one("twin", 10, 0, 0)},
	} {
		c := Comparison{Ranked: append([]Ranked{best}, others...)}
		if got := c.Pick().Model; got != want {
			t.Errorf("picked %s, want %s", got, want)
		}
	}
}

// Where nothing more fits, the limit may move, once.
func TestLimitMayMove(t *testing.T) {
	first, second := zoo.Rows()[0], zoo.Rows()[0]
	second.Name = "second"
	f := newForecast([]zoo.Row{first, second}, 100, t.TempDir())
	f.hurry(time.Now().Add(time.Second))
	f.took(0, 0.1, 10*time.Second)
	if why := f.tooLong(t.Context(), 1, probing{}); !strings.Contains(why, "it takes about 10 s") {
		t.Errorf("%q, want that it takes 10 s and a second is left", why)
	}
	f.later = func() time.Time { return time.Now().Add(time.Minute) }
	if why := f.tooLong(t.Context(), 1, probing{}); why != "" {
		t.Errorf("%q, and there is a minute", why)
	}
}

// A network costs what it multiplies, not what it weighs: a VGG-16 costs 36 times a MobileNetV2, with 7
// times its weights.
func TestForecastCountsMultiplications(t *testing.T) {
	named, err := zoo.Named("vgg16.keras_notop", "mobilenetv2")
	if err != nil {
		t.Fatal(err)
	}
	if ratio := guess(named[0]) / guess(named[1]); ratio < 30 || ratio > 40 {
		t.Errorf("ratio %.1f", ratio)
	}
}

// What a picture may take leaves out the networks that are forecast to take twice as long, and of those
// that were timed, whoever took a quarter more.
func TestForecastWithALatency(t *testing.T) {
	named, err := zoo.Named("mobilenetv2", "efficientnet_lite2", "resnet152")
	if err != nil {
		t.Fatal(err)
	}
	f := newForecast(named, 10, t.TempDir())
	f.latency = 20 * time.Millisecond
	if why := f.tooSlow(2); why != "" || f.late(0) != nil {
		t.Errorf("without a pace: %s, %v", why, f.late(0))
	}
	f.took(0, 0.015, time.Second/10) // lite2 is expected at 33 ms, ResNet-152 at 400 ms
	if why := f.tooSlow(1); why != "" {
		t.Errorf("twice the time: %s", why)
	}
	if why := f.tooSlow(2); why != "a picture is expected to take more than 20 ms" {
		t.Errorf("%q", why)
	}
	if late := f.late(1); len(late) != 1 || !strings.HasPrefix(late[0], "resnet152 (") {
		t.Errorf("%q", late)
	}
	f.took(1, 0.024, time.Second/10)
	if why := f.tooSlow(1); why != "" {
		t.Errorf("24 ms are within the noise: %s", why)
	}
	f.took(1, 0.026, time.Second/10)
	if why := f.tooSlow(1); why == "" {
		t.Error("26 ms are not too slow")
	}
}
