// Package confidence says how sure a head may be of its predictions. Everything it learns comes from
// training pictures whose predictions were made by heads that did not see them ("out of fold"), so no
// picture is spent on it.
//
//   - [FitTemperature] makes probabilities mean what they say.
//   - [FitSets] finds how many labels a prediction must name to hold the true one nine times out of ten,
//     and [FitMargins] how far a real value may be off (conformal prediction).
//   - [FitFamiliar] learns which pictures are unlike all training pictures.
//
// The package is plain Go, does not open files and does not print.
package confidence

// The shares that are promised where nobody asks for others.
const (
	// Coverage is how often a set holds the true label, or an interval the true value.
	Coverage = 0.9
	// FalseAlarms is how often a picture of the kind learnt from is called unknown.
	FalseAlarms = 0.05
)
