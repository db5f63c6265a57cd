package finetune

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Options are the choices open to the caller of [NewPlan].
type Options struct {
	Epochs int    // 0 = the recipe's own number, see [Recipe.Epochs]
	From   string // first stage that moves; "" = the recipe's choice; HeadStage = only the head
	Seed   uint64

	// What follows replaces settings of the recipe. Rate is the largest learning rate of the plan, up
	// to 10; 0 = the recipe's. The other rates keep their proportion to it. A search tries this rate
	// alone.
	Rate  float64
	Batch int     // pictures a step, at most those of Train; 0 = the recipe's
	Mixup float64 // alpha of the Beta distribution, up to 10; 0 = none
	// ClassWeights weighs classes by N/(K n), for one label a picture.
	ClassWeights bool
	Augment      learner.Augmentation
	// LoRA trains narrow matrices beside those of attention instead of the tensors of the stages; the
	// zero value = does not. From is then the first stage that is adapted, by default of all.
	LoRA backbone.LoRA
}

// NewPlan returns the plan of a recipe for the network and the training pictures of d; "" stands
// for Tlkit. It only uses Net, Task, Train and Outputs of d. It is an error if the recipe or the
// stage From is unknown, or if an option does not suit the recipe or the pictures.
func NewPlan(r Recipe, d Data, o Options) (Plan, error) {
	r = cmp.Or(r, Tlkit)
	if err := o.Check(); err != nil {
		return Plan{}, err
	}
	p := Plan{Name: r, Epochs: cmp.Or(o.Epochs, r.Epochs()), Seed: o.Seed, Norms: FrozenNorms, Mix: 1, Schedule: optim.Schedule{Kind: optim.Constant}}
	names := append(stages(d.Net), HeadStage)
	if o.From != "" && !slices.Contains(names, o.From) || o.From == HeadStage && r == Tlkit {
		return p, advice.New(fmt.Errorf("finetune: plan %s from unknown stage %q", r, o.From), "the stages of %s are %s", d.Net.Row.Name, strings.Join(stages(d.Net), ", "))
	}
	if err := p.adapt(d.Net, o.LoRA); err != nil {
		return p, err
	}
	p.augmentFor(d.task(), o.Augment)
	switch r {
	case Tlkit:
		p.tlkit(d, o.From)
	case PytorchTutorial:
		p.pytorchTutorial(names)
	case KerasGuide:
		p.kerasGuide(names)
	case Fastai:
		p.fastai(stages(d.Net))
	default:
		return p, advice.New(fmt.Errorf("finetune: there is no plan %q", r), "use %s, %s, %s or %s", Tlkit, PytorchTutorial, KerasGuide, Fastai)
	}
	if o.From != "" && p.Search == nil {
		p.startAt(d.Net, o.From)
	}
	if p.LoRA != nil && p.Norms != FrozenNorms {
		p.Norms = FrozenNorms
		p.because("batch norms keep the checkpoint's statistics, as all of the backbone does with LoRA")
	}
	if err := p.change(o, d); err != nil {
		return p, err
	}
	if n := len(d.Train); n > 0 && p.Batch > n {
		p.Batch = n
		p.because("batch %d: there are no more training pictures", n)
	}
	p.explainLoRA(d.Net, d.outputs())
	return p, p.Check(d.Net)
}

// augmentFor turns crops and flips on if they keep the labels of a picture valid, or as asked for.
func (p *Plan) augmentFor(t task.Task, asked learner.Augmentation) {
	p.Augment = asked == learner.AugmentOn || asked == learner.AugmentByTask && t.Name() != datasets.Values
	switch {
	case asked == learner.AugmentOff:
		p.because("no crops and flips, as asked for")
	case asked == learner.AugmentOn:
		p.because("crops and flips, as asked for")
	case !p.Augment:
		p.because("no crops and flips: they change positions and directions, which the values may depend on; set Augment if yours do not")
	}
}

