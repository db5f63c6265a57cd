package zoo

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Swin transformers, https://arxiv.org/abs/2103.14030, by torchvision and by timm.
var swinRows = []Row{
	swinTorch("swin_t", "swin_tiny_patch4_window7_224", Row{file: torchvision("swin_t-704ceda3.pth"), Params: 28288354, Top1: 81.474, Top5: 95.776}, 232),
	swinTorch("swin_s", "swin_small_patch4_window7_224", Row{file: torchvision("swin_s-5e29d889.pth"), Params: 49606258, Top1: 83.196, Top5: 96.36}, 246),
	swinRow("swin_tiny_patch4_window7_224.ms_in1k", Row{Params: 28288354, Top1: 81.388, Preset: square(224, 0.9, "imagenet")}),
	swinRow("swin_small_patch4_window7_224.ms_in1k", Row{Params: 49606258, Top1: 83.228, Preset: square(224, 0.9, "imagenet")}),
	swinRow("swin_base_patch4_window7_224.ms_in22k_ft_in1k", Row{Params: 87768224, Top1: 85.276, Preset: square(224, 0.9, "imagenet")}),
	swinRow("swin_large_patch4_window7_224.ms_in22k_ft_in1k", Row{Params: 196532476, Top1: 86.32, Preset: square(224, 0.9, "imagenet")}),
}

var swins = map[string]swin{
	"swin_tiny_patch4_window7_224":  {width: 96, window: 7, depths: [4]int{2, 2, 6, 2}, heads: 3},
	"swin_small_patch4_window7_224": {width: 96, window: 7, depths: [4]int{2, 2, 18, 2}, heads: 3},
	"swin_base_patch4_window7_224":  {width: 128, window: 7, depths: [4]int{2, 2, 18, 2}, heads: 4},
	"swin_large_patch4_window7_224": {width: 192, window: 7, depths: [4]int{2, 2, 18, 2}, heads: 6},
}

func swinTorch(name, arch string, r Row, resize int) Row {
	r.Name, r.Tag, r.Family = name, "tv_in1k", "Swin"
	r.Aliases = []string{name + ".imagenet1k_v1"}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, resize, 224, transforms.Bicubic)
	r.Classes = "imagenet1k"
	s := swins[arch]
	s.classes, s.torchvision = 1000, true
	r.arch, r.golden, r.Features = s, name, 8*s.width
	// An index into the tables, which follows from the window.
	for i, depth := range s.depths {
		for j := range depth {
			r.ignore = append(r.ignore, fmt.Sprintf("features.%d.%d.attn.relative_position_index", 2*i+1, j))
		}
	}
	return r
}

func swinRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	s, ok := swins[r.golden]
	if !ok {
		panic("zoo: no Swin transformer is called " + r.golden)
	}
	s.classes = 1000
	r.Family, r.Features, r.Classes = "Swin", 8*s.width, "imagenet1k"
	if r.Licence == "" {
		r.Licence = "MIT"
	}
	r.arch, r.small = s, s.shallow()
	return r
}

// swin is a transformer over windows of a map, which halves the map from stage to stage. Every second
// block moves the windows by half their side.
type swin struct {
	width, window int // channels of the first stage, each stage doubles them; side of a window
	depths        [4]int
	heads         int // of the first stage; each stage doubles them
	classes       int // 0 = without a classifier
	torchvision   bool
}

func (s swin) trunk() backbone.Arch {
	s.classes = 0
	return s
}

// shallow returns s as its golden values were computed, with fewer blocks in the third stage.
func (s swin) shallow() backbone.Arch {
	switch {
	case s.width > 96:
		s.depths[2] = 2
	case s.depths[2] > 6:
		s.depths[2] = 6
	}
	return s
}

const swinEps = 1e-5

// swinNames are the names of a dialect.
type swinNames struct {
	embed, patches, norm string // the first stage, its convolution and its norm
	fc1, fc2, classifier string
}

