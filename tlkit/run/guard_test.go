package run

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/guard"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// said keeps what a run says.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) State(string, int64, int64) {}
func (s *said) Say(sentence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, sentence)
}

// warnings are those of the guard.
func (s *said) warnings() (out []string) {
	for _, line := range s.lines {
		if strings.HasPrefix(line, "warning: ") && strings.Contains(line, "tlkit guard") {
			out = append(out, line)
		}
	}
	return out
}

// A run says once what is wrong with its pictures, whether their features are computed or kept, and
// trains all the same. Without a mistake it says nothing.
func TestRunWarns(t *testing.T) {
	data := testpictures.Shapes(t, []string{"disc", "bar"}, 10)
	renew(t, data)
	place := Place{Folder: t.TempDir(), Offline: true}
	for _, c := range []struct{ name, statistics, want string }{
		{"right", "", ""},
		{"near", "clip", ""},
		{"raw", "raw", "not divided by 255: mobilenetv2 wants imagenet"},
		{"again", "raw", "not divided by 255: mobilenetv2 wants imagenet"},
	} {
		place.Name = c.name
		var p said
		r, err := Train(t.Context(), Spec{Data: data, Model: "mobilenetv2", Seed: 1, Statistics: c.statistics}, place, &p)
		if err != nil {
			t.Fatal(err)
		}
		if g := r.Guard; g == nil || g.OK != (c.want == "") || g.Line == "" || g.Best != "imagenet" || g.Confidence < 0.9 {
			t.Errorf("%s: the result has %+v", c.name, g)
		}
		if want := map[bool]int{false: 20}[c.name == "again"]; r.Guard.Pictures != want {
			t.Errorf("%s: %d pictures were looked at, want %d", c.name, r.Guard.Pictures, want)
		}
		var e said
		measured, err := EvaluateHead(t.Context(), HeadSpec{Head: r.Head, Data: data}, place, &e)
		if err != nil {
			t.Fatal(err)
		}
		if g := measured.Guard; g == nil || g.OK != (c.want == "") || len(e.warnings()) != len(p.warnings()) {
			t.Errorf("%s: the evaluation has %+v, said %q", c.name, g, e.warnings())
		}
		card := cardOf(t, r.Head, place)
		wants(t, card, "**guard** | ")
		if warned := strings.Contains(card, "It got pictures in another way"); warned != (c.want != "") {
			t.Errorf("%s: the card warns: %v", c.name, warned)
		}
		var q said // when its head meets pictures
		if _, err := Predict(t.Context(), HeadSpec{Head: r.Head}, []string{filepath.Join(data, "disc", "00.png"), filepath.Join(data, "bar", "00.png")}, place, &q); err != nil {
			t.Fatal(err)
		}
		for _, got := range [][]string{p.warnings(), q.warnings()} {
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("%s: %q, want one warning with %q", c.name, got, c.want)
			}
		}
	}
}

// renew makes the contents of pictures new, so that nothing about them is in a cache.
func renew(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		testpictures.Write(t, file, binary.LittleEndian.AppendUint64(raw, uint64(time.Now().UnixNano())))
	}
}

func TestGuardOfPictures(t *testing.T) {
	data := testpictures.Shapes(t, []string{"disc"}, 5)
	pictures := []string{filepath.Join(data, "disc", "00.png"), filepath.Join(data, "disc", "01.png"), filepath.Join(data, "none.png")}
	var p said
	v, err := Spec{Model: "mobilenetv2", Statistics: "half"}.Guard(t.Context(), pictures, Place{Offline: true}, &p)
	if err != nil || v.OK || v.Finding != guard.HalfForImageNet || v.Pictures != 2 || !strings.Contains(strings.Join(p.lines, "\n"), "left out") {
		t.Errorf("%+v, %v, said %q", v, err, p.lines)
	}
	if _, err := (Spec{Model: "mobilenetv2"}).Guard(t.Context(), pictures[2:], Place{Offline: true}, nil); err == nil || !strings.Contains(err.Error(), "none of the pictures") {
		t.Errorf("no picture: %v", err)
	}
}

// A network of one's own that keeps its batch norms needs no --statistics, and those win.
func TestInferredStatistics(t *testing.T) {
	dir := t.TempDir()
	s := Spec{Data: testpictures.Shapes(t, []string{"disc", "bar"}, 12), Model: filepath.Join(dir, "mine.onnx"), Seed: 1, Size: 32}
	testpictures.Write(t, s.Model, remembering(t))
	place := Place{Folder: dir, Name: "guessed", Offline: true}
	var p said
	r, err := Train(t.Context(), s, place, &p)
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(p.lines, "\n"); !strings.Contains(all, "statistics half, by what the first batch norm remembers") || len(p.warnings()) > 0 {
		t.Errorf("said %q", p.lines)
	}
	s.Statistics, place.Name = "half", "said"
	var q said
	same, err := Train(t.Context(), s, place, &q)
	if err != nil || same.Score != r.Score || strings.Contains(strings.Join(q.lines, "\n"), "by what") {
		t.Errorf("%v and %v, %v; said %q", r.Score, same.Score, err, q.lines)
	}
}

// remembering returns old.onnx of package onnx with other statistics in its first batch norm: those of what
// its first convolution gives for photographs from -1 to 1.
func remembering(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("../onnx/testdata/old.onnx")
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open("../onnx/testdata/old.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, to := range map[string][]float32{
		"bn1.running_mean": {-0.009384304, 0.05166749, 0.13292757, -0.100148335, 0.09993114, -0.05483093, -0.2341769, 0.06129483},
		"bn1.running_var":  {0.10765919, 0.085349105, 1.3394105, 0.40131062, 0.4329042, 0.07710948, 0.3948247, 0.1630013},
	} {
		tensor, _ := f.Tensor(name)
		from, err := tensor.Bytes()
		if err != nil || bytes.Count(raw, from) != 1 {
			t.Fatalf("%s: %v, found %d times", name, err, bytes.Count(raw, from))
		}
		var b []byte
		for _, v := range to {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		raw = bytes.Replace(raw, from, b, 1)
	}
	return raw
}
