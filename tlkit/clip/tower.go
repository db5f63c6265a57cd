package clip

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// textTower is the transformer that reads the embeddings [N,context,width] of tokens. Its names are
// OpenCLIP's, apart from those of attention; see readNames.
type textTower struct {
	width, layers, heads int
	hidden               int // width inside a block's MLP; 0 = four times width
	embed                int // numbers of a text's vector, as of a picture's
	vocabulary           int // tokens that there are
	gelu                 backbone.Activation
	trained              training
}

// training is how a network was trained on pictures and texts, which decides how it reads a text.
type training int

const (
	// 77 tokens of CLIP's own vocabulary, each of which sees those before it. The one that ends the text
	// speaks for it. A picture belongs to one of several texts.
	asCLIP training = iota
	// 64 tokens of T5's vocabulary, which all see each other. The last one speaks for the text. Each text
	// fits a picture or does not.
	asSigLIP
	// The same with Gemma's vocabulary.
	asSigLIP2
)

// context is the number of tokens of a text, with those around it.
func (t training) context() int {
	if t == asCLIP {
		return Context
	}
	return siglipContext
}

// clipTower is a text tower of CLIP in OpenCLIP's library.
func clipTower(width, heads int, gelu backbone.Activation) textTower {
	return textTower{width: width, layers: 12, heads: heads, embed: width, vocabulary: 49408, gelu: gelu}
}

// siglipTower is one of SigLIP in OpenCLIP's library.
func siglipTower(width, layers, heads int, trained training) textTower {
	t := textTower{width: width, layers: layers, heads: heads, embed: width, vocabulary: 32000, gelu: backbone.GELU, trained: trained}
	if trained == asSigLIP2 {
		t.vocabulary, t.gelu = 256000, backbone.GELUTanh
	}
	return t
}

// with is t with MLPs of another width.
func (t textTower) with(hidden int) textTower {
	t.hidden = hidden
	return t
}

func (t textTower) epsilon() float64 {
	if t.trained == asCLIP {
		return 1e-5
	}
	return 1e-6
}

// Build returns the tokens behind the last norm as the map [N,context,1,width]. A text is known only
// at one token, which is taken from the map, since it may be elsewhere in each text.
func (t textTower) Build(b *backbone.Builder, x *Node) backbone.Output {
	n, count := x.Shape().Dim(0), x.Shape().Dim(1)
	position := b.Weight(x, weights.Want{Name: "positional_embedding", Shape: []int{t.trained.context(), t.width}}, true)
	x = Add(x, ExpandDims(position, 0))
	a := backbone.Attention{Heads: t.heads}
	if t.trained == asCLIP {
		a.Scores = t.before(x.Graph())
	}
	hidden := t.hidden
	if hidden == 0 {
		hidden = 4 * t.width
	}
	for i := range t.layers {
		in := b.In("transformer.resblocks", i)
		x = Add(x, in.In("attn").Attention(in.LayerNorm("ln_1", x, t.epsilon()), a))
		y := t.gelu(in.Linear("mlp.c_fc", in.LayerNorm("ln_2", x, t.epsilon()), hidden))
		x = b.Stage(fmt.Sprintf("transformer.resblocks.%d", i), Add(x, in.Linear("mlp.c_proj", y, t.width)))
	}
	x = b.Stage("ln_final", b.LayerNorm("ln_final", x, t.epsilon()))
	return backbone.Output{Map: Reshape(x, n, count, 1, t.width), Features: Reshape(x, n, count*t.width)}
}

// before lets a token attend to itself and those before it: scores [1,heads,Context,Context] to add.
func (t textTower) before(g *Graph) *Node {
	mask := make([][]float32, Context)
	for i := range mask {
		mask[i] = make([]float32, Context)
		for j := i + 1; j < Context; j++ {
			mask[i][j] = -math.MaxFloat32 / 2 // as good as minus infinity, whose sums may be NaN
		}
	}
	return BroadcastToDims(Reshape(Const(g, mask), 1, 1, Context, Context), 1, t.heads, Context, Context)
}

// wants are the tensors of a checkpoint beside those of the tower itself. linear is set where the
// projection is a layer [embed,width] and not a matrix [width,embed].
func (t textTower) wants(linear bool) []weights.Want {
	matrix := weights.Want{Name: projection, Shape: []int{t.width, t.embed}}
	if linear {
		matrix = weights.Want{Name: projection, Shape: []int{t.embed, t.width}, Layout: weights.OItoIO}
	}
	all := []weights.Want{{Name: embeddings, Shape: []int{t.vocabulary, t.width}}, matrix, {Name: scale, Shape: []int{}}}
	if t.trained == asCLIP {
		return all
	}
	return append(all, weights.Want{Name: projectionBias, Shape: []int{t.embed}}, weights.Want{Name: bias, Shape: []int{}})
}

const (
	embeddings     = "token_embedding.weight"
	projection     = "text_projection.weight"
	projectionBias = "text_projection.bias"
	scale          = "logit_scale"
	bias           = "logit_bias"
)
