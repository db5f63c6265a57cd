package zoo

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// A user's checkpoint rarely looks like a published one. Trainers wrap the weights in a dict,
// prefix their names, keep an average (EMA) beside them, name the layers differently, and train
// another classifier. fit finds the network: it looks for the place where the file agrees with the
// architecture in names and shapes, tensor by tensor. The network must be complete up to the
// features, and the file must not have a tensor that could belong to it but has no place in it. A
// different classifier is left out.

// trunked is implemented by architectures that can be built without their classifier.
type trunked interface{ trunk() backbone.Arch }

// otherNames is an architecture that computes the same as another one under different names and
// asks for its tensors in the same order.
type otherNames struct {
	by   string // whose names: "timm"
	arch backbone.Arch
}

// renamed is implemented by architectures for which files with other names exist.
type renamed interface{ otherNames() []otherNames }

// naming is one way to name the tensors of a network in a file.
type naming struct {
	by     string   // whose names; "" = the row's own
	file   []string // names in the file, in the order of the declaration
	wanted map[string]int
}

func (n *naming) index() {
	n.wanted = make(map[string]int, len(n.file))
	for i, name := range n.file {
		n.wanted[name] = i
	}
}

// candidate is a place in a file where the network may be.
type candidate struct {
	naming  *naming
	prefix  string // before all names of the network
	names   []string
	keys    []string // of the file, in the order of the declaration; "" = not found
	shapes  [][]int  // of tensors that have another shape
	found   int      // tensors of the trunk
	classes int      // tensors of the classifier
}

// misshapen counts the tensors that have the right name and another shape.
func (c *candidate) misshapen() (n int) {
	for _, shape := range c.shapes {
		if shape != nil {
			n++
		}
	}
	return n
}

// fitter looks for a network in a file.
type fitter struct {
	net       *Net
	file      *weights.File
	entry     string // look only here
	names     []string
	shapes    map[string][]int
	separator byte // between the levels of a name
	need      int  // tensors of the trunk
	heads     int  // tensors of the classifier
	cands     []*candidate
	spoken    *translation // the file is in another dialect, and this is what it became; nil = it is not
	zeros     []string     // biases that the file lacks everywhere, which are taken as 0
	sizes     map[int]bool // of the file's tensors, in numbers, see lacks
}

// fit finds the network in a file and returns a file with just its tensors, in the names and shapes of
// the declaration. It drops the classifier of n if the file has a different one or none.
func (n *Net) fit(file *weights.File, entry string) (*weights.File, error) {
	if file.ONNX() != nil {
		return nil, advice.New(fmt.Errorf("%s is an ONNX network, which defines its own architecture", n.Path), "use it as a model: --model %s --statistics imagenet", n.Path)
	}
	f, c, err := n.search(file, entry)
	if err != nil {
		return nil, err
	}
	if c == nil || c.found < f.need {
		return nil, f.refuse(c, nil)
	}
	left, foreign := f.leftovers(c)
	if len(foreign) > 0 {
		return nil, f.refuse(c, foreign)
	}
	n.Row.arch = f.net.Row.arch
	if f.spoken != nil && f.spoken.dialect.build != nil {
		n.Row.arch = f.spoken.dialect.build(n.Row.arch)
	}
	headless := f.heads > 0 && c.classes < f.heads
	if headless {
		a, ok := n.Row.arch.(trunked)
		if !ok {
			return nil, f.refuse(c, nil)
		}
		n.Row.arch, n.Row.Classes = a.trunk(), ""
	}
	if n.declared, err = backbone.Declare(n.Row.arch, n.Preset.Size); err != nil {
		return nil, err
	}
	n.Entry = f.place(c)
	n.Notes = f.notes(c, left, headless)
	return f.found(c)
}

