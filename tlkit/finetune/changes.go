package finetune

import (
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// Augmentation says whether random crops and flips are used.
type Augmentation string

// The choices of augmentation.
const (
	ByTask     Augmentation = ""    // on, except for real values, which a crop or a flip may change
	AugmentOn  Augmentation = "on"  // new crops and flips, or the plan's cached views
	AugmentOff Augmentation = "off" // the pictures as they are
)

// Changes are settings that replace those of a recipe. The zero value changes nothing.
type Changes struct {
	// Rate is the largest learning rate of the plan, up to 10; 0 = the recipe's. The other rates keep
	// their proportions to it. A search tries this rate alone.
	Rate  float64
	Batch int     // pictures a step; 0 = the recipe's
	Mixup float64 // alpha of the Beta distribution, up to 10; 0 = the recipe's, which is none
	// ClassWeights weighs classes by N/(K n), for one label a picture; false = as in the recipe.
	ClassWeights bool
	Augment      Augmentation
}

// Check reports changes that are invalid for any plan.
func (c Changes) Check() error {
	switch {
	case !(c.Rate >= 0 && c.Rate <= maxRate):
		return advice.New(fmt.Errorf("finetune: learning rate %v, want above 0 and at most %d", c.Rate, maxRate), "usual rates are between 1e-5 and 1e-2")
	case c.Batch < 0:
		return fmt.Errorf("finetune: batches of %d pictures, want 1 or more", c.Batch)
	case !(c.Mixup >= 0 && c.Mixup <= 10):
		return advice.New(fmt.Errorf("finetune: mixup %v, want 0 to 10", c.Mixup), "usual values are between 0.1 and 0.4")
	case c.Mixup > 0 && c.Batch == 1:
		return advice.New(fmt.Errorf("finetune: mixup %v in batches of 1 picture, which has no other to be mixed with", c.Mixup), "use a larger batch, or leave mixup out")
	case c.Augment != ByTask && c.Augment != AugmentOn && c.Augment != AugmentOff:
		return advice.New(fmt.Errorf("finetune: augmentation %q", c.Augment), "use %q or %q, or leave it out for the task's default", AugmentOn, AugmentOff)
	}
	return nil
}

// With returns the plan with changes, and with a reason for each. It uses Net, Task and Train of d.
// It is an error if the changes do not suit the plan or the pictures.
func (p Plan) With(c Changes, d Data) (Plan, error) {
	if err := c.Check(); err != nil {
		return p, err
	}
	p.Reasons = append([]string(nil), p.Reasons...)
	if c.Rate > 0 {
		p.setRate(c.Rate)
	}
	if c.Batch > 0 && c.Batch != p.Batch {
		if n := len(d.Train); n > 0 && c.Batch > n {
			return p, advice.New(fmt.Errorf("finetune: batches of %d pictures, and there are %d to train on", c.Batch, n), "use at most %d", n)
		}
		p.because("batches of %d pictures, as asked for, instead of %d", c.Batch, p.Batch)
		p.Batch = c.Batch
	}
	if c.Mixup > 0 {
		if p.Batch == 1 {
			return p, advice.New(fmt.Errorf("finetune: mixup %v in batches of 1 picture", c.Mixup), "use a larger batch, or leave mixup out")
		}
		p.Mixup = c.Mixup
		p.because("mixup %g, as asked for: each picture is blended with another, and so are their labels", c.Mixup)
	}
	if c.ClassWeights {
		if d.task().Name() != datasets.Classes {
			return p, noClassWeights(Plan{Name: p.Name, ClassWeights: true}, d.task().Name())
		}
		p.ClassWeights = true
		p.because("class weights, as asked for: rare classes count as much as frequent ones")
	}
	p.setAugment(c.Augment)
	if err := p.Check(d.Net); err != nil {
		return p, err
	}
	return p, nil
}

// setRate makes rate the largest of the plan's rates.
func (p *Plan) setRate(rate float64) {
	largest := 0.0
	for _, g := range p.Groups {
		largest = math.Max(largest, g.Rate)
	}
	if p.Search != nil { // the rate of the last stage, as everywhere in a search
		largest = p.Search.Rates[0]
	}
	groups := make([]Group, len(p.Groups))
	for i, g := range p.Groups {
		g.Rate *= rate / largest
		groups[i] = g
	}
	p.Groups = groups
	if p.Search == nil {
		p.because("rate %g, as asked for, instead of %g; other stages keep their proportion to it", rate, largest)
		return
	}
	search := *p.Search
	p.because("rate %g, as asked for, instead of a choice from %v", rate, search.Rates)
	search.Rates = []float64{rate}
	p.Search = &search
}

// setAugment turns crops and flips on or off.
func (p *Plan) setAugment(a Augmentation) {
	switch {
	case a == AugmentOn && !p.Augment:
		p.Augment = true
		if p.Name == Tlkit {
			p.Views = standardViews
		}
		p.because("crops and flips, as asked for")
	case a == AugmentOff && p.Augment:
		p.Augment, p.Views = false, 0
		p.because("no crops and flips, as asked for")
	}
}
