package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// record is what the first use of a file has found, where no whole sha256 is published: every
// later use must find the same.
type record struct {
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Repo   string `json:"repo,omitempty"`   // of the hub
	Commit string `json:"commit,omitempty"` // the revision stood for
	Check  string `json:"check,omitempty"`  // CRC-32C of the above; "" in the notes of earlier versions
}

func (r record) check() string {
	return fmt.Sprintf("%08x", crc32.Checksum(fmt.Appendf(nil, "%s %d %s %s", r.SHA256, r.Bytes, r.Repo, r.Commit), castagnoli))
}

// id names the file before its content is known: in the names of locks, parts and records.
func (f File) id() string {
	if len(f.SHA256) == 64 {
		return strings.ToLower(f.SHA256)
	}
	h := sha256.New()
	io.WriteString(h, strings.Join([]string{f.Name, strings.ToLower(f.SHA256), strings.ToLower(f.MD5)}, "\x00"))
	if f.SHA256 == "" && f.MD5 == "" {
		for _, s := range f.Sources {
			if s.HF != nil {
				io.WriteString(h, "\x00"+s.HF.address("", s.HF.Revision))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// known returns f with what its first use has found: sha256, size, and the hub's commit in
// place of a branch.
func (f File) known() File {
	if len(f.SHA256) == 64 {
		return f
	}
	root, err := cachedir.Root()
	if err != nil {
		return f
	}
	in, err := os.Open(filepath.Join(root, "known", f.id()+".json"))
	if err != nil {
		return f
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 4096))
	var r record
	if err != nil || json.Unmarshal(data, &r) != nil || len(r.SHA256) != 64 || !isHex(r.SHA256) || r.Bytes < 0 || r.Check != "" && r.Check != r.check() ||
		!strings.HasPrefix(r.SHA256, strings.ToLower(f.SHA256)) || f.Bytes > 0 && r.Bytes != f.Bytes {
		return f // a damaged note is no note
	}
	f.SHA256, f.Bytes = r.SHA256, r.Bytes
	f.Sources = slices.Clone(f.Sources)
	for i, s := range f.Sources {
		if s.HF != nil && s.HF.Repo == r.Repo && isCommit(r.Commit) {
			pinned := *s.HF
			pinned.Revision = r.Commit
			f.Sources[i].HF = &pinned
		}
	}
	return f
}

// note keeps what a first use has found.
func (f File) note(r record) error {
	if len(f.SHA256) == 64 {
		return nil
	}
	dir, err := cachedir.Dir("known")
	if err != nil {
		return err
	}
	r.Check = r.check()
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, f.id()+".json"), append(data, '\n'), 0o600)
}

// Is reports whether a file with this whole sha256 is the published one. Where only a first use
// could tell, and there was none, it is false.
func (f File) Is(sha256 string) bool {
	want := strings.ToLower(f.known().SHA256)
	return want != "" && strings.HasPrefix(strings.ToLower(sha256), want)
}
