// Package export writes a trained head to one file and opens it again, on this machine or another.
//
// A head file is a .safetensors file: "head.weight" [K, C] and "head.bias" [K], PyTorch's layout of
// nn.Linear (or, for a head that is not linear, the arrays of package heads, which "layers" in the
// metadata describe), and every backbone tensor that training changed, under the checkpoint's own key (none
// after feature extraction). Its metadata holds everything needed to turn a picture into a
// prediction: the task (one label a picture, several labels, or real values), the names of labels
// or values, the preset, and the backbone's name and sha256. It also records the head's score and
// the data behind it. The file contains no code.
//
// Three checks prevent wrong predictions from a damaged file. A sha256 over the whole file, header
// included, detects any flipped bit. The backbone's weights must have the sha256 that the head was
// trained on. And opening the file classifies three small built-in pictures: their logits must
// equal those recorded at training, to within 1e-3 of the largest; if not, the error states the
// difference.
//
// [Classifier.WriteTorch] writes head and backbone for torchvision or timm, [Classifier.WriteONNX] as one
// ONNX file, [Classifier.WritePage] as a page that predicts in a browser.
//
// The head file itself from Python, with features that any torch copy of the backbone gives:
//
//	import json
//	import torch
//	from safetensors import safe_open
//
//	def open_head(path):
//	    with safe_open(path, framework="pt") as f:
//	        about = json.loads(f.metadata()["tlkit.head"])
//	        if "layers" in about:
//	            raise ValueError("not a linear head: export it with --onnx")
//	        head = torch.nn.Linear(about["backbone"]["features"], len(about["labels"]))
//	        weight, bias = f.get_tensor("head.weight"), f.get_tensor("head.bias")
//	        head.load_state_dict({"weight": weight, "bias": bias})
//	    return head.eval(), about
//
//	# features [N, C] are of pictures prepared by about["preset"]
//	def answers(head, about, features):
//	    with torch.no_grad():
//	        out = head(features)
//	    names, task = about["labels"], about.get("task", "classes")
//	    if task == "values":                   # in the units of the training data
//	        return [dict(zip(names, row.tolist())) for row in out]
//	    if task == "labels":                   # each label on its own, from its threshold on
//	        rows, limits = out.double().sigmoid(), about["thresholds"]
//	        return [[n for n, p, t in zip(names, row, limits) if p >= t] for row in rows]
//	    return [names[i] for i in out.argmax(1)]
//
//	head, about = open_head("ants-and-bees.head.safetensors")
//	print(answers(head, about, features))
package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Head is the content of a head file.
type Head struct {
	// Task is "" in files from before there were several tasks: one label a picture.
	Task     datasets.Task     `json:"task,omitempty"`
	Labels   []string          `json:"labels"` // K names of classes, labels or values
	Preset   transforms.Preset `json:"preset"`
	Backbone Backbone          `json:"backbone"`
	Data     Data              `json:"data"`
	Result   Result            `json:"result"`
	Seed     uint64            `json:"seed"`

	// Thresholds are the probabilities from which a picture gets each of several labels, chosen out
	// of fold on the training pictures.
	Thresholds []float64 `json:"thresholds,omitempty"`
	// Scales are the distributions of real values in the training pictures. The head's outputs are
	// already in the same units.
	Scales []task.Scale `json:"scales,omitempty"`

	// Confidence says how sure the head may be; nil in files from before it was learnt.
	Confidence *confidence.Known `json:"confidence,omitempty"`

	Plan     json.RawMessage   `json:"plan,omitempty"`     // the learner's plan
	Versions map[string]string `json:"versions,omitempty"` // of Go and the libraries that trained it

	// Changed are the backbone tensors that training changed, under the checkpoint's own keys and
	// in its layout, or pairs of narrow matrices that LoRA has trained beside them, see
	// [backbone.LoRANames]; nil after feature extraction. [Head.Open] puts them in place of the
	// backbone's, or adds them.
	Changed []weights.Tensor `json:"-"`

	// Layers describe a head that is not linear, see [Head.SetModel]; nil for a linear one.
	Layers []heads.Layer `json:"layers,omitempty"`

	Linear head.Linear `json:"-"` // of a linear head
	Parity []float32   `json:"-"` // [ParityPictures, K] logits of the built-in pictures

	model heads.Model // of a head with Layers
}

