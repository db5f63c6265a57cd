package run

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// What a run learns about how sure its head may be is in the head file, and evaluation says how far it is kept.
func TestConfidenceIsInTheHeadFile(t *testing.T) {
	pictures, work := testpictures.Shapes(t, []string{"discs", "bars"}, 20), t.TempDir()
	out := filepath.Join(work, "h.head.safetensors")
	train(t, Spec{Data: pictures, Model: "mobilenetv2", Seed: 1}, Place{Folder: work, Out: out})
	h, err := export.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	k := h.Confidence
	if k == nil || k.Temperature == nil || k.Sets == nil || k.Familiar == nil || len(k.Familiar.Mean) != h.Backbone.Features {
		t.Fatalf("%+v", k)
	}
	k.Familiar.Limit = -1e6
	if err := h.Write(out); err != nil {
		t.Fatal(err)
	}
	e, err := EvaluateHead(context.Background(), HeadSpec{Head: out, Data: pictures}, Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u := e.Confidence.Unlike; u == nil || u.Correct != u.Total || !strings.Contains(e.Details(), "sets for 90 %") {
		t.Errorf("a limit that every picture passes: %+v\n%s", u, e.Details())
	}
	if _, ok := e.Reliability(); !ok {
		t.Error("no reliability diagram")
	}
	all, err := Predict(context.Background(), HeadSpec{Head: out}, []string{filepath.Join(pictures, "discs", "01.png")}, Place{}, nil)
	if err != nil || !all[0].Unlike() || len(all[0].Set) == 0 || !strings.Contains(all[0].Words(), "unlike the training pictures") {
		t.Errorf("%+v, %v", all, err)
	}
	k.Familiar.Whiten = k.Familiar.Whiten[1:]
	if err := h.Write(out); err == nil {
		t.Error("arrays that do not fit together are written")
	}
}
