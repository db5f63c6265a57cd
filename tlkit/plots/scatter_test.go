package plots

import (
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// A name stands on no dashed line, where it would be read as struck through.
func TestNamesKeepOffTheLine(t *testing.T) {
	for name, dots := range map[string][]Dot{
		"two":    {{"mobilenetv2", 1, 0.90, metrics.Interval{}}, {"resnet50", 9, 0.95, metrics.Interval{}}},
		"stairs": {{"a network", 1, 0.90, metrics.Interval{}}, {"another one", 2, 0.91, metrics.Interval{}}, {"the third", 3, 0.93, metrics.Interval{}}, {"the best of all", 4, 0.94, metrics.Interval{}}},
		"wide":   {{"efficientnet_lite0", 2, 0.935, metrics.Interval{Low: 0.9, High: 0.96}}, {"efficientnet_lite4", 5, 0.94, metrics.Interval{Low: 0.9, High: 0.96}}, {"vit", 90, 0.97, metrics.Interval{Low: 0.93, High: 0.99}}},
	} {
		s := &scatter{title: "x", xs: Scale{"time", "ms"}, ys: Scale{"accuracy", "%"}, dots: dots}
		s.layOut()
		steps := s.steps()
		if len(steps) < 3 {
			t.Fatalf("%s: a line of %d points", name, len(steps))
		}
		for _, n := range s.names() {
			for k := 1; k < len(steps); k++ {
				a, b := steps[k-1], steps[k]
				if max(a.x, b.x) > n.x && min(a.x, b.x) < n.x+n.w && max(a.y, b.y) > n.y && min(a.y, b.y) < n.y+n.h {
					t.Errorf("%s: the line from %v to %v runs through %q at %v", name, a, b, n.text, n.box)
				}
			}
		}
	}
}

// Dots and bars without an interval have none that begins at 0, which would set the axis.
func TestNoIntervalSetsNoAxis(t *testing.T) {
	s := &scatter{title: "x", xs: Scale{"time", "ms"}, ys: Scale{"accuracy", "%"}, dots: []Dot{{Label: "a", X: 1, Y: 0.94}, {Label: "b", X: 2, Y: 0.96}}}
	if s.layOut(); s.y.lo < 0.9 {
		t.Errorf("the axis begins at %v for 94 %% and 96 %%", s.y.lo)
	}
	wide := Bars("x", Scale{"accuracy", "%"}, []Bar{{Label: "a", Value: 0.94}, {Label: "b", Value: 0.96}})
	if text := wide.Text(); text != "x, accuracy: a 94.0 %, b 96.0 %." {
		t.Error(text)
	}
}
