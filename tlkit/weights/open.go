package weights

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// File is an opened weights file: a list of named tensors that are read one by
// one when asked for.
type File struct {
	Path   string
	Format string // "safetensors", "pytorch zip", "pytorch legacy", "keras h5", "keras weights.h5", "keras zip", "tensorflow.js", "onnx", or "hdf5" where nothing in it is Keras'

	// Metadata is safetensors' __metadata__. For a PyTorch file it says what was
	// chosen in it: "entry" is the path of keys that led to the state dict
	// ("state_dict"), "prefix" what was stripped from every name ("module."). For a
	// file of Keras: "keras_version" and "backend"; of its network, if it is described,
	// "class_name", "name", "input_shape" (",224,224,3") and "layers", the number of
	// each class ("InputLayer 1, Conv2D 35, ..."). Texts of the file, to be shown.
	Metadata map[string]string

	// Skipped lists what stood among the tensors and is none (at most 100 of
	// them), as "name: what it is": a quantised tensor, an object of some Python class.
	Skipped []string

	src     *source
	tensors []Tensor
	index   map[string]int
	keras   []*kerasLayer
	onnx    *ONNX
}

// Open looks at the first bytes of a file, never at its name, and lists the
// tensors in it. It reads the header only: a ResNet-18 opens in about a
// millisecond.
//
// It reads safetensors; PyTorch files, zip (since torch 1.6) and legacy, that
// hold a state dict, a training checkpoint with one inside, or a whole module;
// ONNX networks in one file, whose computation is [File.ONNX]; and files of Keras,
// with weights or a full model: .h5, .weights.h5, .keras, and TensorFlow.js'
// layers models, of which path is that of model.json.
// Anything else is an error that says what the file is: an HTML page that was
// downloaded by mistake, a git-LFS pointer, TorchScript ... Nothing in
// a file is ever executed; see the package's description.
//
// A file that is there but cannot be believed gives a *[FormatError]. Close the File when the
// tensors have been read.
func Open(path string) (*File, error) {
	// Before opening: opening a FIFO would wait for a writer that never comes.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("weights: %s is a folder%s", path, inFolder(path))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("weights: %s is not a regular file (%s)", path, info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	o, err := newOpened(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("weights: %w", err)
	}
	src := &source{name: path, r: f, size: o.size, files: []opened{o}}
	src.sibling = func(name string) (io.ReaderAt, int64, error) {
		o, err := openBeside(path, name)
		if err != nil {
			return nil, 0, err
		}
		src.files = append(src.files, o)
		return o.file, o.size, nil
	}
	file, err := open(src)
	if err != nil {
		src.close()
		return nil, err
	}
	return file, nil
}

// inFolder says what to give instead of a folder.
func inFolder(path string) string {
	for _, x := range []struct{ name, what string }{
		{"saved_model.pb", ", a SavedModel of TensorFlow, which is not read here: in Python load it with Keras and save .keras or .weights.h5"},
		{"model.json", ": give model.json inside it"},
	} {
		if _, err := os.Stat(filepath.Join(path, x.name)); err == nil {
			return x.what
		}
	}
	return ": give the weights file inside it"
}

// openBeside opens a file in the folder of another, and nowhere else, whatever
// links its name goes through.
func openBeside(path, name string) (opened, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return opened{}, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return opened{}, err
	}
	if !info.Mode().IsRegular() {
		return opened{}, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return opened{}, err
	}
	o, err := newOpened(f)
	if err != nil {
		f.Close()
	}
	return o, err
}

// FormatError is Open's error for a file that is there but holds no weights that can
// be trusted: it is something else, damaged, hostile, or of a form that is not read.
type FormatError struct {
	Path   string
	Format string // as in File; "" when it is none of them
	Err    error  // what is wrong, and where it is known what to do
}

func (e *FormatError) Error() string { return fmt.Sprintf("weights: %s: %v", e.Path, e.Err) }
func (e *FormatError) Unwrap() error { return e.Err }

func open(src *source) (f *File, err error) {
	// The readers below check everything they use; this is the second fence, so
	// that a mistake in them is an error for one file and not the end of the process.
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, &FormatError{src.name, "", fmt.Errorf("not a readable weights file (internal: %v)", p)}
		}
	}()
	head := make([]byte, min(src.size, 1024))
	if _, err := src.r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("weights: %w", err)
	}
	kind, why := sniff(head, src.size)
	f = &File{Path: src.name, Format: kind, src: src}
	switch kind {
	case formatSafetensors:
		err = f.readSafetensors()
	case formatTorchZip:
		err = f.readZip()
	case formatTorchLegacy:
		err = f.readTorchLegacy()
	case formatKerasH5:
		err = f.readHDF5()
	case formatTFJS:
		err = f.readTFJS()
	case formatONNX:
		err = f.readONNX()
	default:
		err = errors.New(why)
	}
	if err == nil {
		err = f.buildIndex()
	}
	if err != nil {
		return nil, &FormatError{src.name, f.Format, err}
	}
	return f, nil
}

func (f *File) buildIndex() error {
	if len(f.tensors) > maxTensors {
		return fmt.Errorf("%d tensors, at most %d are read", len(f.tensors), maxTensors)
	}
	f.index = make(map[string]int, len(f.tensors))
	for i, t := range f.tensors {
		if _, twice := f.index[t.Name]; twice {
			return fmt.Errorf("two tensors are named %s", printable(t.Name))
		}
		f.index[t.Name] = i
	}
	return nil
}

// Names lists the tensors in the file's own order. In a file of Keras that is the
// order of layers in the model, and Keras' order of weights in each.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor finds a tensor by name; false when the file has none of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	t := f.tensors[i]
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// Close releases the file. Tensors that were not read yet are lost.
func (f *File) Close() error {
	return f.src.close()
}

// printable quotes a name from a stranger's file so that it can stand in a
// message: control characters and endless names stay out of terminals and logs.
func printable(name string) string {
	const most = 120
	cut := ""
	if len(name) > most {
		name, cut = name[:most], "..."
	}
	q := strconv.QuoteToGraphic(name)
	if inner := q[1 : len(q)-1]; inner == name && name != "" && !strings.ContainsAny(name, " ,:;") {
		return name + cut
	}
	return q + cut
}
