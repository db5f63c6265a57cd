package guard

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/data/insects"
	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// set is pictures of one kind, side pixels wide.
type set struct {
	name string
	draw func(rng *rand.Rand, side int) *transforms.Picture
}

// clean are sets in which nothing is wrong, however strange some of them look.
var clean = []set{
	{"photographs", func(rng *rand.Rand, side int) *transforms.Picture { return clouds(rng, side, ordinary) }},
	{"warm", func(rng *rand.Rand, side int) *transforms.Picture {
		return clouds(rng, side, func(l, a, b float64) [3]float64 { return [3]float64{.62 + .3*l + .1*a, .42 + .28*l, .22 + .2*l - .1*b} })
	}},
	{"night", func(rng *rand.Rand, side int) *transforms.Picture {
		return clouds(rng, side, func(l, a, b float64) [3]float64 {
			v := math.Max(0, .3+.3*l)
			return [3]float64{.3 * v * v, .28 * v * v, .4 * v * v}
		})
	}},
	{"under water", func(rng *rand.Rand, side int) *transforms.Picture {
		return clouds(rng, side, func(l, a, b float64) [3]float64 {
			return [3]float64{.08 + .05*l, .38 + .18*l + .05*a, .5 + .2*l + .08*b}
		})
	}},
	{"x-ray", func(rng *rand.Rand, side int) *transforms.Picture {
		return clouds(rng, side, func(l, a, b float64) [3]float64 { v := .3 + .35*l; return [3]float64{v, v, v} })
	}},
	{"fog", func(rng *rand.Rand, side int) *transforms.Picture {
		return clouds(rng, side, func(l, a, b float64) [3]float64 { v := .72 + .05*l; return [3]float64{v, v + .01*a, v + .02} })
	}},
	{"drawings", drawings},
	{"insects", func(rng *rand.Rand, side int) *transforms.Picture {
		img, err := insects.Draw(insects.Hard, "train", rng.IntN(2), rng.IntN(400))
		if err != nil {
			panic(err)
		}
		p, err := transforms.FromImage(img)
		if err == nil {
			p, err = p.Resize(side, side, transforms.Bicubic)
		}
		if err != nil {
			panic(err)
		}
		return p
	}},
	{"tiny", func(rng *rand.Rand, side int) *transforms.Picture {
		p, err := clouds(rng, 20, ordinary).Resize(side, side, transforms.Bilinear)
		if err != nil {
			panic(err)
		}
		return p
	}},
	{"noise", func(rng *rand.Rand, side int) *transforms.Picture {
		p := transforms.NewPicture(side, side)
		for i := range p.Pix {
			if i%3 == 0 {
				p.Pix[i] = uint8(rng.IntN(256))
			} else {
				p.Pix[i] = p.Pix[i-1] ^ uint8(rng.IntN(32))
			}
		}
		return p
	}},
	{"lines of text", func(rng *rand.Rand, side int) *transforms.Picture {
		p := transforms.NewPicture(side, side)
		height := 2 + rng.IntN(3)
		for i := range p.Pix {
			p.Pix[i] = 245
		}
		for y := height; y < side; y++ {
			for x := range side {
				if y/height%2 == 1 && rng.IntN(3) > 0 {
					copy(p.Pix[3*(y*side+x):], []uint8{30, 30, 34})
				}
			}
		}
		return p
	}},
}

func ordinary(l, a, b float64) [3]float64 {
	return [3]float64{.485 + .27*l + .1*a, .456 + .26*l, .406 + .27*l - .1*a + .04*b}
}

// clouds draws three fields whose contrast is the same at every scale, as in photographs, and mixes them
// to colours. Each field has mean 0 and deviation 1 over many pictures.
func clouds(rng *rand.Rand, side int, mix func(l, a, b float64) [3]float64) *transforms.Picture {
	sum := make([]float64, 3*side*side)
	octaves := 0
	for n := 2; ; n *= 2 {
		grid := transforms.NewPicture(min(n, side), min(n, side))
		for i := range grid.Pix {
			grid.Pix[i] = uint8(min(max(128+44*rng.NormFloat64(), 0), 255))
		}
		big, err := grid.Resize(side, side, transforms.Bicubic)
		if err != nil {
			panic(err)
		}
		for i, v := range big.Pix {
			sum[i] += (float64(v) - 128) / 44
		}
		octaves++
		if n >= side {
			break
		}
	}
	p := transforms.NewPicture(side, side)
	scale := 1.25 / math.Sqrt(float64(octaves))
	for i := 0; i < len(sum); i += 3 {
		for c, v := range mix(scale*sum[i], scale*sum[i+1], scale*sum[i+2]) {
			p.Pix[i+c] = uint8(255*min(max(v, 0), 1) + .5)
		}
	}
	return p
}

