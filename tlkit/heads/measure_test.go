package heads

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// features reads what tlkit features DIR -o NAME.npy wrote: the label of a picture is its folder, and
// the folder above says whether it is for training.
func features(t *testing.T, path string) (s head.Samples, train []bool) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadFile(path + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[10+binary.LittleEndian.Uint16(raw[8:]):]
	s.X = make([]float32, len(raw)/4)
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, s.X); err != nil {
		t.Fatal(err)
	}
	var labels, of []string
	for _, name := range strings.Split(strings.TrimSpace(string(names)), "\n") {
		dir := filepath.Dir(name)
		of = append(of, filepath.Base(dir))
		train = append(train, filepath.Base(filepath.Dir(dir)) == "train")
	}
	labels = slices.Clone(of)
	slices.Sort(labels)
	labels = slices.Compact(labels)
	for _, l := range of {
		s.Y = append(s.Y, slices.Index(labels, l))
	}
	s.Classes, s.Features = len(labels), len(s.X)/len(s.Y)
	return s, train
}

func measured(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("TLKIT_HEADS_FEATURES")
	if dir == "" {
		t.Skip("TLKIT_HEADS_FEATURES is not set: no folder with files of tlkit features to measure on")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.npy"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

// dealt returns folds with all classes in each, as far as there are samples.
func dealt(y []int, k int, rng *rand.Rand) [][]int {
	count := map[int]int{}
	for _, c := range y {
		count[c]++
	}
	for _, n := range count {
		k = min(k, n)
	}
	if k < 2 {
		return nil
	}
	folds, next := make([][]int, k), map[int]int{}
	for _, i := range rng.Perm(len(y)) {
		f := next[y[i]] % k
		next[y[i]]++
		folds[f] = append(folds[f], i)
	}
	return folds
}

// TestFewShots prints how many percent of the other pictures each family gets right from 1, 2, ...
// pictures a label.
func TestFewShots(t *testing.T) {
	const draws, asked = 20, 400
	for _, file := range measured(t) {
		all, _ := features(t, file)
		for _, shots := range []int{1, 2, 3, 4, 5, 8} {
			mean := map[head.Kind]float64{}
			for draw := range draws {
				rng := rand.New(rand.NewPCG(uint64(draw), uint64(shots)))
				var rows, rest []int
				taken := make([]int, all.Classes)
				for _, i := range rng.Perm(all.Len()) {
					if c := all.Y[i]; taken[c] < shots {
						taken[c]++
						rows = append(rows, i)
					} else if len(rest) < asked {
						rest = append(rest, i)
					}
				}
				s, other := all.Select(rows), all.Select(rest)
				folds := dealt(s.Y, 5, rng)
				for _, kind := range Kinds() {
					f, err := Fit(t.Context(), kind, s, Options{Folds: folds})
					if err != nil {
						continue
					}
					mean[kind] += 100 * float64(head.Correct(f.Model.Logits(other.X), other.Y, other.Classes)) / float64(other.Len()) / draws
				}
			}
			line := fmt.Sprintf("%-24s shots %d", filepath.Base(file), shots)
			for _, kind := range Kinds() {
				line += fmt.Sprintf("  %s %5.1f", kind, mean[kind])
			}
			fmt.Println(line)
		}
	}
}

// TestFamilies prints what AutoKind chooses on the training pictures, and how each family does on the
// others; without a split, on three random halves.
func TestFamilies(t *testing.T) {
	for _, file := range measured(t) {
		all, inTrain := features(t, file)
		for draw := range 3 {
			rng := rand.New(rand.NewPCG(uint64(draw), 1))
			own := slices.Contains(inTrain, true) && slices.Contains(inTrain, false)
			var rows, rest []int
			for i := range all.Len() {
				if own && inTrain[i] || !own && rng.IntN(2) == 0 {
					rows = append(rows, i)
				} else {
					rest = append(rest, i)
				}
			}
			s, other := all.Select(rows), all.Select(rest)
			o := Options{Folds: dealt(s.Y, 5, rng)}
			began := time.Now()
			auto, err := Fit(t.Context(), AutoKind, s, o)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			fmt.Printf("%s: %d to learn, %d to measure, %.1f s\n  %s\n", filepath.Base(file), s.Len(), other.Len(), took.Seconds(), Line(auto.Families))
			report := func(name string, m Model) {
				logits := m.Logits(other.X)
				fmt.Printf("  %-12s %d right, log loss %.4f\n", name, head.Correct(logits, other.Y, other.Classes), head.LogLoss(logits, other.Y, other.Classes))
			}
			report("auto", auto.Model)
			for _, kind := range Kinds() {
				f, err := o.try(t.Context(), kind, s)
				if err != nil {
					fmt.Println("  ", kind, err)
					continue
				}
				report(string(kind), f.Model)
			}
		}
	}
}
