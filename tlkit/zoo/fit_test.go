package zoo

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

const cifar = "resnet20_cifar10"

func tensorsOf(t testing.TB, arch backbone.Arch) []weights.Tensor {
	t.Helper()
	all, err := formulanet.Tensors(arch, 32, 1)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ofRow is the tensors of a row, with a prefix; scaled by 1+by, so that copies can be told apart.
func ofRow(t testing.TB, name, prefix string, by float32) (out []weights.Tensor) {
	r, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tensorsOf(t, r.arch) {
		v, err := w.Float32()
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			v[i] *= 1 + by
		}
		out = append(out, weights.FromFloat32(prefix+w.Name, w.Shape, v))
	}
	return out
}

func zeros(name string, shape ...int) weights.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return weights.FromFloat32(name, shape, make([]float32, n))
}

func without(all []weights.Tensor, parts ...string) []weights.Tensor {
	return slices.DeleteFunc(all, func(w weights.Tensor) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(w.Name, p) })
	})
}

// load writes the tensors and loads them as a file for the row.
func load(t testing.TB, model, entry string, all []weights.Tensor) (*Net, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.safetensors")
	if err := weights.WriteSafetensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
	r, err := Find(model)
	if err != nil {
		t.Fatal(err)
	}
	preset := r.Preset
	preset.Size = 32
	return Load(context.Background(), model, Options{Weights: path, Entry: entry, Preset: &preset, Offline: true})
}

func TestFitFindsTheNetwork(t *testing.T) {
	raw := func(prefix string) []weights.Tensor { return ofRow(t, cifar, prefix, 0) }
	average := func(prefix string) []weights.Tensor { return ofRow(t, cifar, prefix, 1) }
	numbers := map[string]string{"conv1": "2", "bn1": "3", "layer1": "5", "layer2": "10", "layer3": "11"}
	var numbered []weights.Tensor
	for _, w := range without(raw(""), "linear") {
		top, rest, _ := strings.Cut(w.Name, ".")
		v, _ := w.Float32()
		numbered = append(numbered, weights.FromFloat32("body.0."+numbers[top]+"."+rest, w.Shape, v))
	}
	for _, c := range []struct {
		what    string
		all     []weights.Tensor
		entry   string
		want    string // Net.Entry
		doubled bool   // the averaged copy was taken
		head    bool
		says    []string
	}{
		{"as it is", raw(""), "", "", false, true, nil},
		{"prefixes in a row", raw("module._orig_mod.a_name_of_mine."), "", "module._orig_mod.a_name_of_mine", false, true, []string{"under module._orig_mod.a_name_of_mine"}},
		{"other classes", append(without(raw("model."), "linear"), zeros("model.linear.weight", 2, 64), zeros("model.linear.bias", 2)), "", "model", false, false,
			[]string{"classifier is not used", "model.linear.weight [2 64], model.linear.bias [2]"}},
		{"another head", append(without(raw("net."), "linear"), zeros("net.head.1.weight", 7, 64)), "", "net", false, false, []string{"net.head.1.weight [7 64]"}},
		{"a head beside", append(without(raw("b.backbone."), "linear"), zeros("b.head.weight", 7, 64)), "", "b.backbone", false, false, []string{"b.head.weight [7 64]"}},
		{"a head that is a convolution", append(without(raw(""), "linear"), zeros("head.weight", 7, 64, 1, 1)), "", "", false, false, []string{"head.weight [7 64 1 1]"}},
		{"no head", without(raw(""), "linear"), "", "", false, false, []string{"without a classifier"}},
		{"half of a head", without(raw(""), "linear.bias"), "", "", false, false, []string{"linear.weight [10 64]"}},
		{"average before raw", append(average("model_ema.module."), raw("model.")...), "", "model_ema.module", true, true, []string{"averaged", "--entry model"}},
		{"raw before average", append(raw("state_dict."), average("state_dict_ema.")...), "", "state_dict_ema", true, true, []string{"--entry state_dict"}},
		{"the raw one asked for", append(raw("state_dict."), average("state_dict_ema.")...), "state_dict", "state_dict", false, true, nil},
		{"teacher and student", append(raw("student.backbone."), average("teacher.backbone.")...), "", "teacher.backbone", true, true, nil},
		{"query and key", append(raw("encoder_q."), average("encoder_k.")...), "", "encoder_q", false, true, []string{"--entry encoder_k"}},
		{"the key asked for", append(raw("encoder_q."), average("encoder_k.")...), "encoder_k.", "encoder_k", true, true, nil},
		{"outermost and another", append(raw(""), average("ema.")...), "", "ema", true, true, nil},
		{"numbers for modules", append(numbered, zeros("body.1.4.weight", 2, 64)), "", "body.0", false, false, []string{"numbers", "body.1.4.weight"}},
		{"counters of training", append(raw(""), zeros("bn1.num_batches_tracked"), zeros("queue_ptr")), "", "", false, true, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			n, err := load(t, cifar, c.entry, c.all)
			if err != nil {
				t.Fatal(err)
			}
			if n.Entry != c.want || (n.Declaration().Classes > 0) != c.head || (n.Row.Classes != "") != c.head {
				t.Errorf("under %q with %d classes (%q), want %q and a head: %v", n.Entry, n.Declaration().Classes, n.Row.Classes, c.want, c.head)
			}
			for _, w := range c.says {
				if !strings.Contains(strings.Join(n.Notes, "\n"), w) {
					t.Errorf("notes %q do not say %q", n.Notes, w)
				}
			}
			if c.says == nil && c.entry == "" && c.want == "" && len(n.Notes) > 1 {
				t.Errorf("notes %q", n.Notes)
			}
			got, _, _ := n.Tensor("bn1.weight")
			want := golden.Fill("bn1.weight", []int{16}, 1)[0]
			if c.doubled {
				want *= 2
			}
			if got[0] != want {
				t.Errorf("the first number of bn1.weight is %g, want %g", got[0], want)
			}
			if in := strings.Contains(n.Identity(), c.want); !in {
				t.Errorf("identity %q does not tell %q", n.Identity(), c.want)
			}
		})
	}
}

