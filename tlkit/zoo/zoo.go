// Package zoo is the table of checkpoints: one row per weights file, with where it comes from, its licence, the pixels it
// wants, and what proves that we run it right.
//
//	net, err := zoo.Load(ctx, "mobilenetv2", zoo.Options{})   // fetched once, then from the cache, strictly matched
//	x, err := net.NewExtractor(backend, 32)                   // compiled for 32 pictures at a time
//	features, logits, err := x.Run(pictures)                  // [32,S,S,3] prepared by net.Preset
//
// An .onnx file of yours is a network too, cut where you say, with the pixels that you say it wants:
//
//	net, err := zoo.Load(ctx, "my.onnx#pool/AvgPool:0", zoo.Options{Preset: &preset})
//
// In GoMLX code of your own, net.Graph adds the network to a graph, its weights as variables of your scope.
//
// A new checkpoint is a row, a new family is a file and one word in table.
package zoo

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// table is every checkpoint, family by family. The first row is the default.
var table = slices.Concat(mobileNetV2Rows, efficientNetLiteRows, resNetRows, resNetTimmRows, resNetKerasRows, resNetCIFARRows, vggRows, xceptionRows, onnxRows)

// Row is one checkpoint.
type Row struct {
	Name    string     // the key: what a person types, "mobilenetv2", "resnet50.tv2_in1k"
	Tag     string     // who trained it on what, as timm's tags do
	Family  string     // "ResNet"
	Aliases []string   // other names it is known by
	File    fetch.File // name, hash and sources of the weights
	Licence string     // of the weights, as far as their publisher says
	// NonCommercial says that the licence forbids commercial use. Such weights are loaded only for whoever says that
	// theirs is none, see Options.
	NonCommercial bool
	Origin        string // page that says where they come from
	ByHand        string // where a person finds a file that is not fetched for them; "" = File has sources
	Preset        transforms.Preset
	Params        int     // without the statistics of batch norms, as torchvision and timm count
	Top1          float64 // published accuracy in percent on the validation pictures of its data set; 0 = none published
	Top5          float64
	Classes       string // list of labels of its own classifier ("imagenet1k", "cifar10"); "" without classifier
	Features      int    // width of what a head is trained on

	arch   backbone.Arch
	golden string                                 // name of the architecture's golden values
	small  backbone.Arch                          // what formula goldens are made of, with narrower matrices than arch; nil = arch
	ignore []string                               // how names in the file begin that are no part of arch
	unwrap func(path, dir string) (string, error) // finds the weights in the published archive; nil = the file is the weights
}

// Arch is the row's architecture, for package backbone.
func (r Row) Arch() backbone.Arch { return r.arch }

// Verified says whether the published file itself was opened here and compared with a foreign referee. Of the other rows
// the architecture was compared, and name, hash, accuracy and preset are the publisher's; a download still has to match
// the hash and the network, tensor by tensor.
func (r Row) Verified() bool {
	g, ok, err := golden.Find(r.golden, golden.Weights)
	return err == nil && ok && g.File == r.File.Name
}

// Rows lists all checkpoints. The first one is the default.
func Rows() []Row {
	rows := slices.Clone(table)
	for i := range rows {
		rows[i].Aliases = slices.Clone(rows[i].Aliases)
	}
	return rows
}

// Find returns the row called name, by its key or an alias; case does not matter. The error is an
// *UnknownError. A name such as my.onnx, or my.onnx#VALUE, is a network of your own: its file is
// opened, and its row has a preset without statistics.
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

// resolve is the one place where a name is looked at. It opens no file.
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
	return source{}, &UnknownError{Name: name, Near: near(want)}
}

// names are all that a row can be found by, in lower case.
func (r Row) names() []string {
	names := append([]string{r.Name}, r.Aliases...)
	if !strings.Contains(r.Name, ".") {
		names = append(names, r.Name+"."+r.Tag)
	}
	return names
}

// UnknownError says that no checkpoint has that name.
type UnknownError struct {
	Name string
	Near []string // the known names that look most like it, best first
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("zoo: no model %.60q; nearest are %s (all: tlkit models)", e.Name, strings.Join(e.Near, ", "))
}

// near gives the three rows one of whose names takes the fewest edits to become name.
func near(name string) []string {
	type candidate struct {
		name string
		far  int
	}
	var all []candidate
	for _, r := range table {
		best := candidate{r.Name, 1 << 30}
		for _, n := range r.names() {
			best.far = min(best.far, edits(name, n))
		}
		all = append(all, best)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].far < all[j].far })
	var out []string
	for _, c := range all[:min(3, len(all))] {
		out = append(out, c.name)
	}
	return out
}

// edits is Levenshtein's distance in bytes.
func edits(a, b string) int {
	if len(a) > 64 {
		a = a[:64] // nobody's model name; do not spend a second on it
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
