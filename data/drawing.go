package data

import (
	"fmt"
	"image"
	"slices"

	"github.com/tlkit/transfer-learning/data/insects"
)

// A Drawing is a set of pictures that code draws. Each picture can be drawn by
// itself, in any order, and comes out the same everywhere.
type Drawing struct {
	Level string // "easy", "medium", "hard"
	Train int    // pictures of each class in train
	Test  int    // pictures of each class in test
}

// A Sheet is one picture of a drawing, not yet drawn.
type Sheet struct {
	Split  string // "train" or "test"
	Class  string
	Folder string // slash path of its folder: "train/ants"
	Name   string // base name: "ants-0007.png"

	level        string
	class, index int
}

// Sheets lists the pictures of the drawing, in order of path.
func (g Drawing) Sheets() []Sheet {
	var sheets []Sheet
	for _, split := range []string{"test", "train"} {
		n := g.Train
		if split == "test" {
			n = g.Test
		}
		for c, class := range insects.Classes {
			for i := range n {
				sheets = append(sheets, Sheet{
					Split: split, Class: class, Folder: split + "/" + class, Name: fmt.Sprintf("%s-%04d.png", class, i),
					level: g.Level, class: c, index: i,
				})
			}
		}
	}
	return sheets
}

// Version names what is drawn: it changes when any picture does.
func (g Drawing) Version() string {
	return fmt.Sprintf("v%d-%d-%d", insects.Version, g.Train, g.Test)
}

// Draw draws the picture. It takes some 15 ms and may be called from several
// goroutines at once.
func (s Sheet) Draw() (image.Image, error) {
	img, err := insects.Draw(s.level, s.Split, s.class, s.index)
	if err != nil {
		return nil, fmt.Errorf("data: drawing %s/%s: %w", s.Folder, s.Name, err)
	}
	return img, nil
}

// drawn is the row of one set of insects.
func drawn(name, level, title string) Set {
	return Set{
		Name:    name,
		Title:   title,
		Labels:  slices.Clone(insects.Classes),
		Licence: "Apache-2.0, as tlkit",
		Origin:  fmt.Sprintf("drawn by tlkit's package data/insects, version %d, level %s", insects.Version, level),
		Drawing: &Drawing{Level: level, Train: 122, Test: 500},
	}
}

// few is a set with less of everything.
func few(s Set) Set {
	s.Drawing.Train, s.Drawing.Test = 48, 100
	return s
}
