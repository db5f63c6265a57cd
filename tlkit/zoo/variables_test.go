package zoo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/tlkit/transfer-learning/internal/golden"
)

// stored is a GoMLX program around a network, up to its first training step.
type stored struct {
	t     *testing.T
	net   *Net
	store *model.Store
	dir   string // of the checkpoint
}

func (s *stored) scope() *model.Scope { return s.store.RootScope().In("backbone") }

func (s *stored) variables() {
	if err := s.net.Variables(s.scope()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stored) load(immediate bool) *checkpoint.Handler {
	c := checkpoint.Build(s.store).Dir(s.dir)
	if immediate {
		c = c.Immediate()
	}
	h, err := c.Done()
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func (s *stored) clone() {
	var err error
	s.store, err = s.store.Clone()
	if err != nil {
		s.t.Fatal(err)
	}
}

// adam takes one step on two pictures, as GoMLX's trainer does.
func (s *stored) adam() {
	trainer := train.NewTrainer(pureGo(s.t), s.store, func(scope *model.Scope, images *graph.Node) *graph.Node {
		return layers.Dense(scope.In("head"), s.net.Graph(scope.In("backbone"), images).Features, true, 2)
	}, loss.SparseCategoricalCrossEntropyLogits, optimizer.Adam().LearningRate(0.1).Done(), nil, nil)
	pictures := slices.Concat(golden.Input(32, 1), golden.Input(32, 1))
	if _, err := trainer.TrainStep(train.Batch{
		Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pictures, 2, 32, 32, 3)},
		Labels: []*tensors.Tensor{tensors.FromFlatDataAndDimensions([]int32{0, 1}, 2, 1)},
	}); err != nil {
		s.t.Fatal(err)
	}
}

// values returns the weights of the network in the store.
func (s *stored) values() map[string][]float32 {
	out := map[string][]float32{}
	for _, w := range s.net.Declaration().Weights {
		out[w.Name] = tensors.MustCopyFlatData[float32](s.scope().GetVariable(w.Name).MustValue())
	}
	return out
}

// In every order of calls that a GoMLX program may use, a resumed program has the checkpoint's
// values, and a step of Adam leaves the statistics of batch norms alone. Variables before an immediate
// load is not among them: GoMLX v0.28.8 does not find the variables that are there.
func TestVariablesInAnyOrder(t *testing.T) {
	net, dir := formulaNet(t, "resnet20_cifar10"), t.TempDir()
	first := &stored{t: t, net: net, store: model.NewStore(), dir: dir}
	handler := first.load(false)
	first.adam()
	if err := handler.Save(); err != nil {
		t.Fatal(err)
	}
	kept := first.values()

	for _, order := range [][]string{
		{"load"}, {"load now"},
		{"load", "variables"}, {"load now", "variables"},
		{"variables", "load"}, {"variables", "load", "variables"}, {"load", "variables", "variables"},
		{"load", "clone"}, {"load now", "clone"}, {"variables", "clone", "load"}, {"load", "variables", "clone", "variables"},
	} {
		t.Run(strings.Join(order, ", "), func(t *testing.T) {
			s := &stored{t: t, net: net, store: model.NewStore(), dir: dir}
			for _, call := range order {
				switch call {
				case "load", "load now":
					s.load(call == "load now")
				case "variables":
					s.variables()
				case "clone":
					s.clone()
				}
			}
			before := s.values()
			s.adam()
			after, moved := s.values(), 0
			for _, w := range net.Declaration().Weights {
				if !slices.Equal(before[w.Name], kept[w.Name]) {
					t.Fatalf("%s is not that of the checkpoint", w.Name)
				}
				same := slices.Equal(before[w.Name], after[w.Name])
				if !w.Trainable && !same {
					t.Errorf("a step of Adam changed the statistic %s", w.Name)
				}
				if w.Trainable && !same {
					moved++
				}
				if got := s.scope().GetVariable(w.Name).Trainable; got != w.Trainable {
					t.Errorf("%s: trainable %v, want %v", w.Name, got, w.Trainable)
				}
			}
			if moved < 40 {
				t.Errorf("only %d weights moved: the step is no step", moved)
			}
		})
	}
}

// What the caller froze stays frozen when the graph is built again.
func TestVariablesStayFrozen(t *testing.T) {
	s := &stored{t: t, net: formulaNet(t, "resnet20_cifar10"), store: model.NewStore()}
	s.variables()
	for v := range s.scope().IterVariables() {
		v.SetTrainable(false)
	}
	s.variables()
	for v := range s.scope().IterVariables() {
		if v.Trainable {
			t.Errorf("%s is trainable again", v.Path())
		}
	}
}

func TestVariablesRefuseAnotherShape(t *testing.T) {
	net, store := formulaNet(t, "resnet20_cifar10"), model.NewStore()
	if _, err := store.RootScope().CreateVariable("bn1.weight", tensors.FromFlatDataAndDimensions(make([]float32, 4), 4)); err != nil {
		t.Fatal(err)
	}
	err := net.Variables(store.RootScope())
	for _, want := range []string{"zoo: ", "bn1.weight", "[4]", "[16]", "scope"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
