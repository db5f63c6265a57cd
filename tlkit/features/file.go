package features

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// File is a file of features for other programs. The ending of Path determines its content:
//
//	.npy          float32 [N,C], for numpy.load; the paths of the pictures are in Path + ".txt",
//	              one a line
//	.csv          the path of a picture and its C numbers, below a line with the names of columns
//	.safetensors  the tensor "features", float32 [N,C]; in the metadata, "paths" is a JSON list
//
// Each keeps every bit of the numbers.
type File struct {
	Path  string
	Force bool // replace a file that no File has written
}

// Endings of files of features.
const (
	npyEnding    = ".npy"
	csvEnding    = ".csv"
	safeEnding   = ".safetensors"
	listEnding   = ".txt" // after .npy
	tensorName   = "features"
	pathsKey     = "paths"
	csvFirst     = "path"
	csvColumn    = "feature_" // and a number from 0
	mostPathData = 30 << 20   // bytes of JSON in a safetensors header that weights.Open accepts
)

func (f File) ending() string { return strings.ToLower(filepath.Ext(f.Path)) }

// list returns the file with the paths of an .npy file.
func (f File) list() string { return f.Path + listEnding }

// Files returns the names of all files that Write makes: two for .npy, else one.
func (f File) Files() []string {
	if f.ending() == npyEnding {
		return []string{f.Path, f.list()}
	}
	return []string{f.Path}
}

// Check reports what would keep Write from writing, before anything is computed: an unknown ending,
// no such folder, or a file there that no File has written, unless Force.
func (f File) Check() error {
	switch f.ending() {
	case npyEnding, csvEnding, safeEnding:
	default:
		return advice.New(fmt.Errorf("features: %s ends in neither .npy, .csv nor .safetensors", words.Quote(f.Path)), "name a file such as features.npy")
	}
	if dir := filepath.Dir(f.Path); !isFolder(dir) {
		return advice.New(fmt.Errorf("features: there is no folder %s to write into", words.Quote(dir)), "create it, or name another one")
	}
	for _, path := range f.Files() {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("features: %w", err)
		case !info.Mode().IsRegular():
			return advice.New(fmt.Errorf("features: %s is not a file", words.Quote(path)), "name a file, such as features.npy")
		case !f.Force && !f.ours():
			return fmt.Errorf("features: %w", (&atomicfile.Foreign{Path: words.Quote(path), Want: "a whole file of features by tlkit"}).Refusal())
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ours reports whether what is there looks as Write left it.
func (f File) ours() bool {
	switch f.ending() {
	case npyEnding:
		return f.ownNPY()
	case csvEnding:
		in, err := os.Open(f.Path)
		if err != nil {
			return false
		}
		defer in.Close()
		start := make([]byte, len(csvFirst+","+csvColumn+"0"))
		_, err = io.ReadFull(in, start)
		return err == nil && string(start) == csvFirst+","+csvColumn+"0"
	}
	in, err := weights.Open(f.Path)
	if err != nil {
		return false
	}
	defer in.Close()
	names := in.Names()
	return len(names) == 1 && names[0] == tensorName && in.Metadata[pathsKey] != ""
}

// npyShape finds the numbers of rows and columns in the header that npyHeader makes.
var npyShape = regexp.MustCompile(`^\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n$`)

// ownNPY reports whether an .npy file and its list of paths belong together. The format has no place
// for a mark of ours.
func (f File) ownNPY() bool {
	in, err := os.Open(f.Path)
	if err != nil {
		return false
	}
	defer in.Close()
	head := make([]byte, len(npyHeader(1, 1)))
	if _, err := io.ReadFull(in, head); err != nil {
		return false
	}
	shape := npyShape.FindSubmatch(head[npyStart:])
	info, err := in.Stat()
	if shape == nil || err != nil {
		return false
	}
	rows, err1 := strconv.ParseInt(string(shape[1]), 10, 32)
	columns, err2 := strconv.ParseInt(string(shape[2]), 10, 32)
	if err1 != nil || err2 != nil || info.Size() != int64(len(head))+4*rows*columns {
		return false
	}
	list, err := os.Open(f.list())
	if err != nil {
		return false
	}
	defer list.Close()
	lines := int64(0)
	for r := bufio.NewReader(list); ; lines++ {
		if _, err := r.ReadSlice('\n'); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err == io.EOF && lines == rows
		}
	}
}

// Write writes the rows of m with the paths of their pictures: pictures[m.Items[i]] is that of row
// i. Each file is either complete or as it was before.
//
// Errors: those of Check, a matrix without rows, a path that the format cannot hold, a full disk.
func (f File) Write(m *Matrix, pictures []string) error {
	if err := f.Check(); err != nil {
		return err
	}
	if m.Rows() == 0 {
		return fmt.Errorf("features: there are no rows to write to %s", words.Quote(f.Path))
	}
	paths := make([]string, m.Rows())
	for i, item := range m.Items {
		if item < 0 || item >= len(pictures) {
			return fmt.Errorf("features: row %d is of picture %d, and there are %d", i, item, len(pictures))
		}
		paths[i] = pictures[item]
	}
	switch f.ending() {
	case npyEnding:
		return f.writeNPY(m, paths)
	case csvEnding:
		return atomicfile.Write(f.Path, 0o644, func(w io.Writer) error { return writeCSV(w, m, paths) })
	}
	return f.writeSafetensors(m, paths)
}

const npyStart = 10 // bytes before the text of an .npy header: magic, version and length

// npyHeader returns the header of an .npy file. It is written by hand because that is all there is to
// the format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
func npyHeader(rows, columns int) []byte {
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, columns)
	head := append([]byte("\x93NUMPY\x01\x00"), 128-npyStart, 0)
	return fmt.Appendf(head, "%-*s\n", 128-npyStart-1, text) // data begin at a multiple of 64
}

