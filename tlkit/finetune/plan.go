package finetune

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/settings"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Recipe names a ready plan; see [settings.Recipe].
type Recipe = settings.Recipe

// The ready plans.
const (
	// The default: rate and mix chosen on folds of the training pictures, or the head alone.
	Tlkit = settings.Tlkit
	// SGD at 1e-3, times 0.1 every 7 epochs, batches of 4, batch norms of all stages drifting.
	PytorchTutorial = settings.PytorchTutorial
	KerasGuide      = settings.KerasGuide // everything by Adam at 1e-5, batch norms frozen
	// One cycle, discriminative rates from base/100 to base.
	Fastai = settings.Fastai
)

// Norms is how batch norms treat their statistics.
type Norms string

// How batch norms treat their statistics.
const (
	FrozenNorms Norms = "frozen" // keep those of the checkpoint
	// Use those of each batch and update the running ones, in stages that move.
	BatchNorms Norms = "batch"
	// The same in every stage, frozen ones too, as PyTorch's train mode does.
	DriftNorms Norms = "drift"
	// Use those of each batch, and at the end compute the running ones again over the training
	// pictures.
	Reestimated Norms = "reestimated"
)

// HeadStage is the stage of the head in a [Group].
const HeadStage = "head"

// Plan is how a network will be fine-tuned. It is plain data: printed before it runs and saved with
// the run. The same plan on the same pictures and the same engine gives the same network.
type Plan struct {
	Name   Recipe `json:"name"`   // the recipe that the plan came from
	Epochs int    `json:"epochs"` // passes over the training pictures
	Batch  int    `json:"batch"`  // pictures a step
	// Microbatch is the number of pictures of a batch whose gradients are computed at once. A
	// smaller one needs less memory and gives the same result, so a batch can be larger than what
	// fits into memory. 0 stands for what suits the engine. Norms that follow the batch need the
	// whole batch.
	Microbatch int            `json:"microbatch,omitempty"`
	Rule       optim.Rule     `json:"rule"`     // the optimiser
	Schedule   optim.Schedule `json:"schedule"` // of the rates
	Groups     []Group        `json:"groups"`   // the stages that move; any other stage is frozen
	Norms      Norms          `json:"norms"`
	// LoRA trains pairs of narrow matrices beside those of attention, in the stages of the groups, and
	// nothing else of the backbone; nil = all tensors of those stages. Norms have to be frozen.
	LoRA *backbone.LoRA `json:"lora,omitempty"`
	// Start from a new head instead of the fitted one.
	Fresh bool `json:"fresh,omitempty"`

	Smoothing float64 `json:"smoothing,omitempty"` // label smoothing, 0 to below 1
	// Weigh classes by N/(K n), so that rare ones count more.
	ClassWeights bool `json:"class_weights,omitempty"`
	// Alpha of the Beta distribution; 0 = none.
	Mixup float64 `json:"mixup,omitempty"`
	// Share of the features dropped before the head.
	Dropout float64 `json:"dropout,omitempty"`
	// Decay of a moving average of the weights, which is then the result; 0 = none.
	Average float64 `json:"average,omitempty"`
	Augment bool    `json:"augment"` // random crops and flips
	// Smallest area of a random crop, as a share of the picture's; 0 = torchvision's 0.08.
	MinArea float64 `json:"min_area,omitempty"`
	// Cached augmented views of a picture, computed through the frozen part once; 0 = new views in
	// each epoch, through the frozen part every time.
	Views int `json:"views,omitempty"`
	// End after so many epochs without a better loss on held-out training pictures; 0 = never.
	Patience int `json:"patience,omitempty"`

	// Choices for folds of the training pictures; nil = none.
	Search *Search `json:"search,omitempty"`
	// How far to go from the initial to the tuned weights, 0 to 1.
	Mix float64 `json:"mix"`

	Seed    uint64   `json:"seed"`
	Reasons []string `json:"reasons"` // one sentence for each choice
}

// Group is a set of stages with the same rate.
type Group struct {
	Name   string   `json:"name"`
	Stages []string `json:"stages"` // stages of the net, or HeadStage
	Rate   float64  `json:"rate"`
	// Weight decay of matrices and kernels, not of biases and norms.
	Decay float64 `json:"decay,omitempty"`
	// Epochs before the group begins to move, with a reset optimiser.
	After int `json:"after,omitempty"`
}

// Search lists what is tried on folds of the training pictures: each depth with each rate, in this
// order, and each mix of the results. It ends at the first that pays.
type Search struct {
	Folds      int       `json:"folds"`
	Depths     []string  `json:"depths"` // first stage that moves
	Rates      []float64 `json:"rates"`  // rates of the last stage, the most promising first
	Mixes      []float64 `json:"mixes"`
	LayerDecay float64   `json:"layer_decay"` // factor of the rate from a stage to the previous one
	HeadRate   float64   `json:"head_rate"`   // factor of the rate for the head
	Decay      float64   `json:"decay"`
}

// groupOf returns the index of the group of each stage that moves.
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

