package finetune

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Low-rank adaptation: the backbone keeps all its bits, and pairs of narrow matrices are trained beside
// those of attention. Checkpoints and head files hold the pairs alone; package zoo adds them to the
// matrices when a network is opened.

// adapt makes the plan one of low-rank adaptation, if the network has what that needs.
func (p *Plan) adapt(net *zoo.Net, l backbone.LoRA) error {
	if l == (backbone.LoRA{}) {
		return nil
	}
	if err := net.Declaration().CheckLoRA(l); err != nil {
		return fmt.Errorf("finetune: plan %s for %s: %w", p.Name, net.Row.Name, err)
	}
	p.LoRA = &l
	return nil
}

// checkLoRA reports low-rank adaptation that does not suit the network or the rest of the plan.
func (p *Plan) checkLoRA(net *zoo.Net) error {
	if err := net.Declaration().CheckLoRA(*p.LoRA); err != nil {
		return fmt.Errorf("%s: %w", net.Row.Name, err)
	}
	if p.Norms != FrozenNorms {
		return advice.New(fmt.Errorf("norms %q with LoRA, which keeps the backbone as it is", p.Norms), "use norms %q", FrozenNorms)
	}
	moving := p.moving(net)
	if p.Search != nil {
		for _, first := range p.Search.Depths {
			if slices.Contains(stages(net), first) && len(p.groupsFrom(net, first, p.Search.HeadRate, p.Search)) < 2 {
				moving = nil
			}
		}
	}
	if delete(moving, HeadStage); len(moving) == 0 {
		return advice.New(errors.New("LoRA in stages without attention, so nothing of the backbone would move"), "the stages of %s with attention are %s", net.Row.Name, strings.Join(p.stages(net), ", "))
	}
	return nil
}

// trains reports whether a tensor of a stage that moves is trained itself.
func (p *Plan) trains(w backbone.Weight) bool {
	return w.Trainable && (p.LoRA == nil || w.TrainedBy(*p.LoRA))
}

// stages returns the stages in which something can move, in order: all, or those that LoRA adapts.
func (p *Plan) stages(net *zoo.Net) []string {
	all := stages(net)
	if p.LoRA == nil {
		return all
	}
	adapted := map[string]bool{}
	for _, w := range net.Declaration().Weights {
		if w.AdaptedBy(*p.LoRA) || w.TrainedBy(*p.LoRA) {
			adapted[w.Stage] = true
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return !adapted[s] })
}

// moving returns the index of the group of each stage in which something moves, and of the head.
func (p *Plan) moving(net *zoo.Net) map[string]int {
	group := p.groupOf()
	if p.LoRA == nil {
		return group
	}
	out := map[string]int{}
	for _, s := range append(p.stages(net), HeadStage) {
		if g, ok := group[s]; ok {
			out[s] = g
		}
	}
	return out
}

// Trainable returns how many parameters the plan trains, those of a head of so many outputs among
// them, and how many there are in all, with LoRA's. A search has not chosen yet, but each of its choices
// from the same stage on trains the same ones.
func (p *Plan) Trainable(net *zoo.Net, outputs int) (moving, all int) {
	group := p.moving(net)
	count := func(n int, moves bool) {
		all += n
		if moves {
			moving += n
		}
	}
	for _, w := range net.Declaration().Weights {
		if w.Stage == backbone.Classifier {
			continue
		}
		_, moves := group[w.Stage]
		if w.Trainable {
			count(w.Size(), moves && p.trains(w))
		}
		if p.LoRA != nil && moves && w.AdaptedBy(*p.LoRA) {
			count(p.LoRA.Rank*(w.Shape[0]+w.Shape[1]), true)
		}
	}
	_, moves := group[HeadStage]
	count((net.Row.Features+1)*outputs, moves)
	return moving, all
}

// explainLoRA adds what LoRA trains to the reasons.
func (p *Plan) explainLoRA(net *zoo.Net, outputs int) {
	if p.LoRA == nil {
		return
	}
	pairs, group := 0, p.moving(net)
	for _, w := range net.Declaration().Weights {
		if _, moves := group[w.Stage]; moves && w.AdaptedBy(*p.LoRA) {
			pairs++
		}
	}
	of := "attention"
	if p.LoRA.All {
		of = "attention and of the other linear layers"
	}
	moving, all := p.Trainable(net, outputs)
	p.because("LoRA of rank %d, times %.3g, beside %d matrices of %s: with the head, %d of %d parameters are trained (%s); the backbone keeps its bits", p.LoRA.Rank, p.LoRA.Factor(), pairs, of, moving, all, percent(moving, all))
}

