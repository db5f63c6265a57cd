package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

// File is an opened file of weights: a list of named tensors that are read on demand.
type File struct {
	Path string
	// Format is "safetensors", "pytorch zip", "pytorch legacy", "keras h5", "keras weights.h5",
	// "keras zip", "tensorflow.js" or "onnx", or "hdf5" for an HDF5 file that is not from
	// Keras.
	Format string

	// Metadata is text of the file, to be shown. For safetensors it is __metadata__. For a PyTorch
	// file, "entry" is the path of keys to the state dict ("state_dict") and "prefix" is what was
	// stripped from every name ("module."); [File.Whole] has "keys" instead, the keys of
	// the outermost dict, joined with ", ". For a file of Keras it has "keras_version" and
	// "backend" and, if the file describes its network, "class_name", "name", "input_shape"
	// (",224,224,3") and "layers" with the number of each class ("InputLayer 1, Conv2D 35, ...").
	Metadata map[string]string

	// Skipped lists up to 100 entries among the tensors that are not tensors, as "name: what it
	// is": a quantised tensor, or an object of some Python class.
	Skipped []string

	src     *source
	tensors []Tensor
	index   map[string]int
	keras   []*kerasLayer
	onnx    *ONNX
	root    any // the unpickled object of a PyTorch file
}

// Open opens a file of weights and lists its tensors. The first bytes determine the format, not
// the name. Only the header is read: a ResNet-18 opens in about a millisecond.
//
// Open reads safetensors; PyTorch files, zip (since torch 1.6) and legacy, with a state dict, a
// training checkpoint that contains one, or a whole module; ONNX networks in one file, whose
// computation is [File.ONNX]; and files of Keras with weights or a full model: .h5,
// .weights.h5, .keras, and TensorFlow.js' layers models, for which path is that of model.json.
// For any other file, the error says what it is: an HTML page that was downloaded by mistake, a
// git-LFS pointer, TorchScript ... Nothing in a file is ever executed; see the package
// documentation.
//
// The error for a file that exists but cannot be used is a *[FormatError]. Close the File after
// reading its tensors.
func Open(path string) (*File, error) {
	// Before opening, because opening a FIFO would block.
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
	beside := map[string]opened{}
	src.sibling = func(name string) (io.ReaderAt, int64, error) {
		if o, ok := beside[name]; ok {
			return o.file, o.size, nil
		}
		o, err := openBeside(path, name)
		if err != nil {
			return nil, 0, err
		}
		beside[name] = o
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

// inFolder says which file to name instead of a folder.
func inFolder(path string) string {
	for _, x := range []struct{ name, what string }{
		{"saved_model.pb", ", a SavedModel of TensorFlow, which is not read here: in Python load it with Keras and save .keras or .weights.h5"},
		{".metadata", ", a sharded checkpoint of torch.distributed.checkpoint, which is not read here: make one file of it with python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pt"},
		{"zero_to_fp32.py", ", a sharded checkpoint of DeepSpeed, which is not read here: make one file of it with python zero_to_fp32.py . weights.pt"},
		{"_CHECKPOINT_METADATA", ", a checkpoint of JAX (Orbax), which is not read here: save the weights as safetensors"},
		{"checkpoint", ", a checkpoint of TensorFlow, which is not read here: in Python load it with Keras and save .keras or .weights.h5"},
		{"Manifest.json", ", a Core ML package, which is not read here: take the weights that it was made from"},
		{"model.json", ": give model.json inside it"},
	} {
		if _, err := os.Stat(filepath.Join(path, x.name)); err == nil {
			return x.what
		}
	}
	return ": give the weights file inside it"
}

// openBeside opens a file in the folder of another, and nowhere else, even through links.
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

// FormatError is the error of [Open] for a file that exists but cannot be used: it is something
// else, damaged, hostile, or of an unsupported form.
type FormatError struct {
	Path   string
	Format string // as in File; "" if it is none of them
	Err    error  // what is wrong and, if known, what to do
}

func (e *FormatError) Error() string { return fmt.Sprintf("weights: %s: %v", e.Path, e.Err) }
func (e *FormatError) Unwrap() error { return e.Err }

func open(src *source) (f *File, err error) {
	// The readers check everything they use. If they have a bug, it should be an error for one file
	// and not the end of the process.
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, &FormatError{src.name, "", fmt.Errorf("not a readable weights file (internal: %v)", p)}
		}
	}()
	src.budget = budget.ForFile(context.Background(), src.size)
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
	} else if what := byName(src.name); what != "" {
		err = fmt.Errorf("%w; %s", err, what)
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
		// Views of the same bytes count each time: small files must not fill the memory.
		if err := f.src.budget.Hold(t.held()); err != nil {
			return fmt.Errorf("tensor %s: %w", words.Quote(t.Name), err)
		}
		if _, twice := f.index[t.Name]; twice {
			return fmt.Errorf("two tensors are named %s", words.Quote(t.Name))
		}
		f.index[t.Name] = i
	}
	return nil
}

// Having returns the file with other tensors, such as [Tensor.As] makes of its own. It describes no
// network any more. Closing one of the two closes both. It is an error if two tensors have one name.
func (f *File) Having(tensors []Tensor) (*File, error) {
	other := &File{Path: f.Path, Format: f.Format, Metadata: f.Metadata, Skipped: f.Skipped, src: f.src, tensors: tensors}
	other.index = make(map[string]int, len(tensors))
	for i, t := range tensors {
		if _, twice := other.index[t.Name]; twice {
			return nil, fmt.Errorf("weights: %s: two tensors are named %s", f.Path, words.Quote(t.Name))
		}
		other.index[t.Name] = i
	}
	return other, nil
}

// Names returns the names of the tensors in the order of the file. For a file of Keras, that is
// the order of the layers in the model, and Keras' order of the weights of each.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns the tensor with this name, and whether the file has it.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	t := f.tensors[i]
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// Size returns the number of bytes of the file and of the files beside it that hold its numbers.
func (f *File) Size() int64 { return f.src.bytes() }

// Alone reports whether the file itself holds all its numbers, with none in other files beside it.
func (f *File) Alone() bool { return len(f.src.files) < 2 }

// Beside returns the names of the other files that hold its numbers, as slash paths from its folder.
func (f *File) Beside() []string { return slices.Sorted(maps.Keys(f.src.known)) }

// Close closes the file. Its tensors cannot be read afterwards.
func (f *File) Close() error {
	return f.src.close()
}
