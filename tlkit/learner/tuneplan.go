package learner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The ready plans of fine-tuning.
const (
	Tlkit           = "tlkit"            // the default: depth, rate and mix chosen on folds of the training pictures, or not at all
	PytorchTutorial = "pytorch_tutorial" // SGD 1e-3, step 7/0.1, batch 4, batch norms drifting
	KerasGuide      = "keras_guide"      // everything at Adam 1e-5, batch norms in inference
	Fastai          = "fastai"           // one-cycle, discriminative rates base/100 to base
)

// What batch norms do with their statistics.
const (
	FrozenNorms = "frozen"      // those of the checkpoint, whatever else moves
	BatchNorms  = "batch"       // of each batch, the running ones following, where the stage moves
	DriftNorms  = "drift"       // the same in every stage, also in frozen ones: what train mode does in PyTorch
	Reestimated = "reestimated" // of each batch, and at the end the running ones are taken anew over the training pictures
)

// HeadStage is the stage of the head in a Group.
const HeadStage = "head"

// TunePlan is how a network will be fine-tuned: plain data, printed before it runs, saved with the run. The same plan on
// the same pictures and the same engine gives the same network.
type TunePlan struct {
	Name   string `json:"name"`
	Epochs int    `json:"epochs"`
	Batch  int    `json:"batch"`
	// Microbatch is how many pictures of a batch the gradients are taken of at once: less needs less memory and gives the
	// same, so a batch can be larger than what fits. 0 = what suits the engine. Norms that follow the batch need all of it.
	Microbatch int            `json:"microbatch,omitempty"`
	Rule       optim.Rule     `json:"rule"`
	Schedule   optim.Schedule `json:"schedule"`
	Groups     []Group        `json:"groups"` // what moves; a stage in none of them is frozen
	Norms      string         `json:"norms"`
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

// RecipeEpochs is a ready plan's own number of epochs; "" is Tlkit.
func RecipeEpochs(name string) int {
	switch name {
	case PytorchTutorial:
		return 25
	case KerasGuide:
		return 10
	}
	return 5
}

// standardViews are kept of each picture behind the frozen part.
const standardViews = 4

// NewTunePlan is a ready plan for net and the training pictures. name "" is Tlkit. epochs 0 is the recipe's own number.
func NewTunePlan(name string, net *zoo.Net, train []datasets.Item, epochs int, seed uint64) (TunePlan, error) {
	if name == "" {
		name = Tlkit
	}
	p := TunePlan{Name: name, Epochs: epochs, Seed: seed, Norms: FrozenNorms, Augment: true, Mix: 1, Schedule: optim.Schedule{Kind: optim.Constant}}
	names := stages(net)
	if numbers(train) {
		p.Augment = false
		p.because("pictures as they are, no crops and flips: those change where a thing is and which way it points, and the numbers would be wrong; augment where yours do not depend on that")
	}
	switch name {
	case Tlkit:
		p.Batch = 16
		if len(train) < 500 {
			p.Batch = 8
		}
		p.Rule = optim.Rule{Name: optim.AdamW, Clip: 1}
		p.Schedule = optim.Schedule{Kind: optim.Cosine, Warmup: 0.2}
		if p.Augment {
			p.Views = standardViews
		}
		p.tlkitSearch(net, train)
	case PytorchTutorial:
		p.Batch, p.Norms, p.Fresh = 4, BatchNorms, true
		p.Rule = optim.Rule{Name: optim.SGD, Momentum: 0.9}
		p.Schedule = optim.Schedule{Kind: optim.Step, Every: 7, Drop: 0.1}
		p.Groups = []Group{{Name: "everything", Stages: append(slices.Clone(names), HeadStage), Rate: 1e-3}}
		p.because("rate, momentum, batch, schedule and the batch norms that follow each batch of 4 are those of PyTorch's tutorial; the last epoch is kept, none is picked by its validation figure")
	case KerasGuide:
		p.Batch = 32
		p.Rule = optim.Rule{Name: optim.AdamW}
		p.Groups = []Group{{Name: "everything", Stages: append(slices.Clone(names), HeadStage), Rate: 1e-5}}
		p.because("Keras' guide: the head first, then everything at 1e-5 with the batch norms in inference")
	case Fastai:
		p.Batch = 32
		p.Rule = optim.Rule{Name: optim.AdamW, Momentum: 0.95, Beta2: 0.99, Epsilon: 1e-5}
		p.Schedule = optim.Schedule{Kind: optim.OneCycle, Warmup: 0.3, Momenta: [2]float64{0.95, 0.85}}
		p.Norms = BatchNorms
		const base = 1e-3
		for i, part := range thirds(names) {
			p.Groups = append(p.Groups, Group{Name: fmt.Sprintf("part %d", i+1), Stages: part, Rate: base / math.Pow(100, 1-float64(i)/3), Decay: 0.01})
		}
		p.Groups = append(p.Groups, Group{Name: HeadStage, Stages: []string{HeadStage}, Rate: base, Decay: 0.01})
		p.because("fastai's fine_tune: one cycle, rates from base/100 at the pictures to base at the head")
	default:
		return p, fmt.Errorf("learner: there is no plan %q; take %s, %s, %s or %s", name, Tlkit, PytorchTutorial, KerasGuide, Fastai)
	}
	if p.Epochs == 0 {
		p.Epochs = RecipeEpochs(name)
	}
	if n := len(train); n > 0 && p.Batch > n {
		p.Batch = n
		p.because("batch %d: there are no more training pictures", n)
	}
	return p, p.Check(net)
}

// tlkitSearch is what our own plan leaves to the training pictures.
func (p *TunePlan) tlkitSearch(net *zoo.Net, train []datasets.Item) {
	names := stages(net)
	n := len(names)
	depths := []string{names[n-max(1, int(math.Round(float64(n)/9)))], names[n-max(2, int(math.Round(float64(n)/3)))]}
	s := &Search{Folds: 3, Depths: depths, Rates: []float64{3e-4, 1e-3}, Mixes: []float64{0.5, 1}, LayerDecay: 0.9, HeadRate: 1, Decay: 0.01}
	s.Folds = min(s.Folds, len(datasets.Folds(train, s.Folds, p.Seed)), rarest(train))
	p.because("starts from the fitted head, so that the first gradients do not tear up what the backbone knows")
	p.because("batch norms keep the checkpoint's statistics: %d pictures a batch are too few for better ones", p.Batch)
	if s.Folds < 2 {
		p.Groups = p.groupsFrom(names, depths[0], s.Rates[0], s)
		p.because("a single training picture of its kind leaves nothing to hold out and choose by: the last stage moves, at the smallest rate")
		return
	}
	p.Search = s
	p.Groups = p.groupsFrom(names, depths[len(depths)-1], s.Rates[0], s)
	for _, d := range depths {
		p.because("%s", p.priceOf(net, d))
	}
	p.because("depth, rate and mix with the head alone are chosen by loss on %d folds of the training pictures; what falls behind on the first folds is given up; what does not beat the head alone by twice the standard error is not taken, and then the head alone is the result; of what cannot be told apart the smallest rate is taken", s.Folds)
}

// priceOf is the reason that a depth gives: what a step from there on costs.
func (p *TunePlan) priceOf(net *zoo.Net, from string) string {
	once := "once"
	if p.Views > 0 {
		once = fmt.Sprintf("once for each of %d views", p.Views)
	}
	return fmt.Sprintf("from %s on: a step costs about 1/%.0f of one through the whole network, the rest is computed %s and kept", from, 1/price(net, from), once)
}

// StartingAt is the plan with everything before a stage of net left frozen. A plan that searches then tries that depth
// alone. With HeadStage only the head moves.
func (p TunePlan) StartingAt(net *zoo.Net, stage string) (TunePlan, error) {
	names := append(stages(net), HeadStage)
	at := slices.Index(names, stage)
	if at < 0 || stage == HeadStage && p.Search != nil {
		return p, fmt.Errorf("learner: plan %s from stage %q on, which is none; the stages of %s are %s", p.Name, stage, net.Row.Name, strings.Join(stages(net), ", "))
	}
	p.Reasons = slices.DeleteFunc(slices.Clone(p.Reasons), func(r string) bool { return strings.HasPrefix(r, "from ") })
	if p.Search != nil {
		s := *p.Search
		s.Depths = []string{stage}
		p.Search, p.Groups = &s, p.groupsFrom(stages(net), stage, s.Rates[0], &s)
	}
	var groups []Group
	for _, g := range p.Groups {
		g.Stages = slices.DeleteFunc(slices.Clone(g.Stages), func(name string) bool { return slices.Index(names, name) < at })
		if len(g.Stages) > 0 {
			groups = append(groups, g)
		}
	}
	p.Groups = groups
	if p.Augment && p.Views == 0 {
		p.Views = standardViews
	}
	if stage != names[0] && stage != HeadStage {
		p.because("%s", p.priceOf(net, stage))
	}
	return p, p.Check(net)
}

// groupsFrom has a group for each stage from one on and for the head; going back, each stage has a smaller rate.
func (p *TunePlan) groupsFrom(names []string, from string, rate float64, s *Search) []Group {
	at := slices.Index(names, from)
	var out []Group
	for i := at; i < len(names); i++ {
		out = append(out, Group{Name: names[i], Stages: []string{names[i]}, Rate: rate * math.Pow(s.LayerDecay, float64(len(names)-1-i)), Decay: s.Decay})
	}
	return append(out, Group{Name: HeadStage, Stages: []string{HeadStage}, Rate: rate * s.HeadRate, Decay: s.Decay})
}

// thirds deals stages into three parts of about the same length.
func thirds(names []string) [][]string {
	n := len(names)
	return [][]string{names[:n/3], names[n/3 : 2*n/3], names[2*n/3:]}
}

// price is what a training step from a stage on costs, as a share of one through everything: multiplications of the
// kernels behind it over all.
func price(net *zoo.Net, from string) float64 {
	d := net.Declaration()
	area := map[string]int{}
	behind, is := map[string]bool{}, false
	for _, s := range d.Stages {
		is = is || s.Name == from
		area[s.Name], behind[s.Name] = s.Shape[0]*s.Shape[1], is
	}
	var part, all float64
	for _, w := range d.Weights {
		if len(w.Shape) != 4 {
			continue
		}
		cost := float64(w.Size() * area[w.Stage])
		all += cost
		if behind[w.Stage] {
			part += cost
		}
	}
	return part / all
}

// groupOf gives the group of each stage that moves.
func (p *TunePlan) groupOf() map[string]int {
	out := map[string]int{}
	for i, g := range p.Groups {
		for _, s := range g.Stages {
			out[s] = i
		}
	}
	return out
}

// batchNorm says whether the norms of a stage follow the batch.
func (p *TunePlan) batchNorm(stage string, moves bool) bool {
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
func (p *TunePlan) border(net *zoo.Net) string {
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

// Check says what is wrong with a plan before it runs, and what to change.
func (p *TunePlan) Check(net *zoo.Net) error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("learner: plan %s: "+format, append([]any{p.Name}, a...)...)
	}
	if p.Epochs < 1 || p.Epochs > 10000 || p.Batch < 1 || p.Views < 0 || p.Patience < 0 {
		return bad("%d epochs, batch %d, %d views, patience %d: want at least 1 epoch and 1 picture, 0 or more of the others", p.Epochs, p.Batch, p.Views, p.Patience)
	}
	if err := p.Rule.Check(); err != nil {
		return bad("%w", err)
	}
	if err := p.Schedule.Check(); err != nil {
		return bad("%w", err)
	}
	if !slices.Contains([]string{FrozenNorms, BatchNorms, DriftNorms, Reestimated}, p.Norms) {
		return bad("norms %q, want %s, %s, %s or %s", p.Norms, FrozenNorms, BatchNorms, DriftNorms, Reestimated)
	}
	if p.Microbatch < 0 || p.Microbatch > 0 && p.Microbatch < p.Batch && p.Norms != FrozenNorms {
		return bad("micro-batches of %d with norms %q: want 0 or more, and fewer than the batch of %d only with norms %q, which do not look at the other pictures", p.Microbatch, p.Norms, p.Batch, FrozenNorms)
	}
	if p.Batch == 1 && p.Norms != FrozenNorms {
		return bad("batch norms cannot follow batches of 1 picture: norms %q, or a larger batch", FrozenNorms)
	}
	for name, v := range map[string]float64{"smoothing": p.Smoothing, "dropout": p.Dropout, "average": p.Average} {
		if !(v >= 0 && v < 1) {
			return bad("%s %v, want 0 to below 1", name, v)
		}
	}
	if !(p.Mixup >= 0 && p.Mixup <= 10) || !(p.Mix >= 0 && p.Mix <= 1) {
		return bad("mixup %v, mix %v, want mixup 0 to 10, mix 0 to 1", p.Mixup, p.Mix)
	}
	known := append(stages(net), HeadStage)
	seen := map[string]string{}
	for _, g := range p.Groups {
		// A rate of 100 has never trained anything; a rate of 0 is a frozen stage, which is said by leaving it out.
		if !(g.Rate > 0 && g.Rate <= 10) || !(g.Decay >= 0 && g.Decay <= 10) || g.After < 0 || g.After >= p.Epochs {
			return bad("group %s with rate %v, decay %v, after %d epochs: want a rate above 0 and at most 10, decay 0 to 10, fewer epochs of rest than %d; a stage that is to stay frozen is left out", g.Name, g.Rate, g.Decay, g.After, p.Epochs)
		}
		if len(g.Stages) == 0 {
			return bad("group %s has no stages", g.Name)
		}
		for _, s := range g.Stages {
			if !slices.Contains(known, s) {
				return bad("group %s names stage %q; the stages of %s are %s", g.Name, s, net.Row.Name, strings.Join(known, ", "))
			}
			if other, twice := seen[s]; twice {
				return bad("stage %s is in group %s and in group %s", s, other, g.Name)
			}
			seen[s] = g.Name
		}
	}
	if len(p.Groups) == 0 {
		return bad("no group: nothing would move; to train the head alone use FitHead")
	}
	if s := p.Search; s != nil {
		if s.Folds < 2 || len(s.Depths) == 0 || len(s.Rates) == 0 || len(s.Mixes) == 0 || !(s.LayerDecay > 0 && s.LayerDecay <= 1) || !(s.HeadRate > 0) {
			return bad("a search of %d folds, %d depths, %d rates, %d mixes, layer decay %v: want at least 2 folds and one of each, a decay in (0, 1]", s.Folds, len(s.Depths), len(s.Rates), len(s.Mixes), s.LayerDecay)
		}
		for _, d := range s.Depths {
			if !slices.Contains(stages(net), d) {
				return bad("depth %q; the stages of %s are %s", d, net.Row.Name, strings.Join(stages(net), ", "))
			}
		}
		for _, r := range s.Rates {
			if !(r > 0 && r <= 10) {
				return bad("rate %v, want above 0 and at most 10", r)
			}
		}
		for _, m := range s.Mixes {
			if !(m > 0 && m <= 1) {
				return bad("mix %v, want above 0 and at most 1", m)
			}
		}
		if p.Patience > 0 || p.Fresh {
			return bad("a search chooses by folds and starts from the fitted head: patience and a fresh head do not go with it")
		}
	}
	return nil
}

func (p *TunePlan) because(format string, args ...any) {
	p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
}

// String is the plan for a person, one line and its reasons below.
func (p TunePlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fine-tuning, plan %s: %d epochs, batch %d, %s", p.Name, p.Epochs, p.Batch, p.Rule.Name)
	if p.Rule.Momentum > 0 {
		fmt.Fprintf(&b, " momentum %g", p.Rule.Momentum)
	}
	if s := p.Search; s != nil {
		fmt.Fprintf(&b, " at %v from %s on", s.Rates, strings.Join(s.Depths, " or "))
	} else {
		low, high := p.Groups[0].Rate, p.Groups[0].Rate
		for _, g := range p.Groups {
			low, high = min(low, g.Rate), max(high, g.Rate)
		}
		if low == high {
			fmt.Fprintf(&b, " at %g", low)
		} else {
			fmt.Fprintf(&b, " at %.2g to %g", low, high)
		}
		if first := p.Groups[0].Stages[0]; len(p.Groups[0].Stages) > 0 {
			fmt.Fprintf(&b, " from %s on", first)
		}
	}
	fmt.Fprintf(&b, ", %s, batch norms %s, seed %d", strings.ReplaceAll(p.Schedule.Kind, "_", " "), p.Norms, p.Seed)
	if p.Mix < 1 {
		fmt.Fprintf(&b, ", %g of the way", p.Mix)
	}
	for _, r := range p.Reasons {
		b.WriteString("\n  · " + r)
	}
	return b.String()
}
