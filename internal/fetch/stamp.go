package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// stamp is the note about a file that was read through: its hashes, and how it looked to the file
// system then. The sha256 says what the file is. The CRC-32C, which a processor computes several
// times faster, says each time the file is used whether it still is that.
//
// It guards against damage and half-finished copies, not against a person who can write into
// the cache: they could write the stamp too.
type stamp struct {
	SHA256 string `json:"sha256"`
	CRC32C string `json:"crc32c,omitempty"` // 8 hex digits; "" in the stamps of earlier versions
	facts
	Check string `json:"check,omitempty"` // of the hashes, where there is a CRC32C
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// check is the checksum of the noted hashes: a stamp is as old as its file, and lies on the same
// disk.
func (s stamp) check() string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(s.SHA256+" "+s.CRC32C), castagnoli))
}

type facts struct {
	Size   int64  `json:"size"`
	Mtime  int64  `json:"mtime_ns"`
	Ctime  int64  `json:"ctime_ns"`
	Inode  uint64 `json:"inode"`
	Device uint64 `json:"device"`
}

// stampPath is beside the file for files in the cache, else in a folder of stamps
// named by the file's path.
func stampPath(p string) (path string, inCache bool, err error) {
	root, err := cachedir.Root()
	if err != nil {
		return "", false, err
	}
	if p, err = filepath.Abs(p); err != nil {
		return "", false, err
	}
	if rel, err := filepath.Rel(filepath.Join(root, "files"), p); err == nil && filepath.IsLocal(rel) && strings.Count(filepath.ToSlash(rel), "/") == 1 {
		dir, name := filepath.Split(p)
		return filepath.Join(dir, "."+name+".stamp"), true, nil
	}
	name := sha256.Sum256([]byte(p))
	return filepath.Join(root, "stamps", hex.EncodeToString(name[:])), false, nil
}

// readStamp returns the note of a file that still looks as it did then.
func readStamp(p string) (stamp, bool) {
	at, _, err := stampPath(p)
	if err != nil {
		return stamp{}, false
	}
	in, err := os.Open(at)
	if err != nil {
		return stamp{}, false
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return stamp{}, false
	}
	var s stamp
	if json.Unmarshal(data, &s) != nil || len(s.SHA256) != 64 || !isHex(s.SHA256) || s.CRC32C != "" && s.Check != s.check() {
		return stamp{}, false
	}
	info, err := os.Stat(p)
	if err != nil || !info.Mode().IsRegular() || factsOf(info) != s.facts {
		return stamp{}, false
	}
	return s, true
}

// writeStamp notes the hashes of a file, whatever they should have been.
func writeStamp(p string, info fs.FileInfo, got sums) error {
	at, inCache, err := stampPath(p)
	if err != nil {
		return err
	}
	if !inCache {
		// A file that is being worked on can change again within one tick of the
		// clock that stamps its times.
		if time.Since(info.ModTime()) < 2*time.Second {
			return nil
		}
		if _, err := cachedir.Dir("stamps"); err != nil {
			return err
		}
	}
	s := stamp{SHA256: got.sha256, CRC32C: got.crc32c, facts: factsOf(info)}
	s.Check = s.check()
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(at, append(data, '\n'), 0o600)
}
