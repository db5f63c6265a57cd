package zoo

import (
	"cmp"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// openCLIPRows are the picture towers of CLIP and SigLIP up to the vectors that are compared with those
// of texts. Each file has both towers; package clip reads the other one. Files and
// names are OpenCLIP's, https://github.com/mlfoundations/open_clip, and so are the presets: CLIP was
// trained on whole pictures, of which timm's evaluation of the same towers leaves out a tenth.
var openCLIPRows = []Row{
	openCLIPRow("ViT-B-16", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", Row{Aliases: []string{"clip"}, Params: 86192640}),
	openCLIPRow("ViT-B-16", "laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", Row{Params: 86192640}),
	openCLIPRow("ViT-B-16-quickgelu", "openai", "timm/vit_base_patch16_clip_224.openai", Row{Params: 86192640}),
	openCLIPRow("ViT-B-32", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", Row{Params: 87849216}),
	openCLIPRow("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", Row{Params: 87849216}),
	openCLIPRow("ViT-B-32-quickgelu", "openai", "timm/vit_base_patch32_clip_224.openai", Row{Params: 87849216}),
	openCLIPRow("ViT-L-14", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", Row{Params: 303966208}),
	openCLIPRow("ViT-L-14-quickgelu", "openai", "timm/vit_large_patch14_clip_224.openai", Row{Params: 303966208}),

	sigLIPRow("ViT-B-16-SigLIP", 224, Row{Aliases: []string{"siglip"}, Params: 92884224}),
	sigLIPRow("ViT-B-16-SigLIP-256", 256, Row{Params: 92930304}),
	sigLIPRow("ViT-B-16-SigLIP-384", 384, Row{Params: 93176064}),
	sigLIPRow("ViT-L-16-SigLIP-256", 256, Row{Params: 315956224}),
	sigLIPRow("ViT-SO400M-14-SigLIP-384", 384, Row{Params: 428225600}),
	sigLIPRow("ViT-B-32-SigLIP2-256", 256, Row{Params: 94552320}),
	sigLIPRow("ViT-B-16-SigLIP2", 224, Row{Aliases: []string{"siglip2"}, Params: 92884224}),
	sigLIPRow("ViT-B-16-SigLIP2-256", 256, Row{Params: 92930304}),
	sigLIPRow("ViT-L-16-SigLIP2-256", 256, Row{Params: 315956224}),
}

// openCLIPTowers are the picture towers by OpenCLIP's names.
var openCLIPTowers = map[string]openCLIP{
	"ViT-B-32":           {visionTransformers["vit_base_patch32_clip_quickgelu_224"].with(erfGELU), 512},
	"ViT-B-32-quickgelu": {visionTransformers["vit_base_patch32_clip_quickgelu_224"], 512},
	"ViT-B-16":           {visionTransformers["vit_base_patch16_clip_224"], 512},
	"ViT-B-16-quickgelu": {visionTransformers["vit_base_patch16_clip_quickgelu_224"], 512},
	"ViT-L-14":           {visionTransformers["vit_large_patch14_clip_224"], 768},
	"ViT-L-14-quickgelu": {visionTransformers["vit_large_patch14_clip_quickgelu_224"], 768},

	"ViT-B-16-SigLIP":          {visionTransformers["vit_base_patch16_siglip_224"], 0},
	"ViT-B-16-SigLIP-256":      {visionTransformers["vit_base_patch16_siglip_256"], 0},
	"ViT-B-16-SigLIP-384":      {visionTransformers["vit_base_patch16_siglip_384"], 0},
	"ViT-L-16-SigLIP-256":      {visionTransformers["vit_large_patch16_siglip_256"], 0},
	"ViT-SO400M-14-SigLIP-384": {visionTransformers["vit_so400m_patch14_siglip_384"], 0},
	"ViT-B-32-SigLIP2-256":     {visionTransformers["vit_base_patch32_siglip_256"], 0},
	"ViT-B-16-SigLIP2":         {visionTransformers["vit_base_patch16_siglip_224"], 0},
	"ViT-B-16-SigLIP2-256":     {visionTransformers["vit_base_patch16_siglip_256"], 0},
	"ViT-L-16-SigLIP2-256":     {visionTransformers["vit_large_patch16_siglip_256"], 0},
}

func openCLIPRow(name, tag, repository string, r Row) Row {
	tower := openCLIPTowers[name]
	tower.classes = 0
	r.Name, r.Tag, r.Family, r.Text = strings.ToLower(name)+"."+tag, tag, "OpenCLIP", name
	r.Licence, r.Origin = "MIT", "https://huggingface.co/"+repository
	r.Preset = timmPreset(224, 1, transforms.Bicubic, "clip")
	r.Preset.Name = r.Name
	r.Features = tower.features()
	r.file = fetch.File{Name: r.Name + ".safetensors", Sources: []fetch.Source{
		{HF: &fetch.HF{Repo: repository, File: "open_clip_model.safetensors"}},
	}}
	r.arch, r.golden = tower, "open_clip_"+name
	r.small = openCLIP{tower.visionTransformer.shallow().(visionTransformer), tower.embed}
	r.reads = func(f *weights.File) (*weights.File, error) { return f, nil }
	return r
}

// sigLIPRow is a row of SigLIP, whose pictures are squashed, not cut.
func sigLIPRow(name string, size int, r Row) Row {
	r = openCLIPRow(name, "webli", "timm/"+name, r)
	r.Licence = "Apache-2.0"
	r.golden = "open_clip_" + strings.Replace(name, "SigLIP2", "SigLIP", 1) // the same pictures' tower
	r.Preset = squash(size, transforms.Bicubic, "half")
	r.Preset.Name = r.Name
	return r
}

func (v visionTransformer) with(g gelu) visionTransformer {
	v.gelu = g
	return v
}

// openCLIP is a vision transformer whose features are brought to the space of texts, and to length 1.
type openCLIP struct {
	visionTransformer
	embed int // numbers of a vector; 0 = the features are in that space already (SigLIP)
}

func (c openCLIP) features() int { return cmp.Or(c.embed, c.width) }

func (c openCLIP) Build(b *backbone.Builder, x *Node) backbone.Output {
	out := c.visionTransformer.Build(b, x)
	y := out.Features
	if c.embed > 0 {
		y = MatMul(y, b.Weight(y, weights.Want{Name: "proj", Shape: []int{c.width, c.embed}}, true))
	}
	length := Sqrt(ReduceAndKeep(Mul(y, y), ReduceSum, -1))
	out.Features = b.Stage("proj", Div(y, MaxScalar(length, 1e-12)))
	return out
}

func (c openCLIP) plain() backbone.Arch { return c }

// dialects has the names that the files of these rows come in. Those of SigLIP have timm's names.
func (c openCLIP) dialects() []dialect {
	theirs := dialect{by: transformersNames, table: clipTransformers, beside: []string{"embeddings.position_ids"}, build: c.ofTransformers}
	if c.embed == 0 {
		return []dialect{theirs}
	}
	theirs.table += "\t../visual_projection.weight -> proj\n"
	theirs.finish = c.turnProjection
	return []dialect{
		{by: "OpenAI's and OpenCLIP's code", table: clipOpen + "\tproj -> proj\n"},
		theirs,
	}
}

// ofTransformers is the network as Hugging Face's transformers computes it.
func (c openCLIP) ofTransformers(a backbone.Arch) backbone.Arch {
	n := a.(openCLIP)
	n.aliased = true
	if n.pool == attentionPool {
		n.gelu = tanhGELU
	}
	return n
}

// turnProjection makes a matrix [width,embed] of the linear layer [embed,width] that transformers has.
func (c openCLIP) turnProjection(ours map[string]weights.Tensor) error {
	t, ok := ours["proj"]
	if !ok || t.Len() != c.width*c.embed {
		return nil
	}
	values, err := t.Float32()
	if err != nil {
		return err
	}
	turned := make([]float32, len(values))
	for i := range c.embed {
		for j := range c.width {
			turned[j*c.embed+i] = values[i*c.width+j]
		}
	}
	ours["proj"] = weights.FromFloat32("", []int{c.width, c.embed}, turned)
	return nil
}
