package clip

import (
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// textTower is the transformer that reads the embeddings [N,Context,width] of tokens. Its names are
// OpenCLIP's, see towerNames.
type textTower struct {
	width, layers, heads int
	embed                int  // numbers of a text's vector, as of a picture's
	quickGELU            bool // as OpenAI trained
}

const textEpsilon = 1e-5

// Build returns the tokens behind the last norm as the map [N,Context,1,width]. A text is known only
// at its end token, which is taken from the map, since it is elsewhere in each text.
func (t textTower) Build(b *backbone.Builder, x *Node) backbone.Output {
	n, count := x.Shape().Dim(0), x.Shape().Dim(1)
	position := b.Weight(x, weights.Want{Name: "positional_embedding", Shape: []int{Context, t.width}}, true)
	x = Add(x, ExpandDims(position, 0))
	before := t.before(x.Graph())
	for i := range t.layers {
		in := b.In("transformer.resblocks", i)
		y := in.In("attn").Attention(in.LayerNorm("ln_1", x, textEpsilon), backbone.Attention{Heads: t.heads, Scores: before})
		x = Add(x, y)
		y = in.Linear("mlp.c_fc", in.LayerNorm("ln_2", x, textEpsilon), 4*t.width)
		if t.quickGELU {
			y = backbone.QuickGELU(y)
		} else {
			y = backbone.GELU(y)
		}
		x = b.Stage(fmt.Sprintf("transformer.resblocks.%d", i), Add(x, in.Linear("mlp.c_proj", y, t.width)))
	}
	x = b.Stage("ln_final", b.LayerNorm("ln_final", x, textEpsilon))
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

// towerNames brings OpenCLIP's names of attention to those of package backbone.
var towerNames = strings.NewReplacer(".attn.in_proj_", ".attn.qkv.", ".attn.out_proj.", ".attn.proj.")

// wants are the tensors of a checkpoint beside those of the tower itself.
func (t textTower) wants() []weights.Want {
	return []weights.Want{
		{Name: embeddings, Shape: []int{tokenCount, t.width}},
		{Name: projection, Shape: []int{t.width, t.embed}},
		{Name: scale, Shape: []int{}},
	}
}

const (
	embeddings = "token_embedding.weight"
	projection = "text_projection"
	scale      = "logit_scale"
	tokenCount = 49408
)
