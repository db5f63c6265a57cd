package export

import (
	"errors"
	"slices"
	"testing"
)

// Batches that run side by side end in any order; predictions are handed over in the pictures'.
func TestPredictionsComeInOrder(t *testing.T) {
	var got []string
	o := inOrder{early: map[int]Prediction{}, use: func(p Prediction) error {
		got = append(got, p.Path)
		return nil
	}}
	for step, i := range []int{2, 0, 1, 5, 4, 3} {
		if err := o.add(i, Prediction{Path: string(rune('a' + i))}); err != nil {
			t.Fatal(err)
		}
		if want := []int{0, 1, 3, 3, 3, 6}[step]; len(got) != want || o.next != want {
			t.Errorf("after picture %d: %v, want %d of them", i, got, want)
		}
	}
	if !slices.IsSorted(got) || len(o.early) != 0 {
		t.Errorf("%v, %d are kept", got, len(o.early))
	}
}

func TestAnErrorOfUseIsTheLast(t *testing.T) {
	full := errors.New("the disk is full")
	calls := 0
	o := inOrder{early: map[int]Prediction{}, use: func(Prediction) error {
		calls++
		return full
	}}
	for _, i := range []int{1, 0, 2} {
		if err := o.add(i, Prediction{}); i != 1 && !errors.Is(err, full) {
			t.Errorf("picture %d: %v", i, err)
		}
	}
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}
