// Package onnx reads networks from .onnx files and builds them as GoMLX graphs.
//
// An ONNX file holds a whole network: its operations as a graph of nodes, and its weights. This
// package reads the graph and turns it into an architecture for package backbone, so that a file
// of your own can do what a network of the zoo can: give features, be frozen up to a stage, be
// fine-tuned.
//
//	net, err := onnx.Open(onnx.Ref{File: "my.onnx"})      // the graph; the weights stay in the file
//	d, err := backbone.Declare(net, 224)                  // its weights, stages, features, classes
//	out := backbone.Graph(net, scope, images)             // inside a graph function
//
// Most people want [github.com/tlkit/transfer-learning/tlkit/zoo.Load], which does all this and
// loads the weights.
//
// # The cut
//
// A head is trained on features, not on the logits of the network's own classifier. So a network is
// cut: by default where the last layer of its classifier begins, or at a value or node that you
// name. One string names both file and cut:
//
//	my.onnx                     the default cut
//	my.onnx#pool/AvgPool:0      the value called pool/AvgPool:0
//
// A cut at a feature map [N,C,h,w] is averaged over the picture to [N,C].
//
// # What is read
//
// Networks with one input of square pictures, [N,3,H,W] or [N,H,W,3], in 32-bit or 16-bit floats or
// in bytes, operator versions 7 to 26. Graphs here are always fed [N,H,W,3] and compute in 32-bit
// floats. Results that depend only on shapes and constants are computed before the graph is built,
// and weights stored as integers (QuantizeLinear, DequantizeLinear) become floats. Weights may be
// in other files in the folder of the network.
//
// A network that was exported for a fixed number of pictures at a time is built for any number: the
// axis that counts pictures is followed through every operation. If an operation would mix
// pictures, the error names it.
//
// # Limits
//
// Files are not trusted. Before anything is built, every node is checked against the standard, and
// the network's cost against limits for the size of the file, B bytes:
//
//	operations to build      500 + B/1000, at most 20,000; a convolution counts four times
//	multiply-adds            2e10 + 2000 B for a picture, at most 1e12
//	numbers of a value       2^24 + 4 B for a picture, at most 2^26
//	constants to compute     2^20 + B/4 numbers, at most 2^24
//
// All networks in use stay within them: the largest published classifiers need about 5e11
// multiply-adds. Operations that are not supported are reported in an [UnsupportedError].
package onnx

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Ref says which network is meant: a file, and the place to cut it.
type Ref struct {
	File string // path of the .onnx file
	Cut  string // name of a value or a node; "" = where the last layer of the classifier begins
}

// ParseRef parses a name such as "my.onnx" or "my.onnx#pool/AvgPool:0". ok is false if the name is
// not that of an .onnx file. The file need not exist.
func ParseRef(name string) (r Ref, ok bool) {
	const extension = ".onnx"
	lower := strings.ToLower(name)
	for end := 0; ; { // folders may have the extension too
		i := strings.Index(lower[end:], extension)
		if i < 0 {
			return Ref{}, false
		}
		end += i + len(extension)
		if file, rest := name[:end], name[end:]; rest == "" || rest[0] == '#' {
			return Ref{File: file, Cut: strings.TrimPrefix(rest, "#")}, true
		}
	}
}

// String returns the name in the form that ParseRef parses.
func (r Ref) String() string {
	if r.Cut == "" {
		return r.File
	}
	return r.File + "#" + r.Cut
}

// maxFile is the size that the format allows, in bytes.
const maxFile = 2 << 30

// Open reads the network in the file of r, up to its cut. The weights stay in the file.
//
// The error says what is wrong: the file is missing or not an ONNX network, the network has several
// inputs or a cycle, or there is no such cut. It is an *[UnsupportedError] if operations are not
// supported.
func Open(r Ref) (*Net, error) {
	info, err := os.Stat(r.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("onnx: no file %s here: give its path, or pass it with --weights FILE (%w)", r.File, err)
	}
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("onnx: %s has %d bytes, at most %d are read", r.File, info.Size(), int64(maxFile))
	}
	f, err := weights.Open(r.File)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	defer f.Close()
	return Read(f, r.Cut)
}

// Read is Open for a file that is open already. It does not keep f.
func Read(f *weights.File, cut string) (*Net, error) {
	if f.ONNX() == nil {
		return nil, fmt.Errorf("onnx: %s is not an ONNX network but %s: pass it with --weights FILE, beside the --model it belongs to", f.Path, f.Format)
	}
	a, err := plan(f, cut)
	if e := (*UnsupportedError)(nil); errors.As(err, &e) {
		e.File = f.Path
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", f.Path, err)
	}
	return a, nil
}

// Cut returns the name of the value that gives the features, even if Open chose it.
func (a *Net) Cut() string { return a.cut }

// Size is the side in pixels of the pictures that the file was exported for, 0 for any.
func (a *Net) Size() int { return a.size }

// Bytes reports whether the network takes pictures as bytes, 0 to 255, and prepares them itself.
// Its pictures are then whole numbers, as a preset with the statistics "raw" makes them.
func (a *Net) Bytes() bool { return a.kind == "U8" }

// Key is the name of a tensor of the file among the weights of the architecture, where a slash
// becomes a bar, because GoMLX separates scopes by slashes. It is "" for a tensor that the network
// up to its cut, and its classifier, do not use. It has the form of weights.MatchOptions.Rename.
func (a *Net) Key(tensor string) string {
	if _, ok := a.weights[tensor]; !ok {
		return ""
	}
	return graphKey(tensor)
}

// Stem returns the weights of the convolution that reads the pictures as they come in, and those of a
// batch norm right behind it, by their keys: kernel and bias; gain, bias, mean and variance. Both are
// nil for a network that begins in another way, and norm without such a norm.
func (a *Net) Stem() (conv, norm []string) {
	from := map[string]bool{a.input: true}
	product := ""
	for _, i := range a.sequence {
		n := a.nodes[i]
		if len(n.Inputs) == 0 || len(n.Outputs) == 0 {
			continue
		}
		in, out := a.behindIdentity(n.Inputs[0]), n.Outputs[0]
		switch {
		case from[in] && (n.Op == "Transpose" || n.Op == "Identity" || n.Op == "Cast"):
			from[out] = true
		case from[in] && n.Op == "Conv" && conv == nil:
			conv, product = a.keys(n.Inputs[1:]), out
		case from[in] && n.Op != "Shape":
			return nil, nil // pictures are also used otherwise, or changed before
		case product != "" && in == product && n.Op == "BatchNormalization" && len(n.Inputs) == 5:
			norm = a.keys(n.Inputs[1:])
		}
	}
	if len(conv) == 0 || conv[0] == "" {
		return nil, nil
	}
	return conv, norm
}

// keys returns the keys of tensors of the file.
func (a *Net) keys(tensors []string) []string {
	out := make([]string, len(tensors))
	for i, name := range tensors {
		out[i] = a.Key(a.behindIdentity(name))
	}
	return out
}

func graphKey(name string) string { return strings.ReplaceAll(name, "/", "|") }

// UnsupportedError lists the operations of a network that this package does not support. Nothing of
// it was run.
type UnsupportedError struct {
	File string
	Ops  []string // names, each once, sorted
}

// Error names the file and the operations.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("onnx: %s uses operations that are not supported here: %s", e.File, strings.Join(e.Ops, ", "))
}
