// Package curves stores the measurements of a training run, during the run and after it: a
// [Point] for each measurement and a [Mark] for each event. Package plots draws them.
//
// On disk a run is an append-only file of JSON lines, one for each point or mark:
//
//	{"run":"ants-and-bees","axis":"epoch"}
//	{"step":31,"epoch":1,"phase":"head","split":"valid","metric":"accuracy","value":0.915,"n":153}
//	{"mark":"unfreeze","step":310,"epoch":10}
//
// Each line is passed to the operating system at once, so a killed process loses at most the
// line it was writing. [ReadFile] ignores such an incomplete last line. Any other bad line is
// an error with its number, because a curve that is silently shorter is wrong.
//
// Losses are in nats, accuracies are fractions 0..1 of N pictures, rates are learning rates.
// NaN and infinities, as in a run that diverged, are kept, and written as strings.
package curves
