package show

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// dot is a figure with everything a figure can have.
type dot struct{ words string }

func (d dot) PNG(w io.Writer) error { return png.Encode(w, image.NewGray(image.Rect(0, 0, 8, 6))) }
func (d dot) Text() string          { return d.words }

const nasty = "<script>alert(1)</script>\u202e\x1b[31m'\"&" + "🐝"

func TestOutsideNotebooksFilesAndLines(t *testing.T) {
	var out bytes.Buffer
	s := &Screen{Out: &out, Folder: t.TempDir()}
	if err := s.Figure("../../curves", dot{"a dot\x1b[31m"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Folder, "curves.png")); err != nil {
		t.Error(err)
	}
	s.Table(Table{Header: []string{"label", "right"}, Rows: [][]string{{"ants", "7"}, {nasty, "12"}}, Left: 1})
	s.Progress("training", 1, 2)
	s.Clear()
	s.Flush()
	if text := out.String(); strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "a dot") || !strings.Contains(text, "ants") {
		t.Errorf("%q", text)
	}
}

// described has what the values of this project have: a part with a text form of its own, an embedded
// one, lists, and a pointer to a struct.
type described struct {
	Name string
	score
	Fraction
	Shape  []int
	Inner  *struct{ Rate float64 }
	Steps  any
	Figure func()
}

type score struct{ hidden int }

// Fraction has a text form.
type Fraction struct{ Correct, Total int }

func (f Fraction) String() string { return fmt.Sprintf("%d of %d", f.Correct, f.Total) }

// loop contains itself.
type loop struct {
	Self *loop
	N    int
}

func TestOneDoorForHTML(t *testing.T) {
	table := Table{Caption: nasty, Header: []string{nasty, "n"}, Rows: [][]string{{nasty, "1"}, {strings.Repeat("x", 10_000), "2"}}, Left: 1}
	for what, html := range map[string]string{"table": table.HTML(), "card": Card{What: nasty, Where: nasty, Why: nasty, Fix: nasty}.HTML(), "folded": render(foldedHTML, map[string]any{"Summary": nasty, "Lines": []string{nasty}}), "progress": render(progressHTML, map[string]any{"Done": int64(1), "Total": int64(2), "Words": nasty})} {
		if strings.Contains(html, "<script") || strings.ContainsAny(html, "\x1b") || len(html) > 2000 {
			t.Errorf("%s: %q", what, html)
		}
	}
	if text := table.Text(); len(text) > 1000 || strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("%q", text)
	}
}

func TestValue(t *testing.T) {
	wide := image.NewRGBA(image.Rect(0, 0, 1600, 400))
	type hit struct {
		Label       string
		Probability float64
		hidden      int
	}
	circle := &loop{N: 1}
	circle.Self = circle
	long := make([]hit, 57)
	for i := range long {
		long[i] = hit{Label: fmt.Sprint("n", i), Probability: 1.0 / 3}
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{dot{"a dot"}, "a dot"},
		{Table{Header: []string{"label"}, Rows: [][]string{{"ants"}}, Left: 1}, "label\nants\n"},
		{wide, "a picture of 1600 x 400 pixels"},
		{[]hit{{"ants", 0.91234, 1}}, "Label  Probability\nants        0.9123\n"},
		{long, "… 37 more"},
		{errors.New("no such file"), "no such file"},
		{nasty, "\\u202e"},
		{nil, "<nil>"},
		{(*hit)(nil), "<nil>"},
		{[]hit{}, "[]"},
		{struct{ A, B int }{1, 2}, "   value\nA  1\nB  2\n"},
		{&described{Name: "x", score: score{1}, Fraction: Fraction{3, 4}, Shape: []int{3, 3, 16}, Inner: &struct{ Rate float64 }{1e-3}, Steps: []hit{{}, {}}},
			"            value\nName        x\nFraction    3 of 4\nShape       3, 3, 16\nInner.Rate  0.001\nSteps       2 × hit\n"},
		{[]*described{{Name: "x", Fraction: Fraction{3, 4}, Shape: []int{3}}, nil, {Name: "y"}}, "Name  Fraction  Shape\nx     3 of 4    3\n\ny     0 of 0\n"},
		{[]described{{Name: "x", Fraction: Fraction{3, 4}, Shape: []int{3, 5}}, {Name: "y"}}, "Name  Fraction  Shape\nx     3 of 4    3, 5\ny     0 of 0\n"},
		{map[string]float64{"bees": 0.25, "ants": 0.75}, "      value\nants  0.75\nbees  0.25\n"},
		{struct{ Values []int }{make([]int, 9_000)}, "0, 0, 0, 0, … 9000 in all"},
		{Fraction{1, 2}, "1 of 2"},
		{circle, "Self.Self.Self.N  1\n"},
		{make([]int, 9_000), "characters more"},
	} {
		var out bytes.Buffer
		s := &Screen{Out: &out}
		if err := s.Value(c.value); err != nil {
			t.Errorf("%T: %v", c.value, err)
		}
		if text := out.String(); !strings.Contains(text, c.want) || len(text) > 3*mostRunes || strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("%T: %.300q, want %q", c.value, text, c.want)
		}
	}
	if img, err := (photograph{wide}).Image(1); err != nil || img.Bounds().Dx() != mostWidth || img.Bounds().Dy() != 190 {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
	if img, err := (photograph{image.NewGray(image.Rect(0, 0, 30, 20))}).Image(2); err != nil || img.Bounds() != image.Rect(0, 0, 60, 40) {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
	if err := (&Screen{Out: io.Discard}).Value(image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty picture was shown")
	}
}

// What takes long says so now and then, also when it cannot be counted.
func TestLinesOutsideNotebooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &Screen{Out: &out}
		for i := range int64(700) {
			s.Progress("extracting features", i, 700)
			time.Sleep(101 * time.Millisecond)
		}
		s.Progress("compiling", 0, 0)
		time.Sleep(8 * time.Second)
		s.Progress("saving", 0, 0)
		s.Clear()
		time.Sleep(time.Minute)
		want := "extracting features: 49 of 700, about 1m6s left\nextracting features: 346 of 700, about 36s left\nextracting features: 643 of 700, about 6s left\ncompiling, 5s so far\n"
		if out.String() != want {
			t.Errorf("%q", out.String())
		}
	})
}

