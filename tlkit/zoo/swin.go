package zoo

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

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

// mergePatches halves a map and doubles its channels.
func mergePatches(b *backbone.Builder, x *Node) *Node {
	x = sideBySide(x)
	return b.Matrix("reduction", b.LayerNorm("norm", x, swinEps), x.Shape().Dim(-1)/2)
}

// sideBySide puts the four pixels of each square of x [N,H,W,C] side by side, column by column,
// [N,H/2,W/2,4C].
func sideBySide(x *Node) *Node {
	d := x.Shape().Dimensions
	n, h, w, c := d[0], d[1], d[2], d[3]
	if h%2+w%2 > 0 {
		x = Pad(x, ScalarZero(x.Graph(), x.DType()), compute.PadAxis{}, compute.PadAxis{End: h % 2}, compute.PadAxis{End: w % 2}, compute.PadAxis{})
		h, w = h+h%2, w+w%2
	}
	x = TransposeAllAxes(Reshape(x, n, h/2, 2, w/2, 2, c), 0, 1, 3, 4, 2, 5)
	return Reshape(x, n, h/2, w/2, 4*c)
}

func (s swin) block(b *backbone.Builder, x *Node, heads int, shifted bool) *Node {
	n := s.names()
	c := x.Shape().Dim(-1)
	windows := windowsOf(x, s.window, shifted)
	windows.padFirst = s.torchvision
	y := windows.each(b.LayerNorm("norm1", x, swinEps), func(y *Node) *Node {
		b := b.In("attn")
		return b.Attention(y, backbone.Attention{Heads: heads, Scores: windows.mask(s.distances(b, y, heads))})
	})
	x = Add(x, y)
	y = backbone.GELU(b.Linear(n.fc1, b.LayerNorm("norm2", x, swinEps), 4*c))
	return Add(x, b.Linear(n.fc2, y, c))
}

// distances are a learnt number for each relative position of two pixels of a window, [1,heads,T,T].
func (s swin) distances(b *backbone.Builder, y *Node, heads int) *Node {
	span := 2*s.window - 1
	table := b.Weight(y, weights.Want{Name: "relative_position_bias_table", Shape: []int{span * span, heads}}, true)
	return byDistance(table, s.window)
}

// byDistance picks for each two pixels p and q of a window the row of table [(2 side-1)^2,heads] that
// belongs to where p lies relative to q, [1,heads,T,T].
func byDistance(table *Node, side int) *Node {
	t, span, heads := side*side, 2*side-1, table.Shape().Dim(1)
	index := func() []int32 {
		index := make([]int32, t*t)
		for p := range t {
			for q := range t {
				dy, dx := p/side-q/side, p%side-q%side
				index[p*t+q] = int32((dy+side-1)*span + dx + side - 1)
			}
		}
		return index
	}
	rows := Gather(table, backbone.Constant(table.Graph(), index, t*t, 1)) // [T*T,heads]
	return Reshape(TransposeAllAxes(Reshape(rows, t, t, heads), 2, 0, 1), 1, heads, t, t)
}

// windows cuts a map into squares, each of which is treated for itself.
type windows struct {
	side          int
	height, width int    // of the map
	pad           [2]int // a map that windows do not fill gets pixels of value 0 at the bottom and the right
	shift         [2]int // by how much the windows move; along an axis with a single one, nothing does
	padFirst      bool   // pixels are added before the windows move, as in torchvision; timm moves them first
}

// windowsOf are those of the map x [N,H,W,C]. Those that are shifted move by half their side.
func windowsOf(x *Node, side int, shifted bool) windows {
	w := windows{side: side, height: x.Shape().Dim(1), width: x.Shape().Dim(2)}
	for axis, size := range []int{w.height, w.width} {
		w.pad[axis] = (side - size%side) % side
		if shifted && size > side {
			w.shift[axis] = side / 2
		}
	}
	return w
}

// grid is the number of windows below and beside each other.
func (w windows) grid() (rows, columns int) {
	return (w.height + w.pad[0]) / w.side, (w.width + w.pad[1]) / w.side
}

// each runs f on the windows of y [N,H,W,C], which are [N*windows,side*side,C], and puts them back.
func (w windows) each(y *Node, f func(*Node) *Node) *Node {
	d := y.Shape().Dimensions
	n, c, side := d[0], d[3], w.side
	rows, columns := w.grid()
	move := func(y *Node, sign int) *Node { return roll(roll(y, 1, sign*w.shift[0]), 2, sign*w.shift[1]) }
	if w.padFirst {
		y = move(w.padded(y), 1)
	} else {
		y = w.padded(move(y, 1))
	}
	y = TransposeAllAxes(Reshape(y, n, rows, side, columns, side, c), 0, 1, 3, 2, 4, 5)
	y = f(Reshape(y, n*rows*columns, side*side, c))
	y = TransposeAllAxes(Reshape(y, n, rows, columns, side, side, c), 0, 1, 3, 2, 4, 5)
	y = Reshape(y, n, rows*side, columns*side, c)
	if w.padFirst {
		return w.cropped(move(y, -1))
	}
	return move(w.cropped(y), -1)
}

func (w windows) padded(y *Node) *Node {
	if w.pad == [2]int{} {
		return y
	}
	return Pad(y, ScalarZero(y.Graph(), y.DType()), compute.PadAxis{}, compute.PadAxis{End: w.pad[0]}, compute.PadAxis{End: w.pad[1]}, compute.PadAxis{})
}

func (w windows) cropped(y *Node) *Node {
	if w.pad == [2]int{} {
		return y
	}
	return Slice(y, AxisRange(), AxisRange(0, w.height), AxisRange(0, w.width), AxisRange())
}

// mask makes scores [1,heads,T,T] nearly minus infinity between pixels of a window that moved there from
// different ends of the map, [windows,heads,T,T].
func (w windows) mask(scores *Node) *Node {
	if w.shift == [2]int{} {
		return scores
	}
	rows, columns := w.grid()
	t := w.side * w.side
	mask := backbone.Constant(scores.Graph(), func() []float32 { return w.apart(rows, columns) }, rows*columns, 1, t, t)
	return Add(scores, ConvertDType(mask, scores.DType()))
}

// apart is -100 between pixels of a window that come from different ends of the map, [rows*columns,T,T].
func (w windows) apart(rows, columns int) []float32 {
	region := func(at, size, shift int) int {
		switch {
		case shift == 0 || at < size-w.side:
			return 0
		case at < size-shift:
			return 1
		}
		return 2
	}
	t := w.side * w.side
	out := make([]float32, rows*columns*t*t)
	for i := range rows {
		for j := range columns {
			place := func(p int) int {
				return 3*region(i*w.side+p/w.side, rows*w.side, w.shift[0]) + region(j*w.side+p%w.side, columns*w.side, w.shift[1])
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
