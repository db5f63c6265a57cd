package heads

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/head"
)

// The kinds of head beyond those of package head; all are for one label a picture.
const (
	// Linear discriminant analysis with shrinkage, see [head.LDA]
	LDAKind head.Kind = "lda"
	// The most similar training pictures vote, see [Neighbours]
	KNNKind head.Kind = "knn"
	// Logistic regression on features of length 1, see [Cosine]
	CosineKind head.Kind = "cosine"
	// The family is chosen by folds, see [Fit]
	AutoKind head.Kind = "auto"
	// The mean of the probabilities of two families; only as the result of AutoKind
	MeanKind head.Kind = "mean"
)

// Kinds are the families of heads of one label a picture, the simplest first.
func Kinds() []head.Kind {
	return []head.Kind{head.LogisticKind, head.RidgeKind, LDAKind, KNNKind, CosineKind}
}

// Options are the options of [Fit].
type Options struct {
	// Indices of the held-out samples of each fold; nil = none, and a usual strength is taken.
	Folds [][]int
	// ClassWeights weighs rare classes up as in head.LogisticOptions; for logistic and cosine heads.
	ClassWeights bool
	// Step is called after each step of the fit; for AutoKind, of that of the logistic head. May be nil.
	Step func(head.Step)
	// Progress is called with the number of parts that are done, and of all; may be nil. It is called
	// from one goroutine at a time.
	Progress func(done, total int)
}

// Fitted is a fitted head.
type Fitted struct {
	Kind      head.Kind // the family of Model; for AutoKind, the chosen one
	Model     Model
	OutOfFold []float32 // [N, K] logits of each sample by a head without its fold; nil without folds
	// One entry for each family that was tried, in the order of trying; nil without folds.
	Families []Tried
	Steps    int           // of the history
	Strength float64       // the L2 strength or the shrinkage; 0 if the family has none
	Choices  []head.Choice // of the strength; nil if there was no choice
}

// Tried is a family of heads with its out-of-fold result at the best of its settings.
type Tried struct {
	Family head.Kind   `json:"family"`
	Of     []head.Kind `json:"of,omitempty"` // the two families of a mean
	// The setting that folds chose: a strength, a shrinkage or a number of neighbours.
	Strength   float64 `json:"strength,omitempty"`
	Shrinkage  float64 `json:"shrinkage,omitempty"`
	Neighbours int     `json:"neighbours,omitempty"`

	Loss   float64 `json:"loss"`  // out-of-fold log loss in nats
	Right  int     `json:"right"` // out-of-fold samples classified correctly
	Total  int     `json:"total"`
	Chosen bool    `json:"chosen,omitempty"`
	// Why the family could not be fitted; the numbers are then 0.
	Failed string `json:"failed,omitempty"`
}

// Name returns the family in words: "lda", or "mean of lda and knn".
func (t Tried) Name() string {
	if len(t.Of) == 2 {
		return fmt.Sprintf("mean of %s and %s", t.Of[0], t.Of[1])
	}
	return string(t.Family)
}

// Setting returns the chosen setting in words, such as "shrinkage 0.5"; "" for a mean.
func (t Tried) Setting() string {
	switch {
	case t.Shrinkage > 0:
		return fmt.Sprintf("shrinkage %g", t.Shrinkage)
	case t.Neighbours > 0:
		return fmt.Sprintf("k %d", t.Neighbours)
	case t.Strength > 0:
		return fmt.Sprintf("L2 %g", t.Strength)
	}
	return ""
}

// Line formats what was tried as one line, the chosen one first: "lda (shrinkage 0.5) chosen by folds:
// 696 of 720 right, log loss 0.095; logistic 696, 0.109; knn 677, 0.164".
func Line(tried []Tried) string {
	var first string
	var rest []string
	for _, t := range tried {
		switch {
		case t.Failed != "":
			rest = append(rest, t.Name()+" left out")
		case t.Chosen:
			first = t.Name()
			if setting := t.Setting(); setting != "" {
				first += " (" + setting + ")"
			}
			first += fmt.Sprintf(" chosen by folds: %d of %d right, log loss %.3f", t.Right, t.Total, t.Loss)
		default:
			rest = append(rest, fmt.Sprintf("%s %d, %.3f", t.Name(), t.Right, t.Loss))
		}
	}
	return strings.Join(append([]string{first}, rest...), "; ")
}

