package weights

import (
	"slices"
	"testing"
)

func TestUndoIsTheWayBack(t *testing.T) {
	for l, shape := range map[Layout][]int{Same: {2, 3}, OItoIO: {4, 3}, OIHWtoHWIO: {4, 3, 2, 5}, DepthwiseToHWC: {6, 1, 3, 2}} {
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
		if l != Same && slices.Equal(there, data) {
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
	if _, _, err := OIHWtoHWIO.Apply([]int{2, 2}, make([]float32, 4)); err == nil {
		t.Error("a matrix is taken for a convolution")
	}
}
