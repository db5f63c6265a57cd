package datasets

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// some makes n items; every seventh is an exact copy of the one before.
func some(n, classes int) []Item {
	items := make([]Item, n)
	for i := range items {
		items[i] = Item{Rel: fmt.Sprintf("%05d", i), Class: i % classes, SHA256: fmt.Sprintf("%064x", i*7919)}
		if i%7 == 6 {
			items[i].SHA256, items[i].Class = items[i-1].SHA256, items[i-1].Class
		}
	}
	return items
}

func TestFolds(t *testing.T) {
	for _, c := range []struct{ n, classes, k int }{{244, 2, 5}, {320, 5, 5}, {57, 3, 10}, {20, 4, 2}} {
		items := some(c.n, c.classes)
		folds := Folds(items, c.k, 1)
		if len(folds) != c.k {
			t.Fatalf("%+v: %d folds", c, len(folds))
		}
		where := map[int]int{}
		hash := map[string]int{}
		total := map[int]int{}
		for _, it := range items {
			total[it.Class]++
		}
		for f, fold := range folds {
			if !slices.IsSorted(fold) {
				t.Errorf("%+v: fold %d is not ascending", c, f)
			}
			home := map[int]int{}
			for _, i := range fold {
				if _, twice := where[i]; twice {
					t.Fatalf("%+v: item %d is in two folds", c, i)
				}
				where[i] = f
				if g, ok := hash[items[i].SHA256]; ok && g != f {
					t.Fatalf("%+v: copies lie in folds %d and %d", c, g, f)
				}
				hash[items[i].SHA256] = f
				home[items[i].Class]++
			}
			for class, n := range home {
				// Even, but for the copies that must stay together.
				if low, high := total[class]/c.k-2, (total[class]+c.k-1)/c.k+2; n < low || n > high {
					t.Errorf("%+v: fold %d has %d of class %d, want %d..%d", c, f, n, class, low, high)
				}
			}
			if d := len(fold) - c.n/c.k; d < -c.classes-1 || d > c.classes+1 {
				t.Errorf("%+v: fold %d has %d items", c, f, len(fold))
			}
		}
		if len(where) != c.n {
			t.Errorf("%+v: %d of %d items are in a fold", c, len(where), c.n)
		}
	}
}

func TestFoldsDependOnlyOnContents(t *testing.T) {
	items := some(100, 3)
	names := func(items []Item, folds [][]int) [][]string {
		out := make([][]string, len(folds))
		for f, fold := range folds {
			for _, i := range fold {
				out[f] = append(out[f], items[i].Rel)
			}
			slices.Sort(out[f])
		}
		return out
	}
	want := names(items, Folds(items, 5, 1))
	mixed := slices.Clone(items)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if got := names(mixed, Folds(mixed, 5, 1)); !reflect.DeepEqual(got, want) {
		t.Error("another order of the items gives other folds")
	}
	if got := names(items, Folds(items, 5, 2)); reflect.DeepEqual(got, want) {
		t.Error("another seed gives the same folds")
	}
}

func TestFoldsOfFew(t *testing.T) {
	for _, c := range []struct{ n, k, want int }{{0, 5, 0}, {1, 5, 0}, {10, 1, 0}, {10, 0, 0}, {10, -3, 0}, {3, 5, 3}, {7, 7, 6}} {
		folds := Folds(some(c.n, 1), c.k, 1) // of 7, the last two are copies
		if len(folds) != c.want {
			t.Errorf("%d items in %d folds: %d folds, want %d", c.n, c.k, len(folds), c.want)
		}
		for f, fold := range folds {
			if len(fold) == 0 {
				t.Errorf("%d items in %d folds: fold %d is empty", c.n, c.k, f)
			}
		}
	}
	// Small classes must not all end up in the same folds and leave others empty.
	var rare []Item
	for c := range 6 {
		rare = append(rare, Item{Rel: fmt.Sprint(c), Class: c, SHA256: fmt.Sprint(c)})
	}
	for f, fold := range Folds(rare, 6, 1) {
		if len(fold) != 1 {
			t.Errorf("six classes of one picture: fold %d has %d", f, len(fold))
		}
	}
	if a := Folds([]Item{{Rel: "a"}, {Rel: "b"}}, 2, 1); len(a) != 2 {
		t.Error("items without a hash are taken for copies of each other")
	}
}

func TestStratify(t *testing.T) {
	items := some(700, 2)
	stratify(items, 0.2, 1)
	split := map[string]Split{}
	n := map[string]int{}
	for _, it := range items {
		if s, ok := split[it.SHA256]; ok && s != it.Split {
			t.Fatal("copies lie on both sides")
		}
		split[it.SHA256] = it.Split
		n[fmt.Sprint(it.Split, it.Class)]++
	}
	for c := range 2 {
		v, all := n[fmt.Sprint("valid", c)], n[fmt.Sprint("valid", c)]+n[fmt.Sprint("train", c)]
		if d := float64(v) - 0.2*float64(all); d < -1 || d > 1 {
			t.Errorf("class %d: %d of %d in valid", c, v, all)
		}
	}
	// A class that is nothing but copies, in two groups, still has both sides.
	pair := []Item{{Rel: "1", SHA256: "x"}, {Rel: "2", SHA256: "x"}, {Rel: "3", SHA256: "x"}, {Rel: "4", SHA256: "y"}, {Rel: "5", SHA256: "y"}}
	stratify(pair, 0.2, 1)
	if pair[0].Split != "train" || pair[3].Split != "valid" || pair[4].Split != "valid" {
		t.Errorf("two groups of copies: %+v", pair)
	}
}
