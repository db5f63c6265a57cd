package fetch

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// sums are what a file hashed to.
type sums struct {
	sha256, md5 string
	git         string // sha1 as git names a file; "" = not asked for
	crc32c      string // 8 hex digits
}

// hashes compute every hash that a publisher may publish. An md5 guards against accidents only,
// so the sha256 found with it is kept.
type hashes struct {
	io.Writer
	sha256, md5, git, crc hash.Hash
}

func newHashes() *hashes {
	h := &hashes{sha256: sha256.New(), md5: md5.New(), crc: crc32.New(castagnoli)}
	h.Writer = io.MultiWriter(h.sha256, h.md5, h.crc)
	return h
}

// withGit also computes the name that git gives a file of so many bytes.
func (h *hashes) withGit(size int64) *hashes {
	h.git = sha1.New()
	fmt.Fprintf(h.git, "blob %d\x00", size)
	h.Writer = io.MultiWriter(h.sha256, h.md5, h.crc, h.git)
	return h
}

func (h *hashes) sums() sums {
	s := sums{sha256: hex.EncodeToString(h.sha256.Sum(nil)), md5: hex.EncodeToString(h.md5.Sum(nil)), crc32c: hex.EncodeToString(h.crc.Sum(nil))}
	if h.git != nil {
		s.git = hex.EncodeToString(h.git.Sum(nil))
	}
	return s
}

// verify returns an error unless the bytes at path, hashed while they came, are the file.
func (f File) verify(what, path string, got sums, size int64) error {
	wrong := &HashError{What: what}
	switch {
	case f.SHA256 != "" && !strings.HasPrefix(got.sha256, strings.ToLower(f.SHA256)):
		wrong.Want, wrong.Got = strings.ToLower(f.SHA256), got.sha256
	case f.MD5 != "" && got.md5 != strings.ToLower(f.MD5):
		wrong.Want, wrong.Got = strings.ToLower(f.MD5), got.md5
	case f.SHA256 == "" && f.MD5 == "":
		return advice.New(fmt.Errorf("no hash of %s is published, so %s cannot be checked", f.Name, what), "use it as a weights file of your own instead")
	case f.Bytes > 0 && size != f.Bytes:
		return fmt.Errorf("%s has %d bytes, want %d: %w", what, size, f.Bytes, ErrHash)
	default:
		return nil
	}
	if in, err := os.Open(path); err == nil {
		defer in.Close()
		wrong.Looks = looks(in)
	}
	return wrong
}

// looks names what a server sends in place of a file, from its first bytes.
func looks(r io.Reader) string {
	head := make([]byte, 512)
	n, _ := io.ReadFull(r, head)
	head = bytes.TrimLeft(bytes.TrimPrefix(head[:n], []byte("\xef\xbb\xbf")), " \t\r\n")
	begins := func(with string) bool {
		return len(head) >= len(with) && strings.EqualFold(string(head[:len(with)]), with)
	}
	switch {
	case n == 0:
		return "empty"
	case begins("<!doctype html"), begins("<html"), begins("<head"):
		return "an HTML page, of a proxy that wants you to sign in, or saying what went wrong"
	case begins("version https://git-lfs.github.com/spec/"):
		return "a git-LFS pointer, a note of where the file is"
	case begins("<?xml"):
		return "an XML message, usually an error message"
	case begins(`{"error`), begins(`{"message`):
		return "a message in JSON: " + strings.ToValidUTF8(string(head[:min(len(head), 120)]), "?")
	}
	return ""
}
