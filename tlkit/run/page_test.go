package run

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tlkit/transfer-learning/internal/testbrowser"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The page of an exported head predicts in Chromium, from the files, what Predict predicts, and the
// network reads the same bytes. With TLKIT_DATA set, the pictures are the photographs of ants and bees.
func TestPagePredictsTheSame(t *testing.T) {
	set := "insects"
	if _, err := os.Stat(filepath.Join(os.Getenv("TLKIT_DATA"), "hymenoptera")); err == nil && os.Getenv("TLKIT_DATA") != "" {
		set = "hymenoptera"
	}
	tab := testbrowser.Open(t, testbrowser.Options{})
	dir := t.TempDir()
	place := Place{Folder: dir, Name: "taken", Offline: true}
	r := train(t, Spec{Data: set, Model: "mobilenetv2", Seed: 1}, place)
	page := filepath.Join(dir, "page")
	if _, err := (HeadSpec{Head: r.Head}).ExportPage(t.Context(), page, export.PageOptions{}, Place{Folder: dir}, nil); err != nil {
		t.Fatal(err)
	}
	ds, err := datasets.Open(t.Context(), set, datasets.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, item := range ds.In(ds.Evaluation()) {
		paths = append(paths, item.Path)
	}
	if set == "insects" { // there are many
		paths = paths[:20]
	}
	s := httptest.NewServer(http.FileServer(http.Dir(page)))
	defer s.Close()
	tab.Run(chromedp.Navigate(s.URL))
	tab.Wait(time.Minute, "document.documentElement.dataset.ready === 'yes'")
	tab.Run(chromedp.Evaluate("asked.keep = true", nil), chromedp.SetUploadFiles("#files", paths, chromedp.ByQuery))
	begin := time.Now()
	tab.Wait(5*time.Minute, fmt.Sprintf("answers.filter(a => a.out || a.error).length === %d", len(paths)))
	took := time.Since(begin)
	want, err := Predict(t.Context(), HeadSpec{Head: r.Head}, paths, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	same, worst := 0, 0.0
	for i, path := range paths {
		got := testbrowser.Value[struct {
			Name, Words   string
			Probabilities []float64
			Pixels        string
		}](tab, fmt.Sprintf(`(({file, out}) => ({Name: file.name, Words: verdict(out).words, Probabilities: [...out.probabilities],
			Pixels: btoa(out.prepared.reduce((text, b) => text + String.fromCharCode(b), ''))}))(answers[%d])`, i))
		if got.Name != filepath.Base(path) {
			t.Fatalf("answer %d is about %s, want %s", i, got.Name, path)
		}
		if got.Words == want[i].Label {
			same++
		}
		for k, label := range h.Labels {
			worst = max(worst, math.Abs(got.Probabilities[k]-want[i].Probabilities[label]))
		}
		pixels, err := base64.StdEncoding.DecodeString(got.Pixels)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(pixels, prepared(t, h.Preset, path)) {
			t.Errorf("%s: the network reads other bytes in the browser", path)
		}
	}
	t.Logf("%s: %d of %d labels equal, largest difference of a probability %.2g, %.0f ms a picture; %s", set, same, len(paths), worst,
		float64(took.Milliseconds())/float64(len(paths)), testbrowser.Value[string](tab, "document.getElementById('check').textContent"))
	if same != len(paths) || len(paths) < 10 || !(worst < 1e-4) {
		t.Errorf("%s: %d of %d labels equal, largest difference of a probability %.2g", set, same, len(paths), worst)
	}
	tab.Picture("page-" + set)
}

// prepared are the bytes that the network reads of a picture.
func prepared(t *testing.T, p transforms.Preset, path string) []byte {
	t.Helper()
	pic, err := transforms.DecodeFile(path, transforms.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	square, err := p.Square().Picture(pic, transforms.Rand{})
	if err != nil {
		t.Fatal(err)
	}
	return square.Pix
}
