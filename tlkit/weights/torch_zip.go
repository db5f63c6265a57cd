package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	maxDirectory = 8 << 20 // bytes read for the list of records, enough for 60,000
	maxInflate   = 200     // a file may inflate to this many times its size, beyond 64 MiB
	maxDeflate   = 1032    // the most that deflate can reach
)

// rationed is a reader that stops when its budget is spent: archive/zip keeps about 400 bytes
// for every 46 of the directory, of whatever length.
type rationed struct {
	r    io.ReaderAt
	left int64 // < 0: no limit any more
}

func (r *rationed) ReadAt(b []byte, off int64) (int, error) {
	if r.left >= 0 {
		if int64(len(b)) > r.left {
			return 0, fmt.Errorf("the zip directory is longer than %d bytes", maxDirectory)
		}
		r.left -= int64(len(b))
	}
	return r.r.ReadAt(b, off)
}

// readZip reads the format of torch.save since version 1.6, a zip with the records data.pkl
// (the objects), data/KEY (one storage each) and byteorder; and that of Keras 3, which is also
// a zip.
func (f *File) readZip() error {
	ration := &rationed{f.src.r, maxDirectory}
	z, err := zip.NewReader(ration, f.src.size)
	if err != nil {
		return fmt.Errorf("this begins like a zip (as PyTorch files do) but is damaged or cut off: %w", err)
	}
	ration.left = -1
	if isKerasZip(z) {
		return f.readKerasZip(z)
	}
	records, root, err := torchRecords(z)
	if err != nil {
		return err
	}
	if err := checkRecords(z, f.src.size); err != nil {
		return err
	}
	if r := records[root+"byteorder"]; r != nil {
		order, err := smallRecord(r, 16)
		if err != nil {
			return err
		}
		if string(order) != "little" {
			return fmt.Errorf("its numbers are stored in %s-endian order, want little: load and save it on a little-endian machine", words.Quote(string(order)))
		}
	}
	if err := f.src.budget.Describe(int64(min(records[root+"data.pkl"].UncompressedSize64, maxPickle))); err != nil {
		return err
	}
	pickle, err := smallRecord(records[root+"data.pkl"], maxPickle)
	if err != nil {
		return err
	}
	found := &storages{byKey: map[string]*pickledStorage{}}
	u := newUnpickler(bytes.NewReader(pickle), int64(len(pickle)), f.src.budget, found.persistent)
	object, err := u.load()
	if err != nil {
		return err
	}
	for key, st := range found.byKey {
		r := records[root+"data/"+key]
		if r == nil {
			return fmt.Errorf("storage %s is not in the file", words.Quote(key))
		}
		if st.size() != int64(r.UncompressedSize64) {
			return fmt.Errorf("storage %s has %d bytes, the pickle says %d", words.Quote(key), r.UncompressedSize64, st.size())
		}
		st.bytes = &storage{src: f.src, size: st.size(), record: r}
	}
	if len(found.views) > 0 {
		return errors.New("a storage view, which only legacy files have")
	}
	return f.readState(object)
}

// torchRecords returns the records by name, and the folder that contains data.pkl.
func torchRecords(z *zip.Reader) (records map[string]*zip.File, root string, err error) {
	records = make(map[string]*zip.File, len(z.File))
	pickles, names := 0, map[string]bool{}
	for _, r := range z.File {
		if records[r.Name] != nil {
			return nil, "", fmt.Errorf("two zip records are named %s", words.Quote(r.Name))
		}
		records[r.Name] = r
		dir, base := path.Split(r.Name)
		names[base] = true
		if base == "data.pkl" && strings.Count(dir, "/") == 1 {
			root = dir
			pickles++
		}
	}
	switch {
	case names["archive_format"] || names["serialized_exported_program.json"]:
		return nil, "", errors.New("this is a program that torch.export has saved (.pt2), which is not read here: in Python torch.save(torch.export.load(FILE).state_dict, \"weights.pt\")")
	case names["constants.pkl"] || names["bytecode.pkl"]:
		return nil, "", errors.New("this is TorchScript (torch.jit.save): a program with its weights. Load it with torch.jit.load and torch.save(model.state_dict(), ...)")
	case pickles == 1:
		return records, root, nil
	case pickles > 1:
		return nil, "", errors.New("a zip with several data.pkl: it is not clear which one is meant")
	case names["[Content_Types].xml"]:
		return nil, "", errors.New("this is an office document, not weights")
	}
	for base := range names {
		switch path.Ext(base) {
		case ".npy":
			return nil, "", errors.New("this is a NumPy archive (.npz), which is not read here: save it as safetensors")
		case ".pth", ".pt", ".safetensors", ".bin":
			return nil, "", fmt.Errorf("this is a zip archive that contains %s: unpack it first", words.Quote(base))
		}
	}
	return nil, "", errors.New("this is a zip archive without PyTorch's data.pkl: not weights, or unpack it first")
}

// checkRecords returns an error if the sizes of all records are not possible together.
func checkRecords(z *zip.Reader, size int64) error {
	var inflated, packed uint64
	for _, r := range z.File {
		if err := checkRecord(r, size); err != nil {
			return fmt.Errorf("record %s: %w", words.Quote(r.Name), err)
		}
		// No overflow: the sizes are below the file's times maxDeflate, and there are less than
		// 2^20.
		inflated += r.UncompressedSize64
		packed += r.CompressedSize64
	}
	if packed > uint64(size) {
		return errors.New("its zip records overlap each other: a bomb, not weights")
	}
	if inflated > maxInflate*uint64(size)+64<<20 {
		return fmt.Errorf("it would unpack to %d bytes, more than %d times its size: a bomb, not weights", inflated, maxInflate)
	}
	return nil
}

// checkRecord returns an error if the sizes of a record are not possible.
func checkRecord(r *zip.File, size int64) error {
	if r.CompressedSize64 > uint64(size) {
		return fmt.Errorf("%d bytes in a file of %d", r.CompressedSize64, size)
	}
	switch r.Method {
	case zip.Store:
		if r.UncompressedSize64 != r.CompressedSize64 {
			return fmt.Errorf("stored with %d bytes, but said to have %d", r.CompressedSize64, r.UncompressedSize64)
		}
	case zip.Deflate:
		if r.UncompressedSize64 > maxDeflate*(r.CompressedSize64+1) {
			return fmt.Errorf("said to unpack %d bytes to %d, which deflate cannot", r.CompressedSize64, r.UncompressedSize64)
		}
	default:
		return advice.New(fmt.Errorf("packed with zip method %d", r.Method), "stored and deflated records are read")
	}
	if r.Flags&1 != 0 {
		return errors.New("it is encrypted")
	}
	return nil
}

func smallRecord(r *zip.File, most uint64) ([]byte, error) {
	if r.UncompressedSize64 > most {
		return nil, fmt.Errorf("record %s has %d bytes, at most %d are read", words.Quote(r.Name), r.UncompressedSize64, most)
	}
	b, err := readRecord(r)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", words.Quote(r.Name), err)
	}
	return b, nil
}
