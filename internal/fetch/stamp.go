package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// stamp is the note about a file that was read through: its hash, and how it
// looked to the file system then. Reading 200 MB in each process just to hash them
// would cost more than opening the plugin.
//
// It guards against damage and half-finished copies, not against a person who can write into
// the cache: they could write the stamp too.
type stamp struct {
	SHA256 string `json:"sha256"`
	facts
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

// readStamp returns the noted hash when the file still looks as it did then.
func readStamp(p string) (string, bool) {
	at, _, err := stampPath(p)
	if err != nil {
		return "", false
	}
	in, err := os.Open(at)
	if err != nil {
		return "", false
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", false
	}
	var s stamp
	if json.Unmarshal(data, &s) != nil || len(s.SHA256) != 64 || !isHex(s.SHA256) {
		return "", false
	}
	info, err := os.Stat(p)
	if err != nil || !info.Mode().IsRegular() || factsOf(info) != s.facts {
		return "", false
	}
	return s.SHA256, true
}

// writeStamp notes the hash of a file, whatever it should have been.
func writeStamp(p string, info fs.FileInfo, sum string) error {
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
	data, err := json.Marshal(stamp{SHA256: sum, facts: factsOf(info)})
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(at, append(data, '\n'), 0o600)
}
