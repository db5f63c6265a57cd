package zoo

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Files that OpenCLIP writes load, and make the features of its encode_image(normalize=True). The
// referee is internal/golden/referee/clip.py.
func TestPicturesAreThoseOfOpenCLIP(t *testing.T) {
	data, err := os.ReadFile("../clip/testdata/openclip.json")
	if err != nil {
		t.Fatal(err)
	}
	var referee struct {
		Models []struct {
			Name      string
			QuickGELU bool `json:"quick_gelu"`
			Pixels    int
			Gain      float64
			Pictures  struct {
				Step   int
				Values [][]float64
			}
		}
	}
	if err := json.Unmarshal(data, &referee); err != nil || len(referee.Models) < 3 {
		t.Fatalf("%v, %d models", err, len(referee.Models))
	}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, m := range referee.Models {
		tower := openCLIPTowers[m.Name]
		if m.QuickGELU {
			tower.gelu = quickGELU
		}
		tower.depth, tower.grid = 2, m.Pixels/tower.patch
		net := loadOpenCLIP(t, m.Name, tower, openCLIPTensors(tower, m.Gain))
		comparePictures(t, e, net, m.Pictures.Values, m.Pictures.Step)
	}
}

// loadOpenCLIP loads a tower that is in no row from a file with these tensors.
func loadOpenCLIP(t *testing.T, name string, tower openCLIP, tensors []weights.Tensor) *Net {
	t.Helper()
	path := filepath.Join(t.TempDir(), "open_clip_model.safetensors")
	if err := weights.WriteSafetensors(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	tower.classes = 0
	row := openCLIPRow(name, "made", "made/made", Row{})
	row.arch, row.Preset.Size = tower, tower.grid*tower.patch
	row.Preset.Resize = row.Preset.Size
	net, err := row.load(t.Context(), Options{Weights: path})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// comparePictures compares every step-th feature of two pictures with the referee's.
func comparePictures(t *testing.T, e *engine.Engine, net *Net, want [][]float64, step int) {
	t.Helper()
	x, err := net.NewExtractor(e.Backend, len(want))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	got, _, err := x.Run(golden.Input(net.Preset.Size, len(want)))
	if err != nil {
		t.Fatal(err)
	}
	off, most := 0.0, 0.0
	for i, row := range want {
		for j, w := range row {
			off = max(off, math.Abs(float64(got[i*net.declared.Features+j*step])-w))
			most = max(most, math.Abs(w))
		}
	}
	if off/most > Tolerance {
		t.Errorf("%s is off by %.1e, allowed %.0e", net.Row.Name, off/most, Tolerance)
	}
	t.Logf("%s is off by %.1e, %q", net.Row.Name, off/most, net.Notes)
}

// The picture towers of SigLIP and CLIP as OpenCLIP and Hugging Face's transformers write them beside
// their text towers, see internal/golden/referee/siglip.py.
func TestPicturesBesideTextTowers(t *testing.T) {
	data, err := os.ReadFile("../clip/testdata/siglip.json")
	if err != nil {
		t.Fatal(err)
	}
	var referee struct {
		Models []struct {
			By, Name string
			Pixels   int
			Gain     float64
			Tensors  []struct {
				Name     string
				Shape    []int
				Integers bool
			}
			Pictures struct {
				Step   int
				Values [][]float64
			}
		}
	}
	if err := json.Unmarshal(data, &referee); err != nil || len(referee.Models) != 5 {
		t.Fatalf("%v, %d models", err, len(referee.Models))
	}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, m := range referee.Models {
		t.Run(m.By+" "+m.Name, func(t *testing.T) {
			tower := openCLIPTowers[m.Name]
			tower.depth, tower.grid = 2, m.Pixels/tower.patch
			var tensors []weights.Tensor
			for _, v := range m.Tensors {
				if !strings.HasPrefix(v.Name, "vis") {
					v.Shape = []int{2} // of the text tower, which nobody looks at
				}
				w := weights.FromFloat32(v.Name, v.Shape, golden.Fill(v.Name, v.Shape, m.Gain))
				if v.Integers {
					w = zeros(v.Name, v.Shape...).Int64()
				}
				tensors = append(tensors, w)
			}
			comparePictures(t, e, loadOpenCLIP(t, m.Name, tower, tensors), m.Pictures.Values, m.Pictures.Step)
		})
	}
}

// openCLIPTensors are those of a file with both towers, as far as a loader of pictures meets them.
func openCLIPTensors(c openCLIP, gain float64) (made []weights.Tensor) {
	add := func(name string, shape ...int) {
		made = append(made, weights.FromFloat32(name, shape, golden.Fill(name, shape, gain)))
	}
	block := func(prefix string, width int) {
		for _, norm := range []string{"ln_1", "ln_2"} {
			add(prefix+norm+".weight", width)
			add(prefix+norm+".bias", width)
		}
		add(prefix+"attn.in_proj_weight", 3*width, width)
		add(prefix+"attn.in_proj_bias", 3*width)
		add(prefix+"attn.out_proj.weight", width, width)
		add(prefix+"attn.out_proj.bias", width)
		add(prefix+"mlp.c_fc.weight", 4*width, width)
		add(prefix+"mlp.c_fc.bias", 4*width)
		add(prefix+"mlp.c_proj.weight", width, 4*width)
		add(prefix+"mlp.c_proj.bias", width)
	}
	w := c.width
	add("positional_embedding", 77, 512)
	add("text_projection", 512, c.embed)
	made = append(made, weights.FromFloat32("logit_scale", nil, []float32{float32(math.Log(100))}))
	add("visual.class_embedding", w)
	add("visual.positional_embedding", c.grid*c.grid+1, w)
	add("visual.proj", w, c.embed)
	add("visual.conv1.weight", w, 3, c.patch, c.patch)
	for _, norm := range []string{"ln_pre", "ln_post"} {
		add("visual."+norm+".weight", w)
		add("visual."+norm+".bias", w)
	}
	add("token_embedding.weight", 8, 512)
	add("ln_final.weight", 512)
	add("ln_final.bias", 512)
	for _, i := range []string{"0.", "1."} {
		block("visual.transformer.resblocks."+i, w)
		block("transformer.resblocks."+i, 512)
	}
	return made
}
