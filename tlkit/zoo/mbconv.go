package zoo

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// mobileNet is a network of the blocks that MobileNetV2 began: a pointwise convolution widens the map,
// a depthwise one looks around, another pointwise one narrows it again. MobileNetV3 and EfficientNet
// also weigh the channels in between, and EfficientNetV2 joins the first two where maps are large.
type mobileNet struct {
	stem, head int           // channels of the first and of the last convolution
	stages     [][]mobileRun // as timm numbers them
	classes    int           // 0 = without a classifier
	act        nonlinearity
	eps        float64
	same       bool // TensorFlow's padding
	// third is for MobileNetV3: a hard sigmoid weighs the channels, and the last convolution comes
	// behind the pooling.
	third bool
	// fourth is for MobileNetV4: its last convolution comes behind the pooling too, and has a norm.
	fourth bool
	names  mobileDialect
}

// mobileRun is a number of blocks, of which the first has the stride.
type mobileRun struct {
	kind                          mobileKind
	repeat, kernel, stride, width int
	start                         int     // kernel of the first depthwise convolution of a universal block; 0 = none
	expand                        float64 // how much wider the map is inside
	weighed                       bool    // with squeeze and excitation
	relu                          bool    // ReLU, whatever the network has elsewhere
}

// mobileKind is what a block consists of.
type mobileKind int

const (
	inverted  mobileKind = iota // pointwise, depthwise, pointwise
	separated                   // depthwise, pointwise
	fused                       // convolution, pointwise
	single                      // convolution
	universal                   // depthwise, pointwise, depthwise, pointwise; either depthwise may be missing
)

// mobileDialect is how tensors are named.
type mobileDialect int

const (
	mobileTimm        mobileDialect = iota // blocks.2.1.conv_pw, ...
	mobileTorchvision                      // features.3.1.block.0.0, ...
	mobileFlat                             // features.5.block.0.0, ...: torchvision's MobileNetV3
)

// nonlinearity is the activation of most layers of a network.
type nonlinearity int

const (
	silu nonlinearity = iota
	hardSwish
	relu
)

func (n nonlinearity) of(x *Node) *Node {
	switch n {
	case hardSwish:
		return backbone.HardSwish(x)
	case relu:
		return backbone.ReLU(x)
	}
	return backbone.SiLU(x)
}

func (m mobileNet) trunk() backbone.Arch {
	m.classes = 0
	return m
}

// scaled multiplies widths and numbers of blocks, as the authors of EfficientNet do. round is how they
// round widths: scaledWidth, or for EfficientNetV2 nearestWidth.
func (m mobileNet) scaled(width, depth float64, round func(int, float64) int) mobileNet {
	m.stem, m.head = round(m.stem, width), round(m.head, width)
	stages := make([][]mobileRun, len(m.stages))
	for i, runs := range m.stages {
		for _, r := range runs {
			r.width = round(r.width, width)
			r.repeat = int(math.Ceil(float64(r.repeat) * depth))
			stages[i] = append(stages[i], r)
		}
	}
	m.stages = stages
	return m
}

// nearestWidth rounds to the nearest multiple of 8.
func nearestWidth(width int, factor float64) int { return max(8, int(float64(width)*factor+4)/8*8) }