// search returns the place in a file that holds the network, or comes closest. Only if the row's own
// names do not find it, it looks for those of other dialects.
func (n *Net) search(file *weights.File, entry string) (*fitter, *candidate, error) {
	f := newFitter(n, file, entry)
	if !slices.ContainsFunc(f.names, f.inEntry) {
		return nil, nil, advice.New(fmt.Errorf("%s has no tensors under %s", n.Path, brief(f.entry)), "leave out --entry, or take one of %s", f.places())
	}
	c := f.best()
	f.withoutBiases(c)
	a, ok := n.Row.arch.(spoken)
	if !ok || c != nil && c.found == f.need {
		return f, c, nil
	}
	m := *n // in the names that the tables of dialects have on their right
	m.Row.arch = a.plain()
	var err error
	if m.declared, err = backbone.Declare(m.Row.arch, n.Preset.Size); err != nil {
		return nil, nil, err
	}
	for _, d := range a.dialects() {
		t, err := d.translate(file, m.declared)
		if err != nil {
			return nil, nil, err
		}
		if t == nil {
			continue
		}
		g := newFitter(&m, t.file, entry)
		g.spoken = t
		other := g.best()
		g.withoutBiases(other)
		if other != nil && (c == nil || other.found > c.found) {
			f, c = g, other
		}
	}
	return f, c, nil
}

// withoutBiases takes biases as 0 that a file has nowhere: those of a layer whose weights it has, and of
// the same layer in every block. Such a layer computes the same with zeros.
func (f *fitter) withoutBiases(c *candidate) {
	if c == nil || c.found == f.need || isKeras(f.file) {
		return
	}
	d := f.net.declared.Weights
	kind := func(i int) string { return numbersOf.ReplaceAllString(d[i].Name, "#") }
	weighted, some := map[string]bool{}, map[string]bool{} // layers with weights; kinds of biases that are there
	for i, w := range d {
		if c.keys[i] == "" {
			continue
		}
		some[kind(i)] = true
		if layer, ok := strings.CutSuffix(w.Name, ".weight"); ok && len(w.Shape) > 1 {
			weighted[layer] = true
		}
	}
	var lacking []int
	for i, w := range d {
		layer, bias := strings.CutSuffix(w.Name, ".bias")
		switch {
		case c.keys[i] != "" || w.Stage == backbone.Classifier:
		case !bias || c.shapes[i] != nil || !weighted[layer] || some[kind(i)]:
			return
		default:
			lacking = append(lacking, i)
		}
	}
	for _, i := range lacking {
		if k := kind(i); !slices.Contains(f.zeros, k) {
			f.zeros = append(f.zeros, k)
		}
		c.found++
	}
}

var numbersOf = regexp.MustCompile(`\d+`)

// found returns the network's tensors as a file of their own.
func (f *fitter) found(c *candidate) (*weights.File, error) {
	var tensors []weights.Tensor
	for i, w := range f.net.declared.Weights {
		t, ok := f.file.Tensor(c.keys[i])
		switch {
		case ok && !slices.Equal(t.Shape, w.Shape):
			t = t.As(w.Name, w.Shape, 0)
		case ok:
			t.Name = w.Name
		case w.Stage != backbone.Classifier:
			t = weights.FromFloat32(w.Name, w.Shape, make([]float32, sizeOf(w.Shape)))
		}
		tensors = append(tensors, t)
	}
	return f.file.Having(tensors)
}

// fits reports whether a tensor of the file has the shape that is wanted; axes of length 1 do not count,
// since the kernel of a 1x1 convolution and a matrix are the same numbers.
func (f *fitter) fits(key string, shape []int) bool {
	got, ok := f.shapes[key]
	return ok && (slices.Equal(got, shape) || len(got) > 0 && len(shape) > 0 && slices.Equal(withoutOnes(got), withoutOnes(shape)))
}

// place returns the path of keys to a candidate; "" for the outermost names. All names of Keras 3
// are in "layers".
func (f *fitter) place(c *candidate) string {
	place := strings.TrimRight(c.prefix, "./")
	if isKeras(f.file) && place == "layers" {
		return ""
	}
	return place
}

func newFitter(n *Net, file *weights.File, entry string) *fitter {
	f := &fitter{net: n, file: file, entry: strings.TrimRight(entry, "./"), names: file.Names(), shapes: map[string][]int{}, separator: '.'}
	if isKeras(file) {
		f.separator = '/'
	}
	f.names = slices.DeleteFunc(f.names, func(name string) bool {
		return name == "num_batches_tracked" || slices.ContainsFunc(derived, func(end string) bool { return strings.HasSuffix(name, end) })
	})
	for _, name := range f.names {
		t, _ := file.Tensor(name)
		f.shapes[name] = t.Shape
	}
	for _, w := range n.declared.Weights {
		if w.Stage == backbone.Classifier {
			f.heads++
		} else {
			f.need++
		}
	}
	return f
}

