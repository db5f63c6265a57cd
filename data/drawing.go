package data

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data/insects"
)

// A Drawing is a set of pictures drawn by code. The pictures can be drawn in any order, and
// are the same on every machine.
type Drawing struct {
	Level insects.Level
	Train int // pictures of each class in train
	Test  int // pictures of each class in test

	// Tells says what there is to learn besides the class; "" = nothing.
	Tells Telling
}

// Telling says what a drawing tells about each of its pictures besides the class.
type Telling string

// What a drawing can tell.
const (
	TellsLabels Telling = "labels" // what can be seen: ant, bands, bee, covered, wings
	TellsValues Telling = "values" // where the insect is, how long, and which way it points
)

// A Sheet is one picture of a drawing, not yet drawn.
type Sheet struct {
	Split  Split // Train or Test
	Class  string
	Folder string // slash path of its folder: "train/ants"
	Name   string // base name: "ants-0007.png"

	level        insects.Level
	class, index int
}

// Sheets lists the pictures of the drawing, in order of path.
func (g Drawing) Sheets() []Sheet {
	var sheets []Sheet
	for _, split := range []Split{Test, Train} {
		n := g.Train
		if split == Test {
			n = g.Test
		}
		for c, class := range insects.Classes {
			for i := range n {
				sheets = append(sheets, Sheet{
					Split: split, Class: class, Folder: string(split) + "/" + class, Name: fmt.Sprintf("%s-%04d.png", class, i),
					level: g.Level, class: c, index: i,
				})
			}
		}
	}
	return sheets
}

// toldVersion changes whenever the facts or their format change.
const toldVersion = 1

// Version identifies what is drawn: it changes when any picture does.
func (g Drawing) Version() string {
	if g.Tells != "" {
		return fmt.Sprintf("v%d-%d-%d-%s%d", insects.Version, g.Train, g.Test, g.Tells, toldVersion)
	}
	return fmt.Sprintf("v%d-%d-%d", insects.Version, g.Train, g.Test)
}

// DrawWithRow draws the picture and returns what the drawing tells about it as columns of a
// CSV file: their header and one row, such as "labels" and "ant;wings", or "cos,length,…" and
// "0.31,88.2,…". Both are "" if the drawing tells nothing.
func (g Drawing) DrawWithRow(s Sheet) (img image.Image, header, row string, err error) {
	drawn, f, err := insects.DrawWithFacts(s.level, string(s.Split), s.class, s.index)
	if err != nil {
		return nil, "", "", fmt.Errorf("data: drawing %s/%s: %w", s.Folder, s.Name, err)
	}
	switch g.Tells {
	case TellsLabels:
		var labels []string
		for i, is := range []bool{f.Ant, f.Bands, f.Bee, f.Covered, f.Wings} {
			if is {
				labels = append(labels, toldLabels[i])
			}
		}
		return drawn, "labels", strings.Join(labels, ";"), nil
	case TellsValues:
		return drawn, strings.Join(toldValues, ","), fmt.Sprintf("%.3f,%.1f,%.3f,%.1f,%.1f", f.Cos, f.Length, f.Sin, f.X, f.Y), nil
	}
	return drawn, "", "", nil
}

// The columns of the sets that tell something.
var (
	toldLabels = []string{"ant", "bands", "bee", "covered", "wings"}
	toldValues = []string{"cos", "length", "sin", "x", "y"}
)

// telling makes a drawn set ask for something else about the same pictures.
func telling(s Set, tells Telling, labels []string) Set {
	s.Drawing.Tells, s.Labels = tells, slices.Clone(labels)
	return s
}

// Draw draws the picture, in about 15 ms. It may be called from several goroutines at once.
func (s Sheet) Draw() (image.Image, error) {
	img, err := insects.Draw(s.level, string(s.Split), s.class, s.index)
	if err != nil {
		return nil, fmt.Errorf("data: drawing %s/%s: %w", s.Folder, s.Name, err)
	}
	return img, nil
}

// drawn returns the row of one set of insects.
func drawn(name string, level insects.Level, title string) Set {
	return Set{
		Name:    name,
		Title:   title,
		Labels:  slices.Clone(insects.Classes),
		Licence: "Apache-2.0, as tlkit",
		Origin:  fmt.Sprintf("drawn by tlkit's package data/insects, version %d, level %s", insects.Version, level),
		Drawing: &Drawing{Level: level, Train: 122, Test: 500},
	}
}

// few makes a drawn set smaller.
func few(s Set) Set {
	s.Drawing.Train, s.Drawing.Test = 48, 100
	return s
}
