// Package plots draws the figures of a training run: curves, confusion matrices, grids of
// pictures, bars for each class, calibration, comparisons of networks, and the input of a network
// against what its weights expect.
//
// Each function takes plain data and returns a [Figure]. A figure draws itself as PNG (twice the
// nominal size, on opaque white) or SVG (with text as outlines, so that no font is needed), and
// describes itself in words made from the data.
//
// Every chart has an example, whose picture is in the folder testdata.
//
// Drawing is deterministic: the same data give the same bytes on the same kind of machine. Names
// of classes, files and runs may contain anything: control and direction characters, and
// characters that the built-in fonts lack, become escapes, and long names are shortened in the
// middle.
//
// Bad data cause neither a panic nor a wrong picture: PNG and SVG of the figure return the error.
package plots
