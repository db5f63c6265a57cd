package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
)

// A foreign is a file format that is passed as data or as a picture by mistake.
type foreign struct {
	magic  string // '?' stands for any byte
	offset int
	what   string // "a zip archive"
	fix    string // as data: what to do instead
}

const (
	unpack  = "unpack it and name the folder"
	toCSV   = "save it as CSV UTF-8"
	tensors = "data is a folder of pictures or a CSV file that lists them"
)

var foreigns = []foreign{
	{"PK\x03\x04", 0, "a zip archive", unpack},
	{"PK\x05\x06", 0, "an empty zip archive", unpack},
	{"\x1f\x8b", 0, "a gzip archive", unpack},
	{"BZh", 0, "a bzip2 archive", unpack},
	{"\xfd7zXZ\x00", 0, "an xz archive", unpack},
	{"(\xb5/\xfd", 0, "a zstd archive", unpack},
	{"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive", unpack},
	{"Rar!\x1a\x07", 0, "a RAR archive", unpack},
	{"ustar", 257, "a tar archive", unpack},
	{"PAR1", 0, "a Parquet file", "write its pictures into folders, or its table as CSV"},
	{"ARROW1", 0, "an Arrow file", "write its pictures into folders, or its table as CSV"},
	{"SQLite format 3\x00", 0, "an SQLite database", "write its table as CSV"},
	{"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", tensors},
	{"\x93NUMPY", 0, "a NumPy array", tensors},
	{"\xd0\xcf\x11\xe0", 0, "an old Excel or Word file", toCSV},
	{"%PDF-", 0, "a PDF document", tensors},
	{"\x7fELF", 0, "a program", tensors},
	{"????ftyp", 0, "a video or HEIF file", "save its pictures as JPEG or PNG files"},
	{"version https://git-lfs", 0, "a Git LFS pointer", "fetch the file itself with git lfs pull"},
	{"<!DOCTYPE", 0, "a web page", tensors},
	{"<!doctype", 0, "a web page", tensors},
	{"<html", 0, "a web page", tensors},
	{"<?xml", 0, "an XML file", tensors},
	{"<svg", 0, "an SVG drawing", tensors},
}

// byExtension are formats whose first bytes do not tell them apart, such as those inside a zip
// file.
var byExtension = map[string]foreign{
	".xlsx": {what: "an Excel workbook", fix: toCSV}, ".ods": {what: "a spreadsheet", fix: toCSV}, ".docx": {what: "a Word document", fix: tensors},
	".npz": {what: "NumPy arrays", fix: tensors}, ".pt": {what: "a PyTorch file", fix: tensors}, ".pth": {what: "a PyTorch file", fix: tensors}, ".keras": {what: "a Keras file", fix: tensors},
	".safetensors": {what: "a file of tensors", fix: "to classify with it: tlkit predict"},
	".pkl":         {what: "a pickle", fix: tensors}, ".json": {what: "a JSON file", fix: "write it as CSV with the columns path,label"},
	".jsonl": {what: "a JSON file", fix: "write it as CSV with the columns path,label"}, ".ipynb": {what: "a notebook", fix: tensors}, ".onnx": {what: "an ONNX network", fix: tensors},
}

// foreignFile recognises a file by its first bytes and its name. The zero value means that it may
// be a table.
func foreignFile(head []byte, name string) foreign {
	byName := byExtension[strings.ToLower(filepath.Ext(name))]
	for _, f := range foreigns {
		if len(head) > f.offset && matches(head[f.offset:], f.magic) {
			if byName.what != "" {
				return byName
			}
			return f
		}
	}
	if start := bytes.TrimSpace(head); byName.what == "" && len(start) > 0 && (start[0] == '{' || bytes.HasPrefix(start, []byte("[{"))) {
		return byExtension[".json"]
	}
	return byName
}

// checkTable returns an error that names the format of a file that is not a table.
func checkTable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("datasets: %w", err)
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("datasets: reading %s: %w", file, err)
	}
	head = head[:n]
	if format, ours := sniff(head); format != "" && (ours || pictureNames[strings.ToLower(filepath.Ext(file))]) {
		return mark(errNotData, advice.New(fmt.Errorf("datasets: %s is a picture (%s), want a folder of pictures or a CSV file", file, format), "name the folder above it; to classify a picture: tlkit predict HEAD %s", invoke.Quote(file)))
	}
	if what := foreignFile(head, file); what.what != "" {
		return mark(errNotData, advice.New(fmt.Errorf("datasets: %s is %s, want a folder of pictures or a CSV file", file, what.what), "%s", what.fix))
	}
	return nil
}
