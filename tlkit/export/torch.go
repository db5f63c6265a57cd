package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The files of a PyTorch export, in the order in which they take their places.
const (
	torchReadme     = "README.md"
	torchCard       = "card.html"
	torchPreprocess = "preprocess.json"
	torchModel      = "model.safetensors"
)

var torchFiles = []string{torchReadme, torchCard, torchPreprocess, torchModel}

// Files returns the names of the files that [Classifier.WriteTorch] writes.
func (TorchOptions) Files() []string { return slices.Clone(torchFiles) }

const torchKey = "tlkit.torch" // in the metadata of the model and in preprocess.json

// TorchOptions are the options of [Classifier.WriteTorch].
type TorchOptions struct {
	Force bool // replace files that are not such an export
	// Card is the first part of README.md, and is also written as card.html; nil = none.
	Card *card.Card
}

// TorchFolder is what [Classifier.WriteTorch] has written.
type TorchFolder struct {
	Library string // "torchvision" or "timm"
	Model   string // the model that loads it: "mobilenet_v2"
	Bytes   int    // of all files
	Tensors int
}

// WriteTorch writes the head on its backbone into the folder dir, for PyTorch:
//
//	model.safetensors  the state dict, for load_state_dict(strict=True)
//	preprocess.json    how pictures are prepared, the labels, and what tlkit computes
//	README.md          the card, and the lines of Python that load both and predict
//	card.html          the same as a page, if there is a card
//
// The model is torchvision's or timm's with the same network as the backbone, and the head is its
// classifier: classifier.1 of mobilenet_v2, fc of resnet18, classifier of tf_efficientnet_lite0. The
// keys are those of that library, also where the checkpoint has others. A VGG needs another pooling
// and classifier than torchvision builds; its README.md has them. Neither library has the networks of
// Keras and of ONNX files: it is an error to export them so.
//
// In preprocess.json, "transforms" lists the steps from a PIL picture in RGB to the model's input, in
// order. Each has the name and the arguments of a class of torchvision.transforms, or Lambda, and the
// same in Python, where T is torchvision.transforms. They give tlkit's numbers exactly:
//
//	the short side to 256         Resize(256)
//	the middle 224 x 224          CenterCrop(224)
//	the middle square of a share  Lambda(middle), a function in README.md
//	squashed to 224 x 224         Resize((224, 224))
//	grey                          Grayscale(3)
//	range 0 to 1                  ToTensor()
//	range 0 to 255                PILToTensor(), Lambda(float)
//	another range                 ToTensor(), Lambda(multiply and add)
//	BGR                           Lambda(flip)
//	mean and std                  Normalize(mean, std)
//
// "parity" has the logits that tlkit recorded for [ParityPictures] test pictures and their widths and
// heights. In Python, test picture k is
//
//	def picture(w, h, k):
//	    y, x, c = np.mgrid[0:h, 0:w, 0:3]
//	    v = x * (7 + 2 * c) + y * (11 - 3 * c) + x * y * (c + 1 + k) // 32
//	    disc = (x - w // 3) ** 2 + (y - h // 2) ** 2 < (min(w, h) // (4 + k)) ** 2
//	    return Image.fromarray(np.where(disc, 255 - (v >> 3), v).astype(np.uint8))
//
// A new folder appears with all files or not at all. In an existing folder, other files stay as they
// are, and the model never lies beside the other files of another head. It is an error if one of the
// files exists and is not of such an export, unless o.Force.
func (c *Classifier) WriteTorch(dir string, o TorchOptions) (*TorchFolder, error) {
	if err := replaceableFolder(dir, torchFiles, o.Force, ofTorch); err != nil {
		return nil, err
	}
	twin, err := c.net.Twin()
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	files, err := c.Head.torch(twin, o.Card)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := writeTogether(dir, torchFiles, files); err != nil {
		return nil, fmt.Errorf("export: cannot write the PyTorch files: %w", err)
	}
	out := &TorchFolder{Library: twin.Library, Model: twin.Model, Tensors: len(twin.Tensors) + 2}
	for _, data := range files {
		out.Bytes += len(data)
	}
	return out, nil
}

