// Package show puts a figure, a table, a sentence or progress in front of the person: in
// the notebook cell when there is one, else on the terminal and in files.
//
//	show.Default.Figure("curves", figure)   // in a cell: the picture; elsewhere: curves.png and its text
//
// It knows nothing of what it shows. Whatever has PNG and Text is a figure; what has
// VegaLite too can be hovered over. Everything shown has a text twin, and no output holds
// a script: a notebook looks the same trusted and untrusted, online and offline.
//
// Nothing here blocks when the notebook is gone: a pipe that does not answer within two
// seconds is given up, and output goes on as text.
package show

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/janpfeifer/gonb/gonbui"
)

// Figure is anything that can draw itself and say in words what is drawn.
type Figure interface {
	PNG(io.Writer) error
	Text() string
}

// Hover is a figure that also comes as a Vega-Lite v5 specification with inline data.
type Hover interface {
	VegaLite() ([]byte, error)
}

// drawer is a figure that can draw itself at any scale.
type drawer interface {
	Image(scale float64) (*image.RGBA, error)
}

// Kind says what the pictures in an output are. It is written into the output's metadata, so
// that a check can keep other people's photographs out of notebooks under version control.
type Kind string

// The kinds of pictures.
const (
	Chart   Kind = "chart"   // drawn from numbers
	Drawn   Kind = "drawn"   // drawn by this project
	Foreign Kind = "foreign" // made by others
)

// Screen is where things are shown. Its methods may be called from several goroutines.
type Screen struct {
	// Out gets text outside of notebooks.
	Out io.Writer
	// Folder gets figures as NAME.png outside of notebooks; "" = their words only.
	Folder string

	mu    sync.Mutex
	cell  *cell // nil outside of notebooks
	doing progress

	places map[string]string // display ids of live figures, by name
}

// Default shows in the cell that runs this program, else on standard output.
var Default = New(os.Stdout, "")

// New is a screen of its own. In a notebook cell out and folder are used only when the
// notebook does not answer any more.
func New(out io.Writer, folder string) *Screen {
	return &Screen{Out: out, Folder: folder, cell: openCell()}
}

// inCell says whether there is a cell that still answers.
func (s *Screen) inCell() bool { return s.cell != nil && !s.cell.gone }

// InCell says whether this program is run by a notebook cell.
func (s *Screen) InCell() bool { return s.cell != nil }

// Figure shows a chart under a name ("curves"), which also names its file.
func (s *Screen) Figure(name string, f Figure) error { return s.figure("", name, Chart, f) }

// Pictures shows a figure that holds photographs or drawings; kind is Drawn or Foreign.
func (s *Screen) Pictures(name string, kind Kind, f Figure) error { return s.figure("", name, kind, f) }

// Live shows a figure at a place of its own: shown again under the same name, it replaces
// what stood there. In files only the last one is kept.
func (s *Screen) Live(name string, f Figure) error {
	s.mu.Lock()
	if s.places == nil {
		s.places = make(map[string]string)
	}
	// Another run of the cell needs another place: the kernel would update the one that was
	// wiped away when the cell began again.
	place := s.places[name]
	if place == "" {
		place = s.take()
		if place == "" {
			place = gonbui.UniqueId()
		}
		s.places[name] = place
	}
	s.mu.Unlock()
	return s.figure(place, name, Chart, f)
}

func (s *Screen) figure(place, name string, kind Kind, f Figure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var picture bytes.Buffer
	scale := 2 // what PNG draws at
	var err error
	if d, ok := f.(drawer); ok && kind != Chart && s.inCell() {
		// Photographs at twice their size would make a notebook of megabytes.
		scale = 1
		var img *image.RGBA
		img, err = d.Image(1)
		if err == nil {
			err = png.Encode(&picture, img)
		}
	} else {
		err = f.PNG(&picture)
	}
	if err != nil {
		return fmt.Errorf("show: %s: %w", name, err)
	}
	b := bundle{place: place, live: place != "", text: clean(f.Text()), png: picture.Bytes(), scale: scale, kind: kind}
	if h, ok := f.(Hover); ok && !b.live && s.inCell() {
		b.vega, err = h.VegaLite()
		if err != nil {
			return fmt.Errorf("show: %s: %w", name, err)
		}
	}
	if s.inCell() {
		if !b.live {
			b.place = s.take()
		}
		if err := s.cell.send(b); !errors.Is(err, errGone) {
			return err
		}
	}
	return s.keep(name, b)
}

// keep writes a figure where there is no notebook, or none any more.
func (s *Screen) keep(name string, b bundle) error {
	if s.Folder == "" {
		if !b.live {
			fmt.Fprintln(s.Out, b.text)
		}
		return nil
	}
	path := filepath.Join(s.Folder, filepath.Base(name)+".png")
	if err := os.WriteFile(path, b.png, 0o644); err != nil {
		return fmt.Errorf("show: %w", err)
	}
	if !b.live {
		fmt.Fprintf(s.Out, "%s\n  %s\n", b.text, path)
	}
	return nil
}

// Text shows words. In a cell they are a text output, in order with the figures.
func (s *Screen) Text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text = strings.TrimRight(clean(text), "\n")
	if !s.inCell() || s.cell.send(bundle{place: s.take(), text: text}) != nil {
		fmt.Fprintln(s.Out, text)
	}
}

// Table shows rows under a header, numbers to the right. Cells are plain text.
func (s *Screen) Table(t Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := t.Text()
	if !s.inCell() || s.cell.send(bundle{place: s.take(), text: text, html: t.HTML()}) != nil {
		fmt.Fprint(s.Out, text)
	}
}

// Flush waits until the notebook has everything, two seconds at most.
func (s *Screen) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cell != nil {
		s.wipe()
		s.cell.flush()
	}
}

// clean makes text harmless for terminals: control and direction codes become visible escapes.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
