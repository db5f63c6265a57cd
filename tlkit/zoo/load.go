package zoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Options of Load. The zero value fetches what is missing and reports no progress.
type Options struct {
	// Weights is the path of your own weights, in place of the row's file. They must include the
	// network up to its features; Net.Notes says what was found in the file.
	Weights string
	// Entry is the path of keys to the weights inside that file, such as "state_dict_ema". If it is
	// empty, Load finds them, and prefers averaged weights.
	Entry   string
	Preset  *transforms.Preset // another preset than the row's, for example another size; nil = the row's
	Offline bool               // use no network
	// NonCommercial says that your use is not commercial. The licences of some rows require it.
	NonCommercial bool
	// Answer is how long to wait for a source to respond at all; 0 = the usual time limits of
	// downloads.
	Answer time.Duration
	// Report gets the progress of a download: what is being done, with the bytes done and in
	// total (0 = unknown). It may be nil.
	Report func(what string, done, total int64)
	// ONNXRuntime computes what Verify compares, from the files that Net.ONNX writes; nil = the
	// backend computes it.
	ONNXRuntime *onnxruntime.Runtime
}

// Net is a checkpoint in memory: its row, its tensors, and how pictures are prepared for them. It
// is read only and may be used from several goroutines.
type Net struct {
	Row       Row
	Preset    transforms.Preset // how to prepare pictures: the row's, or Options.Preset
	Path      string            // the weights file
	SHA256    string            // of that file
	Published bool              // it is the row's published file, not another one from Options.Weights
	Entry     string            // where in the file the weights are: "state_dict.model"; "" = outermost
	Notes     []string          // what was found in the file, one line each

	declared *backbone.Declaration
	tensors  map[string]weights.Loaded
	changed  map[string]bool // tensors that are not those of the file, see With
	// The pairs that were added to matrices of the file, by the matrix.
	adapters map[string]adapter
	channels int // of the images; 0 = 3, see WithChannels
}

// Load returns the checkpoint called name. Its file is fetched once, then taken from the cache, and
// matched strictly, in both directions, against the architecture. It is refused if a number in it
// is not finite.
//
// A name such as my.onnx or my.onnx#VALUE is a network of your own. It needs o.Preset; without, the
// error is a *PresetError.
//
// Other errors: an *UnknownError; ErrNonCommercial; fetch errors, which list every source with its
// answer; tensors that are missing, unexpected, or of another shape, each by name.
func Load(ctx context.Context, name string, o Options) (*Net, error) {
	s, err := resolve(name)
	if err != nil {
		return nil, err
	}
	if s.own {
		return loadOwn(ctx, s.ref, o)
	}
	return s.row.load(ctx, o)
}

func (r Row) load(ctx context.Context, o Options) (*Net, error) {
	n := &Net{Row: r, Preset: r.Preset, Path: o.Weights}
	if o.Preset != nil {
		n.Preset = *o.Preset
	}
	if err := n.load(ctx, o); errors.Is(err, ErrNonCommercial) {
		return nil, err // it names the row
	} else if err != nil {
		return nil, &LoadError{Model: r.Name, Err: err}
	}
	return n, nil
}

// LoadError says which network could not be loaded, and why.
type LoadError struct {
	Model string
	Err   error
}

func (e *LoadError) Error() string { return fmt.Sprintf("zoo: %s: %v", e.Model, e.Err) }
func (e *LoadError) Unwrap() error { return e.Err }

func (n *Net) load(ctx context.Context, o Options) (err error) {
	if err := n.Preset.Validate(); err != nil {
		return err
	}
	fetched := n.Path == "" && len(n.Row.file.Sources) > 0
	// The architecture of an ONNX row is in its file, see read.
	if _, ok := n.Row.arch.(onnxFile); !ok {
		if err := n.Row.fits(n.Preset.Size); err != nil {
			return err
		}
		n.declared, err = backbone.Declare(n.Row.arch, n.Preset.Size)
		if err != nil {
			return err
		}
	}
	if n.Path == "" {
		n.Path, err = n.Row.fetch(ctx, o, func(note string) { n.Notes = append(n.Notes, note) })
		if err != nil {
			return err
		}
		cachedir.Use(ctx, n.Path)
	}
	if info, err := os.Stat(n.Path); err == nil && info.IsDir() {
		_, err := weights.Open(n.Path) // says what kind of folder it is
		return err
	}
	n.SHA256, err = hashFile(ctx, n.Path)
	if err != nil {
		return err
	}
	n.Published = n.Row.file.Is(n.SHA256)
	if fetched && !n.Published {
		// Never taken for a file of yours: it has just been verified.
		return advice.New(fmt.Errorf("%s was damaged while it was read: its sha256 is %s", n.Path, n.SHA256), "run this again: it is fetched anew")
	}
	if n.Published {
		if err := o.allowed(n.Row); err != nil {
			return err
		}
	}
	return n.read(o.Entry)
}