// writeNPY replaces the two files of an .npy. While one is new and the other is not, there is no list,
// so that old paths never stand beside new rows.
func (f File) writeNPY(m *Matrix, paths []string) error {
	for _, p := range paths {
		if strings.ContainsAny(p, "\r\n") {
			return advice.New(fmt.Errorf("features: the path %s has a line break, and %s has a line for each path", words.Quote(p), words.Quote(f.list())), "write .csv or .safetensors")
		}
	}
	err := atomicfile.Write(f.Path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(npyHeader(m.Rows(), m.Features)); err != nil {
			return err
		}
		var row []byte
		for i := range m.Rows() {
			row = row[:0]
			row, _ = binary.Append(row, binary.LittleEndian, m.Row(i)) // no error for a slice of numbers
			if _, err := w.Write(row); err != nil {
				return err
			}
		}
		if err := os.Remove(f.list()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("features: %w", err)
	}
	if err := atomicfile.WriteBytes(f.list(), []byte(strings.Join(paths, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("features: %s is complete, and its list of paths is not: %w", words.Quote(f.Path), err)
	}
	return nil
}

func writeCSV(w io.Writer, m *Matrix, paths []string) error {
	out := csv.NewWriter(w)
	record := []string{csvFirst}
	for k := range m.Features {
		record = append(record, csvColumn+strconv.Itoa(k))
	}
	if err := out.Write(record); err != nil {
		return fmt.Errorf("features: %w", err)
	}
	for i, path := range paths {
		record = append(record[:0], path)
		for _, v := range m.Row(i) {
			record = append(record, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("features: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

func (f File) writeSafetensors(m *Matrix, paths []string) error {
	for _, p := range paths {
		if !utf8.ValidString(p) {
			return advice.New(fmt.Errorf("features: the path %s is not valid UTF-8, which JSON demands", words.Quote(p)), "write .npy or .csv")
		}
	}
	var list bytes.Buffer
	enc := json.NewEncoder(&list)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(paths); err != nil {
		return fmt.Errorf("features: %w", err)
	}
	if list.Len() > mostPathData {
		return advice.New(fmt.Errorf("features: the paths take %d bytes, and the header of a .safetensors file has room for %d", list.Len(), mostPathData), "write .npy or .csv")
	}
	tensor := weights.FromFloat32(tensorName, []int{m.Rows(), m.Features}, m.Data)
	return weights.WriteSafetensors(f.Path, []weights.Tensor{tensor}, map[string]string{pathsKey: strings.TrimSpace(list.String())})
}
