package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/hdf5"

	"github.com/tlkit/transfer-learning/internal/words"
)

const maxLayers = 10_000

// h5Reader reads tensors from an HDF5 file. If the file is a record of a .keras archive, store
// is that record.
type h5Reader struct {
	f      *File
	store  *storage
	h      *hdf5.File
	groups map[string]h5Group // by path; a group is opened once
	order  []*kerasLayer
	layers map[layerID]*kerasLayer // of order, by container and name
}

type h5Group struct {
	object *hdf5.Object
	links  []hdf5.Link
}

// readHDF5 reads a file of Keras. Its content determines the form.
func (f *File) readHDF5() error {
	return f.readKeras(f.src.r, f.src.size, nil)
}

func (f *File) readKeras(r io.ReaderAt, size int64, store *storage) error {
	h, err := hdf5.Open(r, size, f.src.budget)
	if err != nil {
		return err
	}
	k := &h5Reader{f: f, store: store, h: h, groups: map[string]h5Group{}, layers: map[layerID]*kerasLayer{}}
	if f.Metadata == nil {
		f.Metadata = map[string]string{}
	}
	object, err := h.Root()
	if err != nil {
		return err
	}
	if object.IsDataset() {
		return errors.New("this HDF5 file holds no groups")
	}
	links, err := object.Links()
	if err != nil {
		return err
	}
	root := h5Group{object, links}
	k.groups[""] = root
	if err := k.describe(root); err != nil {
		return err
	}
	top := ""
	if slices.ContainsFunc(links, func(l hdf5.Link) bool { return l.Name == "model_weights" }) {
		top = "model_weights"
		root, err = k.group(top)
		if err != nil {
			return err
		}
	}
	names, legacy, err := textList(root.object, "layer_names")
	switch {
	case err != nil:
		return fmt.Errorf("attribute layer_names: %w", err)
	case legacy:
		f.Format = formatKerasH5
		if err := k.describe(root); err != nil {
			return err
		}
		err = k.legacy(top, root, names)
	default:
		if f.Format != formatKerasZip {
			f.Format = formatKeras3
		}
		err = k.walk("", k.groups[""], 0)
		if len(k.order) == 0 && f.Format == formatKeras3 {
			f.Format = formatHDF5
		}
	}
	if err != nil {
		return err
	}
	if len(f.tensors) == 0 {
		return errors.New("there are no arrays of numbers in this HDF5 file: no weights were saved in it")
	}
	f.keras = k.order
	return nil
}

// describe keeps what the file says about its network and the program that wrote it.
func (k *h5Reader) describe(g h5Group) error {
	for _, name := range []string{"keras_version", "backend"} {
		if text, ok, err := textList(g.object, name); err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		} else if ok && len(text) == 1 {
			k.f.note(name, text[0], 100)
		}
	}
	text, ok, err := textList(g.object, "model_config")
	if err != nil {
		return fmt.Errorf("attribute model_config: %w", err)
	}
	if ok && len(text) == 1 && text[0] != "None" {
		_, err = k.f.readConfig([]byte(text[0]))
	}
	return err
}

// textList reads a list of strings. Keras splits long lists: layer_names0, layer_names1 ...
func textList(o *hdf5.Object, name string) (list []string, ok bool, err error) {
	a, err := o.Attribute(name)
	if err != nil {
		return nil, false, err
	}
	if a != nil {
		list, err = a.Strings()
		return list, true, err
	}
	for i := range maxLayers {
		a, err := o.Attribute(name + strconv.Itoa(i))
		if err != nil || a == nil {
			return list, i > 0, err
		}
		part, err := a.Strings()
		if err != nil {
			return nil, false, err
		}
		list = append(list, part...)
	}
	return nil, false, fmt.Errorf("more than %d parts", maxLayers)
}

// object opens the object at a path, and each group on the way once.
func (k *h5Reader) object(place string) (*hdf5.Object, error) {
	dir, base := path.Split(place)
	g, err := k.group(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(g.links, base, func(l hdf5.Link, name string) int { return strings.Compare(l.Name, name) })
	if !found {
		return nil, fmt.Errorf("%s is named in the file, but is not in it", words.Quote(place))
	}
	o, err := k.h.Follow(g.links[i])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words.Quote(place), err)
	}
	return o, nil
}

