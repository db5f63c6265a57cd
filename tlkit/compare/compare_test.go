package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A comparison gives each backbone the same figures as Train, on the same pictures. A backbone that
// is not available is skipped with the reason; this is not an error.
func TestCompare(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("TORCH_HOME", t.TempDir())
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 20), t.TempDir()
	place := run.Place{Folder: work, Offline: true}
	one, err := run.Train(t.Context(), run.Spec{Data: folder, Model: "mobilenetv2", Seed: 1}, run.Place{Folder: work}, nil)
	if err != nil {
		t.Fatal(err)
	}
	models := []string{"resnet18", "mobilenetv2", "resnet18.fb_swsl_ig1b_ft_in1k", " MobileNetV2 "}
	second := false
	if row, err := zoo.Find("efficientnet_lite0"); err != nil {
		t.Fatal(err)
	} else if _, second = row.Here(); second {
		models = append(models, row.Name)
	}
	said := &heard{}
	c, err := Run(t.Context(), Spec{Data: folder, Models: models, Seed: 1}, place, said)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Ranked, func(r Ranked) bool { return r.Model == "mobilenetv2" })
	if i < 0 || len(c.Ranked) != map[bool]int{false: 1, true: 2}[second] {
		t.Fatalf("ranked %+v", c.Ranked)
	}
	r := c.Ranked[i]
	if r.Correct != one.Correct || r.Total != one.Total || r.Interval != one.Interval || c.Split != "valid" {
		t.Errorf("%d of %d on %s, Train gives %s", r.Correct, r.Total, c.Split, one.Line())
	}
	if r.Bytes != 9084095 || !(r.Seconds > 0 && r.Seconds < 60) || r.Licence != "MIT" || r.Size != 224 || r.Features != 1280 {
		t.Errorf("%+v", r)
	}
	if len(c.Skipped) != 2 || !strings.Contains(c.Skipped[0].Skipped, "offline") || !strings.Contains(c.Skipped[1].Skipped, "--noncommercial") {
		t.Errorf("skipped %+v, want resnet18, which is not on this machine, and the one for non-commercial use", c.Skipped)
	}
	if !said.has(fmt.Sprintf("%d network(s), 40 pictures each; how long", len(models)-3)) || second && !said.has(" · 2 of ") {
		t.Errorf("the cost or the progress is not said: %q", said.lines)
	}
	if owners, err := cachedir.Owners(); err != nil || !slices.ContainsFunc(slices.Collect(maps.Values(owners)), func(all []cachedir.Owner) bool {
		return slices.Contains(all, cachedir.Owner{Name: filepath.Base(c.Folder), Folder: c.Folder, About: "mobilenetv2 on " + c.Data})
	}) {
		t.Errorf("the cache does not know the comparison: %v", err)
	}
	if !said.has("licence MIT") || !said.has("left out: resnet18: its weights are not on this machine") {
		t.Errorf("said %q", said.lines)
	}

	raw, err := os.ReadFile(filepath.Join(c.Folder, "compare.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != len(c.Ranked)+2 {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, row := range list {
		for _, key := range []string{"model", "accuracy", "interval", "seconds_per_picture", "bytes"} {
			if v, ok := row[key]; !ok || key != "model" && (v == nil) != (row["skipped"] != nil) {
				t.Errorf("%v: %s is %v", row["model"], key, v)
			}
		}
	}
	f, err := os.Open(filepath.Join(c.Folder, "compare.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	width, height := c.Figure().Size()
	if img, err := png.Decode(f); err != nil || img.Bounds() != image.Rect(0, 0, 2*width, 2*height) {
		t.Errorf("compare.png: %v, want twice %d x %d", err, width, height)
	}

	t.Run("over folds", func(t *testing.T) {
		c, err := Run(t.Context(), Spec{Data: folder, Models: []string{"mobilenetv2"}, Folds: 4, Seed: 1}, place, nil)
		if err != nil || c.Ranked[0].Total != 40 || !strings.Contains(c.Split, "4 folds of 40") {
			t.Errorf("%v: %+v", err, c)
		}
	})
	t.Run("an interrupt keeps what is done", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := Run(ctx, Spec{Data: folder, Models: []string{"mobilenetv2", "resnet18", "resnet50"}, Seed: 1}, run.Place{Folder: work},
			&whenSaid{word: "mobilenetv2: ", do: cancel})
		if !errors.Is(err, context.Canceled) || c == nil || len(c.Ranked) != 1 || len(c.Skipped) != 2 || c.Skipped[0].Skipped != "interrupted" {
			t.Errorf("err = %v, %+v", err, c)
		}
	})
	t.Run("default", func(t *testing.T) {
		t.Setenv("TLKIT_CACHE", t.TempDir())
		if offline, err := (Spec{}).rows(true); err != nil || len(offline) != 0 {
			t.Errorf("offline with an empty cache: %d rows, %v", len(offline), err)
		}
		online, _ := Spec{}.rows(false)
		names := []string{}
		for _, r := range online {
			names = append(names, r.Name)
		}
		for _, want := range []string{"mobilenetv2", "efficientnet_lite0", "efficientnet_lite2"} {
			if !slices.Contains(names, want) {
				t.Errorf("%s comes in a small package, and is not in %v", want, names)
			}
		}
		if slices.Contains(names, "resnet18.a1_in1k") {
			t.Errorf("%v has a model that would have to be fetched from a hub", names)
		}
		if all, _ := (Spec{All: true}).rows(true); len(all) != len(zoo.Rows()) {
			t.Errorf("all are %d of %d", len(all), len(zoo.Rows()))
		}
	})
	t.Run("by the score of the task", func(t *testing.T) {
		labels, values := "path,labels\n", "path,size\n"
		for i := range 20 {
			labels += fmt.Sprintf("discs/%02d.png,%s\nbars/%02d.png,%s\n", i, []string{"round", "round;small"}[i%2], i, []string{"", "small"}[i/10])
			values += fmt.Sprintf("discs/%02d.png,%d.5\nbars/%02d.png,%d.25\n", i, i, i, 30+i)
		}
		for title, text := range map[string]string{"mAP": labels, "R²": values} {
			file := filepath.Join(folder, title+".csv")
			testpictures.Write(t, file, []byte(text))
			c, err := Run(t.Context(), Spec{Data: file, Models: models, Seed: 1}, place, nil)
			if err != nil {
				t.Fatal(err)
			}
			one, err := run.Train(t.Context(), run.Spec{Data: file, Model: c.Ranked[0].Model, Seed: 1}, run.Place{Folder: work}, nil)
			if err != nil {
				t.Fatal(err)
			}
			table := c.Table()
			if r := c.Ranked[0]; c.Title() != title || r.Score != one.Score || table[0][2] != title || slices.Contains(table[0], "right") || len(table[1]) != len(table[0]) {
				t.Errorf("%s: %+v, Train gives %s\n%q", title, r, one.Line(), table)
			}
			if second {
				g := c.Ranked[1].Gap
				if want := c.Ranked[1].Value - c.Ranked[0].Value; math.Abs(g.Difference-want) > 1e-9 || g.P != 0 {
					t.Errorf("%s: gap %+v, want a difference of %v", title, g, want)
				}
			}
			if text := c.Figure().Text(); !strings.Contains(text, title) {
				t.Errorf("the figure says %q", text)
			}
		}
	})
	t.Run("bad questions", func(t *testing.T) {
		for word, s := range map[string]Spec{
			"resnet18":          {Data: folder, Models: []string{"resnet19"}},
			"at least 2 folds":  {Data: folder, Folds: 1},
			"not both":          {Data: folder, All: true, Models: []string{"mobilenetv2"}},
			"want valid":        {Data: folder, Split: "train"},
			"cannot be dealt":   {Data: folder, Folds: 41},
			"no data set":       {Data: "nowhere-at-all"},
			"at least 2 folds ": {Data: folder, Folds: -3},
		} {
			if c, err := Run(t.Context(), s, place, nil); c != nil || err == nil || !strings.Contains(err.Error(), strings.TrimSpace(word)) {
				t.Errorf("%+v: err = %v, want %q in it", s, err, word)
			}
		}
	})
}

// A reason fits on a line and appears once.
func TestReasonsAreShort(t *testing.T) {
	row, err := zoo.Find("resnet18")
	if err != nil {
		t.Fatal(err)
	}
	tried := func(source fetch.Source, err error) error {
		return &zoo.LoadError{Model: "resnet18", Err: &fetch.MissingError{Causes: []error{&fetch.SourceError{Source: source, Err: err}}}}
	}
	site := fetch.Source{URL: "https://download.pytorch.org/models/x.pth"}
	wheel := fetch.Source{Wheel: &fetch.Wheel{Name: "x", Version: "1.0"}}
	for want, err := range map[string]error{
		"download.pytorch.org: no such host":                                          tried(site, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "download.pytorch.org"}}),
		"download.pytorch.org: no answer in 5s":                                       tried(site, errors.New("no answer in 5s")),
		"Python wheel x 1.0: pip cannot reach its package index (connection refused)": tried(wheel, errors.New("pip cannot reach its package index (connection refused)")),
		"for non-commercial use only; if your use is: --noncommercial":                zoo.ErrNonCommercial,
		"something else": &zoo.LoadError{Model: "resnet18", Err: errors.New("something else")},
	} {
		if got := reason(row, err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	t.Setenv("TLKIT_DATA", t.TempDir())
	if row, err = zoo.Find("teachable_machine"); err != nil {
		t.Fatal(err)
	}
	if got := reason(row, errors.New("x")); !strings.Contains(got, "$TLKIT_DATA/mobilenetv2_035.teachable_machine/model.json") {
		t.Errorf("%q does not say where to put the file", got)
	}
	c := Comparison{Skipped: []Skipped{{Model: "a", Skipped: "x"}, {Model: "b", Skipped: "y"}, {Model: "c", Skipped: "x"}}}
	if got := c.Reasons(); !slices.Equal(got, []string{"a, c: x", "b: y"}) {
		t.Errorf("%q", got)
	}
}

// unseen discards the states of a Progress.
type unseen struct{}

func (unseen) State(string, int64, int64) {}
func (unseen) Say(string)                 {}

// heard collects the sentences of a Progress.
type heard struct {
	unseen
	lines []string
}

func (h *heard) Say(s string) { h.lines = append(h.lines, s) }

func (h *heard) has(word string) bool {
	return slices.ContainsFunc(h.lines, func(l string) bool { return strings.Contains(l, word) })
}

// whenSaid calls do when a sentence begins with word.
type whenSaid struct {
	unseen
	word string
	do   func()
}

func (w *whenSaid) Say(s string) {
	if strings.HasPrefix(s, w.word) {
		w.do()
	}
}

// The first is not a winner over backbones that are not distinguishable from it.
func TestRankingClaimsNoMoreThanItKnows(t *testing.T) {
	truth := make([]int, 200)
	// wrong lists the ranges of pictures that a backbone gets wrong.
	backbone := func(name string, seconds float64, wrong ...[2]int) Ranked {
		r := Ranked{Model: name, Seconds: seconds}
		right := len(truth)
		for range truth {
			r.Logits = append(r.Logits, 1, 0)
		}
		for _, w := range wrong {
			for i := w[0]; i < w[1]; i++ {
				r.Logits[2*i], r.Logits[2*i+1] = 0, 1
				right--
			}
		}
		r.Score = metrics.Fraction{Correct: right, Total: len(truth)}.Score()
		return r
	}
	c := &Comparison{Data: "x", Ranked: []Ranked{
		backbone("bad", 0.01, [2]int{0, 60}),
		backbone("close", 0.02, [2]int{0, 4}, [2]int{100, 108}), // 12 wrong
		backbone("best", 0.5, [2]int{0, 10}),                    // 10 wrong
		backbone("twin", 0.1, [2]int{0, 10}),
		backbone("nested", 0.03, [2]int{0, 20}), // all mistakes of best and ten more: clearly worse
	}}
	if err := c.rank(task.Classes{}, head.Samples{Y: truth, Classes: 2}); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, r := range c.Ranked {
		order = append(order, r.Model)
	}
	if got := strings.Join(order, " "); got != "twin best close nested bad" {
		t.Errorf("order %s", got)
	}
	apart := func(i int) bool { return c.Ranked[i].Gap.Clear }
	if c.Ranked[0].Gap != nil || apart(1) || apart(2) || !apart(3) || !apart(4) {
		t.Errorf("gaps %+v %+v %+v %+v", c.Ranked[1].Gap, c.Ranked[2].Gap, c.Ranked[3].Gap, c.Ranked[4].Gap)
	}
	// The intervals of twin and nested overlap; the paired comparison still distinguishes them.
	if c.Ranked[0].Interval.Low > c.Ranked[3].Interval.High {
		t.Error("the example does not show the use of paired comparison")
	}
	marks := func() (all string) {
		for _, row := range c.Table()[1:] {
			all += row[0] + row[len(row)-1] + "|"
		}
		return all
	}
	// close is within a standard error of twin, and the fastest that is.
	if got := marks(); got != "twin=● |best=  |close=●←|nested   |bad ● |" {
		t.Errorf("marks %q", got)
	}
	if s := c.Sentence(); s != "take close: within noise of the best (twin: -1.0 (-4.9 to +2.9) points on the same 200 pictures), and 5.0 times as fast" {
		t.Errorf("sentence %q", s)
	}
	// With a limit on the time of a picture, whoever takes longer comes last.
	c.latency = 25 * time.Millisecond
	if err := c.rank(task.Classes{}, head.Samples{Y: truth, Classes: 2}); err != nil {
		t.Fatal(err)
	}
	if got := marks(); got != "close=●←|bad ● |twintoo slow|besttoo slow|nestedtoo slow|" {
		t.Errorf("marks %q", got)
	}
	if s := c.Sentence(); s != "take close: better than all others of those that take 25 ms a picture or less (paired differences on 200 pictures, 95 %)" {
		t.Errorf("sentence %q", s)
	}
	c.latency = time.Millisecond
	if err := c.rank(task.Classes{}, head.Samples{Y: truth, Classes: 2}); err != nil {
		t.Fatal(err)
	}
	if s := c.Sentence(); s != "none takes 1 ms a picture or less; the fastest is bad" {
		t.Errorf("sentence %q", s)
	}
	c.latency = 0
	if err := c.rank(task.Classes{}, head.Samples{Y: truth, Classes: 2}); err != nil {
		t.Fatal(err)
	}
	c.Ranked = []Ranked{c.Ranked[0], c.Ranked[4]}
	if s := c.Sentence(); s != "take twin: better than all others (paired differences on 200 pictures, 95 %)" {
		t.Errorf("sentence %q", s)
	}
	c.Ranked = []Ranked{c.Ranked[0], {Model: "other", Seconds: 1, Score: c.Ranked[0].Score, Tied: true, Gap: &Gap{Interval: metrics.Interval{Low: -0.01, High: 0.01}}}}
	if s := c.Sentence(); s != "take twin: the best, and none that is within a standard error of it is faster; not clearly worse on 200 pictures: other" {
		t.Errorf("sentence %q", s)
	}
}

// What is chosen is chosen by names, families and patterns, and filtered as tlkit models does; what
// cannot be compared is said before anything starts.
func TestChoice(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	names := func(s Spec) string {
		t.Helper()
		rows, err := s.rows(false)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, r := range rows {
			all = append(all, r.Name)
		}
		return strings.Join(all, " ")
	}
	if got := names(Spec{Models: []string{"efficientnet_lite*", "mobilenetv2", "squeezenet"}}); got != "efficientnet_lite0 efficientnet_lite1 efficientnet_lite2 mobilenetv2 squeezenet1_0 squeezenet1_1" {
		t.Error(got)
	}
	if got := names(Spec{Models: []string{"EfficientNet-Lite"}, Filter: zoo.Query{Params: "<6M"}}); got != "efficientnet_lite0 efficientnet_lite1" {
		t.Error(got)
	}
	if got := names(Spec{Filter: zoo.Query{Family: "mobilenetv2"}}); !strings.HasPrefix(got, "mobilenetv2 ") || strings.Contains(got, "lite") {
		t.Error(got)
	}
	if _, err := (Spec{Filter: zoo.Query{Family: "SqueezeNet"}}).rows(false); err == nil || !strings.Contains(err.Error(), "--all") {
		t.Errorf("a family that is not here: %v", err)
	}
	if _, err := (Spec{Models: []string{"resnet*"}, Filter: zoo.Query{Params: "<30"}}).rows(false); err == nil {
		t.Error("nothing was refused")
	}

	s := Spec{Models: []string{"resnet18", "resnet18.fb_swsl_ig1b_ft_in1k", "teachable_machine", "vit_small_patch16_224.dino", "squeezenet1_1"}, Size: 90}
	rows, err := s.rows(false)
	if err != nil {
		t.Fatal(err)
	}
	c := &Comparison{}
	f := c.plan(s, rows, 100, run.Place{Folder: t.TempDir()})
	text := strings.Join(c.announced(f, s, false), "\n")
	for _, want := range []string{
		"2 network(s), 100 pictures each; the weights of 2 are fetched first (52 MB)", "to be fetched: squeezenet1_1 (5 MB), resnet18 (47 MB)",
		"left out: resnet18.fb_swsl_ig1b_ft_in1k: for non-commercial use only", "left out: mobilenetv2_035.teachable_machine: its file has to be downloaded by hand",
		"left out: vit_small_patch16_224.dino: it cannot take pictures of 90 x 90",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	c = &Comparison{}
	if f = c.plan(s, rows, 100, run.Place{Folder: t.TempDir(), Offline: true}); len(f.rows) != 0 || len(c.Skipped) != 5 {
		t.Errorf("offline: %v, %v", f.rows, c.Skipped)
	}
	s = Spec{Filter: zoo.Query{Licence: "free"}}
	if rows, err = s.rows(false); err != nil {
		t.Fatal(err)
	}
	c = &Comparison{}
	if text = strings.Join(c.announced(c.plan(s, rows, 100, run.Place{}), s, false), "\n"); !strings.Contains(text, "more networks are like that, and would have to be fetched: --all") {
		t.Error(text)
	}
}
