package clip

import (
	"errors"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// reading is the text tower in a file, under the names of this package.
type reading struct {
	file         *weights.File
	transformers bool // it is Hugging Face's; otherwise OpenCLIP's
	linear       bool // the projection is a layer, see textTower.wants
}

// The names by which a tower is found.
const (
	openTokens         = "token_embedding.weight"
	transformersTokens = "text_model.embeddings.token_embedding.weight"
)

// readNames finds the text tower in a file of OpenCLIP or of Hugging Face's transformers, whatever
// stands in front of its names.
func readNames(file *weights.File) (*reading, error) {
	r := &reading{}
	root, found := "", false
	for _, name := range file.Names() {
		if rest, ok := strings.CutSuffix(name, transformersTokens); ok {
			root, found, r.transformers = rest, true, true
		} else if rest, ok := strings.CutSuffix(name, openTokens); ok && !found {
			root, found = strings.TrimSuffix(rest, "text."), true
		}
	}
	if !found {
		return nil, advice.New(errors.New("the file has no text tower"), "take a file with both towers, as OpenCLIP (open_clip_model.safetensors) and Hugging Face's transformers (model.safetensors) write them")
	}
	var ours []weights.Tensor
	for _, name := range file.Names() {
		rest, below := strings.CutPrefix(name, root)
		if !below {
			continue
		}
		t, _ := file.Tensor(name)
		if r.transformers {
			t = r.ofTransformers(file, t, rest)
		} else {
			t.Name = openNames.Replace(strings.TrimPrefix(rest, "text."))
		}
		if r.beside(t.Name) {
			continue
		}
		if t.Name == "text_projection" {
			t.Name = projection
		} else if t.Name == projection {
			r.linear = true
		}
		if t.Len() == 1 {
			t = t.As(t.Name, []int{}, 0) // a scalar is a vector of one number in some files
		}
		ours = append(ours, t)
	}
	var err error
	r.file, err = file.Having(ours)
	return r, err
}

// openNames brings OpenCLIP's names of attention to those of package backbone.
var openNames = strings.NewReplacer(".attn.in_proj_", ".attn.qkv.", ".attn.out_proj.", ".attn.proj.")

// transformersNames brings those of Hugging Face's transformers to OpenCLIP's and backbone's.
var transformersNames = strings.NewReplacer(
	"text_model.embeddings.token_embedding.", "token_embedding.", "text_model.embeddings.position_embedding.weight", "positional_embedding",
	"text_model.encoder.layers.", "transformer.resblocks.", ".layer_norm", ".ln_", ".self_attn.out_proj.", ".attn.proj.",
	".mlp.fc1.", ".mlp.c_fc.", ".mlp.fc2.", ".mlp.c_proj.", "text_model.final_layer_norm.", "ln_final.", "text_model.head.", "text_projection.",
)

// ofTransformers is tensor t of a file of transformers, called name without what is in front of the
// network, under our name. Queries, keys and values are joined; the latter two are then beside.
func (r *reading) ofTransformers(file *weights.File, t weights.Tensor, name string) weights.Tensor {
	front, leaf, ok := strings.Cut(t.Name, ".self_attn.q_proj.")
	if ok && strings.HasPrefix(name, "text_model.") {
		k, hasKey := file.Tensor(front + ".self_attn.k_proj." + leaf)
		v, hasValue := file.Tensor(front + ".self_attn.v_proj." + leaf)
		if hasKey && hasValue && len(t.Shape) > 0 && len(k.Shape) > 0 && len(v.Shape) > 0 {
			shape := slices.Clone(t.Shape)
			shape[0] += k.Shape[0] + v.Shape[0]
			name = strings.Replace(name, ".self_attn.q_proj.", ".attn.qkv.", 1)
			t = t.As(name, shape, 0, k, v)
		}
	}
	t.Name = transformersNames.Replace(name)
	return t
}

// beside reports whether a tensor, under our name, is no part of a text tower: the tower of pictures,
// tables that follow from the shape, and what has been joined.
func (r *reading) beside(name string) bool {
	for _, front := range []string{"visual.", "vision_model.", "visual_projection.", "attn_mask", "input_resolution", "context_length", "vocab_size"} {
		if strings.HasPrefix(name, front) {
			return true
		}
	}
	return r.transformers && (strings.HasSuffix(name, ".position_ids") || strings.Contains(name, ".self_attn.k_proj.") || strings.Contains(name, ".self_attn.v_proj."))
}

// adapt returns the tower that computes what the file's library computes.
func (r *reading) adapt(t textTower) textTower {
	if r.transformers && t.trained != asCLIP {
		t.gelu = backbone.GELUTanh // of SigLIP, in both of its versions
	}
	return t
}
