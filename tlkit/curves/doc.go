// Package curves holds the numbers of a training run while it runs and after:
// one [Point] a measurement, one [Mark] an event, as data that a picture, a
// table or another program can read.
//
// On disk a run is a file of JSON lines, append-only, one line a point:
//
//	{"run":"ants-and-bees","axis":"epoch"}
//	{"step":31,"epoch":1,"phase":"head","split":"valid","metric":"accuracy","value":0.915,"n":153}
//	{"mark":"unfreeze","step":310,"epoch":10}
//
// Each line is handed to the operating system as it is written, so that a
// killed process loses at most the line it was writing. [Read] forgives such a
// torn last line and nothing else: a bad line in the middle is an error with
// its number, because silently shorter curves are wrong curves.
//
// Values are plain: loss in nats, accuracy as a fraction 0..1 with N pictures,
// rate as the optimiser's learning rate. NaN and infinities are kept (a run
// that diverged must be able to say so) and written as strings.
package curves
