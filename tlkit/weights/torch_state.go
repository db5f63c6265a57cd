package weights

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

const (
	maxDepth = 64 // nested modules
	// visited values; shared ones count each time, so that a small pickle cannot be an endless
	// tree
	maxVisits  = 300_000
	maxSkipped = 100
)

// entries are the names that training code uses for its state dict, in the order in which they
// are tried.
var entries = []string{"state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema", "net", "teacher"}

// wrappers are the prefixes that DataParallel and torch.compile put before every name.
var wrappers = []string{"module.", "_orig_mod."}

// readState finds the tensors in the object of the file.
func (f *File) readState(root any) error {
	f.root = root
	w := &walker{budget: f.src.budget, onPath: map[any]bool{}}
	var path []string
	for range 4 {
		key, inner := w.container(root)
		if key == "" {
			break
		}
		path, root = append(path, key), inner
	}
	if t, ok := root.(*pickledTensor); ok { // a single tensor was saved
		root = tuple{t}
	}
	if err := w.walk("", root, 0); err != nil {
		return err
	}
	if len(w.found) == 0 {
		return noTensors(root)
	}
	prefix := commonWrapper(w.found)
	for _, n := range w.found {
		name := strings.TrimPrefix(n.name, prefix)
		t, err := n.tensor.tensor(name)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", words.Quote(name), err)
		}
		f.tensors = append(f.tensors, t)
	}
	f.Skipped = w.skipped
	f.Metadata = map[string]string{}
	if len(path) > 0 {
		f.Metadata["entry"] = strings.Join(path, ".")
	}
	if prefix != "" {
		f.Metadata["prefix"] = prefix
	}
	return nil
}

// Whole returns the file with all tensors of a PyTorch file, each under its full path of keys:
// "state_dict.module.conv1.weight", "model_ema.conv1.weight", "optimizer.state.0.exp_avg". It is
// for callers that look for a network in a checkpoint themselves. Tensors that cannot be read are
// in Skipped, with the reason. For files of other formats, and if the rest of the checkpoint
// exceeds the limits, it returns f. Closing one of the two closes both.
func (f *File) Whole() *File {
	root := f.root
	if root == nil {
		return f
	}
	whole := &File{Path: f.Path, Format: f.Format, src: f.src, Metadata: map[string]string{}}
	if d := asDict(root); d != nil && len(d.keys) > 0 {
		whole.Metadata["keys"] = someKeys(d)
	}
	if t, ok := root.(*pickledTensor); ok { // a single tensor was saved
		root = tuple{t}
	}
	w := &walker{budget: f.src.budget, whole: true, onPath: map[any]bool{}}
	if err := w.walk("", root, 0); err != nil || len(w.found) == 0 {
		return f
	}
	seen := make(map[string]bool, len(w.found))
	for _, n := range w.found {
		t, err := n.tensor.tensor(n.name)
		if err == nil && seen[n.name] {
			err = errors.New("a second tensor of this name")
		}
		if err != nil {
			w.note(n.name, err.Error())
			continue
		}
		seen[n.name] = true
		whole.tensors = append(whole.tensors, t)
	}
	whole.Skipped = w.skipped
	if whole.buildIndex() != nil {
		return f
	}
	return whole
}

func noTensors(root any) error {
	what := kind(root)
	if d := asDict(root); d != nil && len(d.keys) > 0 {
		what += " with the keys " + someKeys(d)
	}
	return advice.New(fmt.Errorf("this PyTorch file has no named tensors: it holds %s", what), "in Python torch.save(model.state_dict(), \"weights.pt\")")
}

// someKeys lists the first keys of a dict for messages.
func someKeys(d *dict) string {
	const most = 20
	var keys []string
	for i, key := range d.keys {
		if i == most {
			keys = append(keys, "...")
			break
		}
		keys = append(keys, words.Quote(key))
	}
	return strings.Join(keys, ", ")
}

type namedTensor struct {
	name   string
	tensor *pickledTensor
}

type walker struct {
	budget  *budget.Budget
	whole   bool // look for modules in the attributes of other objects too
	found   []namedTensor
	skipped []string
	visits  int
	onPath  map[any]bool // the containers on the current path, to detect cycles
}

// container looks for a state dict with one of the usual names.
func (w *walker) container(v any) (string, any) {
	d := asDict(v)
	for _, key := range entries {
		if inner := d.get(key); inner != nil && w.holdsTensors(inner, 0) {
			return key, inner
		}
	}
	return "", nil
}

func (w *walker) holdsTensors(v any, depth int) bool {
	if w.visits++; w.visits > maxVisits || depth > maxDepth {
		return false
	}
	if isModule(v) {
		return true
	}
	d := asDict(v)
	if d == nil {
		return false
	}
	for _, inner := range d.values {
		if _, ok := inner.(*pickledTensor); ok || w.holdsTensors(inner, depth+1) {
			return true
		}
	}
	return false
}

