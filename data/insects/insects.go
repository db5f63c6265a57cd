// Package insects draws as many pictures of ants and bees as wanted, with the same pixels on
// every machine.
//
// A picture depends on four things: its level, split, class and number. The surroundings of the
// insect (paper, leaf, flower, sand, light, blur) are chosen in the same way for both classes, so
// that only the insect itself tells them apart: its waist, antennae, legs, fur and wings.
//
// The same pen draws insects and blossoms alone, and grounds without an insect, for other drawings:
// see [Insect], [Blossom] and [Table].
package insects

import (
	"fmt"
	"image"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Version changes whenever a pixel of any picture changes. It is part of the names of cached
// sets.
const Version = 1

// Side is the width and height of a picture in pixels.
const Side = 192

// Classes are the labels, by class number.
var Classes = []string{"ants", "bees"}

// Level says how hard ants and bees are to tell apart.
type Level string

// The levels.
const (
	Easy   Level = "easy"
	Medium Level = "medium"
	Hard   Level = "hard"
)

// Draw draws picture number index (0 or more) of a class (0 ants, 1 bees) in a split
// ("train" or "test"). The pictures of the two splits have nothing in common.
func Draw(level Level, split string, class, index int) (*image.NRGBA, error) {
	img, _, err := DrawWithFacts(level, split, class, index)
	return img, err
}

// Facts are what is true of a picture: where the insect is, how large, which way it points,
// and what can be seen of it.
type Facts struct {
	X, Y     float64 // middle of the body, in pixels from the top left corner
	Length   float64 // of the body without antennae and legs, in pixels, before foreshortening
	Cos, Sin float64 // direction of the head: 1, 0 is right and 0, 1 is down

	Ant, Bee bool
	Wings    bool // wings can be seen
	Bands    bool // the abdomen is banded
	Covered  bool // something lies in front of the insect, or beside it
}

// DrawWithFacts is [Draw], and also returns the facts of the picture.
func DrawWithFacts(level Level, split string, class, index int) (*image.NRGBA, Facts, error) {
	img, facts, err := drawWithFacts(level, split, class, index)
	if err == nil {
		facts.Ant, facts.Bee = class == 0, class == 1
	}
	return img, facts, err
}

func drawWithFacts(name Level, split string, class, index int) (*image.NRGBA, Facts, error) {
	v, ok := levels[name]
	if !ok {
		return nil, Facts{}, advice.New(fmt.Errorf("insects: no level %q", name), "there are easy, medium and hard")
	}
	if class != 0 && class != 1 {
		return nil, Facts{}, fmt.Errorf("insects: class %d, want 0 (ants) or 1 (bees)", class)
	}
	if index < 0 {
		return nil, Facts{}, fmt.Errorf("insects: picture number %d, want 0 or more", index)
	}
	seeds := []uint64{Version, uint64(class), uint64(index)}
	switch split {
	case "train", "test":
	default:
		return nil, Facts{}, advice.New(fmt.Errorf("insects: no split %q", split), "there are train and test")
	}
	for _, b := range []byte(string(name) + "/" + split) {
		seeds = append(seeds, uint64(b))
	}
	img, facts := draw(newDice(seeds...), Side, class == 1, v)
	return img, facts, nil
}
