package finetune

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Recipe is a ready plan.
type Recipe string

// The ready plans.
const (
	Tlkit           Recipe = "tlkit"            // the default: depth, rate and mix chosen on folds of the training pictures, or none of it
	PytorchTutorial Recipe = "pytorch_tutorial" // SGD 1e-3, step 7/0.1, batch 4, batch norms drifting
	KerasGuide      Recipe = "keras_guide"      // everything at Adam 1e-5, batch norms in inference
	Fastai          Recipe = "fastai"           // one cycle, discriminative rates base/100 to base
)

// Norms is what batch norms do with their statistics.
type Norms string

// What batch norms do with their statistics.
const (
	FrozenNorms Norms = "frozen"      // keep those of the checkpoint, whatever else moves
	BatchNorms  Norms = "batch"       // use those of each batch, the running ones following, where the stage moves
	DriftNorms  Norms = "drift"       // the same in every stage, frozen ones too: what train mode does in PyTorch
	Reestimated Norms = "reestimated" // use those of each batch; in the end the running ones are taken anew over the training pictures
)

// HeadStage is the stage of the head in a [Group].
const HeadStage = "head"

// Plan is how a network will be fine-tuned: plain data, printed before it runs, saved with the run. The same plan on
// the same pictures and the same engine gives the same network.
type Plan struct {
	Name   Recipe `json:"name"`
	Epochs int    `json:"epochs"`
	Batch  int    `json:"batch"`
	// Microbatch is how many pictures of a batch the gradients are taken of at once: less needs less memory and gives the
	// same, so a batch can be larger than what fits. 0 = what suits the engine. Norms that follow the batch need all of it.
	Microbatch int            `json:"microbatch,omitempty"`
	Rule       optim.Rule     `json:"rule"`
	Schedule   optim.Schedule `json:"schedule"`
	Groups     []Group        `json:"groups"` // what moves; a stage in none of them is frozen
	Norms      Norms          `json:"norms"`
	Fresh      bool           `json:"fresh,omitempty"` // a new head instead of the fitted one

	Smoothing    float64 `json:"smoothing,omitempty"`     // of the labels, 0 to below 1
	ClassWeights bool    `json:"class_weights,omitempty"` // rare classes count more: N/(K n)
	Mixup        float64 `json:"mixup,omitempty"`         // alpha of the Beta distribution; 0 = none
	Dropout      float64 `json:"dropout,omitempty"`       // share of the features dropped in front of the head
	Average      float64 `json:"average,omitempty"`       // decay of a moving average of the weights, which then is the result; 0 = none
	Augment      bool    `json:"augment"`                 // random crops and flips
	Views        int     `json:"views,omitempty"`         // augmented views of a picture where they are cached behind the frozen part; 0 = new ones each epoch, through the frozen part every time
	Patience     int     `json:"patience,omitempty"`      // epochs without a better loss on held-out training pictures before it stops; 0 = never

	Search *Search `json:"search,omitempty"` // what folds of the training pictures choose; nil = nothing
	Mix    float64 `json:"mix"`              // how far to go from the start to the tuned weights, 1 = all the way

	Seed    uint64   `json:"seed"`
	Reasons []string `json:"reasons"`
}

// Group is stages that share a rate.
type Group struct {
	Name   string   `json:"name"`
	Stages []string `json:"stages"` // of the net, or HeadStage
	Rate   float64  `json:"rate"`
	Decay  float64  `json:"decay,omitempty"` // weight decay of matrices and kernels; biases and norms have none
	After  int      `json:"after,omitempty"` // epochs that the group rests before it moves; it starts with a clean optimiser
}

// Search is what is tried on folds of the training pictures: each depth with each rate, and each mix of those.
type Search struct {
	Folds      int       `json:"folds"`
	Depths     []string  `json:"depths"` // the first stage that moves, shallow ones first
	Rates      []float64 `json:"rates"`  // of the last stage
	Mixes      []float64 `json:"mixes"`
	LayerDecay float64   `json:"layer_decay"` // factor of the rate from a stage to the one before
	HeadRate   float64   `json:"head_rate"`   // factor of the head's rate
	Decay      float64   `json:"decay"`
}