// SetModel sets what turns features into logits.
func (h *Head) SetModel(m heads.Model) {
	h.Layers, h.model, h.Linear = heads.Layers(m), m, head.Linear{}
	if linear, ok := m.(*head.Linear); ok {
		h.model, h.Linear = nil, *linear
	}
}

// Predictor returns what turns features into logits.
func (h *Head) Predictor() heads.Model {
	if h.model != nil {
		return h.model
	}
	return &h.Linear
}

// Logits returns the logits [N, K] of features [N, C], both row-major.
func (h *Head) Logits(x []float32) []float32 { return h.Predictor().Logits(x) }

// Tuned returns the names of the backbone's tensors that training changed. A pair of narrow matrices in
// Changed counts as the matrix that it is added to.
func (h *Head) Tuned() []string {
	var names []string
	for _, t := range h.Changed {
		name := t.Name
		if of, ok := backbone.BesideOf(name); ok {
			name = of
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Backbone identifies the network below the head.
type Backbone struct {
	Name     string `json:"name"` // in the zoo
	SHA256   string `json:"sha256"`
	Entry    string `json:"entry,omitempty"` // where in the weights file the weights are, see zoo.Net
	Features int    `json:"features"`        // C
	Origin   string `json:"origin,omitempty"`
	Licence  string `json:"licence,omitempty"`
}

// Data identifies the data that the head was trained on.
type Data struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
	Train       int    `json:"train"` // number of training pictures
	// Of each label; a picture with several counts under each. Nil for values, and in files from before
	// it was kept.
	PerLabel []int  `json:"per_label,omitempty"`
	Licence  string `json:"licence,omitempty"`
}

// Result is the score of the head at the end of its training.
type Result struct {
	Split string `json:"split"` // what the score is of, in words
	// Number of folds of a cross-validated score; 0 = on pictures it did not learn from.
	Folds int `json:"folds,omitempty"`
	metrics.Score
}

const (
	formatKey    = "tlkit.format"
	headKey      = "tlkit.head"
	digestKey    = "tlkit.sha256"
	parityName   = "tlkit.parity"
	format       = "1"
	formatLayers = "2" // of a file with Layers, which older versions do not know
	digestChars  = 64
	// maxFile is the largest file that is read into memory. A head is K·C floats, and even a
	// complete changed ResNet-152 is smaller than this.
	maxFile = 1 << 30
)

// Errors that Read and Open wrap; test for them with errors.Is.
var (
	ErrDamaged = errors.New("the file is damaged")
	ErrParity  = errors.New("the logits of the built-in pictures differ from the recorded ones")
)

// Check reports what is wrong with a head. [Head.Write] and [Read] call it.
func (h *Head) Check() error {
	if err := h.Predictor().Check(); err != nil {
		return err
	}
	features, outputs := h.Predictor().Size()
	if err := h.Preset.Validate(); err != nil {
		return err
	}
	k := len(h.Labels)
	switch {
	case k != outputs:
		return fmt.Errorf("export: %d labels for a head of %d classes, want one for each", k, outputs)
	case h.Backbone.Features != features:
		return fmt.Errorf("export: a head on %d features and a backbone of %d, want the same number", features, h.Backbone.Features)
	case (h.model == nil) != (h.Layers == nil):
		return advice.New(errors.New("export: a head with layers and without a model for them"), "use Head.SetModel")
	case h.Layers != nil && h.Task != "" && h.Task != datasets.Classes:
		return fmt.Errorf("export: a head of the kind %s for the task %q, want one label a picture", h.Layers[0].Kind, h.Task)
	case h.Backbone.Name == "" || len(h.Backbone.SHA256) != sha256.Size*2:
		return fmt.Errorf("export: backbone %q with sha256 %q, want a network of the zoo and 64 hex digits", h.Backbone.Name, h.Backbone.SHA256)
	case len(h.Parity) != ParityPictures*k:
		return fmt.Errorf("export: %d parity logits, want %d (%d pictures x %d classes)", len(h.Parity), ParityPictures*k, ParityPictures, k)
	case h.Data.PerLabel != nil && len(h.Data.PerLabel) != k:
		return fmt.Errorf("export: training pictures of %d labels, want %d", len(h.Data.PerLabel), k)
	}
	if err := h.checkTask(); err != nil {
		return err
	}
	if err := h.Confidence.Check(features, outputs); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	own := h.tensors()
	for _, t := range h.Changed {
		if slices.ContainsFunc(own, func(o weights.Tensor) bool { return o.Name == t.Name }) {
			return fmt.Errorf("export: the changed backbone has a tensor %s, a name that head files reserve for the head", t.Name)
		}
	}
	seen := map[string]bool{}
	for i, l := range h.Labels {
		if l == "" || seen[l] {
			return fmt.Errorf("export: label %d is %q, want distinct names", i, l)
		}
		seen[l] = true
	}
	return nil
}

// checkTask reports thresholds and scales that do not suit the task.
func (h *Head) checkTask() error {
	a, err := answersOf(h.Task)
	if err != nil {
		return err
	}
	thresholds, scales := a.reading(len(h.Labels))
	if len(h.Thresholds) != thresholds || len(h.Scales) != scales {
		return fmt.Errorf("export: %d thresholds and %d scales for the task %q with %d names, want %d and %d", len(h.Thresholds), len(h.Scales), h.Task, len(h.Labels), thresholds, scales)
	}
	for i, t := range h.Thresholds {
		if !(t >= 0 && t <= 1) {
			return fmt.Errorf("export: the threshold of %q is %v, want a probability", h.Labels[i], t)
		}
	}
	for i, s := range h.Scales {
		if !(s.SD > 0 && s.Min <= s.Mean && s.Mean <= s.Max) || math.IsInf(s.SD, 0) {
			return fmt.Errorf("export: the scale of %q is %+v, want a mean between min and max and a standard deviation above 0", h.Labels[i], s)
		}
	}
	return nil
}

// Write writes the head file at path, completely or not at all. The same head gives the same bytes.
func (h *Head) Write(path string) error {
	data, err := h.encode()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(path, data, 0o644); err != nil {
		return fmt.Errorf("export: cannot write the head: %w", err)
	}
	return nil
}

func (h *Head) encode() ([]byte, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	about, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	var buf bytes.Buffer
	err = weights.EncodeSafetensors(&buf, append(h.tensors(), h.Changed...), map[string]string{
		"format":  "pt", // expected by Python's loaders
		formatKey: h.format(),
		headKey:   string(about),
		digestKey: string(bytes.Repeat([]byte("0"), digestChars)),
	})
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	data := buf.Bytes()
	offset, err := digestAt(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data) // with zeros in place of the digest
	hex.Encode(data[offset:offset+digestChars], sum[:])
	return data, nil
}

// format is the version of the file.
func (h *Head) format() string {
	if h.Layers != nil {
		return formatLayers
	}
	return format
}

// tensors returns the head's own tensors.
func (h *Head) tensors() (out []weights.Tensor) {
	parts := heads.Parts(h.Predictor())
	for i, layer := range parts {
		for _, p := range layer {
			out = append(out, weights.FromFloat32(tensorName(i, len(parts), p.Name), p.Shape, p.Values))
		}
	}
	if k := h.Confidence; k != nil && k.Familiar != nil {
		for _, p := range familiarParts(k.Familiar, h.Backbone.Features) {
			out = append(out, weights.FromFloat32(p.Name, p.Shape, p.Values))
		}
	}
	return append(out, weights.FromFloat32(parityName, []int{ParityPictures, len(h.Labels)}, h.Parity))
}

// tensorName names an array of layer i of n.
func tensorName(i, n int, part string) string {
	if n == 1 {
		return "head." + part
	}
	return fmt.Sprintf("head.%d.%s", i, part)
}

var digestField = regexp.MustCompile(`"` + regexp.QuoteMeta(digestKey) + `" ?: ?"([0-9a-f]{64})"`)

// digestAt returns the offset of the sha256 in the header.
func digestAt(data []byte) (int, error) {
	// A label may contain the field's name, but its quotes are escaped inside a JSON string.
	found := digestField.FindAllSubmatchIndex(data, 2)
	if len(found) != 1 {
		return 0, advice.New(fmt.Errorf("export: %w: %d sha256 fields in the header, want 1", ErrDamaged, len(found)), "is this a head file that tlkit wrote?")
	}
	return found[0][2], nil
}

// Read reads a head file and checks it completely. It does not need the backbone; [Head.Open] does.
// Errors name the file, and wrap ErrDamaged if its content does not match its sha256.
func Read(path string) (*Head, error) {
	h, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", path, err)
	}
	return h, nil
}

func read(path string) (*Head, error) {
	f, err := verified(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := &Head{}
	dec := json.NewDecoder(bytes.NewReader([]byte(f.Metadata[headKey])))
	dec.DisallowUnknownFields()
	if err := dec.Decode(h); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	h.upgrade()
	if err := h.readTensors(f); err != nil {
		return nil, err
	}
	return h, h.Check()
}

// verified opens a head file of this format whose content matches the sha256 in its header.
func verified(path string) (*weights.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("not a head file: %d bytes, want a regular file of at most %d", info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := weights.Open(path) // its errors say what kind of file it is instead
	if err != nil {
		return nil, err
	}
	if err := verify(f, data); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func verify(f *weights.File, data []byte) error {
	if f.Metadata[headKey] == "" {
		return advice.New(fmt.Errorf("weights without a head: no %q in the metadata", headKey), "pass a file that tlkit train -o wrote")
	}
	if v := f.Metadata[formatKey]; v != format && v != formatLayers {
		return advice.New(fmt.Errorf("head format %q, want %q", v, format), "use the version of tlkit that wrote the file, or train again")
	}
	offset, err := digestAt(data)
	if err != nil {
		return err
	}
	want := string(data[offset : offset+digestChars])
	copy(data[offset:], bytes.Repeat([]byte("0"), digestChars))
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
		return advice.New(fmt.Errorf("%w: its sha256 is %x, its header has %s", ErrDamaged, sum, want), "get a fresh copy")
	}
	return nil
}

// upgrade fills in the fields that files written before 0.1.0 lack.
func (h *Head) upgrade() {
	h.Result.Score.Upgrade()
	if h.Result.Folds == 0 { // older files have it only in the words: "5 folds of 320 pictures"
		_, _ = fmt.Sscanf(h.Result.Split, "%d folds of", &h.Result.Folds)
	}
}

// readTensors reads the head, the parity logits and the changed backbone tensors.
func (h *Head) readTensors(f *weights.File) (err error) {
	own := map[string]bool{}
	array := func(name string, shape ...int) ([]float32, error) {
		own[name] = true
		got, ok := f.Tensor(name)
		if !ok || !slices.Equal(got.Shape, shape) {
			return nil, fmt.Errorf("tensor %s of shape %v, want %v", name, got.Shape, shape)
		}
		return got.Float32()
	}
	layers := h.Layers
	if layers == nil {
		layers = []heads.Layer{{Kind: head.LogisticKind}}
	}
	m, err := heads.Read(layers, h.Backbone.Features, len(h.Labels), func(i int, name string, shape ...int) ([]float32, error) {
		return array(tensorName(i, len(layers), name), shape...)
	})
	if err != nil {
		return err
	}
	described := h.Layers
	h.SetModel(m)
	if !slices.Equal(described, h.Layers) {
		return fmt.Errorf("layers %+v, want %+v", described, h.Layers)
	}
	if err := h.readFamiliarity(f, array); err != nil {
		return err
	}
	if h.Parity, err = array(parityName, ParityPictures, len(h.Labels)); err != nil {
		return err
	}
	// in the order of the file; Open checks that the backbone has them
	for _, name := range f.Names() {
		if own[name] {
			continue
		}
		t, _ := f.Tensor(name)
		values, err := t.Float32()
		if err != nil {
			return err
		}
		h.Changed = append(h.Changed, weights.FromFloat32(name, t.Shape, values))
	}
	return nil
}
