package weights

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func tarWith(names ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		w.WriteHeader(&tar.Header{Name: n, Size: 1, Mode: 0o644})
		w.Write([]byte("x"))
	}
	w.Close()
	return b.String()
}

// TestForeignFilesAreNamed gives every file a name that promises weights: only
// the content counts.
func TestForeignFilesAreNamed(t *testing.T) {
	script, err := os.ReadFile("testdata/script.pt")
	if err != nil {
		t.Fatal(err)
	}
	zipped := func(name string) string {
		return string(bytes.ReplaceAll(torchZip("N.", nil), []byte("archive/data.pkl"), []byte(name)))
	}
	for want, contents := range map[string][]string{
		"the file is empty":             {""},
		"HTML page":                     {"<!DOCTYPE html>\n<html>", "  \n<html lang=en>", "\xef\xbb\xbf<!doctype HTML>", "<head><title>x"},
		"XML":                           {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "<Error>no</Error>"},
		"git-LFS pointer":               {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 46830571\n"},
		"damaged or not HDF5":           {"\x89HDF\r\n\x1a\n" + strings.Repeat("\x00", 100)},
		"data half of a GoMLX":          {"gomlx_checkpointss\x04gzip\x1f\x8b"},
		"JSON half of a GoMLX":          {`{"Params":[],"Variables":[{"ParameterName":"x"}],"BinFormat":"gzip"}`},
		"index of weights":              {`{"metadata":{"total_size":1},"weight_map":{"a":"model-00001.safetensors"}}`},
		"lists no weights":              {`{"modelTopology":{},"weightsManifest":[]}`, `{"format":"layers-model"}`},
		"graph model":                   {`{"format": "graph-model", "modelTopology": {"node": []}, "weightsManifest": [{}]}`},
		"saved_model.pb":                {"\x08\x01\x12\x8a\x11"},
		"encrypted (openssl)":           {"Salted__\x01\x02\x03"},
		"encrypted (age)":               {"age-encryption.org/v1\n-> X25519"},
		"TensorFlow Lite":               {"\x1c\x00\x00\x00TFL3"},
		"this is JavaScript":            {`!function(e){if("object"==typeof exports)module.exports=e()}(1)`},
		"JSON text":                     {`{"error":"not found"}`, "[1, 2, 3]"},
		"gzip":                          {"\x1f\x8b\x08\x00abc"},
		"bzip2":                         {"BZh91AY"},
		"xz":                            {"\xfd7zXZ\x00\x00"},
		"zstd":                          {"\x28\xb5\x2f\xfd00"},
		"7z archive":                    {"7z\xbc\xaf\x27\x1c\x00"},
		"RAR":                           {"Rar!\x1a\x07\x00"},
		"empty zip":                     {"PK\x05\x06" + strings.Repeat("\x00", 18)},
		"NumPy array (.npy)":            {"\x93NUMPY\x01\x00"},
		"NumPy archive":                 {zipped("arr/weight__.npy")},
		"unpack it first":               {string(torchLike("resnet18.pth")), tarWith("a.txt")},
		"without PyTorch's data.pkl":    {zipped("archive/dada.pkl")},
		"office document":               {string(torchLike("[Content_Types].xml"))},
		"TorchScript":                   {string(script)},
		"torch.export":                  {string(torchLike("archive_format")), string(torchLike("serialized_exported_program.json"))},
		"PyTorch's tar format":          {tarWith("sys_info", "pickle", "storages", "tensors"), tarWith("pickle")},
		"GGUF":                          {"GGUF\x03\x00\x00\x00"},
		"ONNX":                          {"\x08\x03\x12\x07pytorch"},
		"PNG picture":                   {"\x89PNG\r\n\x1a\n\x00"},
		"JPEG picture":                  {"\xff\xd8\xff\xe0\x00\x10JFIF"},
		"PDF":                           {"%PDF-1.7\n"},
		"program":                       {"\x7fELF\x02\x01\x01"},
		"it begins with \"Not Found\"":  {"Not Found\nreally"},
		"it begins with \"na\u00efve x": {"na\u00efve x" + strings.Repeat("\u00e9", 2000), "na\u00efve xy" + strings.Repeat("\u00e9", 2000)},
		"3 bytes are too few":           {"\x00\x01\x02"},
		"no format read here":           {strings.Repeat("\x00", 64), "\x80\x01abcdefgh", strings.Repeat("\xfe", 2000)},
		"damaged or cut off":            {"PK\x03\x04" + strings.Repeat("\x00", 64)},
	} {
		for _, content := range contents {
			path := filepath.Join(t.TempDir(), "resnet18.pth")
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			checkRefusal(t, err, want)
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
		}
	}
}

// torchLike is a zip with one empty record of that name.
func torchLike(name string) []byte {
	b := torchZip("N.", map[string][]byte{name: nil})
	return bytes.ReplaceAll(b, []byte("archive/data.pkl"), []byte("archive/dada.pkl"))
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	checkRefusal(t, err, "is a folder: give the weights file")
	_, err = Open("testdata/tfjs")
	checkRefusal(t, err, "is a folder: give model.json inside it")
	saved := t.TempDir()
	if err := os.WriteFile(filepath.Join(saved, "saved_model.pb"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(saved)
	checkRefusal(t, err, "a SavedModel of TensorFlow")
	_, err = Open(filepath.Join(dir, "absent.pth"))
	checkRefusal(t, err, "absent.pth")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not fs.ErrNotExist inside: %v", err)
	}
	if _, err := os.Stat("/dev/null"); err == nil {
		_, err = Open("/dev/null")
		checkRefusal(t, err, "not a regular file")
	}
}

// TestAFileThatChangesWhileOpen: the tensors of two checkpoints are never mixed.
func TestAFileThatChangesWhileOpen(t *testing.T) {
	b, err := os.ReadFile("testdata/legacy.pth")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pth")
	for _, change := range map[string]func(){
		"cut":       func() { os.Truncate(path, 100) },
		"rewritten": func() { os.WriteFile(path, b, 0o644); os.Chtimes(path, time.Now(), time.Now().Add(time.Minute)) },
	} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		change()
		checkRefusal(t, readAll(f), "changed while it was being read")
		f.Close()
	}
}

func TestNothingIsReadAfterClose(t *testing.T) {
	f, err := Open("testdata/legacy.pth")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	checkRefusal(t, readAll(f), "closed")
}

// A folder that is a checkpoint of some framework, and a file without first bytes of its own, are
// named too.
func TestForeignNames(t *testing.T) {
	for inside, want := range map[string]string{
		".metadata": "torch.distributed.checkpoint", "saved_model.pb": "SavedModel", "zero_to_fp32.py": "DeepSpeed", "_CHECKPOINT_METADATA": "Orbax",
		"checkpoint": "TensorFlow", "model.json": "give model.json", "readme": "give the weights file",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, inside), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a folder with %s: %v, want %q", inside, err, want)
		}
	}
	for _, e := range endings {
		path := filepath.Join(t.TempDir(), "net"+strings.ToUpper(e.end))
		if err := os.WriteFile(path, []byte(strings.Repeat("\x01\x02\xfe\x00", 40)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), e.what) {
			t.Errorf("%s: %v, want %q", path, err, e.what)
		}
	}
}