// MMEngine's hook swaps the weights when it saves: the average is in state_dict.
func TestFitKnowsWhoSwaps(t *testing.T) {
	f := &fitter{file: &weights.File{Metadata: map[string]string{"keys": "meta, message_hub, state_dict, ema_state_dict"}}}
	if f.averaged("ema_state_dict.module.") {
		t.Error("MMEngine's ema_state_dict was taken for the average")
	}
	f.file.Metadata["keys"] = "state_dict, ema_state_dict"
	if !f.averaged("ema_state_dict.module.") || f.averaged("schema.") || f.averaged("state_dict.") {
		t.Error("words of averages")
	}
}

func TestFitRefuses(t *testing.T) {
	whole := func(name string) []weights.Tensor { return ofRow(t, name, "", 0) }
	many := whole("resnet32_cifar10")
	for i := range 5000 {
		many = append(many, zeros(fmt.Sprintf("layer3.%d.extra.weight", i), 1))
	}
	turned, grey := whole(cifar), whole(cifar)
	for i, w := range turned {
		if len(w.Shape) == 4 {
			turned[i] = zeros(w.Name, w.Shape[2], w.Shape[3], w.Shape[1], w.Shape[0])
		}
	}
	for i, w := range grey {
		if w.Name == "conv1.weight" {
			grey[i] = zeros(w.Name, 16, 1, 3, 3)
		}
	}
	wider := whole(cifar)
	for i, w := range wider {
		shape := slices.Clone(w.Shape)
		shape[0] *= 2
		wider[i] = zeros(w.Name, shape...)
	}
	for _, c := range []struct {
		what, model, entry string
		all                []weights.Tensor
		want               []string
	}{
		{"kernels in TensorFlow's order", cifar, "", turned, []string{"19 of the wrong shape", "conv1.weight: got [3 3 3 16], want [16 3 3 3]", "t.permute(3, 2, 0, 1)"}},
		{"for pictures of one channel", cifar, "", grey, []string{"1 of the wrong shape", "pictures of 1 channel(s)"}},
		{"every tensor of another width", cifar, "", wider, []string{"95 of the wrong shape", "conv1.weight: got [32 3 3 3], want [16 3 3 3]", "take a file of this network"}},
		{"a deeper network with the same names", cifar, "", whole("resnet32_cifar10"), []string{"60 unexpected", "unexpected layer1.3.bn1.bias", "--model resnet32_cifar10"}},
		{"a shallower one", "resnet32_cifar10", "", whole(cifar), []string{"missing layer1.3.conv1.weight", "--model " + cifar}},
		{"attention inside", cifar, "", append(whole(cifar), zeros("layer1.0.se.fc.weight", 4, 16)), []string{"unexpected layer1.0.se.fc.weight"}},
		{"a bias where there is none", cifar, "", append(whole(cifar), zeros("conv1.bias", 16)), []string{"unexpected conv1.bias"}},
		{"a normalisation of pixels", cifar, "", append(whole(cifar), zeros("normalize.mean", 3)), []string{"unexpected normalize.mean"}},
		{"a last norm", cifar, "", append(whole(cifar), zeros("norm.weight", 64)), []string{"unexpected norm.weight"}},
		{"a second stem", cifar, "", append(whole(cifar), zeros("stem2.weight", 16, 16, 3, 3)), []string{"unexpected stem2.weight"}},
		{"no such entry", cifar, "state_dict_ema", whole(cifar), []string{"no tensors under state_dict_ema", "leave out --entry, or take one of bn1, conv1, layer1"}},
		{"thousands of differences", cifar, "", many, []string{"unexpected 5057 more"}},
		{"nothing of it", "mobilenetv2", "", []weights.Tensor{zeros("a\x1b[2J", 3)}, []string{`"a\x1b[2J"`, "ONNX"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			n, err := load(t, c.model, c.entry, c.all)
			if err == nil {
				t.Fatalf("loaded, with notes %q", n.Notes)
			}
			if text := err.Error(); len(text) > 1500 || strings.Count(text, "\n") > 12 || strings.Contains(text, "Options.") {
				t.Errorf("%d bytes: %s", len(text), text)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not say %q", err, w)
				}
			}
		})
	}
}

