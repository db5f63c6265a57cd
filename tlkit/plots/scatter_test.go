package plots

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// A name stands on no dashed line, where it would be read as struck through.
func TestNamesKeepOffTheLine(t *testing.T) {
	for name, dots := range map[string][]Dot{
		"two":    {{"mobilenetv2", 1, 0.90, metrics.Interval{}, false}, {"resnet50", 9, 0.95, metrics.Interval{}, false}},
		"stairs": {{"a network", 1, 0.90, metrics.Interval{}, false}, {"another one", 2, 0.91, metrics.Interval{}, false}, {"the third", 3, 0.93, metrics.Interval{}, false}, {"the best of all", 4, 0.94, metrics.Interval{}, false}},
		"wide":   {{"efficientnet_lite0", 2, 0.935, metrics.Interval{Low: 0.9, High: 0.96}, false}, {"efficientnet_lite4", 5, 0.94, metrics.Interval{Low: 0.9, High: 0.96}, false}, {"vit", 90, 0.97, metrics.Interval{Low: 0.93, High: 0.99}, false}},
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

// With many dots, only those on the frontier have names, and no two names overlap.
func TestNamesOfManyDots(t *testing.T) {
	var dots []Dot
	for i := range 60 {
		dots = append(dots, Dot{Label: "network of the family " + string(rune('a'+i%26)), X: 1 + float64(i*37%60), Y: 0.8 + 0.003*float64(i*23%60), Picked: i == 7})
	}
	s := &scatter{title: "x", xs: Scale{"time", "ms"}, ys: Scale{"accuracy", "%"}, dots: dots}
	s.layOut()
	names := s.names()
	if len(names) != len(s.front) || len(names) < 2 {
		t.Errorf("%d names, %d dots on the frontier", len(names), len(s.front))
	}
	for i, a := range names {
		for _, b := range names[:i] {
			if min(a.x+a.w, b.x+b.w) > max(a.x, b.x) && min(a.y+a.h, b.y+b.h) > max(a.y, b.y) {
				t.Errorf("%q and %q overlap", a.text, b.text)
			}
		}
	}
	if text := s.text(); !strings.Contains(text, "Picked: network of the family h, ") {
		t.Error(text)
	}
}