func (s swin) names() swinNames {
	if s.torchvision {
		return swinNames{"features.0", "features.0.0", "features.0.2", "mlp.0", "mlp.3", "head"}
	}
	return swinNames{"patch_embed", "patch_embed.proj", "patch_embed.norm", "mlp.fc1", "mlp.fc2", "head.fc"}
}

func (s swin) Build(b *backbone.Builder, x *Node) backbone.Output {
	n := s.names()
	x = b.Patches(n.patches, x, backbone.Conv{Out: s.width, Kernel: 4, Bias: true}) // [N,H/4,W/4,width]
	x = b.Stage(n.embed, b.LayerNorm(n.norm, x, swinEps))
	for i := range s.depths {
		x = s.stage(b, x, i)
	}
	x = b.Stage("norm", b.LayerNorm("norm", x, swinEps))
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if s.classes > 0 {
		out.Logits = b.Linear(n.classifier, out.Features, s.classes)
	}
	return out
}

// stage halves the map, but for the first one, and runs the blocks of stage i.
func (s swin) stage(b *backbone.Builder, x *Node, i int) *Node {
	name := fmt.Sprintf("layers.%d", i)
	blocks := b.In(name, "blocks")
	if s.torchvision {
		name = fmt.Sprintf("features.%d", 2*i+1)
		blocks = b.In(name)
	}
	switch merge := fmt.Sprintf("features.%d", 2*i); {
	case i == 0:
	case s.torchvision:
		x = b.Stage(merge, mergePatches(b.In(merge), x))
	default:
		x = mergePatches(b.In(name, "downsample"), x)
	}
	for j := range s.depths[i] {
		x = s.block(blocks.In(j), x, s.heads<<i, j%2 == 1)
	}
	return b.Stage(name, x)
}

// mergePatches puts the four pixels of a square side by side, column by column, and halves their
// channels.
func mergePatches(b *backbone.Builder, x *Node) *Node {
	d := x.Shape().Dimensions
	n, h, w, c := d[0], d[1], d[2], d[3]
	if h%2+w%2 > 0 {
		x = Pad(x, ScalarZero(x.Graph(), x.DType()), compute.PadAxis{}, compute.PadAxis{End: h % 2}, compute.PadAxis{End: w % 2}, compute.PadAxis{})
		h, w = h+h%2, w+w%2
	}
	x = TransposeAllAxes(Reshape(x, n, h/2, 2, w/2, 2, c), 0, 1, 3, 4, 2, 5)
	x = Reshape(x, n, h/2, w/2, 4*c)
	return b.Matrix("reduction", b.LayerNorm("norm", x, swinEps), 2*c)
}

func (s swin) block(b *backbone.Builder, x *Node, heads int, shifted bool) *Node {
	n := s.names()
	d := x.Shape().Dimensions
	h, w := d[1], d[2]
	// A map that windows do not fill gets pixels of value 0 at the bottom and the right.
	ph, pw := (s.window-h%s.window)%s.window, (s.window-w%s.window)%s.window
	y := b.LayerNorm("norm1", x, swinEps)
	if ph+pw > 0 {
		y = Pad(y, ScalarZero(y.Graph(), y.DType()), compute.PadAxis{}, compute.PadAxis{End: ph}, compute.PadAxis{End: pw}, compute.PadAxis{})
	}
	var shift [2]int // along an axis with a single window nothing moves
	for axis, side := range []int{h + ph, w + pw} {
		if shifted && side > s.window {
			shift[axis] = s.window / 2
		}
	}
	y = s.attend(b.In("attn"), y, heads, shift)
	if ph+pw > 0 {
		y = Slice(y, AxisRange(), AxisRange(0, h), AxisRange(0, w), AxisRange())
	}
	x = Add(x, y)
	y = backbone.GELU(b.Linear(n.fc1, b.LayerNorm("norm2", x, swinEps), 4*d[3]))
	return Add(x, b.Linear(n.fc2, y, d[3]))
}