// Every network that has other names elsewhere loads under them, to the same numbers.
func TestOtherNames(t *testing.T) {
	tested := 0
	for _, r := range golds() { // of the others TestOtherNamesAreOfTheSameTensors declares the tensors
		a, ok := r.arch.(renamed)
		if _, large := r.arch.(spoken); !ok || large {
			continue // TestDialects has small ones
		}
		own := tensorsOf(t, r.arch)
		for _, other := range a.otherNames() {
			tested++
			theirs := tensorsOf(t, other.arch)
			if len(own) != len(theirs) {
				t.Fatalf("%s: %d tensors here, %d in the names of %s", r.Name, len(own), len(theirs), other.by)
			}
			for i := range theirs {
				v, err := own[i].Float32()
				if err != nil {
					t.Fatal(err)
				}
				theirs[i] = weights.FromFloat32("m."+theirs[i].Name, theirs[i].Shape, v)
			}
			n, err := load(t, r.Name, "", theirs)
			if err != nil {
				t.Errorf("%s in the names of %s: %v", r.Name, other.by, err)
				continue
			}
			same, err := load(t, r.Name, "", own)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range own {
				a, _, _ := n.Tensor(w.Name)
				if b, _, _ := same.Tensor(w.Name); !slices.Equal(a, b) {
					t.Fatalf("%s in the names of %s: %s differs", r.Name, other.by, w.Name)
				}
			}
		}
	}
	if tested < 9 { // MobileNetV2 in three spellings, three sizes of Lite
		t.Errorf("only %d spellings tested", tested)
	}
}

// Every architecture of the table can do without its classifier.
func TestEveryTrunkStandsAlone(t *testing.T) {
	for _, r := range Rows() {
		if _, file := r.arch.(fitted); file {
			continue
		}
		full, err := backbone.Declare(r.arch, r.Preset.Size)
		if err != nil {
			t.Fatal(err)
		}
		if full.Classes == 0 {
			continue
		}
		a, ok := r.arch.(trunked)
		if !ok {
			t.Errorf("%s cannot do without its classifier", r.Name)
			continue
		}
		d, err := backbone.Declare(a.trunk(), r.Preset.Size)
		if err != nil || d.Classes != 0 || d.Features != full.Features {
			t.Fatalf("%s: %+v, %v", r.Name, d, err)
		}
		for i, w := range d.Weights { // fit relies on the order
			if w.Name != full.Weights[i].Name || w.Stage == backbone.Classifier {
				t.Fatalf("%s: tensor %d is %s of %s, in the whole network %s", r.Name, i, w.Name, w.Stage, full.Weights[i].Name)
			}
		}
	}
}

// Files of many tensors that look like parts of many networks cost neither minutes nor gigabytes.
func TestFitIsInProportion(t *testing.T) {
	var parts, copies, numbers []weights.Tensor
	for i := range 50_000 {
		parts = append(parts, zeros(fmt.Sprintf("p%d.bn1.weight", i), 16))
		numbers = append(numbers, zeros(fmt.Sprintf("p%d.%d.bn1.weight", i/3, i), 16))
	}
	for i := range 100 {
		copies = append(copies, ofRow(t, cifar, fmt.Sprintf("copy%03d.", i), 0)...)
	}
	for _, c := range []struct {
		what  string
		all   []weights.Tensor
		loads bool
	}{{"parts", parts, false}, {"numbers", numbers, false}, {"copies", copies, true}} {
		began := time.Now()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := load(t, cifar, "", c.all)
		runtime.ReadMemStats(&after)
		took, used := time.Since(began), (after.TotalAlloc-before.TotalAlloc)>>20
		t.Logf("%s: %v, %d MB", c.what, took, used)
		if (err == nil) != c.loads || took > 2*time.Minute || used > 300 {
			t.Errorf("%s: %v, %d MB, %v", c.what, took, used, err)
		}
		if c.loads && (n.Entry != "copy000" || len(strings.Join(n.Notes, "\n")) > 500) {
			t.Errorf("%s: under %s, notes %q", c.what, n.Entry, n.Notes)
		}
	}
}
