// Package show displays figures, tables, text and progress: in the notebook cell that runs
// the program, or on the terminal and in files.
//
//	show.Default.Figure("curves", figure) // in a cell: the picture; on a terminal: its words
//
// A figure is anything with the methods PNG and Text. Everything shown has a text form, and no output contains a script: a notebook
// looks the same trusted and untrusted, online and offline.
//
// Nothing blocks when the notebook is gone: if its pipe does not answer within two seconds,
// output continues as text.
package show

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/janpfeifer/gonb/gonbui"
)

// Figure is anything that can draw itself and describe in words what it shows.
type Figure interface {
	PNG(io.Writer) error
	Text() string
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

// Screen is where things are shown. Its methods may be called from several goroutines. Use
// [Default], or make one with [New].
type Screen struct {
	// Out receives text outside of notebooks.
	Out io.Writer
	// Folder receives figures as NAME.png outside of notebooks; "" means their words only.
	Folder string

	mu    sync.Mutex
	cell  *cell // nil outside of notebooks
	doing progress

	places map[string]string // display ids of live figures, by name
}

// Default shows things in the cell that runs this program, or on standard output.
var Default = New(os.Stdout, "")

// New returns a screen with its own progress. In a notebook cell, out and folder are used
// only when the notebook no longer answers.
func New(out io.Writer, folder string) *Screen {
	return &Screen{Out: out, Folder: folder, cell: openCell()}
}

// inCell reports whether there is a cell that still answers.
func (s *Screen) inCell() bool { return s.cell != nil && !s.cell.gone }

// InCell reports whether a notebook cell runs this program.
func (s *Screen) InCell() bool { return s.cell != nil }

// Figure shows a chart. Outside of notebooks, name ("curves") names its file.
func (s *Screen) Figure(name string, f Figure) error { return s.figure("", name, Chart, f) }

// Pictures shows a figure that contains photographs or drawings; kind is Drawn or Foreign.
func (s *Screen) Pictures(name string, kind Kind, f Figure) error { return s.figure("", name, kind, f) }

// Live shows a figure that can be updated: shown again under the same name, it replaces the
// earlier one. Files keep only the last.
func (s *Screen) Live(name string, f Figure) error {
	s.mu.Lock()
	if s.places == nil {
		s.places = make(map[string]string)
	}
	// Each run of the cell needs a new place: the kernel would update the old one, which was
	// cleared when the cell started again.
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
	if err := f.PNG(&picture); err != nil {
		return fmt.Errorf("show: %s: %w", name, err)
	}
	b := bundle{place: place, live: place != "", text: clean(f.Text()), png: picture.Bytes(), scale: pictureScale, kind: kind}
	if _, moves := f.(Film); moves {
		b.scale = 1 // twice the pixels would be four times the file
	}
	if d, ok := f.(drawer); ok && kind != Chart && s.inCell() {
		var err error
		if b.jpeg, err = photographic(d); err != nil {
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

// photographic draws a figure with photographs as a JPEG, at the same scale as PNG. A PNG would be
// five times as large, and a few of them would make a notebook many megabytes. The quality is the best at
// which it stays small; below the last one, words get a halo.
func photographic(d drawer) ([]byte, error) {
	const small = 85_000 // bytes; a notebook holds a third more
	img, err := d.Image(pictureScale)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, quality := range []int{88, 78, 68, 60, 50} {
		b.Reset()
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil || b.Len() <= small {
			return b.Bytes(), err
		}
	}
	return b.Bytes(), nil
}

// keep writes a figure to the terminal or a file, without a notebook.
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

// Text shows text. In a cell it is an output of its own, in order with the figures.
func (s *Screen) Text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text = strings.TrimRight(clean(text), "\n")
	if !s.inCell() || s.cell.send(bundle{place: s.take(), text: text}) != nil {
		fmt.Fprintln(s.Out, text)
	}
}

// Table shows a table.
func (s *Screen) Table(t Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := t.Text()
	if !s.inCell() || s.cell.send(bundle{place: s.take(), text: text, html: t.HTML()}) != nil {
		fmt.Fprint(s.Out, text)
	}
}

// Flush waits until the notebook has received everything, at most two seconds. Call it at
// the end of a program.
func (s *Screen) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cell != nil {
		s.wipe()
		s.cell.flush()
	}
}

// clean makes text harmless for terminals: control and direction characters become visible
// escapes.
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