// tlkit is our own plan. Folds of the training pictures choose rate and mix, or the head alone.
func (p *Plan) tlkit(d Data, first string) {
	rates := []float64{standardRate, lowRate}
	p.Batch = standardBatch
	if d.task().Name() == datasets.Values {
		rates, p.Batch = []float64{valueRate, standardRate}, valueBatch
		p.because("more and larger steps than for labels: the network was trained to say what is in a picture, and has further to go")
	}
	p.Rule = optim.Rule{Name: optim.AdamW, Clip: clipNorm}
	p.Schedule = optim.Schedule{Kind: optim.Cosine, Warmup: warmup}
	s := &Search{Folds: searchFolds, Rates: rates, Mixes: mixes(), LayerDecay: layerDecay, HeadRate: headRate, Decay: weightDecay}
	first, last := p.firstOf(d.Net, first), stages(d.Net)[len(stages(d.Net))-1]
	if p.LoRA != nil {
		p.suitLoRA(s)
		last = p.stages(d.Net)[len(p.stages(d.Net))-1]
	}
	s.Depths = []string{first}
	p.cacheViews(d, first)
	truth := d.task().Samples(d.Train, nil, d.outputs())
	s.Folds = min(s.Folds, len(datasets.Folds(d.Train, s.Folds, p.Seed)), d.task().Rarest(truth))
	p.because("starts from the fitted head, so that the first gradients do not destroy the backbone's features")
	p.because("batch norms keep the checkpoint's statistics: batches of %d pictures are too small for better ones", p.Batch)
	if s.Folds < 2 {
		p.Groups = p.groupsFrom(d.Net, last, s.Rates[len(s.Rates)-1], s)
		p.because("a class or label with a single training picture leaves nothing to hold out, so nothing is chosen: the last stage moves, at the smallest rate")
		return
	}
	p.Search = s
	p.Groups = p.groupsFrom(d.Net, first, s.Rates[0], s)
	p.explainPrice(d.Net, first)
	p.because("the rates are tried in this order on %d folds of the training pictures, and the first that beats the head alone by twice the standard error is taken, with the mix of the highest score; trials that fall behind on the first folds are dropped", s.Folds)
}

// cacheViews decides whether augmented views are cached in front of a stage.
func (p *Plan) cacheViews(d Data, first string) {
	if !p.Augment {
		return
	}
	p.MinArea, p.Views = minArea, standardViews
	size := 4 * len(d.Train) * (p.Views + 1)
	for _, s := range d.Net.Declaration().Stages {
		if s.Name == first {
			break
		}
		size = 4 * len(d.Train) * (p.Views + 1) * s.Size()
	}
	if size > viewBytes {
		p.Views = 0
		p.because("every epoch computes new views: caching %d of %d pictures would take %d GB", standardViews, len(d.Train), size>>30)
	}
}

// pytorchTutorial is https://pytorch.org/tutorials/beginner/transfer_learning_tutorial.html.
func (p *Plan) pytorchTutorial(names []string) {
	p.Batch, p.Norms, p.Fresh = 4, BatchNorms, true
	p.Rule = optim.Rule{Name: optim.SGD, Momentum: 0.9}
	p.Schedule = optim.Schedule{Kind: optim.Step, Every: 7, Drop: 0.1}
	p.Groups = []Group{{Name: "everything", Stages: names, Rate: tutorialRate}}
	p.because("rate, momentum, batch, schedule and batch norms that follow each batch of 4 are those of PyTorch's tutorial; the last epoch is kept, none is picked by its validation figure")
}

// kerasGuide is https://keras.io/guides/transfer_learning/.
func (p *Plan) kerasGuide(names []string) {
	p.Batch = 32
	p.Rule = optim.Rule{Name: optim.AdamW}
	p.Groups = []Group{{Name: "everything", Stages: names, Rate: guideRate}}
	p.because("Keras' guide: the head first, then everything at 1e-5 with the batch norms in inference mode")
}

