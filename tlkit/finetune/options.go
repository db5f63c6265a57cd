package finetune

import (
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Check reports options that are invalid for any plan, except an unknown stage From.
func (o Options) Check() error {
	switch {
	case !(o.Rate >= 0 && o.Rate <= maxRate):
		return advice.New(fmt.Errorf("finetune: learning rate %v, want above 0 and at most %d", o.Rate, maxRate), "usual rates are between 1e-5 and 1e-2")
	case o.Batch < 0:
		return fmt.Errorf("finetune: batches of %d pictures, want 1 or more", o.Batch)
	case !(o.Mixup >= 0 && o.Mixup <= 10):
		return advice.New(fmt.Errorf("finetune: mixup %v, want 0 to 10", o.Mixup), "usual values are between 0.1 and 0.4")
	case o.Mixup > 0 && o.Batch == 1:
		return advice.New(fmt.Errorf("finetune: mixup %v in batches of 1 picture, which has no other to be mixed with", o.Mixup), "use a larger batch, or leave mixup out")
	case o.LoRA != (backbone.LoRA{}) && o.LoRA.Rank < 1:
		return advice.New(fmt.Errorf("finetune: LoRA of rank %d, want 1 or more", o.LoRA.Rank), "usual ranks are 4 to 32")
	case o.Augment != learner.AugmentByTask && o.Augment != learner.AugmentOn && o.Augment != learner.AugmentOff:
		return advice.New(fmt.Errorf("finetune: augmentation %q", o.Augment), "use %q or %q, or leave it out for the task's default", learner.AugmentOn, learner.AugmentOff)
	}
	return nil
}

// change replaces settings of the recipe by those of the options, and adds a reason for each. It is an
// error if they do not suit the plan or the pictures.
func (p *Plan) change(o Options, d Data) error {
	if o.Rate > 0 {
		p.setRate(o.Rate)
	}
	if o.Batch > 0 && o.Batch != p.Batch {
		if n := len(d.Train); n > 0 && o.Batch > n {
			return advice.New(fmt.Errorf("finetune: batches of %d pictures, and there are %d to train on", o.Batch, n), "use at most %d", n)
		}
		p.because("batches of %d pictures, as asked for, instead of %d", o.Batch, p.Batch)
		p.Batch = o.Batch
	}
	if o.Mixup > 0 {
		if p.Batch == 1 {
			return advice.New(fmt.Errorf("finetune: mixup %v in batches of 1 picture", o.Mixup), "use a larger batch, or leave mixup out")
		}
		p.Mixup = o.Mixup
		p.because("mixup %g, as asked for: each picture is blended with another, and so are their labels", o.Mixup)
	}
	if o.ClassWeights {
		if d.task().Name() != datasets.Classes {
			return noClassWeights(Plan{Name: p.Name, ClassWeights: true}, d.task().Name())
		}
		p.ClassWeights = true
		p.because("class weights, as asked for: rare classes count as much as frequent ones")
	}
	return nil
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
