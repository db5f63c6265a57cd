package learner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/settings"
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
	logisticUnfolded = 0.1
	ridgeUnfolded    = 1 // the same for ridge
	// With fewer pictures of a label, features are scaled to length 1, see docs/heads.md.
	fewPictures       = 5
	tutorialEpochs    = 25
	tutorialBatch     = 4
	tutorialRate      = 1e-3
	tutorialMomentum  = 0.9
	tutorialDropEvery = 7
	tutorialDrop      = 0.1
)

// Augmentation says whether training on a picture's pixels uses random crops and flips.
type Augmentation = settings.Augmentation

// The choices of augmentation.
const (
	AugmentByTask = settings.AugmentByTask // on, except for real values, which a crop or a flip may change
	AugmentOn     = settings.AugmentOn     // random crops and flips
	AugmentOff    = settings.AugmentOff    // the pictures as they are
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
	// ForTuning says that fine-tuning starts from the head, which has to be linear then.
	ForTuning bool
}

// kinds are all kinds of head.
var kinds = append(heads.Kinds(), heads.AutoKind, head.SGDKind)

// Check reports options that are invalid for any data.
func (o Options) Check() error {
	switch {
	case o.Epochs < 0 || o.Views < 0 || o.Views > MaxViews:
		return fmt.Errorf("learner: %d epochs, %d views: want 0 or more epochs, 0 to %d views", o.Epochs, o.Views, MaxViews)
	case o.Head != "" && !slices.Contains(kinds, o.Head):
		return fmt.Errorf("learner: head %q, want one of %v", o.Head, kinds)
	case o.Epochs > 0 && (o.Head == head.RidgeKind || o.Head == heads.LDAKind || o.Head == heads.KNNKind):
		return advice.New(fmt.Errorf("learner: %d epochs for a %s head, which is solved in one step", o.Epochs, o.Head), "leave the epochs out")
	case o.Epochs > 0 && o.Head != head.SGDKind:
		return advice.New(fmt.Errorf("learner: %d epochs for a logistic head, which is fitted to its optimum", o.Epochs), "use --head sgd --epochs %d", o.Epochs)
	}
	if o.ClassWeights && slices.Contains([]head.Kind{head.RidgeKind, heads.LDAKind, heads.KNNKind}, o.Head) {
		return advice.New(fmt.Errorf("learner: class weights for a %s head, which has none", o.Head), "leave them out, or use --head logistic")
	}
	return nil
}

// checkTuning reports a head of classes that fine-tuning cannot start from. Real values have ridge
// regression only, which is linear and fitted as fine-tuning needs it.
func (o Options) checkTuning(t task.Task) error {
	if !o.ForTuning || t.Name() != datasets.Classes || o.Head == "" || o.Head == head.LogisticKind || o.Head == head.SGDKind {
		return nil
	}
	return advice.New(fmt.Errorf("learner: fine-tuning cannot start from a %s head", o.Head), "leave --head out: it starts from logistic regression")
}

// CheckTask reports options that are invalid for a task.
func (o Options) CheckTask(t task.Task) error {
	if _, err := task.HeadKind(t, o.Head); err != nil {
		return err
	}
	if err := o.checkTuning(t); err != nil {
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
	p.fewShots(t, train, o)
	p.dealFolds(t, train)
	if p.byFamily(t) {
		p.explainFamily()
		return p, nil
	}
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

// fewShots takes the cosine head as the default for a handful of pictures a label.
func (p *Plan) fewShots(t task.Task, train head.Samples, o Options) {
	if o.Head != "" || o.ForTuning || p.Head != head.LogisticKind || t.Name() != datasets.Classes {
		return
	}
	train.Clusters = nil // pictures are counted, not groups of them
	if n, _ := t.Groups(train); n < fewPictures {
		p.Head = heads.CosineKind
		p.because("features scaled to length 1: a label has fewer than %d pictures, too few to know how much each feature varies", fewPictures)
	}
}

// explainFamily says how a head of package heads is chosen.
func (p *Plan) explainFamily() {
	switch {
	case p.Folds == 0 && p.Head == heads.AutoKind:
		p.because("logistic regression: there are no folds to choose a family by")
	case p.Folds == 0:
		p.because("its usual setting: there are no folds to choose by")
	case p.Head == heads.AutoKind:
		p.because("the family of the head by out-of-fold log loss over the training pictures; logistic regression unless another is clearly better")
	default:
		p.because("its setting by out-of-fold log loss over the training pictures; validation pictures take no part")
	}
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
	kind := "picture"
	if train.Clusters != nil {
		kind = "group of pictures"
	}
	switch {
	case p.Folds < 2:
		p.Folds = 0
		p.because("no folds: a %s has a single training %s, so nothing can be held out", cmp.Or(group, "data set"), kind)
	case group == "" && train.Clusters != nil:
		p.because("%d folds of whole groups of pictures, dealt at random", p.Folds)
	case group == "":
		p.because("%d folds of the pictures, dealt at random", p.Folds)
	case p.Folds < standardFolds && train.Clusters != nil:
		p.because("%d folds of whole groups: the smallest %s is in %d groups of pictures", p.Folds, group, smallest)
	case p.Folds < standardFolds:
		p.because("%d folds: the smallest %s has %d pictures", p.Folds, group, smallest)
	case train.Clusters != nil:
		p.because("%d folds of whole groups: every %s is in groups enough", p.Folds, group)
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
	case head.RidgeKind, heads.LDAKind:
		return curves.Strengths
	}
	return curves.Iterations
}

// byFolds says how much is chosen by folds.
func byFolds(n int) string {
	if n == 0 {
		return "nothing chosen by folds"
	}
	return fmt.Sprintf("chosen by %d folds", n)
}

// String formats the plan for a reader: one line, followed by its reasons.
func (p Plan) String() string {
	var b strings.Builder
	switch p.Head {
	case head.SGDKind:
		fmt.Fprintf(&b, "sgd head: %d epochs, batch %d, rate %g × %g every %d epochs, momentum %g", p.Epochs, p.Batch, p.Rate, p.Drop, p.Every, p.Momentum)
	case heads.LDAKind, heads.KNNKind, heads.CosineKind, heads.AutoKind:
		fmt.Fprintf(&b, "%s head, %s", p.Head, byFolds(p.Folds))
	default:
		if p.Strengths == nil { // of a family of classes
			fmt.Fprintf(&b, "%s head, %s", p.Head, byFolds(p.Folds))
			break
		}
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
