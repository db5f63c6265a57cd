package learner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// The heads a plan can name.
const (
	Logistic = "logistic" // L2 logistic regression on standardised features, strength chosen by folds
	SGD      = "sgd"      // PyTorch's tutorial: momentum SGD with a stepped rate
	Ridge    = "ridge"    // ridge regression of real values on standardised features, strength chosen by folds
)

// MaxViews bounds the augmented views of a picture: each is a pass through the backbone and
// a row in memory, and beyond a few dozen nothing is gained.
const MaxViews = 1000

// Plan is how a head will be fitted: plain data, printed before it runs, saved with the
// run, and complete: the same plan on the same features gives the same head.
type Plan struct {
	Head      string    `json:"head"`
	Folds     int       `json:"folds"`               // folds of the training pictures; 0 = too few pictures for any
	Strengths []float64 `json:"strengths,omitempty"` // L2 candidates of logistic and ridge; one = nothing to choose
	Epochs    int       `json:"epochs,omitempty"`    // of sgd
	Batch     int       `json:"batch,omitempty"`
	Rate      float64   `json:"rate,omitempty"`
	Momentum  float64   `json:"momentum,omitempty"`
	Every     int       `json:"every,omitempty"` // epochs between drops of the rate
	Drop      float64   `json:"drop,omitempty"`
	Views     int       `json:"views,omitempty"` // augmented views per training picture; 0 = the picture itself
	Seed      uint64    `json:"seed"`
	Reasons   []string  `json:"reasons"` // why each choice, one sentence each
}

// NewPlan chooses a plan for training samples, whose features do not matter. kind is
// Logistic for one label a picture or several, SGD for one, Ridge for real values; ""
// stands for Logistic. Epochs 0 stands for the tutorial's 25.
func NewPlan(kind string, train head.Samples, epochs, views int, seed uint64) (Plan, error) {
	p := Plan{Head: kind, Views: views, Seed: seed}
	if kind == "" {
		p.Head = Logistic
	}
	if epochs < 0 || views < 0 || views > MaxViews {
		return p, fmt.Errorf("learner: %d epochs, %d views: want 0 or more epochs, 0 to %d views", epochs, views, MaxViews)
	}
	if (p.Head == Ridge) != (train.Targets != nil) && (p.Head != Logistic) {
		return p, fmt.Errorf("learner: %q for these targets: want %q for one label a picture or several, %q for one, %q for values; leave the kind of head out and it will fit", p.Head, Logistic, SGD, Ridge)
	}
	p.folds(train)
	switch p.Head {
	case Logistic:
		p.Strengths = slices.Clone(head.DefaultStrengths)
		if p.Folds == 0 {
			p.Strengths = []float64{0.1}
			p.because("strength 0.1: without folds there is nothing to choose by, and 0.1 is the middle of the ladder")
		} else {
			p.because("strength by out-of-fold log loss over the training pictures; validation pictures take no part")
		}
		if epochs > 0 {
			return p, fmt.Errorf("learner: %d epochs for a logistic head, which has none: it runs to its optimum; use --head sgd --epochs %d", epochs, epochs)
		}
	case Ridge:
		p.Strengths = slices.Clone(head.DefaultRidge)
		if p.Folds == 0 {
			p.Strengths = []float64{1}
			p.because("strength 1: without folds there is nothing to choose by")
		} else {
			p.because("one strength for all values, by out-of-fold squared error over the training pictures; validation pictures take no part")
		}
		if epochs > 0 {
			return p, fmt.Errorf("learner: %d epochs for ridge regression, which has none: it is solved at once; leave them out", epochs)
		}
	case SGD:
		p.Epochs, p.Batch, p.Rate, p.Momentum, p.Every, p.Drop = 25, 4, 1e-3, 0.9, 7, 0.1
		if epochs > 0 {
			p.Epochs = epochs
		}
		p.because("rate, momentum, batch and schedule of PyTorch's tutorial; the last epoch is kept, none is picked by its validation figure")
	default:
		return p, fmt.Errorf("learner: head %q, want %q, %q or %q", kind, Logistic, SGD, Ridge)
	}
	return p, nil
}

// folds deals as many as every class, or every label with and without it, can fill.
func (p *Plan) folds(train head.Samples) {
	k := train.Classes
	smallest, what := train.Len(), "class"
	switch {
	case p.Head == Ridge:
		// As many folds as pictures at the most; datasets.Folds sees to it.
	case train.Targets != nil:
		what = "label"
		with := make([]int, k)
		for i, v := range train.Targets {
			if v != 0 {
				with[i%k]++
			}
		}
		for _, n := range with {
			smallest = min(smallest, n, train.Len()-n)
		}
	default:
		count := map[int]int{}
		for _, c := range train.Y {
			count[c]++
		}
		for _, n := range count {
			smallest = min(smallest, n)
		}
	}
	p.Folds = min(5, smallest)
	switch {
	case p.Folds < 2:
		p.Folds = 0
		p.because("no folds: a %s has a single training picture, so nothing can be held out", what)
	case p.Head == Ridge:
		p.because("%d folds of the pictures, dealt at random", p.Folds)
	case p.Folds < 5:
		p.because("%d folds: the smallest %s has %d pictures", p.Folds, what, smallest)
	case what == "label":
		p.because("5 folds: every label has pictures with and without it for each")
	default:
		p.because("5 folds: every class has a picture in each")
	}
}

func (p *Plan) because(format string, args ...any) {
	p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
}

// String is the plan for a person, one line and its reasons below.
func (p Plan) String() string {
	var b strings.Builder
	switch p.Head {
	case SGD:
		fmt.Fprintf(&b, "sgd head: %d epochs, batch %d, rate %g × %g every %d epochs, momentum %g", p.Epochs, p.Batch, p.Rate, p.Drop, p.Every, p.Momentum)
	default:
		fmt.Fprintf(&b, "%s head: L2 strength from %d candidates by %d folds", p.Head, len(p.Strengths), p.Folds)
		if p.Folds == 0 {
			b.Reset()
			fmt.Fprintf(&b, "%s head: L2 strength %g", p.Head, p.Strengths[0])
		}
	}
	if p.Views > 0 {
		fmt.Fprintf(&b, ", %d augmented views a picture", p.Views)
	}
	fmt.Fprintf(&b, ", seed %d", p.Seed)
	for _, r := range p.Reasons {
		b.WriteString("\n  · " + r)
	}
	return b.String()
}