// A bar has its own clock, and what was cached does not count: half of these are there at once.
func TestTimeLeftIsOfThisBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &Screen{Out: &out}
		for range 2 {
			s.Progress("extracting features", 0, 600)
			s.Progress("extracting features", 500, 600)
			for i := range int64(99) {
				time.Sleep(time.Second)
				s.Progress("extracting features", 501+i, 600)
			}
		}
		s.Clear()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) < 6 {
			t.Errorf("%d lines: %q", len(lines), lines)
		}
		for _, l := range lines {
			var done int
			var left string
			if _, err := fmt.Sscanf(l, "extracting features: %d of 600, about %s left", &done, &left); err != nil {
				t.Errorf("%q: %v", l, err)
				continue
			}
			if d, err := time.ParseDuration(left); err != nil || (d-time.Duration(600-done)*time.Second).Abs() > 2*time.Second {
				t.Errorf("%q, where %d s are left", l, 600-done)
			}
		}
	})
}

// cellVar makes this test binary the program of a cell.
const cellVar = "TLKIT_SHOW_TEST_CELL"

func TestMain(m *testing.M) {
	if os.Getenv(cellVar) == "" {
		os.Exit(m.Run())
	}
	s := New(os.Stdout, os.Getenv(cellVar))
	fmt.Println("in cell", s.InCell())
	_ = s.Live("live", dot{"first"})
	_ = s.Live("live", dot{"second"})
	if err := s.Figure("curves", dot{"a dot"}); err != nil {
		fmt.Println(err)
	}
	if err := s.Value(image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		fmt.Println(err)
	}
	for i := range int64(500) { // faster than anybody can look
		s.Progress("training", i, 500)
	}
	time.Sleep(3 * betweenStates)
	s.Table(Table{Header: []string{"label"}, Rows: [][]string{{nasty}}, Left: 1})
	s.Card(Card{What: nasty, Where: nasty, Why: nasty, Fix: nasty})
	s.Progress("evaluating", 0, 0)
	s.Clear()
	s.Text("accuracy 95.4 %")
	s.Flush()
}

