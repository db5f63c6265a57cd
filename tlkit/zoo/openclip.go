package zoo

import (
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// openCLIPRows are the picture towers of CLIP with their projection, so that their features can be
// compared with those of texts. Each file has both towers; package clip reads the other one. Files and
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
}

// openCLIPTowers are the picture towers by OpenCLIP's names.
var openCLIPTowers = map[string]openCLIP{
	"ViT-B-32":           {visionTransformers["vit_base_patch32_clip_quickgelu_224"].with(erfGELU), 512},
	"ViT-B-32-quickgelu": {visionTransformers["vit_base_patch32_clip_quickgelu_224"], 512},
	"ViT-B-16":           {visionTransformers["vit_base_patch16_clip_224"], 512},
	"ViT-B-16-quickgelu": {visionTransformers["vit_base_patch16_clip_quickgelu_224"], 512},
	"ViT-L-14":           {visionTransformers["vit_large_patch14_clip_224"], 768},
	"ViT-L-14-quickgelu": {visionTransformers["vit_large_patch14_clip_quickgelu_224"], 768},
}

func openCLIPRow(name, tag, repository string, r Row) Row {
	tower := openCLIPTowers[name]
	tower.classes = 0
	r.Name, r.Tag, r.Family, r.Text = strings.ToLower(name)+"."+tag, tag, "OpenCLIP", name
	r.Licence, r.Origin = "MIT", "https://huggingface.co/"+repository
	r.Preset = timmPreset(224, 1, transforms.Bicubic, "clip")
	r.Preset.Name = r.Name
	r.Features = tower.embed
	r.file = fetch.File{Name: r.Name + ".safetensors", Sources: []fetch.Source{
		{HF: &fetch.HF{Repo: repository, File: "open_clip_model.safetensors"}},
	}}
	r.arch, r.golden = tower, "open_clip_"+name
	r.small = openCLIP{tower.visionTransformer.shallow().(visionTransformer), tower.embed}
	r.reads = func(f *weights.File) (*weights.File, error) { return f, nil }
	return r
}

func (v visionTransformer) with(g gelu) visionTransformer {
	v.gelu = g
	return v
}

// openCLIP is a vision transformer whose features are brought to the space of texts, and to length 1.
type openCLIP struct {
	visionTransformer
	embed int // numbers of a vector
}

func (c openCLIP) Build(b *backbone.Builder, x *Node) backbone.Output {
	out := c.visionTransformer.Build(b, x)
	matrix := b.Weight(x, weights.Want{Name: "proj", Shape: []int{c.width, c.embed}}, true)
	y := MatMul(out.Features, matrix)
	length := Sqrt(ReduceAndKeep(Mul(y, y), ReduceSum, -1))
	out.Features = b.Stage("proj", Div(y, MaxScalar(length, 1e-12)))
	return out
}

func (c openCLIP) plain() backbone.Arch { return c }

// dialects has the only names that the files of these rows come in.
func (c openCLIP) dialects() []dialect {
	return []dialect{
		{by: "OpenAI's and OpenCLIP's code", table: clipOpen + "\tproj -> proj\n"},
	}
}
