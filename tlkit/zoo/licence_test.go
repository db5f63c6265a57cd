package zoo

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
)

// Weights for non-commercial use need Options.NonCommercial, before anything is fetched, and for
// copies of the file too. A row of the hub is fetched and loaded.
func TestNonCommercialWeightsNeedAWord(t *testing.T) {
	const name = "resnet18.fb_swsl_ig1b_ft_in1k"
	row, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	g, ok, err := golden.Find(row.golden, golden.Formula)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	file := filepath.Join(t.TempDir(), "formula.safetensors") // in place of the real weights
	if err := formulanet.Write(file, row.arch, g.Size, g.Gain); err != nil {
		t.Fatal(err)
	}
	sum, err := hashFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("X-Repo-Commit", strings.Repeat("c", 40))
		w.Header().Set("X-Linked-Etag", `"`+sum+`"`)
		http.ServeFile(w, r, file)
	}))
	defer s.Close()
	for _, v := range []string{"HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Setenv(v, "")
	}
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	t.Setenv("HF_ENDPOINT", s.URL)
	_, err = Load(t.Context(), name, Options{})
	if !errors.Is(err, ErrNonCommercial) || asked > 0 || !strings.Contains(err.Error(), "CC-BY-NC-4.0") || !strings.Contains(err.Error(), "--noncommercial") {
		t.Errorf("err = %v after %d requests, want a refusal with the licence and the word, before any", err, asked)
	}
	n, err := Load(t.Context(), name, Options{NonCommercial: true})
	if err != nil {
		t.Fatal(err)
	}
	if n.SHA256 != sum || !n.Published || asked == 0 {
		t.Errorf("sha256 %s, published %v, %d requests", n.SHA256, n.Published, asked)
	}
	if _, err := Load(t.Context(), name, Options{Weights: file}); !errors.Is(err, ErrNonCommercial) {
		t.Errorf("a copy of the published file: err = %v", err)
	}
	if _, err := Load(t.Context(), "resnet18", Options{Weights: file}); err != nil {
		t.Errorf("the same architecture under a licence that allows it: %v", err)
	}
	if _, err := Load(t.Context(), "resnet18.a1_in1k", Options{Offline: true}); !errors.Is(err, fetch.ErrOffline) {
		t.Errorf("offline and not here: err = %v", err)
	}
}
