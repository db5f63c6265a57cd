package clip

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// written is a network as OpenCLIP or Hugging Face's transformers writes it, with what it makes of the
// prompts, see internal/golden/referee/siglip.py.
type written struct {
	By, Name          string
	Gain, Scale, Bias float64
	Tensors           []named
	Texts             struct {
		Step   int
		Values [][]float64
	}
}

type named struct {
	Name     string
	Shape    []int
	Integers bool
}

// ofPictures reports whether a tensor belongs to the tower of pictures.
func (v named) ofPictures() bool { return strings.HasPrefix(v.Name, "vis") }

func openWritten(t *testing.T) (prompts []string, all []written) {
	t.Helper()
	data, err := os.ReadFile("testdata/siglip.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Prompts []string
		Models  []written
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Models) != 5 {
		t.Fatal(len(file.Models), err)
	}
	return file.Prompts, file.Models
}

// file writes the network, filled by the formula. front stands in front of all names, as trainers write
// them.
func (w written) file(t *testing.T, front string) string {
	t.Helper()
	var all []weights.Tensor
	for _, v := range w.Tensors {
		if v.ofPictures() {
			v.Shape = []int{1} // nobody looks at it
		}
		values := golden.Fill(v.Name, v.Shape, w.Gain)
		switch v.Name {
		case scale:
			values = []float32{float32(w.Scale)}
		case bias:
			values = []float32{float32(w.Bias)}
		}
		tensor := weights.FromFloat32(front+v.Name, v.Shape, values)
		if v.Integers {
			tensor = weights.FromFloat32(front+v.Name, v.Shape, make([]float32, len(values))).Int64()
		}
		all = append(all, tensor)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := weights.WriteSafetensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// small is a model without weights, of the depth and the vocabulary of the referee.
func (w written) small(t *testing.T) *Model {
	t.Helper()
	m := &Model{Row: zoo.Row{Name: w.Name}, tower: towers[w.Name]}
	m.Embed, m.tower.layers = m.tower.embed, 2
	if m.tower.trained == asCLIP {
		m.tokenizer = openAI(t)
	} else {
		m.tokenizer = smallPieces(t)[m.tower.trained]
		m.tower.vocabulary = m.tokenizer.size()
	}
	return m
}

// From words to vectors, by weights in the names of OpenCLIP and of transformers.
func TestTextsAreThoseOfTheOriginals(t *testing.T) {
	e := testEngine(t)
	prompts, all := openWritten(t)
	for _, w := range all {
		t.Run(w.By+" "+w.Name, func(t *testing.T) {
			m := w.small(t)
			if err := m.read(w.file(t, "")); err != nil {
				t.Fatal(err)
			}
			if math.Abs(m.Scale()-math.Exp(w.Scale)) > 1e-5 || math.Abs(m.Bias()-w.Bias) > 1e-6 {
				t.Errorf("scale %v and bias %v, want %v and %v", m.Scale(), m.Bias(), math.Exp(w.Scale), w.Bias)
			}
			got, err := m.Texts(t.Context(), e, prompts)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i, row := range w.Texts.Values {
				off := difference(got[i], row, w.Texts.Step)
				if worst = max(worst, off); off > tolerance {
					t.Errorf("%.40q is off by %.1e, allowed %.0e", prompts[i], off, tolerance)
				}
			}
			t.Logf("off by %.1e", worst)
		})
	}
}

// narrow is the network with a 32nd of the channels, and a model for it.
func (w written) narrow(t *testing.T) (written, *Model) {
	m := w.small(t)
	var tensors []named
	for _, v := range w.Tensors {
		v.Shape = slices.Clone(v.Shape)
		for i, d := range v.Shape {
			if d > Context && d != m.tower.vocabulary {
				v.Shape[i] = d / 32
			}
		}
		tensors = append(tensors, v)
	}
	w.Tensors = tensors
	m.tower.width, m.tower.embed = m.tower.width/32, m.tower.embed/32
	return w, m
}

// without is the network without the tensors whose names end so.
func (w written) without(end string) written {
	w.Tensors = slices.DeleteFunc(slices.Clone(w.Tensors), func(v named) bool { return strings.HasSuffix(v.Name, end) && !v.ofPictures() })
	return w
}

// A file is read whatever is in front of its names, and one that lacks something is refused by name.
func TestReadNames(t *testing.T) {
	_, all := openWritten(t)
	for _, w := range all {
		w, m := w.narrow(t)
		if err := m.read(w.file(t, "state_dict.module.")); err != nil {
			t.Errorf("%s %s: %v", w.By, w.Name, err)
		}
		for _, missing := range []string{"ln_2.bias", "layer_norm2.bias", "k_proj.weight", "logit_scale"} {
			less := w.without(missing)
			if len(less.Tensors) == len(w.Tensors) {
				continue
			}
			if err := m.read(less.file(t, "")); err == nil || !strings.Contains(err.Error(), "missing") {
				t.Errorf("%s %s without %s: %v", w.By, w.Name, missing, err)
			}
		}
		pictures := w
		pictures.Tensors = slices.DeleteFunc(slices.Clone(w.Tensors), func(v named) bool { return !v.ofPictures() })
		if err := m.read(pictures.file(t, "")); err == nil || !strings.Contains(err.Error(), "no text tower") {
			t.Errorf("%s %s, pictures only: %v", w.By, w.Name, err)
		}
	}
}

// For SigLIP each text stands for itself: another text beside it changes nothing.
func TestProbabilitiesOfSigLIP(t *testing.T) {
	m := &Model{Embed: 2, scale: 100, bias: -12, tower: textTower{trained: asSigLIP}}
	p := m.Probabilities([]float32{1, 0}, [][]float32{{0.13, 0.9}, {0.1, -0.9}, {-1, 0}})
	want := []float64{1 / (1 + math.Exp(-1)), 1 / (1 + math.Exp(2)), 0}
	for i := range want {
		if math.Abs(p[i]-want[i]) > 1e-6 {
			t.Errorf("%v, want %v", p, want)
		}
	}
	if alone := m.Probabilities([]float32{1, 0}, [][]float32{{0.1, -0.9}}); math.Abs(alone[0]-p[1]) > 1e-12 {
		t.Errorf("alone %v, beside others %v", alone[0], p[1])
	}
	if !m.Independent() || (&Model{}).Independent() {
		t.Error("SigLIP's texts are independent of each other, CLIP's are not")
	}
}

// A vocabulary beside the weights is taken, and one of another network refused.
func TestVocabularyBesideTheWeights(t *testing.T) {
	_, all := openWritten(t)
	for _, w := range all {
		trained := towers[w.Name].trained
		name, model := "spiece.model", "unigram.model.gz"
		switch trained {
		case asCLIP:
			continue
		case asSigLIP2:
			name, model = "tokenizer.model", "bpe.model.gz"
		}
		w, _ := w.narrow(t)
		path := w.file(t, "")
		data := unpacked(t, model)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := trained.tokenizer(t.Context(), path, zoo.Options{Offline: true})
		if err != nil || got.size() != 3000 {
			t.Fatalf("%s: %v, %v", w.Name, got, err)
		}
		row := strings.ToLower(w.Name) + ".webli"
		if _, err := Load(t.Context(), row, zoo.Options{Weights: path, Offline: true}); err == nil || !strings.Contains(err.Error(), "a vocabulary of 3000 tokens") {
			t.Errorf("%s: %v", row, err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), bytes.Repeat([]byte("no"), 99), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := trained.tokenizer(t.Context(), path, zoo.Options{Offline: true}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a damaged %s: %v", name, err)
		}
	}
}
