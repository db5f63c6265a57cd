package backbone

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/settings"
)

// LoRA sets up low-rank adaptation; see [settings.LoRA].
type LoRA = settings.LoRA

// AdaptedBy reports whether w gets a pair of narrow matrices.
func (w Weight) AdaptedBy(l LoRA) bool {
	return w.Stage != Classifier && (w.kind == attentionMatrix || l.All && w.kind == linearMatrix)
}

// TrainedBy reports whether w itself moves, as norms do if that is asked for.
func (w Weight) TrainedBy(l LoRA) bool {
	return l.Norms && w.kind == ofNorm && w.Stage != Classifier
}

// CheckLoRA returns an error if l does not suit the architecture. One without attention is refused even
// with All.
func (d *Declaration) CheckLoRA(l LoRA) error {
	attention := 0
	for _, w := range d.Weights {
		if w.kind == attentionMatrix {
			attention++
		}
		if w.AdaptedBy(l) {
			if most := min(w.Shape[0], w.Shape[1]); l.Rank < 1 || l.Rank > most {
				return advice.New(fmt.Errorf("backbone: LoRA of rank %d beside %s, which is %d x %d, want 1 to %d", l.Rank, w.Name, w.Shape[0], w.Shape[1], most), "usual ranks are 4 to 32")
			}
		}
	}
	if attention == 0 {
		return advice.New(fmt.Errorf("backbone: LoRA adapts attention, which this network does not have"), "train its last stages instead: leave LoRA out, and say from which stage on if the plan's choice does not suit")
	}
	if f := l.Factor(); !(f > 0 && f <= mostFactor) {
		return advice.New(fmt.Errorf("backbone: LoRA of rank %d with alpha %v", l.Rank, l.Alpha), "want alpha above 0 and at most %d times the rank; it is usually the rank or twice that", mostFactor)
	}
	return nil
}

const mostFactor = 1000 // far above any useful one

const (
	loraA  = ".lora_A.weight" // as PEFT calls them
	loraB  = ".lora_B.weight"
	matrix = ".weight"
)

// LoRANames returns the names of A and B beside the matrix of that name: "attn.qkv.lora_A.weight" and
// "attn.qkv.lora_B.weight" beside "attn.qkv.weight".
func LoRANames(name string) (a, b string) {
	name = strings.TrimSuffix(name, matrix)
	return name + loraA, name + loraB
}

// BesideOf returns the name of the matrix beside which a tensor stands, if that is an A or a B.
func BesideOf(name string) (of string, ok bool) {
	for _, end := range []string{loraA, loraB} {
		if of, ok := strings.CutSuffix(name, end); ok {
			return of + matrix, true
		}
	}
	return "", false
}

// adaptation is where a walk finds A and B, and their factor.
type adaptation struct {
	scope  *model.Scope
	factor float64
}

// adapt adds the low-rank product of x [...,in] to y, which is x times the matrix of that key, if the
// scope has one.
func (b *Builder) adapt(y, x *graph.Node, key string) *graph.Node {
	w := b.walk
	if w.adaptation == nil || w.uncomputed(x) {
		return y
	}
	nameA, nameB := LoRANames(key)
	first, second := w.adaptation.scope.GetVariable(nameA), w.adaptation.scope.GetVariable(nameB)
	if first == nil || second == nil {
		return y
	}
	of := func(v *model.Variable) *graph.Node { return graph.ConvertDType(v.NodeValue(x.Graph()), x.DType()) }
	narrow := matrixProduct(x, of(first))
	return graph.Add(y, graph.MulScalar(matrixProduct(narrow, of(second)), w.adaptation.factor))
}
