package audit

import (
	"context"
	"image"
	"math"
	"os"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A print of a picture is its colours on a small grid, and what its quality is judged by. Prints are kept
// in the cache of package features, as the features of a network that needs none.
const (
	seen = 256 // pixels of the square that a print is made of
	side = 32  // of the grid
)

// print is a picture in small.
type print struct {
	pixels []float32            // [side,side,3], 0..1
	grey   [side * side]float32 // brightness, 0..1
	// sharpness is the variance of the Laplacian of the brightness, in units of 1/255 squared.
	sharpness float64
	low, high float64 // the 1st and the 99th percentile of the brightness, 0..1
	spread    float64 // entropy of the brightness, in bits; 8 at most

	width, height, bytes int // of the file
}

// figures is the number of values behind the pixels in a row of prints.
const figures = 4

var printPreset = transforms.Preset{Name: "audit", Size: seen, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}

// printer makes prints of prepared pictures.
func printer() features.Backbone {
	const batch = 4
	return features.Backbone{
		Identity: "audit prints 1", Features: side*side*3 + figures, Batch: batch, AnyBatch: true, Half: true,
		Open: func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return func(pictures []float32) ([]float32, error) {
				const one = seen * seen * 3
				out := make([]float32, 0, len(pictures)/one*(side*side*3+figures))
				for at := 0; at < len(pictures); at += one {
					out = appendPrint(out, pictures[at:at+one])
				}
				return out, nil
			}, nil
		},
	}
}

// appendPrint appends the row of a picture, [seen,seen,3].
func appendPrint(out, picture []float32) []float32 {
	const cell = seen / side
	start := len(out)
	out = append(out, make([]float32, side*side*3)...)
	small := out[start:]
	grey := make([]float32, seen*seen)
	var histogram [256]int
	for y := range seen {
		for x := range seen {
			p := picture[3*(y*seen+x):][:3]
			for c, v := range p {
				small[3*((y/cell)*side+x/cell)+c] += v / (cell * cell)
			}
			g := 0.299*p[0] + 0.587*p[1] + 0.114*p[2]
			grey[y*seen+x] = g
			histogram[int(min(max(g, 0), 1)*255+0.5)]++
		}
	}
	low, high, spread := distribution(histogram)
	return append(out, float32(laplacian(grey)), low, high, spread)
}

// laplacian returns the variance of the Laplacian, in units of 1/255 squared.
func laplacian(grey []float32) float64 {
	var sum, squares float64
	for y := 1; y < seen-1; y++ {
		for x := 1; x < seen-1; x++ {
			i := y*seen + x
			v := 255 * float64(grey[i-1]+grey[i+1]+grey[i-seen]+grey[i+seen]-4*grey[i])
			sum += v
			squares += v * v
		}
	}
	n := float64((seen - 2) * (seen - 2))
	// float16 ends at 65,504.
	return min(squares/n-sum*sum/n/n, 60000)
}

func distribution(histogram [256]int) (low, high, entropy float32) {
	const n = seen * seen
	count, bits := 0, 0.0
	low, high = -1, 1
	for v, k := range histogram {
		if count += k; low < 0 && count >= n/100 {
			low = float32(v) / 255
		}
		if count <= n-n/100 {
			high = float32(v) / 255
		}
		if k > 0 {
			p := float64(k) / n
			bits -= p * math.Log2(p)
		}
	}
	return low, max(high, low), float32(bits)
}

// takePrints makes or reads the prints of all pictures, in the order of the rows.
func (a *auditor) takePrints(ctx context.Context) error {
	var rows []int
	for i, first := range a.first {
		if first == i {
			rows = append(rows, i)
		}
	}
	a.measure()
	if err := a.print(ctx, rows); err != nil {
		return err
	}
	for i, first := range a.first {
		a.prints[i] = a.prints[first]
	}
	return nil
}

// black are the pixels of a print until its picture is looked at.
var black = make([]float32, side*side*3)

// measure begins a print of each row with the size of its file.
func (a *auditor) measure() {
	a.prints = make([]*print, len(a.items))
	wanted := make([]bool, len(a.items))
	for i := 0; i < len(a.items); i += max(a.every, 1) {
		wanted[a.first[i]] = true
	}
	parallel(len(a.items), func(i int) {
		if wanted[i] {
			p := &print{pixels: black}
			p.width, p.height, p.bytes = fileSize(a.items[i].Path)
			a.prints[i] = p
		}
	})
	for i, first := range a.first {
		a.prints[i] = a.prints[first]
	}
}

// print looks at the pictures of some rows.
func (a *auditor) print(ctx context.Context, rows []int) error {
	items := make([]datasets.Item, len(rows))
	for k, i := range rows {
		items[k] = a.items[i]
	}
	m, err := features.Extract(ctx, features.Job{
		Items: items, Preset: printPreset, Backbone: printer(), BadLimit: 1,
		Progress: func(done, _, total int) { a.Progress("looking at the pictures", done, total) },
	})
	if err != nil {
		return err
	}
	for k, i := range m.Items {
		a.prints[rows[i]].read(m.Row(k))
	}
	return nil
}

// read takes the figures of a row of prints.
func (p *print) read(row []float32) {
	const pixels = side * side * 3
	p.pixels = row[:pixels:pixels]
	for i := range p.grey {
		p.grey[i] = 0.299*row[3*i] + 0.587*row[3*i+1] + 0.114*row[3*i+2]
	}
	rest := row[pixels:]
	p.sharpness, p.low, p.high, p.spread = float64(rest[0]), float64(rest[1]), float64(rest[2]), float64(rest[3])
}

// fileSize returns the size of a picture in pixels and bytes; zeros for a file whose header is not
// understood.
func fileSize(path string) (width, height, bytes int) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, 0
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		bytes = int(info.Size())
	}
	config, _, err := image.DecodeConfig(f) // package datasets knows the formats
	if err != nil {
		return 0, 0, bytes
	}
	return config.Width, config.Height, bytes
}