// groupOf gives the group of each stage that moves.
func (p *Plan) groupOf() map[string]int {
	out := map[string]int{}
	for i, g := range p.Groups {
		for _, s := range g.Stages {
			out[s] = i
		}
	}
	return out
}

// batchNorm reports whether the norms of a stage follow the batch.
func (p *Plan) batchNorm(stage string, moves bool) bool {
	switch p.Norms {
	case BatchNorms, Reestimated:
		return moves
	case DriftNorms:
		return stage != ""
	}
	return false
}

// border is the last frozen stage: everything up to it gives the same for a picture in every step. "" = there is none,
// or every epoch has other pictures.
func (p *Plan) border(net *zoo.Net) string {
	last, group := "", p.groupOf()
	if p.Norms == DriftNorms || p.Augment && p.Views == 0 {
		return ""
	}
	for _, s := range stages(net) {
		if _, moves := group[s]; moves {
			break
		}
		last = s
	}
	return last
}

// borders are the stages behind which maps are kept, in order.
func (p *Plan) borders(net *zoo.Net) []string {
	want := map[string]bool{p.border(net): true}
	if p.Search != nil {
		want = map[string]bool{}
		for _, from := range p.Search.Depths {
			q := *p
			q.Groups = p.groupsFrom(stages(net), from, p.Search.Rates[0], p.Search)
			want[q.border(net)] = true
		}
	}
	if want[""] {
		return nil
	}
	var out []string
	for _, s := range stages(net) {
		if want[s] {
			out = append(out, s)
		}
	}
	return out
}

// Check reports what is wrong with a plan for a network before it runs, and what to change.
func (p *Plan) Check(net *zoo.Net) error {
	err := p.checkNumbers()
	if err == nil {
		err = p.checkNorms()
	}
	if err == nil {
		err = p.checkGroups(net)
	}
	if err == nil && p.Search != nil {
		err = p.Search.check(stages(net), net.Row.Name)
		if p.Patience > 0 || p.Fresh {
			err = errors.Join(err, errors.New("a search chooses by folds and starts from the fitted head: patience and a fresh head do not go with it"))
		}
	}
	if err != nil {
		return fmt.Errorf("finetune: plan %s: %w", p.Name, err)
	}
	return nil
}

func (p *Plan) checkNumbers() error {
	if p.Epochs < 1 || p.Epochs > maxEpochs || p.Batch < 1 || p.Views < 0 || p.Patience < 0 {
		return fmt.Errorf("%d epochs, batch %d, %d views, patience %d: want 1 to %d epochs, at least 1 picture, 0 or more of the others", p.Epochs, p.Batch, p.Views, p.Patience, maxEpochs)
	}
	if err := p.Rule.Check(); err != nil {
		return err
	}
	if err := p.Schedule.Check(); err != nil {
		return err
	}
	for _, share := range []struct {
		name  string
		value float64
	}{{"smoothing", p.Smoothing}, {"dropout", p.Dropout}, {"average", p.Average}} {
		if !(share.value >= 0 && share.value < 1) {
			return fmt.Errorf("%s %v, want 0 to below 1", share.name, share.value)
		}
	}
	if !(p.Mixup >= 0 && p.Mixup <= 10) || !(p.Mix >= 0 && p.Mix <= 1) {
		return fmt.Errorf("mixup %v, mix %v, want mixup 0 to 10, mix 0 to 1", p.Mixup, p.Mix)
	}
	return nil
}

func (p *Plan) checkNorms() error {
	switch {
	case !slices.Contains([]Norms{FrozenNorms, BatchNorms, DriftNorms, Reestimated}, p.Norms):
		return fmt.Errorf("norms %q, want %s, %s, %s or %s", p.Norms, FrozenNorms, BatchNorms, DriftNorms, Reestimated)
	case p.Microbatch < 0 || p.Microbatch > 0 && p.Microbatch < p.Batch && p.Norms != FrozenNorms:
		return fmt.Errorf("micro-batches of %d with norms %q: want 0 or more, and fewer than the batch of %d only with norms %q, which do not look at the other pictures", p.Microbatch, p.Norms, p.Batch, FrozenNorms)
	case p.Batch == 1 && p.Norms != FrozenNorms:
		return fmt.Errorf("batch norms cannot follow batches of 1 picture: norms %q, or a larger batch", FrozenNorms)
	}
	return nil
}

