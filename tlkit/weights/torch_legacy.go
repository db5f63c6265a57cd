package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/words"
)

// torchMagic is the number 0x1950a86a20f9469cfc6c that a legacy file begins with,
// as the little-endian bytes of a pickled LONG.
var torchMagic = bigInt("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

// readTorchLegacy reads the format of torch.save before version 1.6, which it still writes on
// request: five pickles (magic number, protocol, machine, object, storage keys), then each
// storage after its length in elements.
func (f *File) readTorchLegacy() error {
	found := &storages{byKey: map[string]*pickledStorage{}}
	u := newUnpickler(f.src.r, f.src.size, f.src.budget, nil)
	magic, err := u.load()
	if err != nil {
		return fmt.Errorf("this begins like a pickle, but not like PyTorch's: %w", err)
	}
	if m, ok := magic.(bigInt); !ok || !bytes.Equal(m, torchMagic) {
		return fmt.Errorf("this is a Python pickle (it holds %s), not a PyTorch file: torch.save the weights instead", kind(magic))
	}
	version, err := u.load()
	if err != nil {
		return err
	}
	if version != int64(1001) {
		return fmt.Errorf("legacy format %s, 1001 is read", shown(version))
	}
	machine, err := u.load()
	if err != nil {
		return err
	}
	if d, ok := machine.(*dict); ok && d.get("little_endian") == false {
		return errors.New("its numbers are stored in big-endian order, want little: load and save it on a little-endian machine")
	}
	u.persistent = found.persistent
	object, err := u.load()
	if err != nil {
		return err
	}
	u.persistent = nil
	keys, err := u.load()
	if err != nil {
		return err
	}
	order, ok := keys.(*list)
	if !ok {
		return fmt.Errorf("the list of storages is %s", kind(keys))
	}
	if err := f.placeStorages(found, order.values, int64(u.pos)); err != nil {
		return err
	}
	found.resolveViews()
	return f.readState(object)
}

// placeStorages finds the storages, each of which is 8 bytes of length and the elements.
func (f *File) placeStorages(found *storages, keys []any, pos int64) error {
	for _, k := range keys {
		key, _ := k.(string)
		st := found.byKey[key]
		if st == nil {
			return fmt.Errorf("storage %s is listed but belongs to no tensor, so its size is not known", words.Quote(key))
		}
		if st.bytes != nil {
			return fmt.Errorf("storage %s is listed twice", words.Quote(key))
		}
		if f.src.size-pos < 8 {
			return fmt.Errorf("the file ends before storage %s: it is cut off", words.Quote(key))
		}
		var b [8]byte
		if _, err := f.src.r.ReadAt(b[:], pos); err != nil {
			return err
		}
		if n := binary.LittleEndian.Uint64(b[:]); n != uint64(st.length) {
			return fmt.Errorf("storage %s has %d elements, the pickle says %d", words.Quote(key), n, st.length)
		}
		pos += 8
		if st.size() > f.src.size-pos {
			return fmt.Errorf("storage %s needs %d bytes, %d are left: the file is cut off", words.Quote(key), st.size(), f.src.size-pos)
		}
		st.bytes = &storage{src: f.src, base: pos, size: st.size()}
		pos += st.size()
	}
	for key, st := range found.byKey {
		if st.bytes == nil {
			return fmt.Errorf("storage %s is not in the file", words.Quote(key))
		}
	}
	return nil
}