// derived are the ends of names of tensors that a network does not need: counters, and tables that
// follow from its shape.
var derived = []string{".num_batches_tracked", ".relative_position_index", ".attn_mask"}

func isKeras(file *weights.File) bool {
	return strings.HasPrefix(file.Format, "keras") || file.Format == "tensorflow.js"
}

// inEntry reports whether a name is in the part of the file that --entry selects.
func (f *fitter) inEntry(name string) bool {
	rest, ok := strings.CutPrefix(name, f.entry)
	return ok && (f.entry == "" || rest == "" || rest[0] == '.' || rest[0] == '/')
}

// best returns the candidate that holds the whole trunk, or the one that comes closest.
func (f *fitter) best() *candidate {
	if isKeras(f.file) {
		f.addKeras(f.net.declared)
		if a, ok := f.net.Row.arch.(trunked); ok && (len(f.cands) == 0 || f.cands[0].classes < f.heads) {
			if d, err := backbone.Declare(a.trunk(), f.net.Preset.Size); err == nil {
				f.addKeras(d) // without the classifier Keras may number the layers differently
			}
		}
	} else {
		f.addNamings()
	}
	var best *candidate
	for _, c := range f.cands {
		switch {
		case best == nil || c.found > best.found:
			best = c
		case c.found == best.found && c.found == f.need && f.rank(c) > f.rank(best):
			best = c
		}
	}
	return best
}

// rank prefers averaged weights, then a classifier that fits. Networks that only follow another one
// in training come last.
func (f *fitter) rank(c *candidate) int {
	rank := 0
	if f.averaged(c.prefix) {
		rank += 2
	}
	if hasWord(c.prefix, "target", "momentum", "k", "key") {
		rank -= 2
	}
	if c.classes == f.heads {
		rank++
	}
	return rank
}

// averaged reports whether a prefix names weights that were averaged over the training, which
// trainers evaluate and publish.
func (f *fitter) averaged(prefix string) bool {
	// MMEngine swaps the two when it saves: its ema_state_dict holds the others.
	swapped := slices.Contains(strings.Split(f.file.Metadata["keys"], ", "), "message_hub")
	if swapped && strings.HasPrefix(prefix, "ema_state_dict.") {
		return false
	}
	return hasWord(prefix, "ema", "emamodel", "modelema", "swa", "averaged", "average", "avg", "polyak", "shadow", "teacher")
}

// hasWord reports whether a name contains one of the words.
func hasWord(name string, words ...string) bool {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(words, p) })
}

// addNamings adds the places where the file has tensors of the network under one of its naming
// schemes.
func (f *fitter) addNamings() {
	f.addDotted(f.own())
	if f.complete() {
		return
	}
	if a, ok := f.net.Row.arch.(renamed); ok {
		for _, other := range a.otherNames() {
			d, err := backbone.Declare(other.arch, f.net.Preset.Size)
			if err != nil || len(d.Weights) != len(f.net.declared.Weights) {
				continue
			}
			n := &naming{by: "in the names of " + other.by}
			for _, w := range d.Weights {
				n.file = append(n.file, w.Name)
			}
			n.index()
			f.addDotted(n)
		}
	}
	if !f.complete() {
		f.addNumbered(f.own())
	}
}

func (f *fitter) own() *naming {
	n := &naming{}
	for _, w := range f.net.declared.Weights {
		n.file = append(n.file, w.Name)
	}
	n.index()
	return n
}

func (f *fitter) complete() bool {
	return slices.ContainsFunc(f.cands, func(c *candidate) bool { return c.found == f.need })
}

// maxCopies is the largest number of copies of a network that are considered in one file.
const maxCopies = 16

