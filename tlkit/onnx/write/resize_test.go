package write

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// pixelsAndMeans is a network that shows the squares that it reads: as they are, and their means by
// channel, which takes an operation whose axes move with version 18.
func pixelsAndMeans(t *testing.T, size int) []byte {
	t.Helper()
	file, err := Bytes(Network{
		Picture: []int{size, size, 3}, Bytes: true, Metadata: map[string]string{"old": "1"},
		Build: func(x *Node) []Output {
			x = ConvertDType(x, dtypes.Float32)
			return []Output{{"pixels", AddScalar(x, 0)}, {"means", ReduceMean(x, 1, 2)}, {"most", ReduceMax(x, 1, 2)}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// smooth is a picture whose pixels change as those of photographs, with an edge.
func smooth(w, h, k int) *transforms.Picture {
	p := transforms.NewPicture(w, h)
	for i := range p.Pix {
		x, y, c := i/3%w, i/3/w, i%3
		v := 128 + 80*math.Sin(float64(x)/9+float64(c+k))*math.Cos(float64(y)/(7+float64(k))) + float64((x*7+y*13+c*5)%16)
		if x > 2*w/3 && y > h/3 {
			v = 255 - v/2
		}
		p.Pix[i] = uint8(max(0, min(255, v)))
	}
	return p
}

// What a file makes of pictures of any shape is close to what package transforms makes.
func TestResizing(t *testing.T) {
	rt := testruntime.Open(t)
	const size = 40
	file := pixelsAndMeans(t, size)
	presets := []transforms.Preset{
		{Resize: 48, Geometry: transforms.GeometryShort},
		{Resize: 47, Geometry: transforms.GeometryShort, Interpolation: transforms.Bicubic},
		{Resize: 33, Geometry: transforms.GeometryShort}, // black around it
		{Resize: 40, Geometry: transforms.GeometryShort, Interpolation: transforms.Nearest},
		{CropFraction: 0.9, Geometry: transforms.GeometryShort},
		{CropFraction: 0.875, Geometry: transforms.GeometryCrop, Interpolation: transforms.Bicubic},
		{CropFraction: 240. / 272, Geometry: transforms.GeometryCrop},
		{Geometry: transforms.GeometryCrop, Interpolation: transforms.Nearest},
		{Geometry: transforms.GeometrySquash},
		{Geometry: transforms.GeometrySquash, Interpolation: transforms.Bicubic},
	}
	shapes := [][2]int{{200, 150}, {150, 201}, {40, 40}, {48, 48}, {47, 48}, {41, 40}, {1, 1}, {3, 2}, {2, 9}, {1500, 1000}, {999, 2001}, {300, 20}, {17, 272}, {400, 49}, {33, 70}}
	for _, p := range presets {
		p.Size, p.Range, p.Std, p.Channels = size, [2]float32{0, 1}, [3]float32{1, 1, 1}, "RGB"
		t.Run(p.SquareWords(), func(t *testing.T) {
			resizing, err := Resizing(file, p, map[string]string{"new": "2"})
			if err != nil {
				t.Fatal(err)
			}
			if about, err := Metadata(resizing); err != nil || fmt.Sprint(about) != "map[new:2]" {
				t.Errorf("metadata %v, %v", about, err)
			}
			s, err := rt.Session(resizing, onnxruntime.SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, shape := range shapes {
				compareSquares(t, s, p, shape)
			}
		})
	}
}

// compareSquares compares the squares of two pictures of a shape.
func compareSquares(t *testing.T, s *onnxruntime.Session, p transforms.Preset, shape [2]int) {
	t.Helper()
	w, h := shape[0], shape[1]
	two := [2]*transforms.Picture{smooth(w, h, 0), {Width: w, Height: h, Pix: golden.Picture(w, h, 1)}}
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{2, h, w, 3}, Uint8: slices.Concat(two[0].Pix, two[1].Pix)})
	if err != nil {
		t.Errorf("%d x %d: %v", w, h, err)
		return
	}
	n := 3 * p.Size * p.Size
	if fmt.Sprint(out[0].Shape) != fmt.Sprint([]int{2, p.Size, p.Size, 3}) {
		t.Fatalf("%d x %d: squares of shape %v", w, h, out[0].Shape)
	}
	for k, pic := range two {
		want, err := p.Square().Picture(pic, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		got := out[0].Float32[k*n : (k+1)*n]
		most, sum, means, maxima := 0.0, 0.0, [3]float64{}, [3]float32{}
		for i, v := range got {
			off := math.Abs(float64(v) - float64(want.Pix[i]))
			most, sum = max(most, off), sum+off
			means[i%3] += 3 * float64(v) / float64(n)
			maxima[i%3] = max(maxima[i%3], v)
		}
		// The patterns change from pixel to pixel; a corner one pixel off is 8 on average. Of Nearest, the
		// middle between two pixels falls to either side.
		allowed := 0.5
		if p.Interpolation == transforms.Nearest {
			allowed = 4
		}
		if sum/float64(n) > allowed {
			t.Errorf("%d x %d, picture %d: off by %v at most, %.4f on average", w, h, k, most, sum/float64(n))
		}
		for c := range 3 {
			if math.Abs(means[c]-float64(out[1].Float32[3*k+c])) > 1e-3 || maxima[c] != out[2].Float32[3*k+c] {
				t.Errorf("%d x %d: mean %v, most %v of channel %d, want %v, %v", w, h, out[1].Float32[3*k+c], out[2].Float32[3*k+c], c, means[c], maxima[c])
			}
		}
	}
}

// What cannot be resized inside a file is an error that says why.
func TestResizingRefuses(t *testing.T) {
	p := transforms.Preset{Name: "p", Size: 40, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
	file := pixelsAndMeans(t, 40)
	floats, err := built(Neg)
	if err != nil {
		t.Fatal(err)
	}
	once, err := Resizing(file, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	lanczos, large, wrong := p, p, p
	lanczos.Interpolation, large.Size, wrong.Geometry = transforms.Lanczos, 41, "round"
	for name, c := range map[string]struct {
		file   []byte
		preset transforms.Preset
		says   string
	}{
		"another filter": {file, lanczos, "lanczos"},
		"another size":   {file, large, "[N,41,41,3]"},
		"no geometry":    {file, wrong, "round"},
		"floats":         {floats, p, "uint8"},
		"twice":          {once, p, "not uint8 [N,40,40,3]"},
		"a torn file":    {file[:len(file)-3], p, "not a file"},
	} {
		if _, err := Resizing(c.file, c.preset, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", name, err, c.says)
		}
	}
}
