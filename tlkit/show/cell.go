package show

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"image/png"
	"io"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// cell is the notebook cell that runs this program, through GoNB's display pipe.
type cell struct {
	gone bool // the pipe did not answer; nothing more is sent
	// elsewhere sends to the cell of another process; nil = this program's own.
	elsewhere func(*protocol.DisplayData) error
}

// Through returns a screen whose outputs go through send, to a process that shows them with [Screen.Forward]
// in its cell. Once send returns an error, output continues as text on out.
func Through(send func(*protocol.DisplayData) error, out io.Writer) *Screen {
	return &Screen{Out: out, cell: &cell{elsewhere: send}}
}

// Forward shows an output of another process as it is. If the notebook no longer answers, it is shown as
// text.
func (s *Screen) Forward(d *protocol.DisplayData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inCell() && s.cell.post(d) == nil {
		return
	}
	if text, ok := d.Data[protocol.MIMETextPlain].(string); ok && text != "" {
		fmt.Fprintln(s.Out, text)
	}
}

const (
	patience     = 2 * time.Second // for the pipe
	pictureScale = 2               // pixels of a picture for each pixel on the page
	jpegType     = protocol.MIMEType("image/jpeg")
)

// errGone says that the notebook no longer answers.
var errGone = errors.New("show: the notebook does not answer; output continues as text")

func init() {
	// The pipe is a gob stream. These are the two compound types that GoNB understands.
	gob.Register(map[string]any{})
	gob.Register([]any{})
}

func openCell() *cell {
	if !gonbui.IsNotebook {
		return nil
	}
	return &cell{}
}

// bundle is one output in several forms, of which the front end shows the best.
type bundle struct {
	place string // display id; "" = a new place
	live  bool   // a newer one will replace it
	text  string
	html  string
	png   []byte // at scale
	scale int    // pixels of png for each pixel on the page
	jpeg  []byte // sent instead of png; nil for charts
	kind  Kind
}

func (c *cell) send(b bundle) error {
	data := map[protocol.MIMEType]any{protocol.MIMETextPlain: b.text}
	metadata := map[string]any{}
	if b.html != "" {
		data[protocol.MIMETextHTML] = b.html
	}
	if b.png != nil {
		// Send one form only: a front end that gets several picks one itself.
		kind, picture := protocol.MIMEImagePNG, b.png
		if b.jpeg != nil {
			kind, picture = jpegType, b.jpeg
		}
		data[kind] = picture
		described := map[string]any{"alt": b.text}
		if config, err := png.DecodeConfig(bytes.NewReader(b.png)); err == nil {
			described["width"], described["height"] = config.Width/b.scale, config.Height/b.scale
		}
		metadata[string(kind)] = described
		metadata["tlkit"] = map[string]any{"pictures": string(b.kind)}
	}
	return c.post(&protocol.DisplayData{Data: data, Metadata: metadata, DisplayID: b.place})
}

func (c *cell) post(d *protocol.DisplayData) error {
	if c.elsewhere == nil {
		return c.deadline(func() { gonbui.SendData(d) })
	}
	if c.gone || c.elsewhere(d) != nil {
		c.gone = true
		return errGone
	}
	return nil
}

// deadline calls do, which uses the pipe, and gives up when it takes too long: opening and
// writing block forever when the kernel is gone.
func (c *cell) deadline(do func()) error {
	if c.gone {
		return errGone
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // gob panics on a closed pipe in rare orders of events
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		c.gone = true
	}
	if gonbui.Error() != nil {
		c.gone = true
	}
	if c.gone {
		return errGone
	}
	return nil
}

func (c *cell) flush() {
	if c.elsewhere == nil {
		_ = c.deadline(gonbui.Sync)
	}
}
