package show

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// dot is a figure with everything a figure can have.
type dot struct{ words string }

func (d dot) PNG(w io.Writer) error     { return png.Encode(w, image.NewGray(image.Rect(0, 0, 8, 6))) }
func (d dot) Text() string              { return d.words }
func (d dot) VegaLite() ([]byte, error) { return []byte(`{"data":{"values":[{"x":1.5},null]}}`), nil }

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

func TestOneDoorForHTML(t *testing.T) {
	table := Table{Caption: nasty, Header: []string{nasty, "n"}, Rows: [][]string{{nasty, "1"}, {strings.Repeat("x", 10_000), "2"}}, Left: 1}
	for what, html := range map[string]string{"table": table.HTML(), "progress": render(progressHTML, map[string]any{"Done": int64(1), "Total": int64(2), "Words": nasty})} {
		if strings.Contains(html, "<script") || strings.ContainsAny(html, "\x1b") || len(html) > 2000 {
			t.Errorf("%s: %q", what, html)
		}
	}
	if text := table.Text(); len(text) > 1000 || strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("%q", text)
	}
}

// cellVar makes this test binary the program of a cell.
const cellVar = "TLKIT_SHOW_TEST_CELL"

func TestMain(m *testing.M) {
	if os.Getenv(cellVar) == "" {
		os.Exit(m.Run())
	}
	s := New(os.Stdout, "")
	fmt.Println("in cell", s.InCell())
	_ = s.Live("live", dot{"first"})
	_ = s.Live("live", dot{"second"})
	if err := s.Figure("curves", dot{"a dot"}); err != nil {
		fmt.Println(err)
	}
	s.Progress("training", 1, 4)
	s.Table(Table{Header: []string{"label"}, Rows: [][]string{{nasty}}, Left: 1})
	s.Text("accuracy 95.4 %")
	s.Flush()
	s.Clear()
}

// asCell runs this binary as a cell whose display pipe is read by kernel.
func asCell(t *testing.T, kernel func(display, back *os.File)) (string, time.Duration) {
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
	cmd.Env = append(os.Environ(), cellVar+"=1", protocol.GONB_PIPE_ENV+"="+there, protocol.GONB_PIPE_BACK_ENV+"="+back)
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
	asCell(t, func(display, back *os.File) {
		dec, enc := gob.NewDecoder(display), gob.NewEncoder(back)
		for {
			var d protocol.DisplayData
			if err := dec.Decode(&d); err != nil {
				return
			}
			if v, ok := d.Data[protocol.MIMECommValue]; ok { // Sync: answer as GoNB does
				if c, ok := v.(*protocol.CommValue); ok {
					_ = enc.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: c.Value})
				}
				continue
			}
			got = append(got, d)
		}
	})
	if len(got) < 6 {
		t.Fatalf("%d displays, want 6 or more", len(got))
	}
	if got[0].DisplayID == "" || got[0].DisplayID != got[1].DisplayID {
		t.Errorf("a live figure moved: %q, %q", got[0].DisplayID, got[1].DisplayID)
	}
	figure := got[2]
	for _, m := range []protocol.MIMEType{protocol.MIMEImagePNG, protocol.MIMETextPlain, vegaLite} {
		if figure.Data[m] == nil {
			t.Errorf("the figure has no %s", m)
		}
	}
	if tag, _ := figure.Metadata["tlkit"].(map[string]any); tag["pictures"] != Chart {
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

// The kernel died: nobody opens the pipe. The program must come to its end all the same,
// with its words on standard output.
func TestDeadPipe(t *testing.T) {
	out, took := asCell(t, nil)
	if !strings.Contains(out, "accuracy 95.4 %") {
		t.Errorf("words are lost: %q", out)
	}
	if took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
