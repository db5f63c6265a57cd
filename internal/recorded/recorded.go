// Package recorded lets package robot read data sets without importing what reads them: parquet takes
// most of a minute to compile, and every cell of a notebook would link it. Package episodes is known here
// once a program imports it, as image formats are in the standard library.
package recorded

import (
	"context"

	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Set is an opened data set.
type Set interface {
	// Spec describes the robot.
	Spec() sim.Spec
	// Count is the number of demonstrations.
	Count() int
	// Read calls each with every frame of a demonstration, in order.
	Read(ctx context.Context, demonstration int, w Want, each func(sim.Frame) error) error
	Close() error
}

// Want says which pictures are read.
type Want struct {
	Camera string               // the only one; "" = none
	Skip   func(frame int) bool // frames without; nil = none
}

// Open opens the data set in a folder; nil = nothing that can is part of this program.
var Open func(dir string) (Set, error)
