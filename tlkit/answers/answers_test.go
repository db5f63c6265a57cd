package answers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// said are answers about n pictures of two labels, of which every so many-th is wrong.
func said(n, wrong int) *Answers {
	a := &Answers{Task: datasets.Classes, Names: []string{"ants", "bees"}, Split: "valid", Truth: head.Samples{Classes: 2}}
	for i := range n {
		a.Pictures, a.Files = append(a.Pictures, fmt.Sprintf("%064x", i)), append(a.Files, fmt.Sprintf("%d.jpg", i))
		a.Truth.Y = append(a.Truth.Y, i%2)
		row := []float32{1, 0}
		if i%2 == 1 != (i%wrong == 0) {
			row = []float32{0, 1}
		}
		a.Logits = append(a.Logits, row...)
	}
	return a
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	a := said(40, 5)
	if err := a.Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.Task != a.Task || b.Split != "valid" || !slices.Equal(b.Logits, a.Logits) || !slices.Equal(b.Pictures, a.Pictures) || !slices.Equal(b.Truth.Y, a.Truth.Y) {
		t.Errorf("read %+v", b)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{"half": raw[:len(raw)/2], "empty": {}, "other": []byte("{}"), "label": []byte(strings.Replace(string(raw), `\"classes\":[0,1`, `\"classes\":[0,7`, 1))} {
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The difference is that of metrics.Compare on the shared pictures, whatever their order.
func TestAgainst(t *testing.T) {
	a, b := said(60, 5), said(50, 10)
	reversed := b.of([]int{49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 0, 5, 10, 1, 2, 3})
	gain, err := a.Against(reversed)
	if err != nil {
		t.Fatal(err)
	}
	var truth, before, after []int
	for i := range 60 {
		if i < 50 && (i >= 40 || slices.Contains([]int{0, 1, 2, 3, 5, 10}, i)) {
			truth = append(truth, i%2)
			flip := func(wrong int) int {
				if i%wrong == 0 {
					return 1 - i%2
				}
				return i % 2
			}
			before, after = append(before, flip(5)), append(after, flip(10))
		}
	}
	want, err := metrics.Compare(truth, before, after)
	if err != nil {
		t.Fatal(err)
	}
	if gain.Pictures != 16 || gain.Value != want.Difference || gain.Interval != want.Interval {
		t.Errorf("%+v, want %+v", gain, want)
	}
	back, err := reversed.Against(a)
	if err != nil || back.Value != -gain.Value {
		t.Errorf("the other way round %+v, %v", back, err)
	}
}

// Pictures that belong together are kept so, and the interval of a difference counts them as such: with
// ten copies of each it is wider than of as many pictures.
func TestGroupsStayTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	a, b := said(200, 10), said(200, 25)
	apart, err := a.Against(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		a.Truth.Clusters = append(a.Truth.Clusters, i/10)
	}
	b.Truth.Clusters = a.Truth.Clusters
	if err := a.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil || len(read.Truth.Clusters) != 200 || read.Truth.Clusters[199] != 19 {
		t.Fatal(read, err)
	}
	together, err := read.Against(b)
	if err != nil {
		t.Fatal(err)
	}
	if together.Value != apart.Value || together.Interval == apart.Interval {
		t.Errorf("%+v together, %+v apart", together, apart)
	}
	read.Truth.Clusters = read.Truth.Clusters[1:]
	if err := read.Write(path); err == nil {
		t.Error("a picture without its group is no error")
	}
}

func TestAgainstOthers(t *testing.T) {
	a := said(20, 5)
	other := said(20, 5)
	other.Names = []string{"ants", "wasps"}
	relabelled := said(20, 5)
	relabelled.Truth.Y[3] = 0
	elsewhere := said(20, 5)
	for i := range elsewhere.Pictures {
		elsewhere.Pictures[i] = "x" + elsewhere.Pictures[i]
	}
	for why, b := range map[string]*Answers{"the same labels": other, "other labels": relabelled, "held back in both": elsewhere} {
		if _, err := a.Against(b); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("want an error about %q, got %v", why, err)
		}
	}
}

// Five mistakes fewer of forty: too few to tell by the two scores, enough on the same pictures.
func ExampleAnswers_Against() {
	a, b := said(200, 10), said(200, 25)
	gain, err := a.Against(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(gain.Describe(gain.Metric), "on", gain.Pictures, "pictures")
	// Output: gain +6.0 points (95 % +1.5 to +10.4) on 200 pictures
}
