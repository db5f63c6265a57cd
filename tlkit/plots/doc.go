// Package plots draws the pictures of a training run: curves, confusion matrix,
// grids of pictures, per-class bars, calibration, model comparison, and what a
// network's input looks like beside what its weights expect.
//
// Each function takes plain data and returns a [Figure], which draws itself as
// PNG (twice the nominal size, on an opaque white card) or SVG (text as
// outlines: nothing to install, nothing to re-flow) and says what it shows in
// one sentence made from the data. Curves, Confusion and Scatter can also be
// had as a Vega-Lite v5 specification ([Hover]), with its data inside and no
// expression built from anybody's names.
//
// Drawing is deterministic: the same data gives the same bytes on the same kind
// of machine. Names from outside (classes, files, runs) may hold anything:
// control and direction characters become escapes, so do characters that the
// built-in fonts lack, and long names lose their middle.
//
// Bad data does not panic and does not draw something else: the figure's PNG
// and SVG return the error.
package plots
