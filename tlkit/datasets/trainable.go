package datasets

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// CheckTraining returns an error if no head can be trained on this data set and measured on
// it. Training needs a split to report on, and
//
//   - for [Classes], two or more labels, two or more pictures of each label in train, and no
//     label that train lacks;
//   - for [Labels], two or more pictures with each label in train, and two or more without;
//   - for [Values], four or more pictures in train, and no value that is the same in all of
//     them.
//
// Everything that is missing is in the error, each with what to do. Open does not ask for
// this: pictures may also be opened to be classified.
func (d *Dataset) CheckTraining() error {
	errs := []error{d.CheckLearning()}
	if d.Evaluation() == "" {
		errs = append(errs, mark(errNoSplit, advice.New(fmt.Errorf("datasets: %s has no picture in valid or test, so nothing can be reported", d.Name), "add a folder valid beside train, or put the label folders directly into one folder and let them be split")))
	}
	return errors.Join(errs...)
}

// CheckLearning is [Dataset.CheckTraining] for training without a split to report on.
func (d *Dataset) CheckLearning() error {
	switch d.Task {
	case Labels:
		return errors.Join(d.checkLabels()...)
	case Values:
		return errors.Join(d.checkValues()...)
	}
	return errors.Join(d.checkClasses()...)
}

func (d *Dataset) checkClasses() []error {
	var errs []error
	if len(d.Labels) < 2 {
		errs = append(errs, mark(errOneLabel, advice.New(fmt.Errorf("datasets: %s has %d label(s) %q, want at least 2", d.Name, len(d.Labels), d.Labels), "put the pictures of each label in a folder of its own")))
	}
	train := make([]int, len(d.Labels))
	other := make([]Split, len(d.Labels))
	for _, it := range d.Items {
		switch {
		case it.Class < 0:
		case it.Split == Train:
			train[it.Class]++
		default:
			other[it.Class] = it.Split
		}
	}
	for c, n := range train {
		switch {
		case n == 0 && other[c] != "":
			errs = append(errs, mark(errLabelNotInTrain, advice.New(fmt.Errorf("datasets: label %q is in %s but not in train, so nothing can be learnt about it", d.Labels[c], other[c]), "add pictures of it to train or take it out of %s", other[c])))
		case n < 2:
			errs = append(errs, mark(errTooFew, advice.New(fmt.Errorf("datasets: label %q has %d picture(s) to train on, want at least 2", d.Labels[c], n), "add pictures or remove the label")))
		}
	}
	return errs
}

func (d *Dataset) checkLabels() []error {
	var errs []error
	for k, l := range d.Labels {
		present, absent := 0, 0
		for _, it := range d.Items {
			switch {
			case it.Split != Train:
			case it.Targets[k] != 0:
				present++
			default:
				absent++
			}
		}
		switch {
		case present < 2:
			errs = append(errs, mark(errTooFew, advice.New(fmt.Errorf("datasets: label %q has %d picture(s) to train on, want at least 2", l, present), "add pictures or remove the label")))
		case absent < 2:
			errs = append(errs, mark(errConstant, advice.New(fmt.Errorf("datasets: label %q is on all but %d of the pictures to train on, want at least 2 without it", l, absent), "add pictures or remove the label")))
		}
	}
	return errs
}

// fewestValues is the least number of pictures to fit a line on while half of them is held out.
const fewestValues = 4

func (d *Dataset) checkValues() []error {
	var errs []error
	if n := len(d.In(Train)); n < fewestValues {
		errs = append(errs, mark(errTooFew, fmt.Errorf("datasets: %s has %d picture(s) to train on, want at least %d, and some hundreds are better", d.Name, n, fewestValues)))
	}
	for k, name := range d.Labels {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, it := range d.In(Train) {
			lo, hi = min(lo, it.Targets[k]), max(hi, it.Targets[k])
		}
		switch size := max(math.Abs(lo), math.Abs(hi)); {
		case lo == hi:
			errs = append(errs, mark(errConstant, advice.New(fmt.Errorf("datasets: the value %q is %g in every picture to train on, so nothing can be learnt about it", name, lo), "remove the column")))
		case hi-lo < 1e-4*size:
			// A head computes in float32: most of its seven digits would be spent on the
			// constant part.
			errs = append(errs, mark(errConstant, advice.New(fmt.Errorf("datasets: the value %q lies between %v and %v, too narrow for its size", name, lo, hi), "subtract %.0f from the column", lo)))
		}
	}
	return errs
}
