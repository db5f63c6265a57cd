package onnx

import (
	"errors"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// picture checks that an input is a map [N,C,H,W] and returns it.
func (c *check) picture() fact {
	f := c.in[0]
	if len(f.shape) != 4 || product(f.shape) == 0 {
		fail("its input is %s, only operations on pictures [N,C,H,W] are supported", f)
	}
	if f.batch > 0 {
		f.apart(f.batch)
	}
	return f
}

// window reads the attributes that convolutions and pools share. size is the size of the kernel,
// zero for a pool.
func (c *check) window(f fact, size [2]int) backbone.Window {
	w := backbone.Window{Size: size, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
	pair := func(name string, field *[2]int) {
		v := c.ints(name)
		if v == nil {
			return
		}
		if len(v) != 2 {
			fail("%s is %v, want two numbers", name, v)
		}
		for i := range field {
			if v[i] < 1 || v[i] > 4096 {
				fail("%s is %v", name, v)
			}
			field[i] = int(v[i])
		}
	}
	pair("kernel_shape", &w.Size)
	pair("strides", &w.Stride)
	pair("dilations", &w.Dilation)
	if size != [2]int{} && w.Size != size {
		fail("kernel_shape is %v, the kernel %v", w.Size, size)
	}
	automatic := c.text("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
	v := c.ints("pads")
	if v != nil && automatic != "NOTSET" && slices.ContainsFunc(v, func(p int64) bool { return p != 0 }) {
		fail("it has pads as well as auto_pad")
	}
	switch automatic {
	case "NOTSET":
		if v != nil && len(v) != 4 {
			fail("pads are %v", v)
		}
		for i, p := range v {
			if p < 0 || p > 4095 {
				fail("pads are %v", v)
			}
			w.Pads[i%2][i/2] = int(p)
		}
	case "SAME_UPPER", "SAME_LOWER":
		for i := range 2 {
			d := f.shape[2+i]
			total := max(((d+w.Stride[i]-1)/w.Stride[i]-1)*w.Stride[i]+(w.Size[i]-1)*w.Dilation[i]+1-d, 0)
			w.Pads[i] = [2]int{total / 2, total - total/2}
			if automatic == "SAME_LOWER" {
				w.Pads[i] = [2]int{total - total/2, total / 2}
			}
			if total > 2*4095 {
				fail("a window of size %v and dilation %v", w.Size, w.Dilation)
			}
		}
	}
	return w
}

// stops returns the number of window positions along both axes of a map.
func stops(f fact, w backbone.Window) [2]int {
	var out [2]int
	for i := range 2 {
		extent, room := (w.Size[i]-1)*w.Dilation[i]+1, f.shape[2+i]+w.Pads[i][0]+w.Pads[i][1]
		if room < extent {
			fail("a map of %dx%d pixels is too small for a window of %dx%d: give the network larger pictures", f.shape[2], f.shape[3], (w.Size[0]-1)*w.Dilation[0]+1, (w.Size[1]-1)*w.Dilation[1]+1)
		}
		out[i] = (room-extent)/w.Stride[i] + 1
	}
	return out
}

var errKernel = errors.New("its kernel is not a weight [O,I,H,W]")

func checkConv(c *check) {
	f, k := c.picture(), c.in[1]
	if len(k.shape) != 4 || k.known != nil || k.batch >= 0 || product(k.shape) == 0 {
		panic(advice.New(errKernel, "only convolutions of pictures are supported"))
	}
	groups := c.int("group", 1)
	if groups < 1 || f.shape[1] != groups*k.shape[1] || k.shape[0]%groups != 0 {
		fail("a kernel %s in %d groups for %s", k, groups, f)
	}
	w := c.window(f, [2]int{k.shape[2], k.shape[3]})
	if w.Dilation != [2]int{1, 1} && w.Stride != [2]int{1, 1} {
		fail("stride %v together with dilation %v is not supported", w.Stride, w.Dilation)
	}
	if c.has(2) {
		if b := c.in[2]; len(b.shape) != 1 || b.shape[0] != k.shape[0] {
			fail("its bias is %s for %d channels", b, k.shape[0])
		}
	}
	s := stops(f, w)
	c.out[0] = f.result([]int{f.shape[0], k.shape[0], s[0], s[1]})
	c.params = params{window: w, sizes: []int{groups}}
	c.macs += float64(product(c.out[0].shape)) * float64(product(k.shape[1:]))
	// A depthwise convolution is built from shifted maps, one operation per place in the kernel.
	if groups > 1 && groups == f.shape[1] {
		c.weighed += k.shape[2] * k.shape[3] / 8
	}
}

func checkPool(c *check) {
	f := c.picture()
	if c.n.Attrs["kernel_shape"].Ints == nil || c.int("storage_order", 0) != 0 || len(c.n.Outputs) > 1 && c.n.Outputs[1] != "" {
		fail("a pool without kernel_shape, or one that gives indices")
	}
	w := c.window(f, [2]int{})
	if w.Dilation != [2]int{1, 1} {
		fail("a pool with dilation %v, want 1", w.Dilation)
	}
	mean, padded := c.n.Op == "AveragePool", c.flag("count_include_pad", 0)
	for i := range w.Pads {
		if w.Pads[i][0] >= w.Size[i] || w.Pads[i][1] >= w.Size[i] {
			fail("pads of %v for a window of %v", w.Pads, w.Size)
		}
	}
	stops(f, w)
	if c.flag("ceil_mode", 0) {
		for i := range 2 {
			d := f.shape[2+i]
			rest := (d + w.Pads[i][0] + w.Pads[i][1] - w.Size[i]) % w.Stride[i]
			// A last window that would start in the padding after the picture is left out.
			if extra := w.Stride[i] - rest; rest > 0 && d+w.Pads[i][0]+w.Pads[i][1]+extra-w.Size[i] < d+w.Pads[i][0] {
				if mean && padded {
					fail("ceil_mode together with count_include_pad")
				}
				w.Pads[i][1] += extra
			}
		}
	}
	s := stops(f, w)
	c.out[0] = f.result([]int{f.shape[0], f.shape[1], s[0], s[1]})
	c.params = params{window: w, keep: padded}
	c.macs += float64(product(c.out[0].shape)) * float64(w.Size[0]*w.Size[1])
}

func checkGlobalPool(c *check) {
	f := c.picture()
	c.out[0] = f.result([]int{f.shape[0], f.shape[1], 1, 1})
	c.macs += float64(product(f.shape))
}

// vector checks that an input has n numbers, one per channel.
func (c *check) vector(k, n int) {
	if f := c.in[k]; len(f.shape) != 1 || f.shape[0] != n || f.batch >= 0 || !isFloat(f.kind) {
		fail("its input %d is %s, want %d numbers", k, f, n)
	}
}

func checkBatchNorm(c *check) {
	if c.flag("training_mode", 0) || c.int("spatial", 1) != 1 {
		fail("it is in training mode: export the network in evaluation mode")
	}
	f := c.in[0]
	if len(f.shape) < 2 {
		fail("its input is %s", f)
	}
	f.apart(1)
	for k := 1; k < 5; k++ {
		c.vector(k, f.shape[1])
	}
	for _, name := range c.n.Outputs[1:] {
		if name != "" {
			fail("it gives statistics: export the network in evaluation mode")
		}
	}
	c.float("epsilon", 0)
	c.float("momentum", 0)
	c.out[0] = f.result(f.shape)
	c.macs += 2 * float64(product(f.shape))
}

func checkInstanceNorm(c *check) {
	f := c.in[0]
	if len(f.shape) < 3 || product(f.shape) == 0 {
		fail("its input is %s", f)
	}
	for i := 1; i < len(f.shape); i++ {
		f.apart(i)
	}
	c.vector(1, f.shape[1])
	c.vector(2, f.shape[1])
	c.float("epsilon", 0)
	c.out[0] = f.result(f.shape)
	c.macs += 8 * float64(product(f.shape))
}

func checkLayerNorm(c *check) {
	f := c.in[0]
	a := axis(int64(c.int("axis", -1)), len(f.shape))
	for i := a; i < len(f.shape); i++ {
		f.apart(i)
	}
	for k := 1; k < len(c.in); k++ {
		if !c.has(k) {
			continue
		}
		if !slices.Equal(c.in[k].shape, f.shape[a:]) || c.in[k].batch >= 0 {
			fail("its input %d is %s for %s", k, c.in[k], f)
		}
	}
	if c.int("stash_type", 1) != 1 {
		fail("stash_type is %d", c.int("stash_type", 1))
	}
	c.float("epsilon", 0)
	c.out[0], c.params = f.result(f.shape), params{axes: []int{a}}
	c.macs += 8 * float64(product(f.shape))
}

func checkSoftmax(c *check) {
	f := c.in[0]
	if c.survey.net.opset >= 13 {
		c.params.axes = []int{axis(int64(c.int("axis", -1)), len(f.shape))}
	} else { // everything from the axis on was one row
		for a := axis(int64(c.int("axis", 1)), len(f.shape)); a < len(f.shape); a++ {
			c.params.axes = append(c.params.axes, a)
		}
	}
	f.apart(c.params.axes...)
	c.out[0] = f.result(f.shape)
	c.macs += 4 * float64(product(f.shape))
}

// resizing describes how an axis is resized: a matrix [old,new] with the share of each old place in
// each new one.
type resizing struct {
	axis     int
	old, new int
	matrix   []float32
}

// checkResize computes the matrix of each axis of a Resize; the axes are independent.
func checkResize(c *check) {
	f, rank := c.in[0], len(c.in[0].shape)
	mode := c.text("mode", "nearest", "linear", "cubic")
	where := c.text("coordinate_transformation_mode", "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
	nearest := c.text("nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
	c.text("keep_aspect_ratio_policy", "stretch")
	c.float("extrapolation_value", 0)
	k := kernel{mode: mode, nearest: nearest, a: c.float("cubic_coeff_a", -0.75), inside: c.flag("exclude_outside", 0), antialias: c.flag("antialias", 0)}
	if !isFloat(f.kind) && f.kind != "U8" {
		fail("it resizes %s", f)
	}
	if c.survey.net.opset < 11 { // version 10: no choice of coordinates
		where, k.nearest = "asymmetric", "floor"
		if len(c.in) != 2 || mode == "cubic" {
			fail("its inputs are those of another version of the operators")
		}
	}
	axes := allAxes(c.ints("axes"), rank)
	if len(axes) == 0 {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	if v := c.survey.net.opset; v >= 11 && v < 13 && (!c.has(1) || !c.has(2)) {
		fail("its inputs are those of another version of the operators")
	}
	scales, sizes := c.resizeTo(axes)
	shape := slices.Clone(f.shape)
	for i, a := range axes {
		old := f.shape[a]
		size, scale := 0, 0.0
		if sizes != nil {
			size = int(min(sizes[i], math.MaxInt32))
			scale = float64(float32(size) / float32(old))
		} else {
			scale = scales[i]
			size = int(math.Floor(min(float64(old)*scale, math.MaxInt32)))
		}
		if a == f.batch && size != old {
			f.apart(a)
		}
		if size < 1 || old < 1 {
			fail("%d pixels to %d", old, size)
		}
		shape[a] = size
		if size == old && (scale == 1 || sizes != nil) {
			continue
		}
		if size > 4096 || old > 4096 {
			fail("%d pixels to %d, at most 4096 are supported", old, size)
		}
		c.spend(size * old)
		c.params.resizes = append(c.params.resizes, resizing{axis: a, old: old, new: size, matrix: k.matrix(old, size, scale, where)})
	}
	if f.kind == "U8" && mode != "nearest" {
		fail("it interpolates between bytes, for which frameworks differ: cast to floats first")
	}
	c.out[0] = f.result(shape)
	macs := float64(product(f.shape))
	for _, r := range c.params.resizes {
		macs *= float64(r.new) / float64(r.old)
		c.macs += macs * float64(r.old)
	}
}

// resizeTo returns the scales or sizes of a Resize, whichever it has.
func (c *check) resizeTo(axes []int) (scales []float64, sizes []int64) {
	at := 2
	if c.survey.net.opset < 11 {
		at = 1
	}
	given := func(k int) bool { return c.has(k) && product(c.in[k].shape) > 0 }
	if given(3) == given(at) {
		fail("it has scales as well as sizes, or neither")
	}
	if given(3) {
		sizes = c.numbers(3)
		if len(sizes) != len(axes) {
			fail("sizes %v for %d axes", sizes, len(axes))
		}
		return nil, sizes
	}
	f := c.in[at]
	if f.known == nil || !isFloat(f.kind) || len(f.shape) != 1 || len(f.known.floats) != len(axes) {
		fail("its scales are %s for %d axes, or depend on the picture", f, len(axes))
	}
	for _, v := range f.known.floats {
		if !(v > 0) || v > 4096 {
			fail("scales %v", f.known.floats)
		}
		scales = append(scales, float64(v))
	}
	return scales, nil
}

// kernel describes how a new pixel is computed from old ones.
type kernel struct {
	mode, nearest string
	a             float64 // of a cubic
	inside        bool    // exclude pixels beyond the border instead of repeating the last one
	antialias     bool
}

// matrix returns the share [old,new] of each old pixel in each new one.
func (k kernel) matrix(old, new int, scale float64, where string) []float32 {
	m := make([]float32, old*new)
	for j := range new {
		x := place(j, old, new, scale, where)
		for _, p := range k.parts(x, old, scale) {
			m[min(max(p.pixel, 0), old-1)*new+j] += float32(p.share)
		}
	}
	return m
}

// place returns the position of new pixel j among the old ones. ONNX Runtime computes it in 32-bit
// floats.
func place(j, old, new int, scale float64, where string) float64 {
	s, x := float32(scale), float32(j)
	switch where {
	case "half_pixel":
		return float64((x+0.5)/s - 0.5)
	case "pytorch_half_pixel":
		if new == 1 {
			return 0
		}
		return float64((x+0.5)/s - 0.5)
	case "align_corners":
		if new == 1 {
			return 0
		}
		return float64(x * float32(old-1) / float32(new-1))
	case "half_pixel_symmetric":
		adjust := float32(new) / (s * float32(old))
		center := float32(old) / 2
		return float64(center*(1-adjust) + (x+0.5)/s - 0.5)
	}
	return float64(x / s)
}

// part returns the share of an old pixel in a new one.
type part struct {
	pixel int
	share float64
}

// parts lists the old pixels that contribute to a new one at x, including pixels beyond the border.
func (k kernel) parts(x float64, old int, scale float64) (out []part) {
	if k.mode == "nearest" {
		i := math.Floor(x)
		switch k.nearest {
		case "ceil":
			i = math.Ceil(x)
		case "round_prefer_floor":
			i = math.Ceil(x - 0.5)
		case "round_prefer_ceil":
			i = math.Floor(x + 0.5)
		}
		return []part{{int(min(max(i, 0), float64(old-1))), 1}}
	}
	radius, f := 1.0, func(d float64) float64 { return max(0, 1-d) }
	if k.mode == "cubic" {
		radius, f = 2, k.cubic
	}
	stretch := 1.0
	if k.antialias && scale < 1 {
		stretch = 1 / scale
	}
	if k.mode == "linear" && !k.antialias {
		x = min(max(x, 0), float64(old-1))
	}
	first := max(math.Floor(x-radius*stretch)+1, -radius*stretch-1)
	last := min(x+radius*stretch, float64(old)+radius*stretch)
	sum := 0.0
	for i := int(first); float64(i) < last; i++ {
		if k.inside && (i < 0 || i >= old) {
			continue
		}
		p := part{i, f(math.Abs(float64(i)-x) / stretch)}
		out = append(out, p)
		sum += p.share
	}
	if k.inside || k.antialias {
		for i := range out {
			out[i].share /= sum
		}
	}
	return out
}

func (k kernel) cubic(d float64) float64 {
	switch {
	case d <= 1:
		return ((k.a+2)*d-(k.a+3))*d*d + 1
	case d < 2:
		return ((k.a*d-5*k.a)*d+8*k.a)*d - 4*k.a
	}
	return 0
}