// drawings are a few flat shapes on white.
func drawings(rng *rand.Rand, side int) *transforms.Picture {
	p := transforms.NewPicture(side, side)
	for i := range p.Pix {
		p.Pix[i] = 255
	}
	for range 4 {
		var colour [3]uint8
		for c := range colour {
			colour[c] = uint8(rng.IntN(256))
		}
		cx, cy, r := rng.IntN(side), rng.IntN(side), side/8+rng.IntN(side/6)
		for y := max(cy-r, 0); y < min(cy+r, side); y++ {
			for x := max(cx-r, 0); x < min(cx+r, side); x++ {
				if (x-cx)*(x-cx)+(y-cy)*(y-cy) < r*r {
					copy(p.Pix[3*(y*side+x):], colour[:])
				}
			}
		}
	}
	return p
}

func (s set) pictures(n, side int) []*transforms.Picture {
	rng := rand.New(rand.NewPCG(7, uint64(len(s.name))))
	out := make([]*transforms.Picture, n)
	for i := range out {
		out[i] = s.draw(rng, side)
	}
	return out
}

func prepared(t testing.TB, p transforms.Preset, pictures []*transforms.Picture) []transforms.Tensor {
	t.Helper()
	out, err := prepare(p, pictures)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func prepare(p transforms.Preset, pictures []*transforms.Picture) ([]transforms.Tensor, error) {
	out := make([]transforms.Tensor, len(pictures))
	for i, pic := range pictures {
		var err error
		if out[i], err = p.Eval().Apply(pic, transforms.Rand{}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// taught returns a small network whose first batch norm has seen pictures, prepared by statistics: its
// kernel is drawn by chance, the rest is a formula.
func taught(t testing.TB, statistics string) *zoo.Net {
	t.Helper()
	net, err := teach(t.TempDir(), statistics)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// teach is taught; the weights file is in a folder.
func teach(folder, statistics string) (*zoo.Net, error) {
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		return nil, err
	}
	p, err := transforms.Statistics(statistics)
	if err != nil {
		return nil, err
	}
	preset := row.Preset.WithStatistics(p)
	made, err := formulanet.Tensors(row.Arch(), preset.Size, 1)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	kernel := make([]float32, 16*3*9) // [out,in,3,3]
	for o := range 16 {
		level := rng.NormFloat64() / 3
		for i := range 27 {
			kernel[27*o+i] = float32(0.2 * (level + rng.NormFloat64()))
		}
	}
	pictures, err := prepare(preset, clean[0].pictures(60, 32))
	if err != nil {
		return nil, err
	}
	mean, variance := seen(kernel, 16, pictures)
	for i, w := range made {
		switch w.Name {
		case "conv1.weight":
			made[i] = weights.FromFloat32(w.Name, w.Shape, kernel)
		case "bn1.running_mean":
			made[i] = weights.FromFloat32(w.Name, w.Shape, mean)
		case "bn1.running_var":
			made[i] = weights.FromFloat32(w.Name, w.Shape, variance)
		}
	}
	path := filepath.Join(folder, "taught.safetensors")
	if err := weights.WriteSafetensors(path, made, nil); err != nil {
		return nil, err
	}
	return zoo.Load(context.Background(), row.Name, zoo.Options{Weights: path, Preset: &preset})
}

// seen convolves pictures by the definition, and returns mean and variance of each output.
func seen(kernel []float32, outputs int, pictures []transforms.Tensor) (mean, variance []float32) {
	taps := len(kernel) / outputs / 3
	side := int(math.Sqrt(float64(taps)))
	for o := range outputs {
		var sum, squares, n float64
		for _, x := range pictures {
			for y0 := range x.Height - side + 1 {
				for x0 := range x.Width - side + 1 {
					v := 0.0
					for c := range 3 {
						for k := range taps {
							v += float64(kernel[(3*o+c)*taps+k] * x.Data[3*((y0+k/side)*x.Width+x0+k%side)+c])
						}
					}
					sum, squares, n = sum+v, squares+v*v, n+1
				}
			}
		}
		m := sum / n
		mean, variance = append(mean, float32(m)), append(variance, float32(squares/n-m*m))
	}
	return mean, variance
}

// here returns the networks whose real weights are on this machine, and those of TLKIT_DATA.
func here(t testing.TB, most int64) []*zoo.Net {
	t.Helper()
	var out []*zoo.Net
	add := func(name, file string) {
		net, err := zoo.Load(context.Background(), name, zoo.Options{Offline: true, Weights: file})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		out = append(out, net)
	}
	for _, r := range zoo.Rows() {
		if _, ok := r.Here(); ok && r.Bytes() <= most {
			add(r.Name, "")
		}
	}
	if dir := os.Getenv("TLKIT_DATA"); dir != "" {
		for _, n := range []string{"20-12fca82f", "56-4bfd9763"} {
			file := filepath.Join(dir, "cifar10_resnet", "resnet"+n+".th")
			if _, err := os.Stat(file); err == nil {
				add("resnet"+n[:2]+"_cifar10", file)
			}
		}
	}
	return out
}