func (k *h5Reader) group(place string) (h5Group, error) {
	if g, ok := k.groups[place]; ok {
		return g, nil
	}
	if strings.Count(place, "/") > maxDepth {
		return h5Group{}, fmt.Errorf("groups nested deeper than %d", maxDepth)
	}
	o, err := k.object(place)
	if err != nil {
		return h5Group{}, err
	}
	return k.keep(place, o)
}

func (k *h5Reader) keep(place string, o *hdf5.Object) (h5Group, error) {
	if o.IsDataset() {
		return h5Group{}, fmt.Errorf("%s is an array where a group should be", words.Quote(place))
	}
	links, err := o.Links()
	if err != nil {
		return h5Group{}, fmt.Errorf("group %s: %w", words.Quote(place), err)
	}
	g := h5Group{o, links}
	k.groups[place] = g
	return g, nil
}

// legacy reads the form of Keras 1 and 2, which Keras 3 still writes on request: a group for each
// layer, and lists of names with the order.
func (k *h5Reader) legacy(top string, root h5Group, names []string) error {
	if len(names) > maxLayers {
		return fmt.Errorf("%d layers, at most %d are read", len(names), maxLayers)
	}
	if slices.ContainsFunc(root.links, func(l hdf5.Link) bool { return l.Name == "top_level_model_weights" }) && !slices.Contains(names, "top_level_model_weights") {
		names = append(names, "top_level_model_weights")
	}
	for _, layer := range names {
		place := path.Join(top, layer)
		if layer == "" || path.Join("/", layer) != "/"+layer {
			return fmt.Errorf("%s is not a valid name of a layer", words.Quote(layer))
		}
		g, err := k.group(place)
		if err != nil {
			return err
		}
		weights, _, err := textList(g.object, "weight_names")
		if err != nil {
			return fmt.Errorf("layer %s: attribute weight_names: %w", words.Quote(layer), err)
		}
		one := oneDir(weights)
		for _, w := range weights {
			if w == "" || path.Join("/", w) != "/"+w {
				return fmt.Errorf("layer %s: %s is not a valid name of a weight", words.Quote(layer), words.Quote(w))
			}
			o, err := k.object(place + "/" + w)
			if err != nil {
				return err
			}
			name := strings.TrimSuffix(w, ":0")
			if !strings.HasPrefix(name, layer+"/") {
				name = layer + "/" + name
			}
			inner, leaf := path.Split(strings.TrimSuffix(w, ":0"))
			inner = strings.TrimSuffix(inner, "/")
			ok, err := k.tensor(name, o)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			switch {
			case inner == "" || inner == layer:
				k.add(layerID{name: layer}, name, leaf)
			case one: // one layer under a second name, or a network with one layer
				k.add(layerID{name: layer}, name, leaf).also = path.Base(inner)
			default: // a network within the network
				k.add(layerID{layer, path.Base(inner)}, name, leaf)
			}
		}
	}
	return nil
}

// oneDir reports whether all weights of a layer are in one group.
func oneDir(weights []string) bool {
	for _, w := range weights {
		if path.Dir(w) != path.Dir(weights[0]) {
			return false
		}
	}
	return true
}

// walk reads the form of Keras 3: the parts of a model as a tree of groups, with the arrays of
// each part as "0", "1", ... in a group "vars".
func (k *h5Reader) walk(place string, g h5Group, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("groups nested deeper than %d", maxDepth)
	}
	links := slices.Clone(g.links)
	slices.SortStableFunc(links, func(a, b hdf5.Link) int { return naturalCompare(a.Name, b.Name) })
	for _, l := range links {
		if depth == 0 && l.Name == "optimizer" {
			continue // the state of a training, not weights
		}
		target := l.Name
		if place != "" {
			target = place + "/" + target
		}
		if len(target) > maxName || strings.Contains(l.Name, "/") {
			return fmt.Errorf("name %s of %d bytes, at most %d are allowed and no slash", words.Quote(target), len(target), maxName)
		}
		o, err := k.h.Follow(l)
		if err != nil {
			return fmt.Errorf("%s: %w", words.Quote(target), err)
		}
		if !o.IsDataset() {
			inner, err := k.keep(target, o)
			if err == nil {
				err = k.walk(target, inner, depth+1)
			}
			if err != nil {
				return err
			}
			continue
		}
		ok, err := k.tensor(target, o)
		if err != nil {
			return err
		}
		if owner := strings.TrimSuffix(place, "vars"); ok && owner != place {
			owner = strings.TrimSuffix(owner, "/")
			layer := k.add(layerID{strings.TrimSuffix(path.Dir(owner), "."), path.Base(owner)}, target, l.Name)
			if !layer.slot {
				layer.slot = true
				if text, ok, err := textList(g.object, "name"); err == nil && ok && len(text) == 1 {
					layer.also = text[0]
				}
			}
		}
	}
	return nil
}