// border returns the last frozen stage: everything up to it gives the same output for a picture in
// every step. It returns "" if there is none, or if every epoch has other pictures.
func (p *Plan) border(net *zoo.Net) string {
	last, group := "", p.moving(net)
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

// borders returns the stages whose output maps are cached, in order.
func (p *Plan) borders(net *zoo.Net) []string {
	want := map[string]bool{p.border(net): true}
	if p.Search != nil {
		want = map[string]bool{}
		for _, first := range p.Search.Depths {
			q := *p
			q.Groups = p.groupsFrom(net, first, p.Search.Rates[0], p.Search)
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

// Work estimates the work of a training on n pictures, right to a factor of two or so. Its unit is a
// pass of one picture from its file to its features. least is for a search whose first rate pays,
// most for one that takes every trial to its end; without a search they are equal.
func (p *Plan) Work(net *zoo.Net, n int) (least, most float64) {
	first := p.Groups[0].Stages[0]
	moving := 0.0 // of a step, its share of the network
	if first != HeadStage {
		moving = price(net, first)
	}
	training := stepPasses * moving
	prefix := 0.0
	if p.border(net) == "" {
		training += 1 - moving
	} else {
		prefix = float64(p.Views+1) * (1 - moving)
	}
	training *= float64(p.Epochs)
	least, most = 1, 1
	if s := p.Search; s != nil { // each fold's training has as many steps as the final one
		least, most = float64(s.Folds+1), float64(len(s.Depths)*len(s.Rates)*s.Folds+1)
	}
	return float64(n) * (prefix + least*training), float64(n) * (prefix + most*training)
}

// Check reports what is wrong with a plan for a network, and what to change.
func (p *Plan) Check(net *zoo.Net) error {
	err := p.checkNumbers()
	if err == nil {
		err = p.checkNorms()
	}
	if err == nil && p.LoRA != nil {
		err = p.checkLoRA(net)
	}
	if err == nil {
		err = p.checkGroups(net)
	}
	if err == nil && p.Search != nil {
		err = p.Search.check(stages(net), net.Row.Name)
		if p.Patience > 0 || p.Fresh {
			err = errors.Join(err, advice.New(errors.New("a search chooses by folds and starts from the fitted head, so patience and a fresh head are not possible"), "leave them out"))
		}
	}
	if err != nil {
		return fmt.Errorf("finetune: plan %s: %w", p.Name, err)
	}
	return nil
}

func (p *Plan) checkNumbers() error {
	if p.Epochs < 1 || p.Epochs > maxEpochs || p.Batch < 1 || p.Views < 0 || p.Patience < 0 {
		return fmt.Errorf("%d epochs, batch %d, %d views, patience %d, want 1 to %d epochs, a batch of at least 1, and 0 or more views and patience", p.Epochs, p.Batch, p.Views, p.Patience, maxEpochs)
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
		return fmt.Errorf("micro-batches of %d with norms %q, want 0 or more, and fewer than the batch of %d only with norms %q, which do not depend on the other pictures", p.Microbatch, p.Norms, p.Batch, FrozenNorms)
	case p.Batch == 1 && p.Norms != FrozenNorms:
		return advice.New(errors.New("batch norms cannot follow batches of 1 picture"), "use norms %q, or a larger batch", FrozenNorms)
	}
	return nil
}

func (p *Plan) checkGroups(net *zoo.Net) error {
	if len(p.Groups) == 0 {
		return advice.New(errors.New("no group, so nothing would move"), "to train the head alone, use learner.FitHead")
	}
	known := append(stages(net), HeadStage)
	seen := map[string]string{}
	for _, g := range p.Groups {
		// A frozen stage is left out of the groups instead of having rate 0.
		if !(g.Rate > 0 && g.Rate <= maxRate) || !(g.Decay >= 0 && g.Decay <= 10) || g.After < 0 || g.After >= p.Epochs {
			return advice.New(fmt.Errorf("group %s with rate %v, decay %v, after %d epochs: want a rate above 0 and at most %d, decay 0 to 10, fewer epochs of rest than %d", g.Name, g.Rate, g.Decay, g.After, maxRate, p.Epochs), "leave out a stage that is to stay frozen")
		}
		if len(g.Stages) == 0 {
			return advice.New(fmt.Errorf("group %s has no stages", g.Name), "remove it")
		}
		for _, s := range g.Stages {
			if !slices.Contains(known, s) {
				return advice.New(fmt.Errorf("group %s names stage %q", g.Name, s), "the stages of %s are %s", net.Row.Name, strings.Join(known, ", "))
			}
			if other, twice := seen[s]; twice {
				return advice.New(fmt.Errorf("stage %s is in group %s and in group %s", s, other, g.Name), "remove it from one")
			}
			seen[s] = g.Name
		}
	}
	return nil
}

// check reports what is wrong with a search over these stages.
func (s *Search) check(stages []string, network string) error {
	if s.Folds < 2 || len(s.Depths) == 0 || len(s.Rates) == 0 || len(s.Mixes) == 0 || !(s.LayerDecay > 0 && s.LayerDecay <= 1) || !(s.HeadRate > 0) {
		return fmt.Errorf("a search of %d folds, %d depths, %d rates, %d mixes, layer decay %v, want at least 2 folds, one of each of the others, and a decay in (0, 1]", s.Folds, len(s.Depths), len(s.Rates), len(s.Mixes), s.LayerDecay)
	}
	for _, d := range s.Depths {
		if !slices.Contains(stages, d) {
			return advice.New(fmt.Errorf("depth %q", d), "the stages of %s are %s", network, strings.Join(stages, ", "))
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

// String formats the plan for a reader: one line, followed by its reasons.
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
		fmt.Fprintf(&b, ", mix %g", p.Mix)
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