// ErrNonCommercial is returned if a licence forbids commercial use and Options.NonCommercial is not
// set.
var ErrNonCommercial = errors.New("for non-commercial use only")

// allowed returns an error where the row's licence forbids what these options are for.
func (o Options) allowed(r Row) error {
	if !r.NonCommercial || o.NonCommercial {
		return nil
	}
	return advice.New(fmt.Errorf("zoo: the weights of %s are %w (licence %s, %s)", r.Name, ErrNonCommercial, r.Licence, r.Origin), "if that is your use, say so: --noncommercial, in a notebook TLKIT_NONCOMMERCIAL=1")
}

// Fetch returns the path of the row's weights file, from the cache or its sources. Of o it uses
// Offline, NonCommercial, Answer and Report.
func (r Row) Fetch(ctx context.Context, o Options) (string, error) {
	return r.fetch(ctx, o, nil)
}

// fetch is Fetch; note gets a sentence about a damaged file in the cache.
func (r Row) fetch(ctx context.Context, o Options, note func(string)) (string, error) {
	if err := o.allowed(r); err != nil {
		return "", err
	}
	if len(r.file.Sources) > 0 {
		return r.file.Get(ctx, fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report), Answer: o.Answer, Note: note})
	}
	if p, ok := r.Here(); ok {
		return p, nil
	}
	todo := "make one"
	if r.ByHand != "" {
		todo = "it is at " + r.ByHand
	}
	return "", fmt.Errorf("the weights are a file of yours (%s), no hash of which is published: %s, and pass it with --weights FILE", r.file.Name, todo)
}