// createPair creates A [in,r] and B [r,out] beside a matrix. A starts as in PEFT, uniform within
// 1/sqrt(in), the same for a seed whatever else is trained; B starts at 0, so that the first step starts
// from the checkpoint.
func (t *tuner) createPair(w backbone.Weight, group int) error {
	in, out, rank := w.GraphShape[0], w.GraphShape[1], t.plan.LoRA.Rank
	a, b := backbone.LoRANames(w.Name)
	for _, v := range []struct {
		name   string
		values []float32
		shape  []int
	}{
		{a, uniform(t.plan.Seed, a, in*rank, 1/math.Sqrt(float64(in))), []int{in, rank}},
		{b, make([]float32, rank*out), []int{rank, out}},
	} {
		if err := t.create(t.store.RootScope(), v.name, slices.Clone(v.values), v.shape); err != nil {
			return err
		}
		t.params = append(t.params, optim.Param{Key: v.name, Group: group, Decay: t.plan.Groups[group].Decay})
		t.start[v.name] = v.values
	}
	return nil
}

// uniform returns n numbers within bound, which seed and name decide.
func uniform(seed uint64, name string, n int, bound float64) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	rng, out := rand.New(rand.NewPCG(seed, h.Sum64())), make([]float32, n)
	for i := range out {
		out[i] = float32((2*rng.Float64() - 1) * bound)
	}
	return out
}

// pairOf returns A [r,in] and B [out,r] beside a matrix, with the factor in B, as they are added to it;
// nil if they add nothing.
func (t *tuner) pairOf(w backbone.Weight, values map[string][]float32) ([]weights.Tensor, error) {
	nameA, nameB := backbone.LoRANames(w.Name)
	a, b := values[nameA], slices.Clone(values[nameB])
	if a == nil || !slices.ContainsFunc(b, func(v float32) bool { return v != 0 }) {
		return nil, nil
	}
	for i := range b {
		b[i] = float32(float64(b[i]) * t.plan.LoRA.Factor())
	}
	in, out, rank := w.GraphShape[0], w.GraphShape[1], t.plan.LoRA.Rank
	var pair []weights.Tensor
	for _, v := range []struct {
		name   string
		values []float32
		shape  []int
	}{{nameA, a, []int{rank, in}}, {nameB, b, []int{out, rank}}} {
		raw, err := weights.OItoIO.Undo(v.shape, v.values)
		if err != nil {
			return nil, fmt.Errorf("finetune: %s: %w", v.name, err)
		}
		pair = append(pair, weights.FromFloat32(v.name, v.shape, raw))
	}
	return pair, nil
}

// isA reports whether a tensor is an A. Going part of the way to the tuned matrix W + A B is going part
// of the way to B; A stays.
func isA(key string) bool {
	of, ok := backbone.BesideOf(key)
	a, _ := backbone.LoRANames(of)
	return ok && key == a
}

// firstOf returns the first stage that moves by our own plan: that of the caller, or "" for the plan's
// choice. With LoRA it is the first one from there on that is adapted, all if the plan chooses, because
// pairs are too few to spoil early stages, and a step needs no gradients of their matrices.
func (p *Plan) firstOf(net *zoo.Net, asked string) string {
	if p.LoRA == nil {
		if asked == "" {
			return within(net, movingShare)
		}
		return asked
	}
	names, movable := stages(net), p.stages(net)
	for _, s := range movable {
		if slices.Index(names, s) >= slices.Index(names, asked) {
			return s
		}
	}
	return asked // Check says that nothing would move
}

// suitLoRA makes a search one of low-rank adaptation.
func (p *Plan) suitLoRA(s *Search) {
	s.LayerDecay, s.Rates = 1, slices.Clone(s.Rates)
	for i := range s.Rates {
		s.Rates[i] *= loraRate
	}
	p.because("pairs take %d times the rate of whole tensors, the same in each stage: they start from zero", loraRate)
}

// percent is a share of all in percent, "0.99 %".
func percent(n, all int) string { return fmt.Sprintf("%.3g %%", 100*float64(n)/float64(all)) }
