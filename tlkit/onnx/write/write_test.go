package write

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// built writes a network of one output for pictures of 6x6 pixels. Every weight is 0.5.
func built(f func(x *Node) *Node) ([]byte, error) {
	return Bytes(Network{
		Picture: []int{6, 6, 3},
		Build:   func(x *Node) []Output { return []Output{{"y", f(x)}} },
		Weight: func(name string) ([]float32, bool) {
			if name == "missing" {
				return nil, false
			}
			return slices.Repeat([]float32{0.5}, 12), name != "short"
		},
	})
}

func weight(x *Node, name string, dims ...int) *Node {
	return Parameter(x.Graph(), name, shapes.Make(dtypes.Float32, dims...))
}

// What cannot be written is an error that names it.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		build func(x *Node) *Node
		op    string // of an UnsupportedError; "" = another error
		says  string
	}{
		"an unknown operation":    {func(x *Node) *Node { return Sort(x, -1, true) }, "Sort", ""},
		"sums over the pictures":  {func(x *Node) *Node { return Add(x, ReduceAndKeep(x, ReduceSum, 0)) }, "ReduceSum", "the pictures"},
		"a slice of the pictures": {func(x *Node) *Node { return Mul(x, Slice(x, AxisRange(0, 1))) }, "Slice", "the pictures"},
		"the number of pictures":  {func(x *Node) *Node { return MulScalar(x, 1/float64(x.Shape().Dim(0))) }, "", "depends on the number of pictures"},
		"other operations for other numbers": {func(x *Node) *Node {
			if x.Shape().Dim(0) > 1_500_000 {
				return Neg(x)
			}
			return Abs(x)
		}, "", "operation 1"},
		"a padding of -1": {func(x *Node) *Node {
			return Pad(x, ScalarZero(x.Graph(), dtypes.Float32), compute.PadAxis{}, compute.PadAxis{Start: -1})
		}, "Pad", "less than nothing"},
		"no row for each picture":   {func(x *Node) *Node { return ReduceMean(weight(x, "w", 3, 4), 0) }, "", "one row for each picture"},
		"a weight that is missing":  {func(x *Node) *Node { return Mul(x, Reshape(weight(x, "missing", 3), 1, 1, 1, 3)) }, "", `"missing"`},
		"a weight of another shape": {func(x *Node) *Node { return Mul(x, Reshape(weight(x, "w", 3), 1, 1, 1, 3)) }, "", "12 values"},
		"whole numbers":             {func(x *Node) *Node { return ConvertDType(x, dtypes.Int32) }, "", "32-bit floats"},
		"complex numbers":           {func(x *Node) *Node { return Real(FFT(ConvertDType(x, dtypes.Complex64))) }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := built(c.build)
			if err == nil {
				t.Fatalf("%d bytes and no error", len(file))
			}
			u := (*UnsupportedError)(nil)
			if errors.As(err, &u) != (c.op != "") && name != "complex numbers" || c.op != "" && u.Op != c.op {
				t.Errorf("%v, want one about the operation %q", err, c.op)
			}
			if !strings.HasPrefix(err.Error(), "write: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
		})
	}
}

// A file cannot hold more than protobuf can.
func TestTooLarge(t *testing.T) {
	big := make([]float32, 1<<20) // stands for all of them
	_, err := Bytes(Network{
		Picture: []int{1 << 10},
		Build: func(x *Node) []Output {
			for i := range 400 {
				x = Dot(x, weight(x, fmt.Sprint("w", i), 1<<10, 1<<10)).Product()
			}
			return []Output{{"y", x}}
		},
		Weight: func(string) ([]float32, bool) { return big, true },
	})
	if err == nil || !strings.Contains(err.Error(), "1677721600 bytes") {
		t.Errorf("%v", err)
	}
}

// Both numbers of pictures are primes, so that no other size is a multiple of them by accident.
func TestBatchesArePrimes(t *testing.T) {
	for _, n := range batches {
		for k := 2; k*k <= n; k++ {
			if n%k == 0 {
				t.Errorf("%d is %d times %d", n, k, n/k)
			}
		}
	}
}

// Metadata comes back as it was given, and from a part of the file there is an error.
func TestMetadata(t *testing.T) {
	want := map[string]string{"labels": `["ants","bées\n"]`, "empty": "", "a": strings.Repeat("x", 300)}
	file, err := Bytes(Network{
		Picture:  []int{2},
		Build:    func(x *Node) []Output { return []Output{{"y", Abs(x)}} },
		Metadata: want,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Metadata(file); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, n := range []int{1, len(file) / 2, len(file) - 1} {
		if got, err := Metadata(file[:n]); err == nil && maps.Equal(got, want) {
			t.Errorf("%d of %d bytes have the metadata of all", n, len(file))
		}
	}
	if _, err := Metadata([]byte("<!DOCTYPE html>")); err == nil {
		t.Error("a page has metadata")
	}
}
