package audit

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Pictures that are alike are no copies: of one pose on an empty ground, or with the same frame.
func TestAlikeIsNoCopy(t *testing.T) {
	drawn, err := datasets.Open(context.Background(), "insects", datasets.Options{})
	if err != nil {
		t.Skip(err)
	}
	for what, set := range map[string]*datasets.Dataset{"as drawn": drawn, "framed": framed(t, drawn)} {
		report, err := Run(context.Background(), Input{Set: set, Features: featuresOf(t, set), Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []results.FindingKind{Leak, Copy, Contradiction} {
			for _, f := range report.Of(k) {
				t.Errorf("%s: %s %v: %s", what, k, f.Files, f.Why)
			}
		}
	}
}

// framed returns some of the pictures with a frame that is an eighth of their side wide.
func framed(t *testing.T, set *datasets.Dataset) *datasets.Dataset {
	dir := t.TempDir()
	for i, item := range set.Items {
		if i%3 != 0 {
			continue
		}
		p, err := transforms.DecodeFile(item.Path, transforms.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for at := range p.Width * p.Height {
			if x, y := at%p.Width, at/p.Width; min(x, y, p.Width-1-x, p.Height-1-y) < p.Width/8 {
				copy(p.Pix[3*at:], []byte{200, 160, 60})
			}
		}
		var file bytes.Buffer
		if err := png.Encode(&file, p); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, set.Labels[item.Class], fmt.Sprintf("%04d.png", i)), file.Bytes())
	}
	out, err := datasets.Open(context.Background(), dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