// read opens the file and matches its tensors with the architecture.
func (n *Net) read(entry string) error {
	path := n.Path
	if n.Row.unwrap != nil {
		dir, err := os.MkdirTemp("", "tlkit-weights-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		path, err = n.Row.unwrap(path, dir)
		if err != nil {
			return err
		}
	}
	file, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if a, ok := n.Row.arch.(fitted); ok {
		n.Row.arch, err = a.fit(file)
		if err != nil {
			return err
		}
		n.declared, err = backbone.Declare(n.Row.arch, n.Preset.Size)
		if err != nil {
			return err
		}
	}
	if path == n.Path {
		n.SHA256, err = withNeighbours(n.SHA256, file)
		if err != nil {
			return err
		}
	}
	o := weights.MatchOptions{Ignore: n.Row.ignore}
	switch a, own := n.Row.arch.(*onnx.Net); {
	case own:
		o.Rename = a.Key
	case n.Published && n.Row.reads != nil:
		notes := n.Notes
		file, err = n.Row.reads(file)
		if err == nil {
			file, err = n.fit(file, entry)
		}
		n.Notes = notes // what fit says is in the row
	case n.Published:
		o.Rename = kerasNames(file, n.declared)
	default:
		file, err = n.fit(file.Whole(), entry)
	}
	if err != nil {
		return err
	}
	n.tensors, _, err = weights.Match(file, n.declared.Wants(), o)
	return err
}

// fitted is an architecture that is complete only with its file, for example because only the file
// says how many classes the classifier has.
type fitted interface {
	fit(f *weights.File) (backbone.Arch, error)
}

// Sum returns the sha256 by which a Net knows a weights file. It is that of the file's bytes; for a
// TensorFlow.js model or an ONNX network, whose numbers are in other files beside it, it covers
// those too.
func Sum(ctx context.Context, path string) (string, error) {
	sum, err := hashFile(ctx, path)
	if err != nil {
		return "", fmt.Errorf("zoo: %w", err)
	}
	file, err := weights.Open(path)
	if err != nil {
		return sum, nil // an archive of weights, for example: its bytes are all there is
	}
	defer file.Close()
	return withNeighbours(sum, file)
}

// Beside returns the names of the other files that hold numbers of the weights file n.Path, as slash
// paths from its folder; most have none.
func (n *Net) Beside() ([]string, error) {
	file, err := weights.Open(n.Path)
	if err != nil {
		return nil, nil // an archive of weights, for example: see Sum
	}
	defer file.Close()
	return file.Beside(), nil
}

// withNeighbours returns sum for a file that is complete in itself, and for any other a sum of it
// and all its tensors.
func withNeighbours(sum string, file *weights.File) (string, error) {
	if file.Format != "tensorflow.js" && file.Alone() {
		return sum, nil
	}
	h := sha256.New()
	fmt.Fprintln(h, sum)
	for _, name := range file.Names() {
		t, _ := file.Tensor(name)
		content, err := t.Bytes()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %s %v %d\n", name, t.DType, t.Shape, len(content))
		h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashFile returns the sha256 of a file. A cancelled ctx stops it between two blocks.
func hashFile(ctx context.Context, path string) (string, error) {
	// A named pipe would be waited for, and a device read for ever.
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", advice.New(fmt.Errorf("%s is not an ordinary file", path), "pass a weights file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, err := io.CopyN(h, f, 8<<20); err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		} else if err != nil {
			return "", err
		}
	}
}

// Declaration returns the network's tensors and stages at the size of its preset.
func (n *Net) Declaration() *backbone.Declaration { return n.declared }

// Tensor returns a copy of the tensor with that key of the checkpoint, in the layout of the graph
// (kernels [H,W,in,out]).
func (n *Net) Tensor(key string) (values []float32, shape []int, ok bool) {
	t, ok := n.tensors[key]
	if !ok {
		return nil, nil, false
	}
	return append([]float32(nil), t.Data...), append([]int(nil), t.Shape...), true
}

// Graph adds the network to the graph of images [N,S,S,3] ([Net.WithChannels] for others), prepared by n.Preset. It is for GoMLX
// code of your own:
//
//	out := net.Graph(scope.In("backbone"), images)
//	logits := layers.Dense(scope.In("head"), StopGradient(out.Features), true, 2)
//
// The weights become variables of scope under the checkpoint's own keys, see [Net.Variables]. To
// freeze the network, cut with StopGradient; to freeze its first stages, see [Net.Freeze]. Graph panics
// on errors, as graph code does.
func (n *Net) Graph(scope *model.Scope, images *graph.Node) backbone.Output {
	if s := images.Shape(); s.Rank() != 4 || s.Dimensions[3] != n.Channels() {
		panic(fmt.Errorf("zoo: %s: pictures are %s, want [N,H,W,%d]", n.Row.Name, s, n.Channels()))
	}
	if err := n.Variables(scope); err != nil {
		panic(err)
	}
	return backbone.Graph(n.Row.arch, scope, images)
}

// Variables puts the weights into scope, each under its key. Existing variables keep their values,
// so a graph that is built again, or after GoMLX has loaded a checkpoint, continues from the
// trained values. Weights are trainable unless you have set them otherwise. The statistics of batch
// norms never are, even if a checkpoint created them: a gradient step could turn variances
// negative.
//
// It is an error if a variable of scope has a weight's key but not its shape.
func (n *Net) Variables(scope *model.Scope) error {
	for _, w := range n.declared.Weights {
		t := n.tensors[w.Name]
		v := scope.GetVariable(w.Name)
		if v == nil {
			var err error
			v, err = scope.CreateVariable(w.Name, tensors.FromFlatDataAndDimensions(t.Data, t.Shape...))
			if err != nil {
				return fmt.Errorf("zoo: %s: variable %q: %w", n.Row.Name, w.Name, err)
			}
		}
		if want := shapes.Make(dtypes.Float32, t.Shape...); !v.Shape().Equal(want) {
			return advice.New(fmt.Errorf("zoo: %s: scope %s has a variable %q of shape %s, want %s", n.Row.Name, scope.Scope(), w.Name, v.Shape(), want), "give the network a scope of its own, such as scope.In(%q), or load the checkpoint of the same network", "backbone")
		}
		if !w.Trainable {
			v.SetTrainable(false)
		}
	}
	return n.keepFrozen(scope)
}
