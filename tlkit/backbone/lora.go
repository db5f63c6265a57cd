package backbone

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// LoRA sets up low-rank adaptation, https://arxiv.org/abs/2106.09685: the matrix W [in,out] of a linear
// layer stays as it is, and training moves two narrow ones beside it, A [in,Rank] and B [Rank,out]. The
// layer computes x W + Factor (x A) B, which afterwards is one product with W + Factor A B. The zero
// value adapts nothing.
type LoRA struct {
	Rank  int     `json:"rank"`            // 1 or more, at most the shorter side of a matrix
	Alpha float64 `json:"alpha,omitempty"` // Factor times Rank; 0 = Rank
	// All adapts every linear layer, those of MLPs too, not only the ones of attention.
	All bool `json:"all,omitempty"`
	// Norms also trains the gains and biases of all norms.
	Norms bool `json:"norms,omitempty"`
}

// Factor is what the product of A and B is multiplied by: Alpha / Rank.
func (l LoRA) Factor() float64 {
	if l.Alpha == 0 {
		return 1
	}
	return l.Alpha / float64(l.Rank)
}

// Adapts reports whether w gets a pair of narrow matrices.
func (l LoRA) Adapts(w Weight) bool {
	return w.Stage != Classifier && (w.kind == attentionMatrix || l.All && w.kind == linearMatrix)
}

// Trains reports whether w itself moves, as norms do if that is asked for.
func (l LoRA) Trains(w Weight) bool {
	return l.Norms && w.kind == ofNorm && w.Stage != Classifier
}

// Check returns an error if l does not suit an architecture. One without attention is refused even
// with All.
func (l LoRA) Check(d *Declaration) error {
	attention := 0
	for _, w := range d.Weights {
		if w.kind == attentionMatrix {
			attention++
		}
		if l.Adapts(w) {
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