func (m mobileNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	stem, name := layerNames{"conv_stem", "bn1"}, "stem"
	if m.names != mobileTimm {
		stem, name = layerNames{"features.0.0", "features.0.1"}, "features.0"
	}
	x = b.Stage(name, m.act.of(m.layer(b, stem, x, backbone.Conv{Out: m.stem, Kernel: 3, Stride: 2}))) // [N,H/2,W/2,stem]
	blocks := 0
	for i, runs := range m.stages {
		within := 0
		for _, r := range runs {
			for range r.repeat {
				blocks++
				name := m.blockName(i, within, blocks)
				x = b.Stage(name, m.block(b.In(name), x, r))
				r.stride = 1
				within++
			}
		}
	}
	if m.third || m.fourth {
		return m.pooledFirst(b, x)
	}
	last, name, classifier := layerNames{"conv_head", "bn2"}, "conv_head", "classifier"
	if m.names == mobileTorchvision {
		name, classifier = fmt.Sprintf("features.%d", len(m.stages)+1), "classifier.1"
		last = layerNames{name + ".0", name + ".1"}
	}
	x = b.Stage(name, m.act.of(m.layer(b, last, x, backbone.Conv{Out: m.head}))) // [N,H/32,W/32,head]
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if m.classes > 0 {
		out.Logits = b.Linear(classifier, out.Features, m.classes)
	}
	return out
}

// pooledFirst is the end of MobileNetV3 and V4.
func (m mobileNet) pooledFirst(b *backbone.Builder, x *Node) backbone.Output {
	out := backbone.Output{Map: x}
	pooled, n := backbone.GlobalAverage(x), x.Shape().Dim(0)
	last, classifier := "classifier.0", "classifier.3"
	if m.names == mobileTimm {
		last, classifier = "conv_head", "classifier"
		pooled = b.Conv(last, Reshape(pooled, n, 1, 1, -1), backbone.Conv{Out: m.head, Bias: m.third})
		if m.fourth {
			pooled = b.BatchNorm("norm_head", pooled, m.eps)
		}
		pooled = Reshape(pooled, n, m.head)
	} else {
		pooled = b.Linear(last, pooled, m.head)
	}
	out.Features = b.Stage(last, m.act.of(pooled))
	if m.classes > 0 {
		out.Logits = b.Linear(classifier, out.Features, m.classes)
	}
	return out
}

// layer is a convolution, depthwise without c.Out, and its norm.
func (m mobileNet) layer(b *backbone.Builder, names layerNames, x *Node, c backbone.Conv) *Node {
	switch {
	case c.Kernel <= 1:
	case m.same:
		c.Pad = backbone.Same
	default:
		c.Pad = backbone.Padding(c.Kernel / 2)
	}
	if c.Out == 0 {
		x = b.Depthwise(names.conv, x, c)
	} else {
		x = b.Conv(names.conv, x, c)
	}
	return b.BatchNorm(names.norm, x, m.eps)
}

// blockName is the prefix of a block: number within of stage i, number count of all.
func (m mobileNet) blockName(i, within, count int) string {
	switch m.names {
	case mobileTorchvision:
		return fmt.Sprintf("features.%d.%d", i+1, within)
	case mobileFlat:
		return fmt.Sprintf("features.%d", count)
	}
	return fmt.Sprintf("blocks.%d.%d", i, within)
}

func (m mobileNet) block(b *backbone.Builder, x *Node, r mobileRun) *Node {
	names := m.blockNames(r)
	act := m.act
	if r.relu {
		act = relu
	}
	in := x.Shape().Dim(-1)
	wide := scaledWidth(in, r.expand)
	y := x
	switch r.kind {
	case inverted:
		y = act.of(m.layer(b, names.first, y, backbone.Conv{Out: wide}))
		y = act.of(m.layer(b, names.look, y, backbone.Conv{Kernel: r.kernel, Stride: r.stride}))
	case separated:
		y = act.of(m.layer(b, names.look, y, backbone.Conv{Kernel: r.kernel, Stride: r.stride}))
	case fused:
		y = act.of(m.layer(b, names.first, y, backbone.Conv{Out: wide, Kernel: r.kernel, Stride: r.stride}))
	case single:
		y = act.of(m.layer(b, names.first, y, backbone.Conv{Out: r.width, Kernel: r.kernel, Stride: r.stride}))
	case universal:
		y = m.universal(b, y, r)
	}
	if r.weighed {
		y = m.weigh(b, y, in, names)
	}
	if r.kind != single {
		y = m.layer(b, names.last, y, backbone.Conv{Out: r.width})
	}
	if r.stride == 1 && in == r.width && !(m.fourth && r.kind == single) {
		y = Add(x, y)
	}
	return y
}

