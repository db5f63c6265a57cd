package datasets

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A file that is no table is named as what it is, whatever its ending.
func TestFilesThatAreNoTables(t *testing.T) {
	packed := func(name string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.Create(name)
		w.Write([]byte("<xml/>"))
		z.Close()
		return b.Bytes()
	}
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write([]byte("path,label\n"))
	w.Close()
	for want, text := range map[string][]byte{
		"a picture (JPEG)":    jpegOf(1),
		"a picture (PNG)":     pngOf(1),
		"a picture (BMP)":     append([]byte("BM"), make([]byte, 80)...),
		"a zip archive":       packed("train/ants/1.jpg"),
		"an Excel workbook":   packed("xl/workbook.xml"),
		"gzip":                gz.Bytes(),
		"a tar archive":       append(append(bytes.Repeat([]byte("a"), 257), "ustar"...), make([]byte, 500)...),
		"JSON":                []byte("[\n  {\"image\": \"1.jpg\", \"label\": \"ant\"}\n]\n"),
		"lines=True":          []byte("{\"image\": \"1.jpg\", \"label\": \"ant\"}\n"),
		"a web page":          []byte("<!DOCTYPE html><html></html>"),
		"git lfs pull":        []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
		"zero bytes":          []byte("a.png,ant\n\x00\x00\x01"),
		"is empty":            {},
		"no column says what": []byte("1.png\n2.png\n"),
	} {
		f := files{"data.csv": text, "1.png": pngOf(1), "2.png": pngOf(2)}
		_, err := Open(context.Background(), filepath.Join(f.write(t), "data.csv"), Options{})
		if !errors.Is(err, errCSV) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	// "BM" begins the names of many things.
	f := files{"data.csv": []byte("BMW,path\nyes,1.png\nno,2.png\n"), "1.png": pngOf(1), "2.png": pngOf(2)}
	if d := open(t, filepath.Join(f.write(t), "data.csv"), Options{}); rels(d, All) != "1.png=yes 2.png=no" {
		t.Error(rels(d, All))
	}
}