// fastai is the second half of Learner.fine_tune, https://docs.fast.ai/callback.schedule.html.
func (p *Plan) fastai(names []string) {
	p.Batch = 32
	p.Rule = optim.Rule{Name: optim.AdamW, Momentum: 0.95, Beta2: 0.99, Epsilon: 1e-5}
	p.Schedule = optim.Schedule{Kind: optim.OneCycle, Warmup: 0.3, Momenta: [2]float64{0.95, 0.85}}
	p.Norms = BatchNorms
	for i, part := range thirds(names) {
		p.Groups = append(p.Groups, Group{Name: fmt.Sprintf("part %d", i+1), Stages: part, Rate: fastaiRate / math.Pow(100, 1-float64(i)/3), Decay: weightDecay})
	}
	p.Groups = append(p.Groups, Group{Name: HeadStage, Stages: []string{HeadStage}, Rate: fastaiRate, Decay: weightDecay})
	p.because("fastai's fine_tune: one cycle, rates from base/100 in the first stages to base in the head")
}

// startAt freezes everything before a stage.
func (p *Plan) startAt(net *zoo.Net, stage string) {
	names := append(stages(net), HeadStage)
	first := slices.Index(names, stage)
	var groups []Group
	for _, g := range p.Groups {
		g.Stages = slices.DeleteFunc(slices.Clone(g.Stages), func(name string) bool { return slices.Index(names, name) < first })
		if len(g.Stages) > 0 {
			groups = append(groups, g)
		}
	}
	p.Groups = groups
	if p.Augment && p.Views == 0 {
		p.Views = standardViews
	}
	if stage != names[0] && stage != HeadStage {
		p.explainPrice(net, stage)
	}
}

// explainPrice adds the cost of a step from a stage on to the reasons.
func (p *Plan) explainPrice(net *zoo.Net, first string) {
	once := "once"
	if p.Views > 0 {
		once = fmt.Sprintf("once for each of %d views", p.Views)
	}
	p.because("from %s on: a step costs about %.0f %% of one through the whole network; the rest is computed %s and cached", first, 100*price(net, first), once)
}

// groupsFrom returns a group for each stage from one on, and for the head. Each earlier stage has a
// smaller rate. With LoRA, stages that it does not adapt have no group.
func (p *Plan) groupsFrom(net *zoo.Net, first string, rate float64, s *Search) []Group {
	var out []Group
	names, movable := stages(net), p.stages(net)
	for i := slices.Index(names, first); i < len(names); i++ {
		if !slices.Contains(movable, names[i]) {
			continue
		}
		out = append(out, Group{Name: names[i], Stages: []string{names[i]}, Rate: rate * math.Pow(s.LayerDecay, float64(len(names)-1-i)), Decay: s.Decay})
	}
	return append(out, Group{Name: HeadStage, Stages: []string{HeadStage}, Rate: rate * s.HeadRate, Decay: s.Decay})
}

// within returns the first stage from which a step costs at most a share of one through the whole
// network, or the last stage.
func within(net *zoo.Net, share float64) string {
	names := stages(net)
	for _, name := range names {
		if price(net, name) <= share {
			return name
		}
	}
	return names[len(names)-1]
}

// thirds divides stages into three parts of about the same length.
func thirds(names []string) [][]string {
	n := len(names)
	return [][]string{names[:n/3], names[n/3 : 2*n/3], names[2*n/3:]}
}

// price returns the cost of a training step from a stage on, as a share of one through the whole
// network: the multiplications in the kernels and matrices after it, over those in all.
func price(net *zoo.Net, first string) float64 {
	d := net.Declaration()
	area := map[string]int{}
	after, moves := map[string]bool{}, false
	for _, s := range d.Stages {
		moves = moves || s.Name == first
		area[s.Name], after[s.Name] = s.Places(), moves
	}
	var part, whole float64
	for _, w := range d.Weights {
		if len(w.Shape) != 2 && len(w.Shape) != 4 {
			continue
		}
		cost := float64(w.Size() * area[w.Stage])
		whole += cost
		if after[w.Stage] {
			part += cost
		}
	}
	return part / whole
}
