package run

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// TLKIT_DATA=DIR go test ./tlkit/run -run Unknown -v prints how well heads tell pictures of other things from
// those of the kind that they have learnt, and how many false alarms there are.
func TestUnknown(t *testing.T) {
	folder := os.Getenv("TLKIT_DATA")
	if folder == "" {
		t.Skip("TLKIT_DATA is not set: no folder with hymenoptera and flowers12 to measure on")
	}
	ctx := context.Background()
	pictures := map[string][]string{"textures": textures(t, 120)}
	for name, split := range map[string]datasets.Split{"hymenoptera": "valid", "flowers12": "test", "cats_dogs_small": "valid"} {
		set, err := datasets.Open(ctx, filepath.Join(folder, name), datasets.Options{})
		if err != nil {
			t.Skip(err)
		}
		for _, item := range set.In(split) {
			pictures[name] = append(pictures[name], item.Path)
		}
	}
	table := []string{fmt.Sprintf("%-16s %-16s %9s %9s %9s  %s", "learnt", "shown", "AUROC", "max-soft", "found", "false alarms, 95 %")}
	for _, c := range []struct {
		learnt string
		others []string
	}{{"hymenoptera", []string{"flowers12", "cats_dogs_small", "textures"}}, {"flowers12", []string{"hymenoptera", "cats_dogs_small", "textures"}}} {
		work := t.TempDir()
		out := filepath.Join(work, "h.head.safetensors")
		train(t, Spec{Data: filepath.Join(folder, c.learnt), Model: "mobilenetv2", Seed: 1}, Place{Folder: work, Out: out})
		own := strangeness(t, out, pictures[c.learnt])
		alarms := metrics.Wilson(own.unlike, len(own.by[0]))
		said := fmt.Sprintf("%d of %d, %.1f %% (%.1f-%.1f)", own.unlike, len(own.by[0]), 100*float64(own.unlike)/float64(len(own.by[0])), 100*alarms.Low, 100*alarms.High)
		if !(alarms.Low <= 0.05 && 0.05 <= alarms.High) {
			t.Errorf("%s: %s false alarms, and 5 %% are stated", c.learnt, said)
		}
		for _, o := range c.others {
			got := strangeness(t, out, pictures[o])
			area := auroc(own.by[0], got.by[0])
			table = append(table, fmt.Sprintf("%-16s %-16s %9.3f %9.3f %7.1f %%  %s", c.learnt, o, area, auroc(own.by[1], got.by[1]), 100*float64(got.unlike)/float64(len(got.by[0])), said))
			if area < 0.95 {
				t.Errorf("%s against %s: AUROC %.3f, want 0.95", o, c.learnt, area)
			}
		}
	}
	t.Log("\n" + strings.Join(table, "\n"))
}

// judged is what a head says of pictures: their strangeness, and beside it how unsure it is.
type judged struct {
	by     [2][]float64
	unlike int
}

func strangeness(t *testing.T, head string, paths []string) (out judged) {
	t.Helper()
	err := HeadSpec{Head: head}.Stream(context.Background(), export.Stream{Paths: paths, Use: func(p export.Prediction) error {
		if p.Error != "" || p.Strangeness == nil {
			return fmt.Errorf("%s: %s, strangeness %v", p.Path, p.Error, p.Strangeness)
		}
		out.by[0], out.by[1] = append(out.by[0], *p.Strangeness), append(out.by[1], -p.Probability)
		if p.Unlike() {
			out.unlike++
		}
		return nil
	}}, Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// auroc is the share of pairs in which the second has the larger number; ties count half.
func auroc(first, second []float64) (area float64) {
	for _, a := range first {
		for _, b := range second {
			switch {
			case b > a:
				area++
			case a == b:
				area += 0.5
			}
		}
	}
	return area / float64(len(first)*len(second))
}

// textures draws stripes, boards, waves, dots, clouds and noise in two colours each.
func textures(t *testing.T, n int) (paths []string) {
	t.Helper()
	const side = 240
	dir, r := t.TempDir(), rand.New(rand.NewPCG(1, 1))
	for i := range n {
		a := [3]float64{r.Float64(), r.Float64(), r.Float64()}
		b := [3]float64{r.Float64(), r.Float64(), r.Float64()}
		turn, period, phase := r.Float64()*math.Pi, 4+36*r.Float64(), 2*math.Pi*r.Float64()
		img := image.NewRGBA(image.Rect(0, 0, side, side))
		for y := range side {
			for x := range side {
				u := (math.Cos(turn)*float64(x) + math.Sin(turn)*float64(y)) / period
				v := (-math.Sin(turn)*float64(x) + math.Cos(turn)*float64(y)) / period
				m := [6]float64{
					math.Round(0.5 + 0.49*math.Sin(2*math.Pi*u)),
					math.Mod(math.Abs(math.Floor(u)+math.Floor(v)), 2),
					0.5 + 0.5*math.Sin(2*math.Pi*u),
					math.Round(1 / (1 + 8*(math.Pow(u-math.Floor(u)-0.5, 2)+math.Pow(v-math.Floor(v)-0.5, 2)))),
					0.5 + 0.25*(math.Sin(u+phase+math.Sin(v))+math.Sin(1.7*v+2*math.Cos(0.6*u+phase))),
					r.Float64(),
				}[i%6]
				at := func(c int) uint8 { return uint8(255 * (a[c]*m + b[c]*(1-m))) }
				img.SetRGBA(x, y, color.RGBA{at(0), at(1), at(2), 255})
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.png", i))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}
