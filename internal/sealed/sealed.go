// Package sealed writes safetensors files that hold the sha256 of their own content, and refuses files
// whose content does not match it.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// ErrDamaged says that the content of a file does not match its sha256.
var ErrDamaged = errors.New("the file is damaged")

// digestKey is the entry of the metadata with the sha256: of the file with zeros in its place.
const (
	digestKey   = "tlkit.sha256"
	digestChars = 64
)

// Write writes a file. The same tensors and metadata give the same bytes.
func Write(path string, tensors []weights.Tensor, metadata map[string]string) error {
	metadata[digestKey] = string(bytes.Repeat([]byte("0"), digestChars))
	var buf bytes.Buffer
	if err := weights.EncodeSafetensors(&buf, tensors, metadata); err != nil {
		return err
	}
	data := buf.Bytes()
	at, err := digestAt(data)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	hex.Encode(data[at:at+digestChars], sum[:])
	return atomicfile.WriteBytes(path, data, 0o644)
}

// Open opens a file of at most so many bytes. Without a sha256, or with that of another content, the
// error wraps ErrDamaged; of a file that is not safetensors, it says what it is instead.
func Open(path string, most int64) (*weights.File, string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, "", fmt.Errorf("%d bytes, want a regular file of at most %d", info.Size(), most)
	}
	f, err := weights.Open(path)
	if err != nil {
		return nil, "", err
	}
	sum, err := verify(path)
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, sum, nil
}

// verify returns the sha256 of a file, which its header has too.
func verify(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	at, err := digestAt(data)
	if err != nil {
		return "", err
	}
	want := string(data[at : at+digestChars])
	copy(data[at:], bytes.Repeat([]byte("0"), digestChars))
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
		return "", advice.New(fmt.Errorf("%w: its sha256 is %x, its header has %s", ErrDamaged, sum, want), "get a fresh copy")
	}
	return want, nil
}

var digestField = regexp.MustCompile(`"` + regexp.QuoteMeta(digestKey) + `" ?: ?"([0-9a-f]{64})"`)

// digestAt returns the offset of the sha256 in the header. A text in the metadata may contain the
// field's name, but its quotes are escaped there.
func digestAt(data []byte) (int, error) {
	found := digestField.FindAllSubmatchIndex(data, 2)
	if len(found) != 1 {
		return 0, fmt.Errorf("%w: %d sha256 fields in the header, want 1", ErrDamaged, len(found))
	}
	return found[0][2], nil
}
