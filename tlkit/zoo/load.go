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

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Options of Load. The zero value fetches what is missing and says nothing.
type Options struct {
	Weights string             // a file of yours instead of the row's; it must hold the same tensors
	Preset  *transforms.Preset // other pixels than the row's, also another size
	Offline bool               // never touch the network
	// NonCommercial is the person's word that their use is not commercial; some licences ask for it.
	NonCommercial bool
	// Answer is how long a source may take until its first sign of life; 0 = as long as its own limits are.
	Answer time.Duration
	Report func(fetch.Event) // progress; may be nil
}

// Net is a checkpoint in memory: its row, its tensors, and the pixels they want. It is read only and may be used from
// several goroutines.
type Net struct {
	Row       Row
	Preset    transforms.Preset // what to prepare pictures with: the row's, or Options.Preset
	Path      string            // the weights file
	SHA256    string            // of that file
	Published bool              // it is the file of the row, not another one given by Options.Weights

	declared *backbone.Declaration
	tensors  map[string]weights.Loaded
	changed  map[string]bool // tensors that are not those of the file, see With
}

// Load opens the checkpoint called name: fetched once, then from the cache, matched strictly in both directions against
// the architecture, refused when a number in it is not finite.
//
// A name such as my.onnx or my.onnx#VALUE is a network of your own; it needs o.Preset.
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

func (row Row) load(ctx context.Context, o Options) (n *Net, err error) {
	n = &Net{Row: row, Preset: row.Preset, Path: o.Weights}
	if o.Preset != nil {
		n.Preset = *o.Preset
	}
	if err := n.Preset.Validate(); err != nil {
		return nil, fmt.Errorf("zoo: %s: %w", row.Name, err)
	}
	if _, inside := row.arch.(onnxFile); !inside { // else the file says it, see read
		if n.declared, err = backbone.Declare(row.arch, n.Preset.Size); err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", row.Name, err)
		}
	}
	if n.Path == "" {
		if err := o.may(row); err != nil {
			return nil, err
		}
		if n.Path, err = row.fetch(ctx, o); err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", row.Name, err)
		}
	}
	if n.SHA256, err = hashFile(ctx, n.Path); err != nil {
		return nil, fmt.Errorf("zoo: %s: %w", row.Name, err)
	}
	if n.Published = row.File.Is(n.SHA256); n.Published {
		if err := o.may(row); err != nil {
			return nil, err
		}
	}
	if err := n.read(); err != nil {
		return nil, fmt.Errorf("zoo: %s: %w", row.Name, err)
	}
	return n, nil
}

// ErrNonCommercial says that a licence forbids commercial use and that nobody said theirs is none.
var ErrNonCommercial = errors.New("for non-commercial use only")

// may says whether the row's licence lets these options have the weights.
func (o Options) may(r Row) error {
	if !r.NonCommercial || o.NonCommercial {
		return nil
	}
	return fmt.Errorf("zoo: the weights of %s are %w (licence %s, %s); if that is your use, say so: --noncommercial, in a notebook TLKIT_NONCOMMERCIAL=1", r.Name, ErrNonCommercial, r.Licence, r.Origin)
}

// fetch gives the row's file, from the cache or its sources.
func (r Row) fetch(ctx context.Context, o Options) (string, error) {
	if len(r.File.Sources) == 0 {
		if p, ok := r.Here(); ok {
			return p, nil
		}
		where := "make one"
		if r.ByHand != "" {
			where = "it is at " + r.ByHand
		}
		return "", fmt.Errorf("the weights are a file of yours (%s), no hash of which is published: %s, and pass it with --weights FILE", r.File.Name, where)
	}
	return r.File.Get(ctx, fetch.Options{Offline: o.Offline, Report: o.Report, Answer: o.Answer})
}