// attend is attention inside of each window of y [N,H,W,C].
func (s swin) attend(b *backbone.Builder, y *Node, heads int, shift [2]int) *Node {
	d := y.Shape().Dimensions
	n, h, w, c := d[0], d[1], d[2], d[3]
	rows, columns, side := h/s.window, w/s.window, s.window
	y = roll(roll(y, 1, shift[0]), 2, shift[1])
	y = TransposeAllAxes(Reshape(y, n, rows, side, columns, side, c), 0, 1, 3, 2, 4, 5)
	y = Reshape(y, n*rows*columns, side*side, c)
	y = b.Attention(y, backbone.Attention{Heads: heads, Scores: s.scores(b, y, [2]int{rows, columns}, heads, shift)})
	y = TransposeAllAxes(Reshape(y, n, rows, columns, side, side, c), 0, 1, 3, 2, 4, 5)
	y = Reshape(y, n, h, w, c)
	return roll(roll(y, 1, -shift[0]), 2, -shift[1])
}

// scores are what is added to the scores of attention: a learnt number for each relative position, and
// for windows that moved, nearly minus infinity between pixels that are not neighbours.
func (s swin) scores(b *backbone.Builder, y *Node, windows [2]int, heads int, shift [2]int) *Node {
	t, span := s.window*s.window, 2*s.window-1
	table := b.Weight(y, weights.Want{Name: "relative_position_bias_table", Shape: []int{span * span, heads}}, true)
	index := make([][]int32, t*t)
	for p := range t {
		for q := range t {
			dy, dx := p/s.window-q/s.window, p%s.window-q%s.window
			index[p*t+q] = []int32{int32((dy+s.window-1)*span + dx + s.window - 1)}
		}
	}
	bias := Gather(table, Const(y.Graph(), tensors.FromValue(index))) // [T*T,heads]
	bias = Reshape(TransposeAllAxes(Reshape(bias, t, t, heads), 2, 0, 1), 1, heads, t, t)
	if shift == [2]int{} {
		return bias
	}
	mask := tensors.FromFlatDataAndDimensions(s.mask(windows[0], windows[1], shift), windows[0]*windows[1], 1, t, t)
	return Add(bias, ConvertDType(Const(y.Graph(), mask), y.DType())) // [windows,heads,T,T]
}

// mask is -100 between pixels of a window that come from different ends of the map, [rows*columns,T,T].
func (s swin) mask(rows, columns int, shift [2]int) []float32 {
	region := func(at, size, shift int) int {
		switch {
		case shift == 0 || at < size-s.window:
			return 0
		case at < size-shift:
			return 1
		}
		return 2
	}
	t := s.window * s.window
	out := make([]float32, rows*columns*t*t)
	for i := range rows {
		for j := range columns {
			place := func(p int) int {
				return 3*region(i*s.window+p/s.window, rows*s.window, shift[0]) + region(j*s.window+p%s.window, columns*s.window, shift[1])
			}
			window := out[(i*columns+j)*t*t:]
			for p := range t {
				for q := range t {
					if place(p) != place(q) {
						window[p*t+q] = -100
					}
				}
			}
		}
	}
	return out
}

// roll shifts x towards the beginning of an axis, wrapping around at its end.
func roll(x *Node, axis, by int) *Node {
	n := x.Shape().Dim(axis)
	by = ((by % n) + n) % n
	if by == 0 {
		return x
	}
	cut := func(from, to int) *Node {
		specs := make([]SliceAxisSpec, x.Rank())
		for i := range specs {
			specs[i] = AxisRange()
		}
		specs[axis] = AxisRange(from, to)
		return Slice(x, specs...)
	}
	return Concatenate([]*Node{cut(by, n), cut(0, by)}, axis)
}