func (p *Plan) checkGroups(net *zoo.Net) error {
	if len(p.Groups) == 0 {
		return errors.New("no group: nothing would move; to train the head alone use learner.FitHead")
	}
	known := append(stages(net), HeadStage)
	seen := map[string]string{}
	for _, g := range p.Groups {
		// A rate of 0 is a frozen stage, which is said by leaving it out.
		if !(g.Rate > 0 && g.Rate <= maxRate) || !(g.Decay >= 0 && g.Decay <= 10) || g.After < 0 || g.After >= p.Epochs {
			return fmt.Errorf("group %s with rate %v, decay %v, after %d epochs: want a rate above 0 and at most %d, decay 0 to 10, fewer epochs of rest than %d; a stage that is to stay frozen is left out", g.Name, g.Rate, g.Decay, g.After, maxRate, p.Epochs)
		}
		if len(g.Stages) == 0 {
			return fmt.Errorf("group %s has no stages", g.Name)
		}
		for _, s := range g.Stages {
			if !slices.Contains(known, s) {
				return fmt.Errorf("group %s names stage %q; the stages of %s are %s", g.Name, s, net.Row.Name, strings.Join(known, ", "))
			}
			if other, twice := seen[s]; twice {
				return fmt.Errorf("stage %s is in group %s and in group %s", s, other, g.Name)
			}
			seen[s] = g.Name
		}
	}
	return nil
}

// check reports what is wrong with a search over these stages.
func (s *Search) check(stages []string, network string) error {
	if s.Folds < 2 || len(s.Depths) == 0 || len(s.Rates) == 0 || len(s.Mixes) == 0 || !(s.LayerDecay > 0 && s.LayerDecay <= 1) || !(s.HeadRate > 0) {
		return fmt.Errorf("a search of %d folds, %d depths, %d rates, %d mixes, layer decay %v: want at least 2 folds and one of each, a decay in (0, 1]", s.Folds, len(s.Depths), len(s.Rates), len(s.Mixes), s.LayerDecay)
	}
	for _, d := range s.Depths {
		if !slices.Contains(stages, d) {
			return fmt.Errorf("depth %q; the stages of %s are %s", d, network, strings.Join(stages, ", "))
		}
	}
	for _, r := range s.Rates {
		if !(r > 0 && r <= maxRate) {
			return fmt.Errorf("rate %v, want above 0 and at most %d", r, maxRate)
		}
	}
	for _, m := range s.Mixes {
		if !(m > 0 && m <= 1) {
			return fmt.Errorf("mix %v, want above 0 and at most 1", m)
		}
	}
	return nil
}

func (p *Plan) because(format string, args ...any) {
	p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
}

// String is the plan for a person, one line and its reasons below.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fine-tuning, plan %s: %d epochs, batch %d, %s", p.Name, p.Epochs, p.Batch, p.Rule.Name)
	if p.Rule.Momentum > 0 {
		fmt.Fprintf(&b, " momentum %g", p.Rule.Momentum)
	}
	if s := p.Search; s != nil {
		fmt.Fprintf(&b, " at %v from %s on", s.Rates, strings.Join(s.Depths, " or "))
	} else if len(p.Groups) > 0 {
		b.WriteString(p.ratesInWords())
	}
	fmt.Fprintf(&b, ", %s, batch norms %s, seed %d", strings.ReplaceAll(string(p.Schedule.Kind), "_", " "), p.Norms, p.Seed)
	if p.Mix < 1 {
		fmt.Fprintf(&b, ", %g of the way", p.Mix)
	}
	for _, r := range p.Reasons {
		b.WriteString("\n  · " + r)
	}
	return b.String()
}

func (p Plan) ratesInWords() string {
	low, high := p.Groups[0].Rate, p.Groups[0].Rate
	for _, g := range p.Groups {
		low, high = min(low, g.Rate), max(high, g.Rate)
	}
	out := fmt.Sprintf(" at %.2g to %.2g", low, high)
	if low == high {
		out = fmt.Sprintf(" at %g", low)
	}
	if first := p.Groups[0].Stages; len(first) > 0 {
		out += fmt.Sprintf(" from %s on", first[0])
	}
	return out
}