// addDotted adds a candidate for each prefix with the whole trunk, or for the prefix with most of
// it.
func (f *fitter) addDotted(n *naming) {
	votes, order := map[string]int{}, []string{}
	f.eachSuffix(n, func(prefix, key string, i int) {
		w := f.net.declared.Weights[i]
		if w.Stage == backbone.Classifier || !f.fits(key, w.Shape) {
			return
		}
		if votes[prefix]++; votes[prefix] == 1 {
			order = append(order, prefix)
		}
	})
	most := 0
	for _, v := range votes {
		most = max(most, v)
	}
	taken := map[string]*candidate{}
	for _, prefix := range order {
		if votes[prefix] == most && (most == f.need || len(taken) == 0) && len(taken) < maxCopies {
			taken[prefix] = f.candidate(n, prefix, n.file)
		}
	}
	f.eachSuffix(n, func(prefix, key string, i int) {
		if c := taken[prefix]; c != nil {
			f.put(c, i, key)
		}
	})
}

// eachSuffix visits the tensors whose names end in a name of the network.
func (f *fitter) eachSuffix(n *naming, visit func(prefix, key string, i int)) {
	for _, name := range f.names {
		if !f.inEntry(name) {
			continue
		}
		for start := 0; ; {
			if i, ok := n.wanted[name[start:]]; ok {
				visit(name[:start], name, i)
			}
			next := strings.IndexByte(name[start:], '.')
			if next < 0 {
				break
			}
			start += next + 1
		}
	}
}

// candidate adds a place with the given names.
func (f *fitter) candidate(n *naming, prefix string, names []string) *candidate {
	c := &candidate{naming: n, prefix: prefix, names: names, keys: make([]string, len(names)), shapes: make([][]int, len(names))}
	f.cands = append(f.cands, c)
	return c
}

// put takes the tensor called key as number i of the declaration if the shapes agree.
func (f *fitter) put(c *candidate, i int, key string) {
	w := f.net.declared.Weights[i]
	switch {
	case c.keys[i] != "":
	case !f.fits(key, w.Shape):
		c.shapes[i] = f.shapes[key]
	case w.Stage == backbone.Classifier:
		c.keys[i] = key
		c.classes++
	default:
		c.keys[i] = key
		c.found++
	}
}

// addNumbered adds the places where the modules of the network have numbers for names, as
// nn.Sequential(*net.children()) and fastai write them: 0.weight for conv1.weight, 4.0.conv1.weight
// for layer1.0.conv1.weight. Modules without tensors (ReLU, pooling) leave gaps.
func (f *fitter) addNumbered(own *naming) {
	type module struct {
		name string
		rest []int // tensors of the declaration
	}
	var modules []module
	for i, w := range f.net.declared.Weights {
		name, _, _ := strings.Cut(w.Name, ".")
		if w.Stage == backbone.Classifier {
			continue
		}
		if len(modules) == 0 || modules[len(modules)-1].name != name {
			modules = append(modules, module{name: name})
		}
		last := &modules[len(modules)-1]
		last.rest = append(last.rest, i)
	}
	fits := func(prefix string, m module) bool {
		for _, i := range m.rest {
			w := f.net.declared.Weights[i]
			if !f.fits(prefix+w.Name[len(m.name):], w.Shape) {
				return false
			}
		}
		return true
	}
	copies := 0
	for _, at := range f.numberedPlaces() {
		at.at = at.at[:0]
		number := 0
		for _, m := range modules {
			for number < len(at.numbers) && !fits(at.prefix+at.numbers[number], m) {
				number++
			}
			if number == len(at.numbers) {
				break
			}
			at.at = append(at.at, at.numbers[number])
			number++
		}
		if len(at.at) < len(modules) || copies == maxCopies {
			continue
		}
		copies++
		names := slices.Clone(own.file)
		for k, m := range modules {
			for _, i := range m.rest {
				names[i] = at.at[k] + own.file[i][len(m.name):]
			}
		}
		c := f.candidate(&naming{by: "with numbers for modules"}, at.prefix, names)
		for i, name := range names {
			if _, ok := f.shapes[at.prefix+name]; ok {
				f.put(c, i, at.prefix+name)
			}
		}
	}
}