// tried returns the out-of-fold result of a family.
func tried(s head.Samples, family head.Kind, logits []float32) Tried {
	return Tried{Family: family, Loss: head.LogLoss(logits, s.Y, s.Classes), Right: head.Correct(logits, s.Y, s.Classes), Total: s.Len()}
}

// Fit fits a head of one label a picture, of a kind of [Kinds] or of AutoKind. It chooses strength,
// shrinkage or number of neighbours by out-of-fold log loss.
//
// AutoKind tries all kinds and the mean of the two best of them, and takes the one with the lowest
// out-of-fold log loss, but the logistic head if that is worse by less than two standard errors of the
// difference, or if the other has fewer samples right by more than one standard error. Without folds it is
// the logistic head.
//
// The result depends only on the arguments. It is an error if the samples have Targets or do not pass
// [head.Samples.Check], or if folds overlap or leave nothing to learn from. ctx stops the fit.
func Fit(ctx context.Context, kind head.Kind, s head.Samples, o Options) (*Fitted, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Targets != nil {
		return nil, advice.New(errors.New("heads: Samples.Targets, want one label a picture in Samples.Y"), "use head.Logistic for several labels, head.Ridge for values")
	}
	weighable := kind == head.LogisticKind || kind == CosineKind || kind == AutoKind
	if o.ClassWeights && !weighable {
		return nil, advice.New(fmt.Errorf("heads: class weights for a head of the kind %s, want one that has them", kind), "leave them out, or use logistic, cosine or auto")
	}
	switch kind {
	case head.LogisticKind:
		return fitLogistic(ctx, s, o)
	case head.RidgeKind:
		f, err := head.Ridge(ctx, s, head.RidgeOptions{Strengths: unfolded(o, 1), Folds: o.Folds, Step: o.Step, Progress: o.Progress})
		return linear(s, kind, f, err)
	case LDAKind:
		f, err := head.LDA(ctx, s, head.LDAOptions{Folds: o.Folds, Step: o.Step, Progress: o.Progress})
		return linear(s, kind, f, err)
	case KNNKind:
		return fitNeighbours(ctx, s, o)
	case CosineKind:
		return fitCosine(ctx, s, o, nil)
	case AutoKind:
		return choose(ctx, s, o)
	}
	return nil, fmt.Errorf("heads: kind %q, want one of %v or %s", kind, Kinds(), AutoKind)
}

// unfolded returns the strength that is taken without folds; nil with folds, which choose it.
func unfolded(o Options, strength float64) []float64 {
	if len(o.Folds) == 0 {
		return []float64{strength}
	}
	return nil
}

// The strengths without folds.
const (
	logisticUnfolded = 0.1
	cosineUnfolded   = 0.03
)

func fitLogistic(ctx context.Context, s head.Samples, o Options) (*Fitted, error) {
	f, err := head.Logistic(ctx, s, head.LogisticOptions{Strengths: unfolded(o, logisticUnfolded), Folds: o.Folds,
		ClassWeights: o.ClassWeights, Step: o.Step, Progress: o.Progress})
	return linear(s, head.LogisticKind, f, err)
}

