package learner

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// MaxViews is the maximum number of augmented views of a picture. Each is a pass through the
// backbone and a row in memory, and more than a few dozen bring no gain.
const MaxViews = 1000

// Plan is how a head will be fitted. It is plain data: printed before it runs, saved with the run,
// and complete. The same plan on the same features gives the same head.
type Plan struct {
	Head head.Kind `json:"head"`
	// Folds of the training pictures; 0 = none, because there are too few pictures.
	Folds int `json:"folds"`
	// L2 candidates of logistic and ridge; a single one leaves nothing to choose
	Strengths []float64 `json:"strengths,omitempty"`
	Epochs    int       `json:"epochs,omitempty"` // of sgd
	Batch     int       `json:"batch,omitempty"`  // samples a step
	Rate      float64   `json:"rate,omitempty"`   // learning rate
	Momentum  float64   `json:"momentum,omitempty"`
	Every     int       `json:"every,omitempty"` // epochs between drops of the rate
	Drop      float64   `json:"drop,omitempty"`  // factor of a drop
	// Augmented views per training picture; 0 = the picture itself.
	Views int `json:"views,omitempty"`
	// Weigh classes by N/(K n), so that rare ones count more.
	ClassWeights bool     `json:"class_weights,omitempty"`
	Seed         uint64   `json:"seed"`
	Reasons      []string `json:"reasons"` // why, one sentence for each choice
}

// Defaults for folds and strengths, and the hyperparameters of PyTorch's tutorial.
const (
	standardFolds = 5 // folds of the training pictures, if every class has enough
	// L2 strength if there are no folds to choose one: the middle of head.DefaultStrengths
	logisticUnfolded  = 0.1
	ridgeUnfolded     = 1 // the same for ridge
	tutorialEpochs    = 25
	tutorialBatch     = 4
	tutorialRate      = 1e-3
	tutorialMomentum  = 0.9
	tutorialDropEvery = 7
	tutorialDrop      = 0.1
)

// Augmentation says whether training on a picture's pixels uses random crops and flips.
type Augmentation string

// The choices of augmentation.
const (
	AugmentByTask Augmentation = ""    // on, except for real values, which a crop or a flip may change
	AugmentOn     Augmentation = "on"  // random crops and flips
	AugmentOff    Augmentation = "off" // the pictures as they are
)

// Options are the choices open to the caller of [NewPlan].
type Options struct {
	Head   head.Kind // "" = the task's default
	Epochs int       // of SGDKind; 0 = the tutorial's 25
	// Augmented views of each training picture, up to MaxViews; 0 = the picture itself.
	Views int
	// Weigh classes by N/(K n), so that rare ones count as much as frequent ones; for one label a
	// picture only.
	ClassWeights bool
	Seed         uint64
}

// Check reports options that are invalid for any data.
func (o Options) Check() error {
	switch {
	case o.Epochs < 0 || o.Views < 0 || o.Views > MaxViews:
		return fmt.Errorf("learner: %d epochs, %d views: want 0 or more epochs, 0 to %d views", o.Epochs, o.Views, MaxViews)
	case o.Head != "" && !slices.Contains([]head.Kind{head.LogisticKind, head.SGDKind, head.RidgeKind}, o.Head):
		return fmt.Errorf("learner: head %q, want %q, %q or %q", o.Head, head.LogisticKind, head.SGDKind, head.RidgeKind)
	case o.Epochs > 0 && o.Head == head.RidgeKind:
		return advice.New(fmt.Errorf("learner: %d epochs for ridge regression, which is solved in one step", o.Epochs), "leave the epochs out")
	case o.Epochs > 0 && o.Head != head.SGDKind:
		return advice.New(fmt.Errorf("learner: %d epochs for a logistic head, which is fitted to its optimum", o.Epochs), "use --head sgd --epochs %d", o.Epochs)
	}
	if o.ClassWeights && o.Head == head.RidgeKind {
		return advice.New(errors.New("learner: class weights for ridge regression, which learns values"), "leave them out")
	}
	return nil
}

// CheckTask reports options that are invalid for a task.
func (o Options) CheckTask(t task.Task) error {
	if _, err := task.HeadKind(t, o.Head); err != nil {
		return err
	}
	if o.ClassWeights && t.Name() != datasets.Classes {
		return advice.New(fmt.Errorf("learner: class weights need one label a picture, and these pictures have %s", t.Name()), "leave them out")
	}
	return nil
}