// read matches the tensors in n.Path with the architecture.
func (n *Net) read() error {
	path := n.Path
	if n.Row.unwrap != nil {
		dir, err := os.MkdirTemp("", "tlkit-weights-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if path, err = n.Row.unwrap(path, dir); err != nil {
			return err
		}
	}
	file, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if a, ok := n.Row.arch.(fitted); ok {
		if n.Row.arch, err = a.fit(file); err != nil {
			return err
		}
		if n.declared, err = backbone.Declare(n.Row.arch, n.Preset.Size); err != nil {
			return err
		}
	}
	if path == n.Path {
		if n.SHA256, err = withNeighbours(n.SHA256, file); err != nil {
			return err
		}
	}
	o := weights.MatchOptions{Rename: kerasNames(file, n.declared), Ignore: n.Row.ignore}
	if a, ok := n.Row.arch.(*onnx.Net); ok {
		o.Rename = a.Key
	}
	n.tensors, _, err = weights.Match(file, n.declared.Wants(), o)
	return err
}

// fitted is an architecture that everybody's file completes: only the file says how many classes its classifier has.
type fitted interface {
	fit(f *weights.File) (backbone.Arch, error)
}

// Sum is the sha256 by which a Net knows the weights in a file: that of its bytes. A TensorFlow.js model has its numbers in
// other files beside it; they take part.
func Sum(ctx context.Context, path string) (string, error) {
	sum, err := hashFile(ctx, path)
	if err != nil {
		return "", fmt.Errorf("zoo: %w", err)
	}
	file, err := weights.Open(path)
	if err != nil {
		return sum, nil // no weights that we know, such as an archive of them: its bytes are all there is
	}
	defer file.Close()
	return withNeighbours(sum, file)
}

// withNeighbours is sum for a file that is complete in itself; for one that is not, a sum of it and all its tensors.
func withNeighbours(sum string, file *weights.File) (string, error) {
	if file.Format != "tensorflow.js" {
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

// hashFile reads the whole file; a cancelled ctx stops it between two blocks.
func hashFile(ctx context.Context, path string) (string, error) {
	// A named pipe would be waited for and a device read for ever.
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no ordinary file; pass a weights file", path)
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

// Declaration lists the network's tensors and stages at the size of its preset.
func (n *Net) Declaration() *backbone.Declaration { return n.declared }

// Tensor gives a copy of one tensor in the layout of the graph (kernels [H,W,in,out]) by the checkpoint's own key.
func (n *Net) Tensor(key string) (values []float32, shape []int, ok bool) {
	t, ok := n.tensors[key]
	if !ok {
		return nil, nil, false
	}
	return append([]float32(nil), t.Data...), append([]int(nil), t.Shape...), true
}

// Graph adds the network to the graph of images [N,S,S,3], prepared by n.Preset, and is meant for GoMLX code of your
// own:
//
//	out := net.Graph(scope.In("backbone"), images)
//	logits := layers.Dense(scope.In("head"), StopGradient(out.Features), true, 2)
//
// The weights become variables of scope under the checkpoint's own keys, unless they are there already, so that a graph
// built again after some training keeps what was trained. They are trainable, the statistics of batch norms are not;
// cut with StopGradient, or set Variable.Trainable, to freeze. It panics on errors, as graph code does.
func (n *Net) Graph(scope *model.Scope, images *graph.Node) backbone.Output {
	if err := n.Variables(scope); err != nil {
		panic(err)
	}
	return backbone.Graph(n.Row.arch, scope, images)
}

// Variables puts the weights into scope, each under its key, and leaves alone what is there already.
func (n *Net) Variables(scope *model.Scope) error {
	for _, w := range n.declared.Weights {
		if scope.GetVariable(w.Name) != nil {
			continue
		}
		t := n.tensors[w.Name]
		v, err := scope.CreateVariable(w.Name, tensors.FromFlatDataAndDimensions(t.Data, t.Shape...))
		if err != nil {
			return fmt.Errorf("zoo: %s: variable %q: %w", n.Row.Name, w.Name, err)
		}
		v.SetTrainable(w.Trainable)
	}
	return nil
}
