package task

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

func TestRarest(t *testing.T) {
	item := func(class int, targets ...float64) datasets.Item {
		return datasets.Item{Class: class, Targets: targets}
	}
	for i, c := range []struct {
		task  Task
		items []datasets.Item
		want  int
	}{
		{Classes{}, []datasets.Item{item(0), item(1), item(0), item(1), item(1)}, 2},
		// label 0 is missing once
		{Labels{}, []datasets.Item{item(-1, 1, 0), item(-1, 0, 1), item(-1, 1, 0), item(-1, 1, 1), item(-1, 1, 0)}, 1},
		{Values{}, []datasets.Item{item(-1, 2.5, 7), item(-1, 3, 7), item(-1, 4, 7), item(-1, 5, 9), item(-1, 6, 8)}, 2},
	} {
		if got := c.task.Rarest(c.task.Samples(c.items, nil, 2)); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
}

// Targets of a data set whose labels have another order are put into the head's order.
func TestTargetsInHeadsOrder(t *testing.T) {
	values := []string{"y", "x"}
	ds := &datasets.Dataset{Name: "d", Task: datasets.Values, Labels: []string{"x", "more", "y"}}
	items := []datasets.Item{{Targets: []float64{1, 2, 3}}}
	if err := (Values{}).Renumber(values, ds, items); err != nil || fmt.Sprint(items[0].Targets) != "[3 1]" {
		t.Errorf("%v %v", items[0].Targets, err)
	}
	ds.Labels[0] = "z"
	if err := (Values{}).Renumber(values, ds, items); err == nil || !strings.Contains(err.Error(), `no value "x"`) {
		t.Error(err)
	}
	labels := []string{"ant", "wings"}
	ds = &datasets.Dataset{Name: "d", Task: datasets.Labels, Labels: []string{"snail", "wings"}}
	items = []datasets.Item{{Targets: []float64{0, 1}}}
	if err := (Labels{}).Renumber(labels, ds, items); err != nil || fmt.Sprint(items[0].Targets) != "[0 1]" {
		t.Errorf("%v %v", items[0].Targets, err)
	}
	items = []datasets.Item{{Rel: "a.jpg", Targets: []float64{1, 1}}}
	if err := (Labels{}).Renumber(labels, ds, items); err == nil || !strings.Contains(err.Error(), `a.jpg is labelled "snail"`) {
		t.Error(err)
	}
}
