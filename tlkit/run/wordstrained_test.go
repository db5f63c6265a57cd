package run

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// wholeCLIP writes CLIP ViT-B/32 in its full size, in the names of Hugging Face's transformers, with
// weights made by the formula.
func wholeCLIP(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../clip/testdata/siglip.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Models []struct {
			Name    string
			Tensors []struct {
				Name     string
				Shape    []int
				Integers bool
			}
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	m := file.Models[len(file.Models)-1]
	var all []weights.Tensor
	for _, v := range m.Tensors {
		if v.Name == "vision_model.embeddings.position_embedding.weight" {
			v.Shape = []int{50, 768} // the referee's pictures are smaller
		}
		names := []string{v.Name}
		if strings.Contains(v.Name, ".layers.1.") {
			names = nil
		} else if strings.Contains(v.Name, ".layers.0.") { // two layers stand for twelve
			names = nil
			for i := range 12 {
				names = append(names, strings.Replace(v.Name, ".0.", "."+string("0123456789ab"[i])+".", 1))
			}
		}
		for _, name := range names {
			name = strings.NewReplacer(".layers.a.", ".layers.10.", ".layers.b.", ".layers.11.").Replace(name)
			values := golden.Fill(name, v.Shape, 0.5)
			switch {
			case v.Integers:
				all = append(all, weights.FromFloat32(name, v.Shape, make([]float32, len(values))).Int64())
				continue
			case name == "logit_scale":
				values = []float32{float32(math.Log(100))}
			}
			all = append(all, weights.FromFloat32(name, v.Shape, values))
		}
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := weights.WriteSafetensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// From a folder of pictures to a head file that starts from words, with a whole network. It takes a
// minute and 600 MB, so it runs where it is asked for.
func TestTrainFromWords(t *testing.T) {
	if os.Getenv("TLKIT_WORDS_TEST") != "1" {
		t.Skip("set TLKIT_WORDS_TEST=1 to train on a whole CLIP network")
	}
	s := Spec{Data: testpictures.Shapes(t, []string{"discs", "squares"}, 10), Model: "vit-b-32-quickgelu.openai", Weights: wholeCLIP(t), Seed: 1, ZeroShot: "discs=disc|round thing,*=a photo of a {}.|a drawing of a {}."}
	place := Place{Folder: t.TempDir()}
	r, err := Train(t.Context(), s, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Words) != 2 || r.Baseline == nil || r.Choices[0].Strength != wordStrengths[0] {
		t.Fatalf("%+v", r)
	}
	t.Logf("%s; %+v; strength %g", r.Line(), r.Words, r.Strength)
	z := s
	z.ZeroShot, z.Split = "", r.Split
	v, err := EvaluateModel(t.Context(), z, s.ZeroShot, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("evaluate: %s; words alone %s", v.Score.Brief(), r.Words[0].Brief())
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Linear.Check(); err != nil || h.Linear.Features != 512 {
		t.Fatalf("%v, %d features", err, h.Linear.Features)
	}
	plain := s
	plain.ZeroShot = ""
	p, err := Train(t.Context(), plain, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Words != nil || p.Score != r.Words[1].Score {
		t.Errorf("from zeros: %s, want what the run from words says: %s", p.Line(), r.Words[1].Brief())
	}
	if r.Run == p.Run {
		t.Error("both runs have one folder")
	}
}
