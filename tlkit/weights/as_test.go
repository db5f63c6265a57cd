package weights

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Tensors can be cut, joined and given another shape; their numbers follow each other in row-major order.
func TestTensorAs(t *testing.T) {
	numbers := func(from, n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(from + i)
		}
		return out
	}
	a, b := FromFloat32("a", []int{2, 3}, numbers(0, 6)), FromFloat32("b", []int{1, 3}, numbers(6, 3))
	half, err := Open("testdata/dtypes.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	f16, _ := half.Tensor("f16")
	i64, _ := half.Tensor("i64")
	halves, err := f16.Float32()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		got  Tensor
		want []float32
	}{
		{"another shape", a.As("x", []int{3, 2}, 0), numbers(0, 6)},
		{"a part", a.As("x", []int{2}, 3), numbers(3, 2)},
		{"joined", a.As("x", []int{3, 3}, 0, b), numbers(0, 9)},
		{"joined and cut", a.As("x", []int{4}, 4, b), numbers(4, 4)},
		{"only the second", a.As("x", []int{2}, 7, b), numbers(7, 2)},
		{"of one made before", a.As("x", []int{3, 3}, 0, b).As("y", []int{3}, 3), numbers(3, 3)},
		{"nothing", a.As("x", []int{0}, 0), nil},
		{"narrow floats", f16.As("x", []int{2}, 1), halves[1:3]},
		{"floats of two kinds", f16.As("x", []int{len(halves) + 6}, 0, a), append(slices.Clone(halves), numbers(0, 6)...)},
	} {
		got, err := c.got.Float32()
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.what, got, err, c.want)
		}
		raw, err := c.got.Bytes()
		if err != nil || len(raw) != len(c.want)*itemSizes[c.got.DType] {
			t.Errorf("%s: %d bytes, %v", c.what, len(raw), err)
		}
	}
	for what, bad := range map[string]Tensor{
		"too few numbers":  a.As("x", []int{4}, 3),
		"from before":      a.As("x", []int{1}, -1),
		"integers, floats": a.As("x", []int{7}, 0, i64),
	} {
		if v, err := bad.Float32(); err == nil {
			t.Errorf("%s: %v", what, v)
		}
		if v, err := bad.Bytes(); err == nil {
			t.Errorf("%s: %d bytes", what, len(v))
		}
	}
	other, err := half.Having([]Tensor{a, b})
	if err != nil || fmt.Sprint(other.Names()) != "[a b]" {
		t.Error(other, err)
	}
	if _, err := half.Having([]Tensor{a, a}); err == nil || !strings.Contains(err.Error(), "two tensors are named a") {
		t.Error(err)
	}
}
