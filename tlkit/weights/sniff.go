package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	formatSafetensors = "safetensors"
	formatTorchZip    = "pytorch zip"
	formatTorchLegacy = "pytorch legacy"
	formatKerasH5     = "keras h5"
	formatKeras3      = "keras weights.h5"
	formatKerasZip    = "keras zip"
	formatTFJS        = "tensorflow.js"
	formatHDF5        = "hdf5" // arrays, but nothing of Keras
	formatONNX        = "onnx"
)

const hdf5Magic = "\x89HDF\r\n\x1a\n"

// foreign are the first bytes of other files that are mistaken for weights.
var foreign = []struct{ magic, what string }{
	{"version https://git-lfs.github.com/spec/", "this is a git-LFS pointer (a few lines of text), not the weights: run 'git lfs pull' in its repository, or download the file itself"},
	{"gomlx_checkpointss", "this is the data half of a GoMLX checkpoint: load it with GoMLX's ml/model/checkpoint, or save safetensors"},
	{"\x1f\x8b", "this is gzip: unpack it first (gunzip, or tar xzf)"},
	{"BZh", "this is bzip2: unpack it first"},
	{"\xfd7zXZ\x00", "this is xz: unpack it first"},
	{"\x28\xb5\x2f\xfd", "this is zstd: unpack it first"},
	{"7z\xbc\xaf\x27\x1c", "this is a 7z archive: unpack it first"},
	{"Rar!\x1a\x07", "this is a RAR archive: unpack it first"},
	{"PK\x05\x06", "this is an empty zip archive"},
	{"\x08\x01\x12", "this is TensorFlow's saved_model.pb, a program without its weights, which is not read here: in Python load it with Keras and save .keras or .weights.h5"},
	{"Salted__", "this file is encrypted (openssl): decrypt it first"},
	{"age-encryption.org/", "this file is encrypted (age): decrypt it first"},
	{"-----BEGIN PGP MESSAGE-----", "this file is encrypted (PGP): decrypt it first"},
	{"\x93NUMPY", "this is one NumPy array (.npy), not a set of named weights"},
	{"GGUF", "this is GGUF (llama.cpp), which is not read here"},
	{"ggml", "this is GGML (llama.cpp), which is not read here"},
	{"\x89PNG\r\n\x1a\n", "this is a PNG picture, not weights"},
	{"\xff\xd8\xff", "this is a JPEG picture, not weights"},
	{"%PDF-", "this is a PDF, not weights"},
	{"\x7fELF", "this is a program, not weights"},
}

// endings are extensions of formats that cannot be recognised by their first bytes.
var endings = []struct{ end, what string }{
	{".caffemodel", "Caffe's weights"},
	{".pb", "a graph of TensorFlow"},
	{".index", "the index of a TensorFlow checkpoint"},
	{".data-00000-of-00001", "the numbers of a TensorFlow checkpoint"},
	{".msgpack", "weights of JAX (Flax)"},
	{".params", "weights of MXNet"},
	{".pdparams", "weights of PaddlePaddle"},
	{".pdiparams", "weights of PaddlePaddle"},
	{".weights", "weights of Darknet"},
	{".mlmodel", "a model of Core ML"},
	{".engine", "a program of TensorRT"},
	{".plan", "a program of TensorRT"},
	{".distcp", "a part of a checkpoint of torch.distributed.checkpoint"},
}

// byName says what a file in an unsupported format most likely is, judging by its name.
func byName(path string) string {
	lower := strings.ToLower(path)
	for _, e := range endings {
		if strings.HasSuffix(lower, e.end) {
			return "its name is that of " + e.what + ", which is not read here; save the weights as safetensors, or the network as ONNX"
		}
	}
	return ""
}

