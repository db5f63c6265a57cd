package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// otherFiles are files that people name instead of a table, by their first bytes.
var otherFiles = []struct{ magic, what, fix string }{
	{"\xd0\xcf\x11\xe0", "an Excel workbook", "save it as CSV UTF-8"},
	{"PK\x03\x04", "a zip archive", "unpack it and name the folder"},
	{"PK\x05\x06", "an empty zip archive", "name a folder or a CSV file"},
	{"\x1f\x8b", "compressed with gzip", "unpack it (tar -xzf, or gunzip) and name what is in it"},
	{"7z\xbc\xaf", "a 7z archive", "unpack it and name the folder"},
	{"Rar!", "a RAR archive", "unpack it and name the folder"},
	{"BZh", "compressed with bzip2", "unpack it and name what is in it"},
	{"\xfd7zXZ", "compressed with xz", "unpack it and name what is in it"},
	{"(\xb5/\xfd", "compressed with zstd", "unpack it and name what is in it"},
	{"%PDF", "a PDF document", "name a folder or a CSV file"},
	{"PAR1", "a Parquet table", "write it as CSV: pandas.read_parquet(FILE).to_csv(\"labels.csv\")"},
	{"ARROW1", "an Arrow table", "write it as CSV: pandas.read_feather(FILE).to_csv(\"labels.csv\")"},
	{"SQLite format 3", "an SQLite database", "export the table as CSV"},
	{"\x93NUMPY", "a NumPy array", "name a folder of pictures or a CSV file"},
	{"\x89HDF", "an HDF5 file", "name a folder of pictures or a CSV file"},
	{"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch the file: git lfs pull"},
	{"<", "a web page or XML, not a table", "download the file itself, or write the labels as CSV"},
	{"{\"", "JSON, not a table", "write it as CSV: pandas.read_json(FILE, lines=True).to_csv(\"labels.csv\")"},
	{"[{", "JSON, not a table", "write it as CSV: pandas.read_json(FILE).to_csv(\"labels.csv\")"},
}

// otherFile says what a file is that was named as data and is no table; nil if it may be one.
func otherFile(text []byte) error {
	is := func(what, fix string) error {
		return mark(errCSV, advice.New(fmt.Errorf("datasets: the file is %s; as data, tlkit takes a folder of pictures or a table (CSV, TSV)", what), "%s", fix))
	}
	// "BM" begins many texts.
	if format, _ := sniff(text); format != "" && (format != "BMP" || bytes.IndexByte(text[:min(len(text), 64)], 0) >= 0) {
		return is("a picture ("+format+")", "name the folder above its label folder; to classify a picture: tlkit predict HEAD PICTURE")
	}
	start := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \r\n\t")
	if packed := start[:min(len(start), 1<<16)]; bytes.HasPrefix(packed, []byte("PK\x03\x04")) && (bytes.Contains(packed, []byte("[Content_Types].xml")) || bytes.Contains(packed, []byte("xl/"))) {
		return is("an Excel workbook", "save it as CSV UTF-8")
	}
	if line, _, _ := bytes.Cut(start, []byte("\n")); strings.TrimSpace(string(line)) == "{" || strings.TrimSpace(string(line)) == "[" {
		start = bytes.ReplaceAll(start[:min(len(start), 64)], []byte("\n"), nil)
		start = bytes.ReplaceAll(start, []byte(" "), nil)
	}
	for _, o := range otherFiles {
		if bytes.HasPrefix(start, []byte(o.magic)) {
			return is(o.what, o.fix)
		}
	}
	if len(text) > 262 && string(text[257:262]) == "ustar" {
		return is("a tar archive", "unpack it and name the folder")
	}
	if n := bytes.Count(text[:min(len(text), 4096)], []byte{0}); n > 0 && wideOrder(text) == nil {
		return mark(errCSV, advice.New(errors.New("datasets: the file has zero bytes: it is neither a table nor a picture"), "as data, name a folder of pictures or a CSV file"))
	}
	return nil
}
