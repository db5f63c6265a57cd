package zoo

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// frozenParam is the parameter of a scope that says up to which stage the network is frozen. GoMLX's
// checkpoints keep parameters, and do not keep which variables are trainable.
const frozenParam = "tlkit_frozen"

// Freeze makes the weights of the stages up to and including through constant in training, and those
// behind it trainable. The stages are those of n.Declaration. Calling it again with an earlier stage
// unfreezes what lies between:
//
//	err := net.Freeze(scope.In("backbone"), "layer3") // layer4 and your head learn
//
// Freeze may be called before or after the variables exist, and before or after a checkpoint is
// loaded. The choice is kept in the checkpoint, as a parameter of scope, so a resumed program goes on
// with the same weights frozen, unless the checkpoint was built with ExcludeAllParams.
//
// GoMLX decides what it trains when it builds a graph. After the first training step, call
// ResetComputationGraphs of the trainer too.
//
// It is an error if the network has no such stage; the error names those it has.
func (n *Net) Freeze(scope *model.Scope, through string) error {
	if _, err := n.frozenStages(through); err != nil {
		return err
	}
	scope.SetParam(frozenParam, through)
	for _, w := range n.declared.Weights {
		if v := scope.GetVariable(w.Name); v != nil {
			v.SetTrainable(w.Trainable)
		}
	}
	return n.keepFrozen(scope)
}

// Unfreeze makes all weights trainable that can be: statistics of batch norms stay constant. See
// [Net.Freeze].
func (n *Net) Unfreeze(scope *model.Scope) error { return n.Freeze(scope, "") }

// keepFrozen makes the variables constant that Freeze, or the program that wrote the checkpoint, froze.
func (n *Net) keepFrozen(scope *model.Scope) error {
	through, _ := scope.GetParam(frozenParam)
	name, _ := through.(string)
	frozen, err := n.frozenStages(name)
	if err != nil {
		return err
	}
	for _, w := range n.declared.Weights {
		if v := scope.GetVariable(w.Name); v != nil && frozen[w.Stage] {
			v.SetTrainable(false)
		}
	}
	return nil
}

// frozenStages returns the stages up to and including through; none for "".
func (n *Net) frozenStages(through string) (map[string]bool, error) {
	frozen := map[string]bool{}
	if through == "" {
		return frozen, nil
	}
	var names []string
	for _, s := range n.declared.Stages {
		frozen[s.Name] = true
		names = append(names, s.Name)
		if s.Name == through {
			return frozen, nil
		}
	}
	return nil, advice.New(fmt.Errorf("zoo: %s has no stage %q", n.Row.Name, through), "its stages are %s", strings.Join(names, ", "))
}

// GraphBehind adds the part of the network behind a stage to the graph of x, which is that stage's
// output, [N,h,w,C] or [N,T,C]. The weights of the whole network become variables of scope, so that a
// program can change between [Net.Graph] and GraphBehind and continue with the same values. GraphBehind
// panics on errors, as graph code does.
func (n *Net) GraphBehind(scope *model.Scope, stage string, x *graph.Node) backbone.Output {
	if err := n.Variables(scope); err != nil {
		panic(err)
	}
	if _, err := n.frozenStages(stage); err != nil {
		panic(err)
	}
	return backbone.Part{From: stage, Size: n.Preset.Size}.Graph(n.Row.arch, scope, x)
}