// asCell runs this binary as a cell whose display pipe is read by kernel; figures that the
// notebook does not take go to folder.
func asCell(t *testing.T, folder string, kernel func(display, back *os.File)) (string, time.Duration) {
	t.Helper()
	dir := t.TempDir()
	there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back")
	for _, p := range []string{there, back} {
		if err := syscall.Mkfifo(p, 0o600); err != nil {
			t.Skipf("no named pipes here: %v", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), cellVar+"="+folder, protocol.GONB_PIPE_ENV+"="+there, protocol.GONB_PIPE_BACK_ENV+"="+back)
	var out bytes.Buffer
	cmd.Stdout = &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if kernel != nil {
		// Opened for both directions, so that opening never waits.
		r, err := os.OpenFile(there, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(back, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		go kernel(r, w)
		defer r.Close()
		defer w.Close()
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("the cell hangs")
	}
	return out.String(), time.Since(start)
}

// What arrives at the kernel's end, decoded with the types that GoNB's end knows.
func TestInACell(t *testing.T) {
	var got []protocol.DisplayData
	syncs := 0
	_, took := asCell(t, t.TempDir(), func(display, back *os.File) {
		dec, enc := gob.NewDecoder(display), gob.NewEncoder(back)
		for {
			var d protocol.DisplayData
			if err := dec.Decode(&d); err != nil {
				return
			}
			// Sync: answer as GoNB does
			if c, ok := d.Data[protocol.MIMECommValue].(protocol.CommValue); ok {
				syncs++
				_ = enc.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: c.Value})
				continue
			}
			got = append(got, d)
		}
	})
	if syncs != 1 || took > patience {
		t.Errorf("%d syncs, %v: nobody waited for the answer, or too long", syncs, took)
	}
	if len(got) < 8 {
		t.Fatalf("%d displays, want 8 or more", len(got))
	}
	states, newest := 0, ""
	for _, d := range got {
		if words, _ := d.Data[protocol.MIMETextPlain].(string); strings.HasPrefix(words, "training") {
			states, newest = states+1, words
		}
	}
	if states > 3 || newest != "training: 499 of 500" {
		t.Errorf("%d states in a fifth of a second, the newest %q", states, newest)
	}
	if got[0].DisplayID == "" || got[0].DisplayID != got[1].DisplayID {
		t.Errorf("a live figure moved: %q, %q", got[0].DisplayID, got[1].DisplayID)
	}
	// GoNB cannot take an output away: where progress stood, something else stands in the end.
	last := map[string]string{}
	for _, d := range got {
		if d.DisplayID != "" {
			last[d.DisplayID], _ = d.Data[protocol.MIMETextPlain].(string)
		}
	}
	for _, words := range last {
		if words == "" || strings.HasPrefix(words, "training") || strings.HasPrefix(words, "evaluating") {
			t.Errorf("progress is left in the cell as %q", words)
		}
	}
	figure := got[2]
	if len(figure.Data) != 2 || figure.Data[protocol.MIMEImagePNG] == nil || figure.Data[protocol.MIMETextPlain] == nil {
		t.Errorf("the figure comes as %v, want a PNG and words: JupyterLab shows the form that it likes best", slices.Collect(maps.Keys(figure.Data)))
	}
	picture := got[3]
	sent, err := jpeg.Decode(bytes.NewReader(picture.Data[jpegType].([]byte)))
	size, _ := picture.Metadata[string(jpegType)].(map[string]any)
	if err != nil || picture.Data[protocol.MIMEImagePNG] != nil || sent.Bounds() != image.Rect(0, 0, 60, 40) || size["width"] != 30 {
		t.Errorf("a photograph comes with %v for the page, %v", size, err)
	}
	if tag, _ := figure.Metadata["tlkit"].(map[string]any); tag["pictures"] != string(Chart) {
		t.Errorf("tag %v", figure.Metadata)
	}
	for i, d := range got {
		if html, _ := d.Data[protocol.MIMETextHTML].(string); strings.Contains(html, "<script") {
			t.Errorf("display %d holds a script: %s", i, html)
		}
		if d.Data[protocol.MIMETextPlain] == nil {
			t.Errorf("display %d has no text twin", i)
		}
	}
}

// The kernel died, so the pipe is never opened. The program must still end,
// with its words on standard output.
func TestDeadPipe(t *testing.T) {
	folder := t.TempDir()
	out, took := asCell(t, folder, nil)
	for _, words := range []string{"accuracy 95.4 %", "a dot", "label", "could not be done"} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is lost: %q", words, out)
		}
	}
	for _, figure := range []string{"live.png", "curves.png"} {
		if _, err := os.Stat(filepath.Join(folder, figure)); err != nil {
			t.Errorf("a figure is lost: %v", err)
		}
	}
	if took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// The kernel dies in the middle: it has opened the pipe and read something.
func TestDyingPipe(t *testing.T) {
	out, took := asCell(t, t.TempDir(), func(display, back *os.File) {
		_, _ = io.ReadFull(display, make([]byte, 600))
		display.Close()
		back.Close()
	})
	if !strings.Contains(out, "accuracy 95.4 %") || took > 10*time.Second {
		t.Errorf("after %v: %q", took, out)
	}
}

// A kernel that does not know what to do with what it gets stops answering.
func TestDeafPipe(t *testing.T) {
	_, took := asCell(t, t.TempDir(), func(display, back *os.File) { _, _ = io.Copy(io.Discard, display) })
	if took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// Outside of notebooks nothing can be opened: one line is shown.
func TestFolded(t *testing.T) {
	var out bytes.Buffer
	(&Screen{Out: &out}).Folded("with a network", []string{"its hash", "its address"})
	if out.String() != "with a network\n" {
		t.Errorf("%q", out.String())
	}
	html := render(foldedHTML, map[string]any{"Summary": "with a network", "Lines": []string{"its hash", "<b>"}})
	if !strings.Contains(html, "<details><summary>with a network</summary>") || !strings.Contains(html, "its hash") || strings.Contains(html, "<b>") {
		t.Error(html)
	}
}