// universal is a universal inverted bottleneck of MobileNetV4 up to its last convolution. The stride is
// that of the second depthwise convolution, or of the first where there is no second.
func (m mobileNet) universal(b *backbone.Builder, x *Node, r mobileRun) *Node {
	wide := scaledWidth(x.Shape().Dim(-1), r.expand)
	if r.start > 0 {
		c := backbone.Conv{Kernel: r.start}
		if r.kernel == 0 {
			c.Stride = r.stride
		}
		x = m.layer(b, layerNames{"dw_start.conv", "dw_start.bn"}, x, c)
	}
	x = m.act.of(m.layer(b, layerNames{"pw_exp.conv", "pw_exp.bn"}, x, backbone.Conv{Out: wide}))
	if r.kernel > 0 {
		x = m.act.of(m.layer(b, layerNames{"dw_mid.conv", "dw_mid.bn"}, x, backbone.Conv{Kernel: r.kernel, Stride: r.stride}))
	}
	return x
}

// weigh multiplies each channel of x by a number from 0 to 1 that depends on the means of all channels
// (squeeze and excitation). in is the width of the block's input.
func (m mobileNet) weigh(b *backbone.Builder, x *Node, in int, names mobileNames) *Node {
	n, c := x.Shape().Dim(0), x.Shape().Dim(-1)
	squeezed, inner, gate := in/4, m.act, Sigmoid
	if m.third {
		squeezed, inner, gate = scaledWidth(c, 0.25), relu, backbone.HardSigmoid
	}
	y := Reshape(backbone.GlobalAverage(x), n, 1, 1, c)
	y = inner.of(b.Conv(names.squeeze, y, backbone.Conv{Out: squeezed, Bias: true}))
	return Mul(x, gate(b.Conv(names.excite, y, backbone.Conv{Out: c, Bias: true})))
}

// mobileNames are the layers of a block.
type mobileNames struct {
	first, look, last layerNames
	squeeze, excite   string
}

func (m mobileNet) blockNames(r mobileRun) mobileNames {
	if m.names != mobileTimm {
		return r.torchvisionNames(m.names == mobileFlat)
	}
	n := mobileNames{squeeze: "se.conv_reduce", excite: "se.conv_expand"}
	switch r.kind {
	case inverted:
		n.first, n.look, n.last = layerNames{"conv_pw", "bn1"}, layerNames{"conv_dw", "bn2"}, layerNames{"conv_pwl", "bn3"}
	case separated:
		n.look, n.last = layerNames{"conv_dw", "bn1"}, layerNames{"conv_pw", "bn2"}
	case fused:
		n.first, n.last = layerNames{"conv_exp", "bn1"}, layerNames{"conv_pwl", "bn2"}
	case single:
		n.first = layerNames{"conv", "bn1"}
	case universal:
		n.last = layerNames{"pw_proj.conv", "pw_proj.bn"}
	}
	return n
}

// torchvisionNames numbers the layers of a block consecutively.
func (r mobileRun) torchvisionNames(flat bool) (n mobileNames) {
	if flat && r.kind == single { // the last convolution of MobileNetV3 is in no block
		return mobileNames{first: layerNames{"0", "1"}}
	}
	at := 0
	next := func() layerNames {
		name := fmt.Sprintf("block.%d", at)
		at++
		return layerNames{name + ".0", name + ".1"}
	}
	if r.kind != separated {
		n.first = next()
	}
	if r.kind == inverted || r.kind == separated {
		n.look = next()
	}
	if r.weighed {
		n.squeeze, n.excite = fmt.Sprintf("block.%d.fc1", at), fmt.Sprintf("block.%d.fc2", at)
		at++
	}
	n.last = next()
	return n
}
