package serve

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The first pictures are looked at: empty ones are said once, in the log alone, and all are answered. Ordinary ones,
// however strange, are not said.
func TestOnlooker(t *testing.T) {
	flat := func(k int) []byte {
		m := image.NewRGBA(image.Rect(0, 0, 30, 30))
		for i := range 900 {
			m.SetRGBA(i%30, i/30, color.RGBA{uint8(5 * k), uint8(3 * k), 90, 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	const said = "each is of a single colour"
	for what, c := range map[string]struct {
		picture func(k int) []byte
		want    int
	}{
		"flat":     {flat, 1},
		"ordinary": {func(k int) []byte { return photo(t, k) }, 0},
	} {
		s := serving(t, Options{})
		for k := range firstPictures + 4 {
			if status, text := post(t, s.url+"/predict", "image/png", c.picture(k)); status != 200 {
				t.Fatalf("%s: %d %s", what, status, text)
			}
		}
		if c.want > 0 {
			eventually(t, "the log has it", func() bool { return strings.Contains(s.log.String(), said) })
		}
		s.Close()
		if n := strings.Count(s.log.String(), "level=WARN"); n != c.want {
			t.Errorf("%s: %d warnings, want %d:\n%s", what, n, c.want, s.log)
		}
	}
}

// A preset that does not fit is said when the network opens, and not again. A robot without a network has none.
func TestOnlookerOfAPreset(t *testing.T) {
	raw, err := transforms.Statistics("raw")
	if err != nil {
		t.Fatal(err)
	}
	row, err := zoo.Find("mobilenetv2")
	if err != nil {
		t.Fatal(err)
	}
	preset := row.Preset.WithStatistics(raw)
	net, err := zoo.Load(context.Background(), "mobilenetv2", zoo.Options{Preset: &preset})
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	o := onlookerOf(net, slog.New(slog.NewTextHandler(log, nil)))
	for k := range firstPictures + 1 {
		p, err := preset.Eval().Load(nil, photo(t, k), transforms.DecodeOptions{}, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		o.look(p)
	}
	o.judge()
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "not divided by 255") {
		t.Errorf("said %s", text)
	}
	onlookerOf(nil, nil).look(transforms.Tensor{})
}