// fitCosine fits a logistic head on rows of length 1. strengths nil = the usual ones.
func fitCosine(ctx context.Context, s head.Samples, o Options, strengths []float64) (*Fitted, error) {
	s.X = unit(s.X, s.Features)
	if len(o.Folds) == 0 {
		strengths = []float64{cosineUnfolded}
	}
	f, err := head.Logistic(ctx, s, head.LogisticOptions{Strengths: strengths, Folds: o.Folds,
		ClassWeights: o.ClassWeights, OneScale: true, Step: o.Step, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	out, err := linear(s, CosineKind, f, nil)
	out.Model = &Cosine{*f.Head}
	return out, err
}

// linear returns a fit of package head.
func linear(s head.Samples, kind head.Kind, f *head.Fit, err error) (*Fitted, error) {
	if err != nil {
		return nil, err
	}
	out := &Fitted{Kind: kind, Model: f.Head, OutOfFold: f.OutOfFold, Steps: f.Steps, Strength: f.Strength, Choices: f.Choices}
	if f.OutOfFold != nil {
		one := tried(s, kind, f.OutOfFold)
		if kind == LDAKind {
			one.Shrinkage = f.Strength
		} else {
			one.Strength = f.Strength
		}
		out.Families = []Tried{one}
	}
	return out, nil
}

// mostCompared is the largest number of samples among which choose looks for neighbours: the time grows
// with its square.
const mostCompared = 5000

// cosineCandidates are the strengths of a cosine head that choose tries. More would take as long as the
// logistic head.
var cosineCandidates = []float64{1, 0.1, 0.01}

// choose fits all families and takes one.
func choose(ctx context.Context, s head.Samples, o Options) (*Fitted, error) {
	logistic, err := fitLogistic(ctx, s, o)
	if err != nil || len(o.Folds) == 0 {
		return logistic, err
	}
	fitted := []*Fitted{logistic}
	families := logistic.Families
	quiet := o
	quiet.Step, quiet.Progress = nil, nil
	for _, kind := range Kinds()[1:] {
		f, err := quiet.try(ctx, kind, s)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			families = append(families, Tried{Family: kind, Total: s.Len(), Failed: err.Error()})
		default:
			fitted, families = append(fitted, f), append(families, f.Families...)
		}
	}
	if pair := meanOfBest(s, fitted); pair != nil {
		fitted, families = append(fitted, pair), append(families, pair.Families...)
	}
	chosen := logistic
	for _, f := range fitted[1:] {
		if f.Families[0].Loss < chosen.Families[0].Loss && clearlyBetter(s, logistic.OutOfFold, f.OutOfFold) {
			chosen = f
		}
	}
	for i := range families {
		families[i].Chosen = families[i].Name() == chosen.Families[0].Name()
	}
	out := *chosen
	out.Families, out.Steps = families, logistic.Steps
	return &out, nil
}

// try fits one of the families that choose compares.
func (o Options) try(ctx context.Context, kind head.Kind, s head.Samples) (*Fitted, error) {
	switch {
	case kind == KNNKind && s.Len() > mostCompared:
		return nil, fmt.Errorf("heads: nearest neighbours are not tried on more than %d pictures", mostCompared)
	case kind == CosineKind:
		return fitCosine(ctx, s, o, cosineCandidates)
	}
	return Fit(ctx, kind, s, o)
}

// meanOfBest returns the mean of the two families with the lowest out-of-fold log loss; nil if there
// is one only.
func meanOfBest(s head.Samples, fitted []*Fitted) *Fitted {
	if len(fitted) < 2 {
		return nil
	}
	a, b := fitted[0], fitted[1]
	if b.Families[0].Loss < a.Families[0].Loss {
		a, b = b, a
	}
	for _, f := range fitted[2:] {
		switch loss := f.Families[0].Loss; {
		case loss < a.Families[0].Loss:
			a, b = f, a
		case loss < b.Families[0].Loss:
			b = f
		}
	}
	pa, pb := head.Softmax(a.OutOfFold, s.Classes), head.Softmax(b.OutOfFold, s.Classes)
	held := make([]float32, len(pa))
	for i := range pa {
		held[i] = float32(math.Log(max((float64(pa[i])+float64(pb[i]))/2, smallest)))
	}
	one := tried(s, MeanKind, held)
	one.Of = []head.Kind{a.Kind, b.Kind}
	return &Fitted{Kind: MeanKind, Model: &Mean{[]Model{a.Model, b.Model}}, OutOfFold: held, Families: []Tried{one}}
}

// clearlyBetter reports whether logits are better than those of the default head, out of fold, by more
// than chance.
func clearlyBetter(s head.Samples, usual, other []float32) bool {
	gain, right := make([]float64, s.Len()), make([]float64, s.Len())
	for i, y := range s.Y {
		a, b := usual[i*s.Classes:(i+1)*s.Classes], other[i*s.Classes:(i+1)*s.Classes]
		one := s.Y[i : i+1]
		gain[i] = head.LogLoss(a, one, s.Classes) - head.LogLoss(b, one, s.Classes)
		right[i] = float64(head.Correct(b, []int{y}, s.Classes) - head.Correct(a, []int{y}, s.Classes))
	}
	loss, lossError := s.Clusters.Mean(gain)
	hits, hitsError := s.Clusters.Mean(right)
	return loss > 2*lossError && hits >= -hitsError
}