// NewPlan makes a plan from the labels of the training samples; features may be absent. It is an
// error if the options are invalid or the task has no such head.
func NewPlan(t task.Task, train head.Samples, o Options) (Plan, error) {
	p := Plan{Views: o.Views, Seed: o.Seed, ClassWeights: o.ClassWeights}
	if err := o.Check(); err != nil {
		return p, err
	}
	if err := o.CheckTask(t); err != nil {
		return p, err
	}
	var err error
	p.Head, err = task.HeadKind(t, o.Head)
	if err != nil {
		return p, err
	}
	p.dealFolds(t, train)
	switch p.Head {
	case head.LogisticKind:
		p.strengths(head.DefaultStrengths, logisticUnfolded,
			"strength 0.1, the middle of the candidates: there are no folds to choose by",
			"strength by out-of-fold log loss over the training pictures; validation pictures take no part")
	case head.RidgeKind:
		p.strengths(head.DefaultRidge, ridgeUnfolded,
			"strength 1: there are no folds to choose by",
			"one strength for all values, by out-of-fold squared error over the training pictures; validation pictures take no part")
	case head.SGDKind:
		p.Epochs, p.Batch, p.Rate, p.Momentum = cmp.Or(o.Epochs, tutorialEpochs), tutorialBatch, tutorialRate, tutorialMomentum
		p.Every, p.Drop = tutorialDropEvery, tutorialDrop
		p.because("rate, momentum, batch and schedule of PyTorch's tutorial; the last epoch is kept, none is picked by its validation figure")
	}
	return p, nil
}

// strengths lets the folds choose the L2 strength, or sets one if there are no folds.
func (p *Plan) strengths(candidates []float64, unfolded float64, reasons ...string) {
	if p.Folds == 0 {
		p.Strengths = []float64{unfolded}
		p.because("%s", reasons[0])
		return
	}
	p.Strengths = slices.Clone(candidates)
	p.because("%s", reasons[1])
}

// dealFolds plans as many folds as the smallest group of pictures allows.
func (p *Plan) dealFolds(t task.Task, train head.Samples) {
	smallest, group := t.Groups(train)
	p.Folds = min(standardFolds, smallest)
	switch {
	case p.Folds < 2:
		p.Folds = 0
		p.because("no folds: a %s has a single training picture, so nothing can be held out", cmp.Or(group, "data set"))
	case group == "":
		p.because("%d folds of the pictures, dealt at random", p.Folds)
	case p.Folds < standardFolds:
		p.because("%d folds: the smallest %s has %d pictures", p.Folds, group, smallest)
	default:
		p.because("%d folds: every %s has pictures in each", p.Folds, group)
	}
}

func (p *Plan) because(format string, args ...any) {
	p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
}

// Axis is the x axis of the plan's history: solver iterations; epochs for SGD; or, for ridge
// regression, which has neither, the strengths.
func (p Plan) Axis() string {
	switch p.Head {
	case head.SGDKind:
		return curves.Epochs
	case head.RidgeKind:
		return curves.Strengths
	}
	return curves.Iterations
}

// String formats the plan for a reader: one line, followed by its reasons.
func (p Plan) String() string {
	var b strings.Builder
	switch p.Head {
	case head.SGDKind:
		fmt.Fprintf(&b, "sgd head: %d epochs, batch %d, rate %g × %g every %d epochs, momentum %g", p.Epochs, p.Batch, p.Rate, p.Drop, p.Every, p.Momentum)
	default:
		if p.Folds == 0 {
			fmt.Fprintf(&b, "%s head: L2 strength %g", p.Head, p.Strengths[0])
			break
		}
		fmt.Fprintf(&b, "%s head: L2 strength from %d candidates by %d folds", p.Head, len(p.Strengths), p.Folds)
	}
	if p.Views > 0 {
		fmt.Fprintf(&b, ", %d augmented views a picture", p.Views)
	}
	if p.ClassWeights {
		b.WriteString(", rare classes weighed up")
	}
	fmt.Fprintf(&b, ", seed %d", p.Seed)
	for _, r := range p.Reasons {
		b.WriteString("\n  · " + r)
	}
	return b.String()
}
