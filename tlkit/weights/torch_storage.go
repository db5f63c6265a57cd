package weights

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/words"
)

// pickledStorage is what a pickle says about bytes outside it. bytes is set when the container
// has found them.
type pickledStorage struct {
	key    string
	dtype  string
	length int64 // in elements
	bytes  *storage

	parent *pickledStorage // legacy files: a window into another storage
	first  int64           // where it begins there, in elements
}

func (p *pickledStorage) size() int64 { return p.length * int64(itemSizes[p.dtype]) }

// storages collects the storages of one file by their keys.
type storages struct {
	byKey map[string]*pickledStorage
	views []*pickledStorage
}

// persistent reads ("storage", class, key, device, elements[, view]), and the ("module", class,
// ...) that legacy files put around a class. The device does not matter.
func (s *storages) persistent(id any) (any, error) {
	t, ok := id.(tuple)
	if !ok || len(t) == 0 {
		return nil, fmt.Errorf("a reference to %s outside the pickle", kind(id))
	}
	switch what, _ := t[0].(string); {
	case what == "module" && len(t) >= 2:
		if g, ok := t[1].(global); ok {
			return g, nil
		}
		return nil, fmt.Errorf("a module that is %s", kind(t[1]))
	case what != "storage" || len(t) < 5 || len(t) > 6:
		return nil, errors.New("a reference outside the pickle that is not a storage")
	}
	class, _ := t[1].(global)
	dtype := torchStorages[class.name]
	if dtype == "" || class.module != "torch" && class.module != "torch.cuda" && class.module != "torch.storage" {
		return nil, fmt.Errorf("a storage that is %s", kind(t[1]))
	}
	key, ok := t[2].(string)
	if !ok || len(key) > maxName {
		return nil, errors.New("a storage without a name")
	}
	length, ok := t[4].(int64)
	if !ok || length < 0 || length > math.MaxInt64/16 {
		return nil, fmt.Errorf("storage %s has an invalid length (%s)", words.Quote(key), shown(t[4]))
	}
	st := s.byKey[key]
	if st == nil {
		if len(s.byKey) == maxTensors {
			return nil, fmt.Errorf("more than %d storages", maxTensors)
		}
		st = &pickledStorage{key: key, dtype: dtype, length: length}
		s.byKey[key] = st
	}
	if st.dtype != dtype || st.length != length {
		return nil, fmt.Errorf("storage %s is described in two ways: %d of %s, and %d of %s", words.Quote(key), st.length, st.dtype, length, dtype)
	}
	if len(t) == 6 {
		switch view := t[5].(type) {
		case none:
		case tuple:
			return s.view(st, view)
		default:
			return nil, fmt.Errorf("a storage view that is %s", kind(t[5]))
		}
	}
	return st, nil
}

// view reads (key, first element, elements): a legacy storage inside another.
func (s *storages) view(parent *pickledStorage, t tuple) (any, error) {
	if len(t) != 3 {
		return nil, errors.New("a storage view that is not described by three values")
	}
	first, ok1 := t[1].(int64)
	length, ok2 := t[2].(int64)
	if !ok1 || !ok2 || first < 0 || length < 0 || first > parent.length || length > parent.length-first {
		return nil, fmt.Errorf("a view of elements %s and %s more of storage %s, which has %d", shown(t[1]), shown(t[2]), words.Quote(parent.key), parent.length)
	}
	if len(s.views) == maxTensors {
		return nil, fmt.Errorf("more than %d storage views", maxTensors)
	}
	v := &pickledStorage{dtype: parent.dtype, length: length, parent: parent, first: first}
	s.views = append(s.views, v)
	return v, nil
}

// resolveViews sets the bytes of the views, after those of their parents.
func (s *storages) resolveViews() {
	for _, v := range s.views {
		p := v.parent.bytes
		v.bytes = &storage{src: p.src, base: p.base + v.first*int64(itemSizes[v.dtype]), size: v.size()}
	}
}

// tensor checks a pickled tensor against its bytes.
func (p *pickledTensor) tensor(name string) (Tensor, error) {
	shape, err := toInts(p.shape)
	if err != nil {
		return Tensor{}, err
	}
	if p.storage.bytes == nil {
		return Tensor{}, fmt.Errorf("its storage %s is not in the file", words.Quote(p.storage.key))
	}
	t, err := newView(p.storage.bytes, p.dtype, p.offset, shape, p.stride)
	t.Name = name
	return t, err
}