// naturalCompare compares strings with numbers in them by value: conv2d_2 before conv2d_10.
func naturalCompare(a, b string) int {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if !digit(a[i]) || !digit(b[j]) {
			if a[i] != b[j] {
				return int(a[i]) - int(b[j])
			}
			i, j = i+1, j+1
			continue
		}
		x, y := i, j
		for i < len(a) && digit(a[i]) {
			i++
		}
		for j < len(b) && digit(b[j]) {
			j++
		}
		m, n := strings.TrimLeft(a[x:i], "0"), strings.TrimLeft(b[y:j], "0")
		if len(m) != len(n) {
			return len(m) - len(n)
		}
		if c := strings.Compare(m, n); c != 0 {
			return c
		}
	}
	if c := (len(a) - i) - (len(b) - j); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// A layerID names a layer of a file: its name, and the network within the network that it
// belongs to, or "".
type layerID struct{ container, name string }

// add records that a key is a weight of a layer.
func (k *h5Reader) add(id layerID, key, leaf string) *kerasLayer {
	l := k.layers[id]
	if l == nil {
		l = &kerasLayer{container: id.container, name: id.name}
		k.layers[id] = l
		k.order = append(k.order, l)
	}
	l.keys, l.leaves = append(l.keys, key), append(l.leaves, leaf)
	return l
}

// tensor adds an array under a name. It returns false if the array has no numbers.
func (k *h5Reader) tensor(name string, o *hdf5.Object) (bool, error) {
	if !o.IsDataset() {
		return false, fmt.Errorf("%s is a group where an array should be", words.Quote(name))
	}
	if len(name) > maxName {
		return false, fmt.Errorf("name %s of %d bytes, at most %d are allowed", words.Quote(name), len(name), maxName)
	}
	if len(k.f.tensors) == maxTensors {
		return false, fmt.Errorf("more than %d tensors", maxTensors)
	}
	d, err := o.Dataset()
	if err != nil {
		return false, fmt.Errorf("tensor %s: %w", words.Quote(name), err)
	}
	dtype := d.Type.Name
	if dtype == "opaque" {
		dtype = ""
		if text, ok, err := textList(o, "dtype"); err == nil && ok && len(text) == 1 && text[0] == "bfloat16" && d.Type.Size == 2 {
			dtype = "BF16"
		}
	}
	if dtype == "" {
		if len(k.f.Skipped) < maxSkipped {
			what := d.Type.What
			if what == "" {
				what = "bytes without a type"
			}
			k.f.Skipped = append(k.f.Skipped, fmt.Sprintf("%s: an array of %s", words.Quote(name), what))
		}
		return false, nil
	}
	if len(d.Shape) > maxRank {
		return false, fmt.Errorf("tensor %s: %d axes, at most %d are read", words.Quote(name), len(d.Shape), maxRank)
	}
	st := &storage{src: k.f.src, size: d.Bytes()}
	pos, whole := d.Place()
	switch {
	case whole && !(d.Type.BigEndian && d.Type.Size > 1):
		st.base, st.part = pos, k.store
	default:
		st.make = func() ([]byte, error) {
			if k.store != nil { // its checksum first
				if _, _, err := k.store.reader(0, 1); err != nil {
					return nil, err
				}
			}
			b, err := d.Read()
			if err == nil && d.Type.BigEndian {
				swap(b, d.Type.Size)
			}
			return b, err
		}
	}
	k.f.tensors = append(k.f.tensors, Tensor{Name: name, DType: dtype, Shape: d.Shape, st: st})
	return true, nil
}

// swap converts big-endian numbers to little-endian.
func swap(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		switch size {
		case 2:
			binary.LittleEndian.PutUint16(b, binary.BigEndian.Uint16(b))
		case 4:
			binary.LittleEndian.PutUint32(b, binary.BigEndian.Uint32(b))
		case 8:
			binary.LittleEndian.PutUint64(b, binary.BigEndian.Uint64(b))
		default:
			return
		}
	}
}
