package weights

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

// memory is a File whose tensors are in memory.
func memory(tensors ...Tensor) *File {
	f := &File{Path: "memory", src: &source{name: "memory", budget: budget.ForFile(context.Background(), 1<<30)}, tensors: tensors}
	if err := f.buildIndex(); err != nil {
		panic(err)
	}
	return f
}

func counting(name string, shape ...int) Tensor {
	n, _ := elements(shape)
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i)
	}
	return FromFloat32(name, shape, data)
}

func TestMatchLoadsWhatIsWanted(t *testing.T) {
	f := memory(counting("conv.weight", 2, 3, 2, 2), counting("fc.weight", 2, 3), counting("dw.weight", 4, 1, 3, 3), counting("fc.bias", 2), counting("bn.num_batches_tracked"), counting("num_batches_tracked"))
	got, report, err := Match(f, []Want{
		{Name: "conv.weight", Shape: []int{2, 3, 2, 2}, Layout: OIHWtoHWIO},
		{Name: "fc.weight", Shape: []int{2, 3}, Layout: OItoIO},
		{Name: "dw.weight", Shape: []int{4, 1, 3, 3}, Layout: DepthwiseToHWC},
		{Name: "fc.bias", Shape: []int{2}},
		{Name: "extra", Shape: []int{1}, Optional: true},
	}, MatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() || report.Loaded != 4 || report.String() != "memory: 4 of 5 wanted tensors loaded" {
		t.Errorf("report %v", report)
	}
	conv := got["conv.weight"]
	if !slices.Equal(conv.Shape, []int{2, 2, 3, 2}) {
		t.Fatalf("conv has shape %v", conv.Shape)
	}
	for o := range 2 {
		for i := range 3 {
			for h := range 2 {
				for w := range 2 {
					if got, want := conv.Data[((h*2+w)*3+i)*2+o], float32(((o*3+i)*2+h)*2+w); got != want {
						t.Errorf("conv [%d,%d,%d,%d]: got %g, want %g", o, i, h, w, got, want)
					}
				}
			}
		}
	}
	if fc := got["fc.weight"]; !slices.Equal(fc.Shape, []int{3, 2}) || !slices.Equal(fc.Data, []float32{0, 3, 1, 4, 2, 5}) {
		t.Errorf("fc %v", fc)
	}
	dw := got["dw.weight"]
	if !slices.Equal(dw.Shape, []int{3, 3, 4}) {
		t.Fatalf("depthwise has shape %v", dw.Shape)
	}
	for c := range 4 {
		for p := range 9 {
			if dw.Data[p*4+c] != float32(c*9+p) {
				t.Errorf("depthwise [%d,%d] is %g", c, p, dw.Data[p*4+c])
			}
		}
	}
	if b := got["fc.bias"]; !slices.Equal(b.Data, []float32{0, 1}) {
		t.Errorf("bias %v", b)
	}
	if _, ok := got["extra"]; ok {
		t.Error("an optional tensor that is not there was loaded")
	}
}

// TestLargeRelayout crosses the borders of the tiles in transpose.
func TestLargeRelayout(t *testing.T) {
	o, i, h, w := 70, 37, 3, 5
	x := counting("w", o, i, h, w)
	shape, data := OIHWtoHWIO.apply(x.Shape, x.data)
	if !slices.Equal(shape, []int{h, w, i, o}) {
		t.Fatal(shape)
	}
	for pos, v := range data {
		b, a := pos%o, pos/o%i
		y, z := pos/o/i/w, pos/o/i%w
		if want := float32(((b*i+a)*h+y)*w + z); v != want {
			t.Fatalf("at %d: got %g, want %g", pos, v, want)
		}
	}
}

func TestMatchListsEveryDifference(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	fixture, err := Open("testdata/dtypes.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer fixture.Close()
	i64, _ := fixture.Tensor("i64")
	i64.Name = "ids"
	f := memory(counting("a", 2, 2), counting("b", 3), counting("x", 1), counting("y", 1), i64)
	f.Skipped = []string{"q: a quantised thing"}
	_, report, err := Match(f, []Want{{Name: "a", Shape: []int{2, 3}}, {Name: "b", Shape: []int{3, 1}}, {Name: "c", Shape: []int{1}}, {Name: "d", Shape: []int{1}}, {Name: "ids", Shape: []int{4, 6}}}, MatchOptions{})
	if err == nil {
		t.Fatal("it matched")
	}
	for _, want := range []string{
		"weights: memory does not fit the network (5 tensors wanted): 2 missing, 2 unexpected, 2 of the wrong shape, 1 of the wrong type",
		"missing c\n", "missing d\n", "unexpected x\n", "unexpected y\n",
		"wrong shape a: got [2 2], want [2 3]\n", "wrong shape b: got [3], want [3 1]\n", "wrong type ids: got I64", "not a tensor in the file: q: a quantised thing",
	} {
		if !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if !slices.Equal(report.Missing, []string{"c", "d"}) || !slices.Equal(report.Unexpected, []string{"x", "y"}) || len(report.WrongShape) != 2 || report.Loaded != 0 {
		t.Errorf("report %+v", report)
	}

	f = memory(FromFloat32("a", []int{3}, []float32{1, nan, inf}), FromFloat32("b", []int{2}, []float32{-inf, 0}), counting("c", 1), FromFloat32("big", []int{1}, []float32{math.MaxFloat32}))
	wants := []Want{{Name: "a", Shape: []int{3}}, {Name: "b", Shape: []int{2}}, {Name: "c", Shape: []int{1}}, {Name: "big", Shape: []int{1}}}
	loaded, report, err := Match(f, wants, MatchOptions{})
	if err == nil || loaded != nil || len(report.NonFinite) != 2 || !strings.Contains(err.Error(), "not finite a: got 1 NaN and 1 infinite of 3") || !strings.Contains(err.Error(), "not finite b: got 0 NaN and 1 infinite of 2") {
		t.Errorf("NaN: %v %v", report, err)
	}
	_, _, err = Match(f, wants, MatchOptions{AllowNonFinite: []string{"a", "b"}})
	if err != nil {
		t.Error(err)
	}
}

// TestOverflowToInfinity: a 64-bit weight beyond float32 is not silently infinite.
func TestOverflowToInfinity(t *testing.T) {
	b := safetensorsFile(`{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 8)
	copy(b[len(b)-8:], "\x9c\x75\x00\x88\x3c\xe4\x37\x7e") // 1e300
	_, _, err := Match(mustOpen(t, b), []Want{{Name: "w", Shape: []int{1}}}, MatchOptions{})
	checkRefusal(t, err, "1 infinite")
}

func TestMatchOptions(t *testing.T) {
	f := memory(counting("backbone.a", 1), counting("classifier.weight", 10, 1), counting("classifier.bias", 10), counting("old", 1), counting("ids", 1))
	rename := func(key string) string {
		if key == "old" {
			return ""
		}
		return strings.TrimPrefix(key, "backbone.")
	}
	_, _, err := Match(f, []Want{{Name: "a", Shape: []int{1}}}, MatchOptions{})
	checkRefusal(t, err, "missing a")
	got, report, err := Match(f, []Want{{Name: "a", Shape: []int{1}}, {Name: "ids", Shape: []int{1}, AnyType: true}}, MatchOptions{Rename: rename, Ignore: []string{"classifier."}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !slices.Equal(report.Ignored, []string{"classifier.weight", "classifier.bias"}) {
		t.Errorf("%v %v", got, report.Ignored)
	}
	// What is wanted is loaded, also when its prefix is ignored.
	got, _, err = Match(f, []Want{{Name: "classifier.bias", Shape: []int{10}}}, MatchOptions{Ignore: []string{""}})
	if err != nil || len(got) != 1 {
		t.Errorf("%v %v", got, err)
	}
	_, report, err = Match(memory(counting("x.a", 1), counting("y.a", 1)), []Want{{Name: "a", Shape: []int{1}}}, MatchOptions{Rename: func(k string) string { return k[2:] }})
	checkRefusal(t, err, "ambiguous a: both x.a and y.a of the file")
	if report == nil || len(report.Ambiguous) != 1 {
		t.Errorf("report %v", report)
	}
}

func TestMatchRefusesWrongWants(t *testing.T) {
	f := memory(counting("a", 2, 2))
	for why, wants := range map[string][]Want{
		"wanted twice":    {{Name: "a", Shape: []int{2, 2}}, {Name: "a", Shape: []int{2, 2}}},
		"for 4 axes":      {{Name: "a", Shape: []int{2, 2}, Layout: OIHWtoHWIO}},
		"for 2 axes":      {{Name: "a", Shape: []int{2}, Layout: OItoIO}},
		"for [C,1,H,W]":   {{Name: "a", Shape: []int{2, 2, 3, 3}, Layout: DepthwiseToHWC}},
		"is not a layout": {{Name: "a", Shape: []int{2, 2}, Layout: Layout(9)}},
	} {
		_, _, err := Match(f, wants, MatchOptions{})
		checkRefusal(t, err, why)
	}
}

func TestPrefixHint(t *testing.T) {
	want := []Want{{Name: "conv.weight", Shape: []int{1}}, {Name: "conv.bias", Shape: []int{1}}}
	_, _, err := Match(memory(counting("model.conv.weight", 1), counting("model.conv.bias", 1)), want, MatchOptions{})
	checkRefusal(t, err, "have the prefix model.")
	_, _, err = Match(memory(counting("weight", 1), counting("bias", 1)), want, MatchOptions{})
	checkRefusal(t, err, "lack the prefix conv.")
	_, _, err = Match(memory(counting("model.conv.weight", 1), counting("bias", 1)), want, MatchOptions{})
	if err == nil || strings.Contains(err.Error(), "Rename") {
		t.Errorf("a hint that does not help: %v", err)
	}
}

// TestWholeModuleMatches goes the whole way: a module pickled by torch becomes
// what a graph wants.
func TestWholeModuleMatches(t *testing.T) {
	for _, name := range []string{"module_zip.pth", "module_legacy.pth", "checkpoint.pth", "parallel.pth"} {
		f, err := Open("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, report, err := Match(f, []Want{
			{Name: "conv.weight", Shape: []int{4, 3, 3, 3}, Layout: OIHWtoHWIO},
			{Name: "bn.weight", Shape: []int{4}}, {Name: "bn.bias", Shape: []int{4}}, {Name: "bn.running_mean", Shape: []int{4}}, {Name: "bn.running_var", Shape: []int{4}},
			{Name: "depthwise.weight", Shape: []int{4, 1, 3, 3}, Layout: DepthwiseToHWC}, {Name: "depthwise.bias", Shape: []int{4}},
		}, MatchOptions{Ignore: []string{"tail."}})
		if err != nil {
			t.Error(err)
			continue
		}
		if s := fmt.Sprint(got["conv.weight"].Shape, got["depthwise.weight"].Shape, report.Loaded, report.Ignored); s != "[3 3 3 4] [3 3 4] 7 [tail.1.weight tail.1.bias]" {
			t.Errorf("%s: %s", name, s)
		}
	}
}