// numbered is a place in a file where the next level of names consists of numbers.
type numberedPlace struct {
	prefix  string
	numbers []string // rising
	at      []string // those of the network's modules
}

func (f *fitter) numberedPlaces() (places []*numberedPlace) {
	byPrefix := map[string]*numberedPlace{}
	for _, name := range f.names {
		if !f.inEntry(name) {
			continue
		}
		for start := 0; ; {
			next := strings.IndexByte(name[start:], '.')
			if next < 0 {
				break
			}
			level := name[start : start+next]
			if level != "" && strings.Trim(level, "0123456789") == "" {
				p := byPrefix[name[:start]]
				if p == nil {
					p = &numberedPlace{prefix: name[:start]}
					byPrefix[name[:start]] = p
					places = append(places, p)
				}
				if last := len(p.numbers) - 1; last < 0 || p.numbers[last] != level {
					p.numbers = append(p.numbers, level)
				}
			}
			start += next + 1
		}
	}
	for _, p := range places { // safetensors has names in alphabetical order
		slices.SortFunc(p.numbers, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
		p.numbers = slices.Compact(p.numbers)
	}
	return places
}

// addKeras adds the network with the layers that weights.KerasNames finds.
func (f *fitter) addKeras(d *backbone.Declaration) {
	if kerasLayers(d) == nil {
		return
	}
	rename := kerasNames(f.file, d)
	n := f.own()
	c := f.candidate(n, "", n.file)
	prefix, first := "", true
	for _, key := range f.names {
		if !f.inEntry(key) {
			continue
		}
		i, ok := n.wanted[rename(key)]
		if !ok {
			continue
		}
		f.put(c, i, key)
		if f.net.declared.Weights[i].Stage == backbone.Classifier {
			continue
		}
		// The last two levels are the layer and the tensor; the rest is where the network lies.
		in := upTo(key, 2)
		if first {
			prefix, first = in, false
		}
		for !strings.HasPrefix(in, prefix) {
			prefix = upTo(strings.TrimSuffix(prefix, "/"), 1)
		}
	}
	c.prefix = prefix
}

// upTo returns a Keras key without its last levels, with a trailing slash.
func upTo(key string, levels int) string {
	for range levels {
		i := strings.LastIndexByte(strings.TrimSuffix(key, "/"), '/')
		key = key[:i+1]
	}
	return key
}

// copies returns the other places that hold all of the trunk.
func (f *fitter) copies(c *candidate) (others []*candidate) {
	for _, other := range f.cands {
		known := func(o *candidate) bool { return o.prefix == other.prefix }
		if other.found == f.need && other.prefix != c.prefix && !slices.ContainsFunc(others, known) {
			others = append(others, other)
		}
	}
	return others
}

// leftovers returns the tensors that the network does not use. foreign are those that could belong
// to its trunk but have no place in it; left are the others near it, such as another classifier.
func (f *fitter) leftovers(c *candidate) (left, foreign []string) {
	used := map[string]bool{}
	for _, key := range c.keys {
		used[key] = true
	}
	copies := f.copies(c)
	for _, o := range copies {
		for _, key := range o.keys {
			used[key] = true
		}
	}
	inCopy := func(key string) bool {
		return slices.ContainsFunc(copies, func(o *candidate) bool {
			return strings.HasPrefix(key, o.prefix) && !strings.HasPrefix(c.prefix, o.prefix)
		})
	}
	trunk, heads := map[string]bool{}, map[string]bool{}
	for i, w := range f.net.declared.Weights {
		switch key := c.keys[i]; {
		case w.Stage == backbone.Classifier:
			heads[f.headKey(c, i)] = true
			used[key] = used[key] && c.classes == f.heads
		case key != "":
			trunk[f.module(key[len(c.prefix):])] = true
		}
	}
	var beside []string
	groups, order := map[string][]string{}, []string{}
	around := f.around(c.prefix)
	for _, key := range f.names {
		switch rest, inside := strings.CutPrefix(key, c.prefix); {
		case used[key] || inCopy(key):
		case !inside && strings.HasPrefix(key, around.prefix) && !around.whole:
			beside = append(beside, key)
		case !inside:
		case slices.ContainsFunc(f.net.Row.ignore, func(p string) bool { return strings.HasPrefix(rest, p) }):
		case heads[key]:
			left = append(left, key)
		case trunk[f.module(rest)] || f.spoken != nil && f.spoken.modules[f.module(rest)]:
			foreign = append(foreign, key)
		default:
			m := f.module(rest)
			if groups[m] == nil {
				order = append(order, m)
			}
			groups[m] = append(groups[m], key)
		}
	}
	for _, m := range order {
		if f.headLike(groups[m]) {
			left = append(left, groups[m]...)
		} else {
			foreign = append(foreign, groups[m]...)
		}
	}
	return append(left, beside...), foreign
}

// headKey returns the key that tensor i of the classifier has, or would have, in the file.
func (f *fitter) headKey(c *candidate, i int) string {
	if c.keys[i] != "" {
		return c.keys[i]
	}
	name := c.names[i]
	if f.separator == '/' {
		name = strings.Replace(name, ".", "/", 1)
	}
	return c.prefix + name
}

// module returns the first level of a name.
func (f *fitter) module(rest string) string {
	name, _, _ := strings.Cut(rest, string(f.separator))
	return name
}

// around describes what surrounds a network: the state dict that it is a part of.
type surroundings struct {
	prefix string
	whole  bool // it is the whole checkpoint, with everything that a trainer saves
}

func (f *fitter) around(prefix string) surroundings {
	if isKeras(f.file) {
		return surroundings{}
	}
	trimmed := strings.TrimSuffix(prefix, string(f.separator))
	if trimmed == "" {
		return surroundings{whole: true}
	}
	outer := trimmed[:strings.LastIndexByte(trimmed, f.separator)+1]
	whole := outer == "" && slices.Contains(strings.Split(f.file.Metadata["keys"], ", "), trimmed)
	return surroundings{prefix: outer, whole: whole}
}

// headLike reports whether a module that the network does not have can be a classifier: it has
// matrices, or its first convolution takes the features. A lone vector can be a counter or the
// weights of a loss, but one as wide as the features or a pixel may scale them.
func (f *fitter) headLike(keys []string) bool {
	features, matrices, vectors := f.net.declared.Features, 0, 0
	for _, key := range keys {
		switch shape := f.shapes[key]; len(shape) {
		case 0:
		case 1:
			if strings.IndexByte(key, f.separator) >= 0 || shape[0] == features || shape[0] == 3 {
				vectors++
			}
		case 2:
			matrices++
		default:
			in := shape[1]
			if f.separator == '/' {
				in = shape[len(shape)-2]
			}
			if matrices == 0 && in != features {
				return false
			}
			matrices++
		}
	}
	return matrices > 0 || vectors == 0
}

// notes describes what was found where, and what is not used.
func (f *fitter) notes(c *candidate, left []string, headless bool) (notes []string) {
	file := filepath.Base(f.net.Path)
	var where []string
	if f.net.Entry != "" {
		where = append(where, "under "+brief(f.net.Entry))
	}
	if c.naming.by != "" {
		where = append(where, c.naming.by)
	}
	if f.spoken != nil {
		where = append(where, "in the names of "+f.spoken.dialect.by)
	}
	var others []string
	for _, other := range f.copies(c) {
		if place := f.place(other); place != "" {
			others = append(others, brief(place))
		}
	}
	line := ""
	if len(where) > 0 {
		line = fmt.Sprintf("%s: the weights are those %s", file, strings.Join(where, ", "))
	} else if len(others) > 0 {
		line = file + ": the weights are the outermost ones"
	}
	if len(others) > 0 {
		kind := ""
		if f.averaged(c.prefix) {
			kind = " (averaged, as the trainer evaluates them)"
		}
		line += fmt.Sprintf("%s; the file has others: --entry %s", kind, strings.Join(others[:min(3, len(others))], ", --entry "))
	}
	if line != "" {
		notes = append(notes, line)
	}
	zeros := slices.Clone(f.zeros)
	if f.spoken != nil {
		zeros = append(zeros, f.spoken.zeros...)
	}
	if len(zeros) > 0 {
		notes = append(notes, fmt.Sprintf("%s: has no %s, taken as 0", file, strings.Join(zeros[:min(4, len(zeros))], ", ")))
	}
	switch {
	case len(left) > 0:
		what := "not used"
		if headless {
			what = "its classifier is not used (features need none)"
		}
		notes = append(notes, fmt.Sprintf("%s: %s: %s", file, what, f.list(left)))
	case headless:
		notes = append(notes, file+": without a classifier (features need none)")
	}
	return notes
}

// list names the first tensors with their shapes, those with the most axes first.
func (f *fitter) list(keys []string) string {
	keys = slices.Clone(keys)
	slices.SortStableFunc(keys, func(a, b string) int { return min(2, len(f.shapes[b])) - min(2, len(f.shapes[a])) })
	var words []string
	const most = 2
	for _, key := range keys[:min(most, len(keys))] {
		words = append(words, fmt.Sprintf("%s %v", brief(key), f.shapes[key]))
	}
	if more := len(keys) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

// brief makes a name from a file safe and short enough for a line.
func brief(name string) string { return words.Quote(name) }

// refuse returns an error that says how the closest candidate differs from the network, and what to
// do.
func (f *fitter) refuse(c *candidate, foreign []string) error {
	d := f.net.declared
	path := f.net.Path
	if f.spoken != nil {
		path += ", in the names of " + f.spoken.dialect.by + ","
	}
	r := &weights.Report{Path: path, Wanted: len(d.Weights), Unexpected: foreign, Skipped: f.file.Skipped}
	if n := f.named(); n != nil && (c == nil || n.found+n.misshapen() > c.found+c.misshapen()) {
		c = n
	}
	if c == nil || 2*(c.found+c.misshapen()) < f.need { // another network: names by chance tell nothing
		c = &candidate{naming: f.own(), keys: make([]string, len(d.Weights)), shapes: make([][]int, len(d.Weights))}
		c.names = c.naming.file
		r.Unexpected = f.names
	}
	for i, w := range d.Weights {
		switch {
		case w.Stage == backbone.Classifier || c.keys[i] != "":
		case c.shapes[i] != nil:
			r.WrongShape = append(r.WrongShape, weights.Difference{Name: c.prefix + c.names[i], Got: fmt.Sprint(c.shapes[i]), Want: fmt.Sprint(w.Shape)})
		default:
			r.Missing = append(r.Missing, c.prefix+c.names[i])
		}
	}
	if c.found < f.need && len(r.Unexpected) == 0 {
		_, r.Unexpected = f.leftovers(c)
	}
	r.Unexpected = slices.DeleteFunc(r.Unexpected, func(name string) bool {
		return slices.ContainsFunc(r.WrongShape, func(d weights.Difference) bool { return d.Name == name })
	})
	return advice.New(errors.New("weights: "+r.String()), "%s", f.todo(c))
}

// named returns the place with the most names of the network, whatever the shapes of its tensors are:
// that of a wider or narrower one. It returns nil where names have more to them.
func (f *fitter) named() *candidate {
	if isKeras(f.file) {
		return nil
	}
	n := f.own()
	votes, most := map[string]int{}, ""
	f.eachSuffix(n, func(prefix, _ string, _ int) {
		if votes[prefix]++; votes[prefix] > votes[most] {
			most = prefix
		}
	})
	c := f.candidate(n, most, n.file)
	f.eachSuffix(n, func(prefix, key string, i int) {
		if prefix == most {
			f.put(c, i, key)
		}
	})
	return c
}

// otherAxes says in what the kernels of a file differ where that is neither their names nor their
// widths: in the order of their axes, or in the channels of the pictures; "" = in neither.
func (f *fitter) otherAxes(c *candidate) string {
	kernels, turned := 0, 0
	for i, w := range f.net.declared.Weights {
		got, want := c.shapes[i], w.Shape
		if len(got) != 4 || len(want) != 4 || isKeras(f.file) {
			continue
		}
		kernels++
		if slices.Equal(got, []int{want[2], want[3], want[1], want[0]}) {
			turned++
		}
		if c.misshapen() == 1 && want[1] == 3 && slices.Equal(got, []int{want[0], got[1], want[2], want[3]}) {
			return fmt.Sprintf("the file is for pictures of %d channel(s), and those of here have red, green and blue: take one for three, or add up or repeat the kernel along its second axis", got[1])
		}
	}
	if turned > 1 && turned == kernels {
		return "the file's kernels are [H,W,in,out], as in TensorFlow; make them [out,in,H,W]: t.permute(3, 2, 0, 1)"
	}
	return ""
}

// todo returns the advice for a file that does not fit; c is where it comes closest.
func (f *fitter) todo(c *candidate) string {
	if axes := f.otherAxes(c); axes != "" {
		return axes
	}
	if len(f.names) >= 20 && len(f.names) <= 5000 {
		var fits []string
		known := map[string]bool{} // by golden values, which the rows of one architecture share
		for _, r := range Rows() {
			if r.Name == f.net.Row.Name {
				continue
			}
			fit, done := known[r.golden]
			if !done {
				fit = f.fitsRow(r)
				known[r.golden] = fit
			}
			if fit {
				fits = append(fits, "--model "+r.Name)
			}
		}
		if len(fits) > 0 {
			return "it fits " + strings.Join(fits[:min(3, len(fits))], ", ")
		}
	}
	return "take a file of this network, or export yours as ONNX and pass --model FILE.onnx"
}

// places lists the first levels of the names.
func (f *fitter) places() string {
	var all []string
	for _, name := range f.names {
		if m := f.module(name); !slices.Contains(all, m) {
			all = append(all, m)
		}
		if len(all) > 8 {
			break
		}
	}
	for i := range all {
		all[i] = brief(all[i])
	}
	return strings.Join(all, ", ")
}

// fitsRow reports whether the file holds the network of a row.
func (f *fitter) fitsRow(r Row) bool {
	if _, ok := r.arch.(fitted); ok {
		return false
	}
	if lacks, err := f.lacks(r); lacks || err != nil {
		return false
	}
	d, err := r.declare()
	if err != nil {
		return false
	}
	g, c, err := (&Net{Row: r, Preset: r.Preset, declared: d}).search(f.original(), f.entry)
	if err != nil || c == nil || c.found < g.need {
		return false
	}
	_, foreign := g.leftovers(c)
	return len(foreign) == 0
}

// lacks reports whether a kernel of the network of a row is nowhere in the file, under any name: most
// rows differ from a file in one of the first. Kernels are never joined or cut, and have as many numbers
// in every layout.
func (f *fitter) lacks(r Row) (bool, error) {
	if f.sizes == nil {
		f.sizes = map[int]bool{}
		original := f.original()
		for _, name := range original.Names() {
			if t, ok := original.Tensor(name); ok {
				f.sizes[sizeOf(t.Shape)] = true
			}
		}
	}
	arch := r.arch
	if a, ok := arch.(trunked); ok { // a classifier of convolutions may be another one
		arch = a.trunk()
	}
	return backbone.AsksFor(arch, r.Preset.Size, func(w weights.Want) bool { return len(w.Shape) == 4 && !f.sizes[sizeOf(w.Shape)] })
}

// original is the file as it was before it was translated.
func (f *fitter) original() *weights.File {
	if f.spoken != nil {
		return f.spoken.original
	}
	return f.file
}

// declared is a row at a size.
type declared struct {
	name string
	size int
}

var declarations sync.Map // by declared

// declare is backbone.Declare for the row, which is done once for each size.
func (r Row) declare() (*backbone.Declaration, error) {
	key := declared{r.Name, r.Preset.Size}
	if d, ok := declarations.Load(key); ok {
		return d.(*backbone.Declaration), nil
	}
	d, err := backbone.Declare(r.arch, r.Preset.Size)
	if err == nil {
		declarations.Store(key, d)
	}
	return d, err
}

// Products returns the multiplications that a picture of the preset's size takes, see
// [backbone.Declaration]; 0 where only the file can tell.
func (r Row) Products() float64 {
	if _, ok := r.arch.(fitted); ok || r.arch == nil {
		return 0
	}
	d, err := r.declare()
	if err != nil {
		return 0
	}
	return d.Products
}
