package zoo

import (
	"math"
	"slices"
	"testing"
)

// A network before training: the same seed gives the same numbers, no number is left from the file,
// and the features neither vanish nor overflow.
func TestRandomWeights(t *testing.T) {
	for _, name := range []string{"mobilenetv2", "resnet18", "vgg16.hed_bsds500", "mini_xception"} {
		t.Run(name, func(t *testing.T) {
			if name != "mobilenetv2" && testing.Short() {
				t.Skip("more networks")
			}
			net := formulaNet(t, name)
			a, err := net.Random(1)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := net.Random(1)
			c, _ := net.Random(2)
			if a.Identity() != b.Identity() || a.Identity() == c.Identity() || a.Identity() == net.Identity() {
				t.Errorf("identities %s, %s, %s of %s: want the first two equal and the others not", a.Identity(), b.Identity(), c.Identity(), net.Identity())
			}
			kernels := 0
			for _, w := range net.Declaration().Weights {
				values, _, _ := a.Tensor(w.Name)
				var sum, squares float64
				for _, v := range values {
					sum += float64(v)
					squares += float64(v) * float64(v)
				}
				mean, deviation := sum/float64(len(values)), math.Sqrt(squares/float64(len(values)))
				if len(w.Shape) == 1 && slices.Contains([]float64{0, 1}, mean) && slices.Contains([]float64{0, 1}, deviation) {
					continue
				}
				kernels++
				if len(w.Shape) == 1 || deviation == 0 || math.Abs(mean) > 5*deviation/math.Sqrt(float64(len(values))) {
					t.Errorf("%s %v: mean %.3g, deviation %.3g", w.Name, w.Shape, mean, deviation)
				}
			}
			if kernels < 5 {
				t.Errorf("%d kernels were drawn", kernels)
			}
		})
	}
}
