package zoo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/golden"
)

// What people want to know of a checkpoint before they take it.

// recommended is the first choice of a family, where it is not the family's first row.
var recommended = map[string]string{
	"ResNet": "resnet50.tv2_in1k", "VGG": "vgg16.keras_notop", "MobileNetV3": "mobilenetv3_large_100.ra_in1k",
	"EfficientNet": "efficientnet_b0.ra4_e3600_r224_in1k", "EfficientNetV2": "tf_efficientnetv2_s.in21k_ft_in1k",
	"ConvNeXt": "convnext_tiny.in12k_ft_in1k", "ConvNeXt V2": "convnextv2_tiny.fcmae_ft_in22k_in1k",
	"Swin": "swin_tiny_patch4_window7_224.ms_in1k",
	"ViT":  "vit_small_patch16_224.augreg_in21k_ft_in1k", "DINOv2": "vit_small_patch14_reg4_dinov2.lvd142m",
	"DeiT": "deit_small_patch16_224.fb_in1k", "CLIP": "vit_base_patch16_clip_224.datacompxl",
	"SigLIP": "vit_base_patch16_siglip_224.v2_webli",
}

// Recommended reports whether the row is its family's first choice: small, trained on much, and free of
// what other rows were trained for since. A family whose rows were all trained for something else has
// none.
func (r Row) Recommended() bool {
	if r.TrainedOn != "" {
		return false
	}
	want, ok := recommended[r.Family]
	if !ok || !slices.ContainsFunc(table, func(other Row) bool { return other.Name == want }) {
		i := slices.IndexFunc(table, func(other Row) bool { return other.Family == r.Family && other.TrainedOn == "" })
		want = table[i].Name
	}
	return r.Name == want
}

// Gated reports whether the publisher wants the licence accepted on a page before the weights can be
// fetched.
func (r Row) Gated() bool { return strings.HasPrefix(r.Licence, "DINOv3") }

// training is what the parts of a tag say.
var training = map[string]string{
	"in1k": "ImageNet-1k", "notop": "ImageNet-1k", "in12k": "ImageNet-12k", "in21k": "ImageNet-21k", "in22k": "ImageNet-21k",
	"lvd142m": "142 million chosen pictures, without labels", "lvd1689m": "1.7 billion chosen pictures, without labels",
	"webli": "pictures and their captions (WebLI)", "openai": "400 million pictures and their captions",
	"laion2b": "2 billion pictures and their captions (LAION)", "datacomp": "1.4 billion pictures and their captions (DataComp)",
	"datacompxl": "1.4 billion pictures and their captions (DataComp)",
	"mae":        "ImageNet-1k, without labels", "fcmae": "ImageNet-1k, without labels", "dino": "ImageNet-1k, without labels",
	"jft": "300 million pictures with the labels of a machine (JFT)", "ig1b": "a billion pictures and their hashtags",
	"yfcc100m": "100 million pictures without labels (YFCC)", "cifar10": "CIFAR-10", "robbyant": "pictures without labels",
	"m38m": "38 million pictures, by filling in hidden patches", "merged2b": "2 billion pictures and their captions",
	"swag": "3.6 billion pictures and their hashtags (SWAG)",
}

// Training says in words what the weights were trained on, in this order; "" if that is not known.
func (r Row) Training() string {
	if r.TrainedOn != "" {
		return r.TrainedOn
	}
	var words []string
	for _, part := range strings.Split(r.Tag, "_") {
		if w, ok := training[part]; ok && (len(words) == 0 || words[len(words)-1] != w) {
			words = append(words, w)
		}
	}
	if len(words) == 0 && strings.HasPrefix(r.Classes, "cifar") {
		return "CIFAR-10"
	}
	return strings.Join(words, ", then ")
}

// Dialects names the libraries whose files of the network load too, under their own names of tensors.
func (r Row) Dialects() []string {
	names := []string{}
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if a, ok := r.arch.(renamed); ok {
		for _, other := range a.otherNames() {
			add(other.by)
		}
	}
	if a, ok := r.arch.(spoken); ok {
		for _, dialect := range a.dialects() {
			if dialect.covers(a.plain()) {
				add(dialect.by)
			}
		}
	}
	return names
}

// Compared says what the network was compared with, one line for each golden: a referee's numbers for
// weights that a formula makes, and for the row's own file.
func (r Row) Compared() []string {
	lines := []string{}
	for _, kind := range []string{golden.Formula, golden.Weights} {
		g, ok, err := r.goldenOf(kind)
		if err != nil || !ok {
			continue
		}
		var by []string
		for _, name := range slices.Sorted(maps.Keys(g.By)) {
			by = append(by, name+" "+g.By[name])
		}
		what := "the architecture, with weights that a formula makes"
		if kind == golden.Weights {
			what = "this very file"
		}
		lines = append(lines, fmt.Sprintf("%s: %s", what, strings.Join(by, ", ")))
	}
	return lines
}

// traps are the mistakes that are easy to make with a family.
var traps = map[string][]string{
	"DINOv2": {
		"positions are for 518 pixels and resampled for others; timm, transformers and the authors do it in three ways, and features differ by about a percent",
		"without a classifier: a head is trained on the class token",
	},
	"ViT":      {"mean and deviation are 0.5, not ImageNet's", "names that end in gap average the patches instead of a class token"},
	"DeiT":     {"mean and deviation are ImageNet's, unlike ViT's"},
	"CLIP":     {"OpenAI's weights were trained with QuickGELU, LAION's and DataComp's with GELU: the other one is off by a tenth", "OpenAI's own .pt files are programs (TorchScript) and are not opened"},
	"SigLIP":   {"transformers compute GELU by tanh, timm exactly in version 1"},
	"Swin":     {"the merging of patches ends a stage in Microsoft's files and begins one in timm's: their names differ by one"},
	"VGG":      {"Keras' weights take Caffe's pixels: blue first, 0 to 255, a mean colour less"},
	"Xception": {"pictures have 299 pixels"},
	"EfficientNet": {
		"names with tf_ have TensorFlow's padding and eps; the others do not, and a file of one does not compute the same in the other",
		"three sets of mean and deviation within one architecture",
	},
	"EfficientNetV2": {"names with tf_ have TensorFlow's padding and eps", "tested with larger pictures than it was trained with"},
	"MobileNetV3":    {"eps of the norms is 1e-3 in torchvision and 1e-5 in timm: their files are not interchangeable"},
	"ConvNeXt":       {"published with matrices or with 1x1 convolutions: both load"},
	"ConvNeXt V2":    {"weights are for non-commercial use only"},
	"DINOv3":         {"a licence of its own, to be accepted first"},
}

// Traps are the mistakes that are easy to make with the network.
func (r Row) Traps() []string { return slices.Clone(traps[r.Family]) }
