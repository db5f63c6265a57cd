package transforms

import (
	"bytes"
	"image/jpeg"
	"testing"
)

// benchJPEG is a 500 x 375 photo-like picture: waves and edges, so that the entropy
// coder has about as much to do as with a real one.
func benchJPEG(b *testing.B) []byte {
	p := formula(375, 500, 0)
	smooth, err := p.Resize(125, 94, Bilinear)
	if err == nil {
		smooth, err = smooth.Resize(500, 375, Bicubic)
	}
	if err != nil {
		b.Fatal(err)
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, smooth, &jpeg.Options{Quality: 85}); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes()
}

func BenchmarkDecodeJPEG(b *testing.B) {
	data := benchJPEG(b)
	b.SetBytes(3 * 500 * 375)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data, DecodeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResize(b *testing.B) {
	p := formula(375, 500, 0)
	for _, filter := range []Interpolation{Nearest, Bilinear, Bicubic, Lanczos} {
		b.Run(string(filter), func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Resize(341, 256, filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkResizeAndCrop(b *testing.B) {
	p := formula(375, 500, 0)
	pipe := Compose(Resize(256), CenterCrop(224))
	for b.Loop() {
		if _, err := pipe.Picture(p, Rand{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	p := formula(224, 224, 0)
	pipe := Compose(ToTensor(), Normalize([3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}))
	dst := make([]float32, 3*224*224)
	for b.Loop() {
		if _, err := pipe.ApplyTo(dst, p, Rand{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEvaluation is the whole way of a picture: decode, resize, crop, normalise.
func BenchmarkEvaluation(b *testing.B) {
	data := benchJPEG(b)
	pipe := imagenetPreset().Eval()
	dst := make([]float32, 3*224*224)
	b.ReportAllocs()
	for b.Loop() {
		p, err := Decode(data, DecodeOptions{})
		if err == nil {
			_, err = pipe.ApplyTo(dst, p, Rand{})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