// sniff returns the format of a file by its first bytes, or "" and what the file is instead.
func sniff(head []byte, size int64) (format, why string) {
	if size == 0 {
		return "", "the file is empty: the download or copy that made it did not finish"
	}
	// safetensors has no magic number: it begins with the length of the header, and 642 is 0x80
	// 0x02, which is also the beginning of a pickle. So it is tested first, by what no other
	// format has: a small number in eight bytes, then an open brace.
	if len(head) >= 9 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= 100<<20 {
		return formatSafetensors, ""
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return formatTorchZip, ""
	case bytes.HasPrefix(head, []byte(hdf5Magic)), len(head) > 520 && bytes.HasPrefix(head[512:], []byte(hdf5Magic)):
		return formatKerasH5, ""
	case len(head) > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5:
		return formatTorchLegacy, ""
	case sniffONNX(head):
		return formatONNX, ""
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return "", f.what
		}
	}
	if len(head) >= 8 && string(head[4:8]) == "TFL3" {
		return "", "this is TensorFlow Lite, which is not read here: take the model that it was made from"
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		if bytes.HasPrefix(head, []byte("sys_info\x00")) || bytes.HasPrefix(head, []byte("pickle\x00")) || bytes.HasPrefix(head, []byte("storages\x00")) || bytes.HasPrefix(head, []byte("tensors\x00")) {
			return "", "this is PyTorch's tar format of before version 0.1.10, which is not read: load it once with an old torch (before 2.6, torch.load) and torch.save it again"
		}
		return "", "this is a tar archive: unpack it first"
	}
	// safetensors with a wrong length. Tested before text, because lengths and JSON can both be
	// plain ASCII.
	if len(head) >= 9 && head[8] == '{' {
		if n := binary.LittleEndian.Uint64(head); n <= 1<<40 {
			return formatSafetensors, ""
		}
	}
	if isBundle(head) {
		return formatTFJS, ""
	}
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	switch {
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")), bytes.HasPrefix(text, []byte("<head")):
		return "", "this is an HTML page, not weights: the address asks for a log-in or has moved; open it in a browser and download the file itself"
	case bytes.HasPrefix(text, []byte("<?xml")), bytes.HasPrefix(text, []byte("<error")):
		return "", "this is XML, not weights: most likely a server's error message that was saved as the file"
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		switch {
		case bytes.Contains(text, []byte(`"weight_map"`)):
			return "", "this is the index of weights that are split over several files: open those files one by one"
		case bytes.Contains(text, []byte(`"params"`)) || bytes.Contains(text, []byte(`"variables"`)):
			return "", "this is the JSON half of a GoMLX checkpoint: load it with GoMLX's ml/model/checkpoint, or save safetensors"
		case bytes.HasPrefix(text, []byte("{")) && (bytes.Contains(text, []byte(`"weightsmanifest"`)) || bytes.Contains(text, []byte(`"modeltopology"`)) || bytes.Contains(text, []byte(`"layers-model"`)) || bytes.Contains(text, []byte(`"graph-model"`))):
			return formatTFJS, ""
		}
		return "", "this is JSON text, not weights"
	}
	if isText(head, size) {
		return "", fmt.Sprintf("this is text, not weights; it begins with %s", words.Quote(firstLine(head)))
	}
	if size < 9 {
		return "", fmt.Sprintf("%d bytes are too few for a weights file: a download or copy did not finish", size)
	}
	return "", fmt.Sprintf("the first bytes (% x) are those of no format read here: safetensors, PyTorch and Keras files are", head[:8])
}

func firstLine(b []byte) string {
	b = bytes.TrimSpace(b)
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return string(bytes.TrimSpace(b))
}

// isText reports whether the head is valid UTF-8 without control characters. Its last rune may
// be cut off.
func isText(head []byte, size int64) bool {
	if int64(len(head)) < size {
		for i := 0; i < utf8.UTFMax && len(head) > 0; i++ {
			if r, n := utf8.DecodeLastRune(head); r != utf8.RuneError || n > 1 {
				break
			}
			head = head[:len(head)-1]
		}
	}
	for _, c := range head {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' {
			return false
		}
	}
	return utf8.Valid(head)
}
