package transforms

import "testing"

// Another size keeps the share of the picture, and gives the short sides that timm and torchvision do.
func TestAnotherSize(t *testing.T) {
	for _, c := range []struct{ size, resize, other, want int }{
		{224, 256, 288, 329}, // 0.875
		{224, 248, 288, 320}, // 0.9
		{224, 235, 384, 404}, // 0.95
		{224, 232, 256, 265}, // 0.965
		{224, 224, 448, 448},
		{224, 0, 288, 0},
		{100, 77, 200, 154}, // pictures get a frame, which nobody publishes
		{224, 248, 224, 248},
	} {
		p := Preset{Size: c.size, Resize: c.resize, Geometry: GeometryShort}.At(c.other)
		if p.Size != c.other || p.Resize != c.want {
			t.Errorf("%d of %d at %d: %d of %d, want of %d", c.size, c.resize, c.other, p.Size, p.Resize, c.want)
		}
	}
}
