package datasets

import (
	"errors"
	"fmt"

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
	switch n := d.contents(); {
	case d.Task == Classes && len(d.Labels) < 2: // the rest follows from it
	case d.Evaluation() != "":
	case d.Dealt && len(d.Items) > 1 && n < len(d.Items) && n <= max(2, len(d.Labels)):
		errs = append(errs, mark(errNoSplit, advice.New(fmt.Errorf("datasets: the %d pictures of %s are copies of %d, which cannot be both learnt from and measured on", len(d.Items), d.Name, n), "add other pictures")))
	default:
		errs = append(errs, mark(errNoSplit, advice.New(fmt.Errorf("datasets: %s has no picture in valid or test, so nothing can be reported", d.Name), "add a folder valid beside train, or put the label folders directly into one folder and let them be split")))
	}
	return errors.Join(errs...)
}

// contents returns the number of different contents of the pictures.
func (d *Dataset) contents() int {
	known := map[string]bool{}
	for _, it := range d.Items {
		known[it.SHA256] = true
	}
	return len(known)
}

// CheckLearning is [Dataset.CheckTraining] for training without a split to report on.
func (d *Dataset) CheckLearning() error {
	return errors.Join(kindOf(d.Task).check(d)...)
}