// ofTorch reports whether a file is one that WriteTorch has written.
func ofTorch(path string) bool {
	if filepath.Base(path) == torchModel {
		f, err := weights.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		return f.Metadata[torchKey] != ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	if name := filepath.Base(path); name == torchReadme || name == torchCard {
		return card.Written(data)
	}
	var about map[string]json.RawMessage
	return json.Unmarshal(data, &about) == nil && about[torchKey] != nil
}

// torch makes the files.
func (h *Head) torch(twin *zoo.Twin, c *card.Card) (map[string][]byte, error) {
	if h.Layers != nil {
		return nil, advice.New(fmt.Errorf("export: a head of the kind %s, and %s's %s ends in a linear layer", h.Layers[0].Kind, twin.Library, twin.Model), "export it with --onnx, which has any head, or train one with --head logistic or lda")
	}
	model, err := h.stateDict(twin)
	if err != nil {
		return nil, err
	}
	steps, err := torchSteps(h.Preset)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(model)
	about, err := h.preprocess(twin, steps, hex.EncodeToString(sum[:]))
	if err != nil {
		return nil, err
	}
	made := h.withTorch(c, twin, steps)
	files := map[string][]byte{torchModel: model, torchPreprocess: about, torchReadme: made.Markdown()}
	if c != nil {
		files[torchCard], err = made.HTML()
	}
	return files, err
}

// stateDict is the content of model.safetensors.
func (h *Head) stateDict(twin *zoo.Twin) ([]byte, error) {
	about, err := json.Marshal(h.published())
	if err != nil {
		return nil, err
	}
	k, c := h.Linear.Classes, h.Linear.Features
	var buf bytes.Buffer
	err = weights.EncodeSafetensors(&buf, append([]weights.Tensor{
		weights.FromFloat32(twin.Classifier+".weight", []int{k, c}, h.Linear.Weight),
		weights.FromFloat32(twin.Classifier+".bias", []int{k}, h.Linear.Bias),
	}, twin.Tensors...), map[string]string{"format": "pt", torchKey: format, headKey: string(about)})
	return buf.Bytes(), err
}

// torchPreprocessing is the content of preprocess.json.
type torchPreprocessing struct {
	Format     string            `json:"tlkit.torch"`
	Library    string            `json:"library"`
	Model      string            `json:"model"`
	Classifier string            `json:"classifier"`
	SHA256     string            `json:"model_sha256"` // of model.safetensors
	Task       datasets.Task     `json:"task"`
	Labels     []string          `json:"labels"`
	Thresholds []float64         `json:"thresholds,omitempty"`
	Input      string            `json:"input"`
	Preset     transforms.Preset `json:"preset"`
	Transforms []torchStep       `json:"transforms"`
	Parity     torchParity       `json:"parity"`
}

type torchParity struct {
	Sizes  [ParityPictures][2]int `json:"sizes"` // width, height
	Logits [][]float32            `json:"logits"`
}

func (h *Head) preprocess(twin *zoo.Twin, steps []torchStep, sum string) ([]byte, error) {
	task := h.Task
	if task == "" {
		task = datasets.Classes
	}
	p := torchPreprocessing{
		Format: format, Library: twin.Library, Model: twin.Model, Classifier: twin.Classifier, SHA256: sum,
		Task: task, Labels: h.Labels, Thresholds: h.Thresholds,
		Input:  fmt.Sprintf("float32 [N,3,%d,%d], each picture %s", h.Preset.Size, h.Preset.Size, h.Preset.SquareWords()),
		Preset: h.Preset, Transforms: steps, Parity: torchParity{Sizes: builtInSizes},
	}
	k := len(h.Labels)
	for i := range ParityPictures {
		p.Parity.Logits = append(p.Parity.Logits, h.Parity[i*k:(i+1)*k])
	}
	text, err := json.MarshalIndent(p, "", "  ")
	return append(text, '\n'), err
}

// torchStep is a step of the preprocessing as torchvision has it.
type torchStep struct {
	Transform string         `json:"transform"` // a class of torchvision.transforms
	Arguments map[string]any `json:"arguments"` // of a Lambda: what it does
	Python    string         `json:"python"`    // the same in Python
}

// torchSteps returns the steps of [transforms.Preset.Eval] in torchvision's terms.
func torchSteps(p transforms.Preset) ([]torchStep, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	steps := squareSteps(p)
	add := func(name string, arguments map[string]any, python string) {
		steps = append(steps, torchStep{name, arguments, python})
	}
	if p.Channels == "grey" {
		add("Grayscale", map[string]any{"num_output_channels": 3}, "T.Grayscale(3)")
	}
	lo, hi := p.Range[0], p.Range[1]
	if lo == 0 && hi == 255 {
		add("PILToTensor", map[string]any{}, "T.PILToTensor()")
		add("Lambda", map[string]any{"convert": "float32"}, "T.Lambda(lambda x: x.float())")
	} else {
		add("ToTensor", map[string]any{}, "T.ToTensor()")
	}
	if lo != 0 || hi != 1 && hi != 255 {
		add("Lambda", map[string]any{"multiply": hi - lo, "add": lo}, fmt.Sprintf("T.Lambda(lambda x: x * %v + %v)", hi-lo, lo))
	}
	if p.Channels == "BGR" {
		add("Lambda", map[string]any{"channels": "BGR"}, "T.Lambda(lambda x: x.flip(0))")
	}
	if p.Mean != [3]float32{} || p.Std != [3]float32{1, 1, 1} {
		mean, std := python(p.Mean), python(p.Std)
		add("Normalize", map[string]any{"mean": p.Mean, "std": p.Std}, "T.Normalize("+mean+", "+std+")")
	}
	return steps, nil
}

// squareSteps are the steps up to the square picture.
func squareSteps(p transforms.Preset) (steps []torchStep) {
	filter := p.Interpolation
	if filter == "" {
		filter = transforms.Bilinear
	}
	resize := func(size any, text string) torchStep {
		return torchStep{"Resize", map[string]any{"size": size, "interpolation": filter}, "T.Resize(" + text + ", T.InterpolationMode." + strings.ToUpper(string(filter)) + ")"}
	}
	square := resize([]int{p.Size, p.Size}, fmt.Sprintf("(%d, %d)", p.Size, p.Size))
	switch p.Geometry {
	case transforms.GeometryShort:
		short := p.ShortSide()
		crop := torchStep{"CenterCrop", map[string]any{"size": p.Size}, fmt.Sprintf("T.CenterCrop(%d)", p.Size)}
		return []torchStep{resize(short, fmt.Sprint(short)), crop}
	case transforms.GeometryCrop:
		middle := torchStep{"Lambda", map[string]any{"middle_square": share(p)}, "T.Lambda(middle)"}
		return []torchStep{middle, square}
	}
	return []torchStep{square}
}

// share is the share of the short side that GeometryCrop takes.
func share(p transforms.Preset) float64 {
	if p.CropFraction == 0 {
		return 1
	}
	return p.CropFraction
}

// python writes numbers as a list of Python's.
func python(v [3]float32) string { return fmt.Sprintf("[%v, %v, %v]", v[0], v[1], v[2]) }

// withTorch returns the card of a folder for PyTorch; without one, a card that only says how to use it.
func (h *Head) withTorch(c *card.Card, twin *zoo.Twin, steps []torchStep) *card.Card {
	if c == nil {
		c = &card.Card{Title: "A head and its backbone, for PyTorch"}
	}
	checks := card.List{
		"preprocess.json has the outputs that tlkit computed for test pictures, under parity. To make the pictures: go doc github.com/tlkit/transfer-learning/tlkit/export Classifier.WriteTorch",
		"preprocess.json has the sha256 of model.safetensors.",
	}
	usage := card.Text(fmt.Sprintf("model.safetensors is a state dict for %s's %s with %d outputs. preprocess.json says how pictures are prepared, step by step, and what the outputs mean. In this folder, with torch, torchvision%s, safetensors and Pillow:",
		twin.Library, twin.Model, h.Linear.Classes, map[bool]string{true: ", timm"}[twin.Library == "timm"]))
	return c.For("pytorch").
		With(card.Section{Title: card.Checks, Blocks: []card.Block{checks}}).
		With(card.Section{Title: card.Usage, Blocks: []card.Block{usage, card.Code{Language: "python", Text: h.torchCode(twin, steps)}}})
}

// torchCode is the Python that loads the files and predicts.
func (h *Head) torchCode(twin *zoo.Twin, steps []torchStep) string {
	var b strings.Builder
	say := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	k := h.Linear.Classes
	say("import json\nimport torch")
	if twin.Library == "timm" {
		say("import timm")
	} else {
		say("import torchvision")
	}
	say("from PIL import Image, ImageOps\nfrom safetensors.torch import load_file\nfrom torchvision import transforms as T\n")
	switch {
	case twin.Library == "timm":
		say("net = timm.create_model(%q, num_classes=%d)", twin.Model, k)
	case twin.Pooled:
		say("net = torchvision.models.%s()", twin.Model)
		say("net.avgpool = torch.nn.AdaptiveAvgPool2d(1)")
		say("net.%s = torch.nn.Linear(%d, %d)", twin.Classifier, h.Linear.Features, k)
	default:
		say("net = torchvision.models.%s(num_classes=%d)", twin.Model, k)
	}
	say("net.load_state_dict(load_file(%q), strict=True)\nnet.eval()", torchModel)
	say("about = json.load(open(%q, encoding=\"utf-8\"))\n", torchPreprocess)
	if h.Preset.Geometry == transforms.GeometryCrop {
		say("def middle(p):")
		say("    side = min(max(1, int(%v * min(p.size) + 1e-6)), *p.size)", share(h.Preset))
		say("    x, y = (p.width - side + 1) // 2, (p.height - side + 1) // 2")
		say("    return p.crop((x, y, x + side, y + side))\n")
	}
	say("prepare = T.Compose([")
	for _, s := range steps {
		say("    %s,", s.Python)
	}
	say("])\n\ndef predict(path):")
	say("    picture = ImageOps.exif_transpose(Image.open(path)).convert(\"RGB\")")
	say("    with torch.no_grad():\n        out = net(prepare(picture)[None])[0]")
	switch h.Task {
	case datasets.Values:
		say("    return dict(zip(about[\"labels\"], out.tolist()))")
	case datasets.Labels:
		say("    rows = zip(about[\"labels\"], out.double().sigmoid().tolist(), about[\"thresholds\"])")
		say("    return {label: p for label, p, threshold in rows if p >= threshold}")
	default:
		say("    return dict(zip(about[\"labels\"], out.softmax(0).tolist()))")
	}
	return b.String()
}