// asDict returns a dict, or the items of an object of a subclass of dict; nil for anything else.
func asDict(v any) *dict {
	switch v := v.(type) {
	case *dict:
		return v
	case *object:
		return v.items
	}
	return nil
}

// moduleState returns the attributes of a torch.nn.Module; nil for anything else.
func moduleState(v any) *dict {
	o, ok := v.(*object)
	if !ok {
		return nil
	}
	state, _ := o.state.(*dict)
	if asDict(state.get("_parameters")) == nil && asDict(state.get("_modules")) == nil {
		return nil
	}
	return state
}

func isModule(v any) bool { return moduleState(v) != nil }

func (w *walker) walk(name string, v any, depth int) error {
	if w.visits++; w.visits > maxVisits {
		return fmt.Errorf("more than %d values in the object", maxVisits)
	}
	if depth > maxDepth {
		return fmt.Errorf("more than %d objects inside each other", maxDepth)
	}
	// Joining names and remembering the path take memory at every visit, even of shared values.
	if err := w.budget.Describe(128 + int64(len(name))); err != nil {
		return err
	}
	switch v := v.(type) {
	case *pickledTensor:
		return w.add(name, v)
	case *dict, *object, *list:
		if w.onPath[v] {
			w.skip(name, nil)
			return nil
		}
		w.onPath[v] = true
		defer delete(w.onPath, v)
	}
	if state := moduleState(v); state != nil {
		return w.walkModule(name, state, depth)
	}
	if d := asDict(v); d != nil {
		for i, key := range d.keys {
			if err := w.walk(join(name, key), d.values[i], depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	var items []any
	switch v := v.(type) {
	case tuple:
		items = v
	case *list:
		items = v.values
	case *object:
		w.skip(name, v)
		return w.walkAttributes(name, v, depth)
	}
	for i, item := range items {
		switch item.(type) {
		case int64, float64, bool, string, []byte, none: // a list of losses can be long
			continue
		}
		if err := w.walk(join(name, strconv.Itoa(i)), item, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// walkModule collects what state_dict() would: parameters, persistent buffers, then those of
// the modules inside.
func (w *walker) walkModule(name string, state *dict, depth int) error {
	var temporary []any
	if s, ok := state.get("_non_persistent_buffers_set").(*set); ok {
		temporary = s.values
	}
	for _, part := range []string{"_parameters", "_buffers", "_modules"} {
		d := asDict(state.get(part))
		if d == nil {
			continue
		}
		for i, key := range d.keys {
			if part == "_buffers" && slices.ContainsFunc(temporary, func(t any) bool { return t == any(key) }) {
				continue
			}
			if err := w.walk(join(name, key), d.values[i], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// walkAttributes collects the modules that an object of another class holds, as a trainer or a
// fastai Learner does.
func (w *walker) walkAttributes(name string, o *object, depth int) error {
	state, _ := o.state.(*dict)
	if !w.whole || state == nil {
		return nil
	}
	for i, key := range state.keys {
		if isModule(state.values[i]) {
			if err := w.walk(join(name, key), state.values[i], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) add(name string, t *pickledTensor) error {
	if len(w.found) == maxTensors {
		return fmt.Errorf("more than %d tensors", maxTensors)
	}
	if len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("name %s of %d bytes: at most %d of valid UTF-8 are read", words.Quote(name), len(name), maxName)
	}
	if name == "" {
		return errors.New("a tensor without a name")
	}
	if err := w.budget.Describe(int64(len(name)) + costPair); err != nil {
		return err
	}
	w.found = append(w.found, namedTensor{name, t})
	return nil
}

// skip records what v is; nil means a container that contains itself.
func (w *walker) skip(name string, v any) {
	what := "it contains itself"
	if v != nil {
		what = kind(v)
	}
	w.note(name, what)
}

func (w *walker) note(name, what string) {
	if len(w.skipped) < maxSkipped {
		w.skipped = append(w.skipped, words.Quote(name)+": "+what)
	}
}

// join joins "layer1.0" and "weight". Names stop growing at the length that add refuses, so
// that deep nesting cannot make long copies.
func join(name, key string) string {
	if name == "" || len(name) > maxName {
		return name + key[:min(len(key), maxName+1)]
	}
	return name + "." + key[:min(len(key), maxName+1)]
}

// commonWrapper returns the longest sequence of wrapper prefixes that every name has.
func commonWrapper(found []namedTensor) string {
	prefix := ""
	for {
		next := prefix
		for _, w := range wrappers {
			if !slices.ContainsFunc(found, func(n namedTensor) bool { return !strings.HasPrefix(n.name, prefix+w) || n.name == prefix+w }) {
				next = prefix + w
			}
		}
		if next == prefix {
			return prefix
		}
		prefix = next
	}
}
