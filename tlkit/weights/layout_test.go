package weights

import (
	"slices"
	"testing"
)

func TestUndoIsTheWayBack(t *testing.T) {
	for l, shape := range map[Layout][]int{Same: {2, 3}, OItoIO: {4, 3}, OIHWtoHWIO: {4, 3, 2, 5}, DepthwiseToHWC: {6, 1, 3, 2}, HWC1toHWC: {3, 2, 6, 1}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = float32(i)
		}
		_, there, err := l.Apply(shape, data)
		if err != nil {
			t.Fatal(err)
		}
		if l != Same && l != HWC1toHWC && slices.Equal(there, data) {
			t.Errorf("%v changes nothing", l)
		}
		back, err := l.Undo(shape, there)
		if err != nil || !slices.Equal(back, data) {
			t.Errorf("%v: %v there, %v back, %v", l, there, back, err)
		}
		if _, err := l.Undo(shape, data[1:]); err == nil {
			t.Errorf("%v: too few values are accepted", l)
		}
	}
	if shape, _, err := HWC1toHWC.Apply([]int{3, 2, 6, 1}, make([]float32, 36)); err != nil || !slices.Equal(shape, []int{3, 2, 6}) {
		t.Errorf("a depthwise kernel of Keras has shape %v, %v", shape, err)
	}
	if _, _, err := HWC1toHWC.Apply([]int{3, 2, 3, 2}, make([]float32, 36)); err == nil {
		t.Error("two outputs for each channel are taken for one")
	}
	if _, _, err := OIHWtoHWIO.Apply([]int{2, 2}, make([]float32, 4)); err == nil {
		t.Error("a matrix is taken for a convolution")
	}
}
