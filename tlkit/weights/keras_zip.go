package weights

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tlkit/transfer-learning/internal/words"
)

const kerasWeights = "model.weights.h5"

// isKerasZip reports whether the archive has the files of a .keras archive.
func isKerasZip(z *zip.Reader) bool {
	for _, r := range z.File {
		if r.Name == kerasWeights || r.Name == "model.weights.json" || r.Name == "model.weights.npz" {
			return true
		}
	}
	return false
}

// readKerasZip reads a .keras archive: config.json (the network), metadata.json and
// model.weights.h5.
func (f *File) readKerasZip(z *zip.Reader) error {
	f.Format = formatKerasZip
	if err := checkRecords(z, f.src.size); err != nil {
		return err
	}
	records := make(map[string]*zip.File, len(z.File))
	for _, r := range z.File {
		if records[r.Name] != nil {
			return fmt.Errorf("two zip records are named %s", words.Quote(r.Name))
		}
		records[r.Name] = r
	}
	f.Metadata = map[string]string{}
	if c := records["config.json"]; c != nil {
		text, err := smallRecord(c, maxConfig)
		if err == nil {
			_, err = f.readConfig(text)
		}
		if err != nil {
			return err
		}
	}
	if m := records["metadata.json"]; m != nil {
		text, err := smallRecord(m, 1<<16)
		if err != nil {
			return err
		}
		var said struct {
			Version string `json:"keras_version"`
		}
		if err := json.Unmarshal(text, &said); err != nil {
			return fmt.Errorf("metadata.json is not readable: %w", err)
		}
		f.note("keras_version", said.Version, 100)
	}
	r := records[kerasWeights]
	if r == nil {
		return errors.New("this is a .keras archive whose weights are in several files, which is not read here: save it with weights in one (no max_shard_size)")
	}
	if r.Method == zip.Store {
		pos, err := r.DataOffset()
		if err != nil {
			return fmt.Errorf("record %s: %w", kerasWeights, err)
		}
		size := int64(r.UncompressedSize64)
		return f.readKeras(io.NewSectionReader(f.src.r, pos, size), size, &storage{src: f.src, size: size, record: r})
	}
	// Keras does not compress the record, but other programs may. Its parts are not in order, so it
	// has to be unpacked into memory as a whole.
	if most := 4*uint64(f.src.size) + 64<<20; r.UncompressedSize64 > most {
		return fmt.Errorf("record %s would unpack to %d bytes, many times the file's size: a bomb, not weights", kerasWeights, r.UncompressedSize64)
	}
	b, err := readRecord(r)
	if err != nil {
		return fmt.Errorf("record %s is damaged: %w", kerasWeights, err)
	}
	f.src = &source{name: f.src.name, r: bytes.NewReader(b), size: int64(len(b)), budget: f.src.budget, files: f.src.files}
	return f.readKeras(f.src.r, f.src.size, nil)
}
