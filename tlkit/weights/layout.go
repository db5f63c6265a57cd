package weights

import (
	"fmt"
	"slices"
)

// Layout says how the axes of a tensor are reordered for the graph. PyTorch stores a
// convolution as [out, in, height, width] (OIHW). The graphs of this library are [N, height,
// width, channels] and need [height, width, in, out], which is the order of Keras.
type Layout int

// The layouts.
const (
	Same           Layout = iota // as in the file
	OIHWtoHWIO                   // convolution: [O,I,H,W] becomes [H,W,I,O]
	OItoIO                       // linear layer: [O,I] becomes [I,O]
	DepthwiseToHWC               // depthwise convolution: [C,1,H,W] becomes [H,W,C]
	HWC1toHWC                    // depthwise convolution of Keras: [H,W,C,1] becomes [H,W,C]
)

func (l Layout) String() string {
	switch l {
	case Same:
		return "same"
	case OIHWtoHWIO:
		return "OIHW to HWIO"
	case OItoIO:
		return "OI to IO"
	case DepthwiseToHWC:
		return "depthwise to HWC"
	case HWC1toHWC:
		return "HWC1 to HWC"
	}
	return fmt.Sprintf("Layout(%d)", int(l))
}

// check returns an error if tensors of this shape cannot have the layout.
func (l Layout) check(shape []int) error {
	rank := map[Layout]int{OIHWtoHWIO: 4, OItoIO: 2, DepthwiseToHWC: 4, HWC1toHWC: 4}[l]
	switch {
	case l < Same || l > HWC1toHWC:
		return fmt.Errorf("%v is not a layout", l)
	case l != Same && len(shape) != rank:
		return fmt.Errorf("layout %v is for %d axes, the shape is %v", l, rank, shape)
	case l == DepthwiseToHWC && shape[1] != 1:
		return fmt.Errorf("layout %v is for [C,1,H,W], the shape is %v", l, shape)
	case l == HWC1toHWC && shape[3] != 1:
		return fmt.Errorf("layout %v is for [H,W,C,1], the shape is %v", l, shape)
	}
	return nil
}

// apply reorders row-major values of the shape. Same and HWC1toHWC return data itself.
func (l Layout) apply(shape []int, data []float32) ([]int, []float32) {
	switch l {
	case OItoIO:
		return []int{shape[1], shape[0]}, transpose(data, shape[0], shape[1])
	case OIHWtoHWIO:
		o, i, h, w := shape[0], shape[1], shape[2], shape[3]
		// Moving [O] behind [I,H,W], and then [I] behind [H,W], makes each step a matrix
		// transpose: first [O][I*H*W] to [I*H*W][O], then [I][H*W] blocks of O.
		byPixel := transpose(data, o, i*h*w)
		out := make([]float32, len(data))
		for c := range i {
			for p := range h * w {
				copy(out[(p*i+c)*o:][:o], byPixel[(c*h*w+p)*o:][:o])
			}
		}
		return []int{h, w, i, o}, out
	case DepthwiseToHWC:
		c, h, w := shape[0], shape[2], shape[3]
		return []int{h, w, c}, transpose(data, c, h*w)
	case HWC1toHWC:
		return shape[:3], data
	}
	return shape, data
}

// Apply reorders row-major values with the shape that they have in a file. The values are copied.
func (l Layout) Apply(shape []int, data []float32) (relaid []int, values []float32, err error) {
	if err := l.fits(shape, data); err != nil {
		return nil, nil, err
	}
	relaid, values = l.apply(slices.Clone(shape), data)
	if l == Same || l == HWC1toHWC {
		values = slices.Clone(values)
	}
	return relaid, values, nil
}

// Undo reverses [Layout.Apply]: it returns row-major values with the given shape, which is that
// of the file.
func (l Layout) Undo(shape []int, data []float32) ([]float32, error) {
	if err := l.fits(shape, data); err != nil {
		return nil, err
	}
	switch l {
	case OItoIO:
		return transpose(data, shape[1], shape[0]), nil
	case OIHWtoHWIO:
		o, i, hw := shape[0], shape[1], shape[2]*shape[3]
		byOut := transpose(data, hw*i, o) // [O][HW][I]
		out := make([]float32, 0, len(data))
		for n := range o {
			out = append(out, transpose(byOut[n*hw*i:(n+1)*hw*i], hw, i)...)
		}
		return out, nil
	case DepthwiseToHWC:
		return transpose(data, shape[2]*shape[3], shape[0]), nil
	}
	return slices.Clone(data), nil
}

func (l Layout) fits(shape []int, data []float32) error {
	if err := l.check(shape); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	if n, err := elements(shape); err != nil || n != int64(len(data)) {
		return fmt.Errorf("weights: %d values for shape %v", len(data), shape)
	}
	return nil
}

// transpose converts a row-major [rows][columns] to [columns][rows], in tiles that stay in the
// cache.
func transpose(data []float32, rows, columns int) []float32 {
	const tile = 32
	out := make([]float32, len(data))
	for r0 := 0; r0 < rows; r0 += tile {
		for c0 := 0; c0 < columns; c0 += tile {
			for r := r0; r < min(r0+tile, rows); r++ {
				for c := c0; c < min(c0+tile, columns); c++ {
					out[c*rows+r] = data[r*columns+c]
				}
			}
		}
	}
	return out
}
