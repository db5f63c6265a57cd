package fetch

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// stamp is the note beside a verified file: how the file looked to the file
// system when its hash was right. Reading 200 MB in each process just to hash
// them would cost more than opening the plugin.
//
// It guards against damage and half-finished copies, not against somebody who
// can write into the cache: they could write the stamp too.
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

func stampPath(p string) string {
	dir, name := filepath.Split(p)
	return filepath.Join(dir, "."+name+".stamp")
}

// readStamp returns the noted hash when the file still looks as it did then.
func readStamp(p string) (string, bool) {
	in, err := os.Open(stampPath(p))
	if err != nil {
		return "", false
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", false
	}
	var s stamp
	if json.Unmarshal(data, &s) != nil {
		return "", false
	}
	info, err := os.Lstat(p)
	if err != nil || !info.Mode().IsRegular() || factsOf(info) != s.facts {
		return "", false
	}
	// A stamp is only believed in the folder of its own hash: elsewhere it could
	// have been copied along with a folder.
	if s.SHA256 != filepath.Base(filepath.Dir(p)) {
		return "", false
	}
	return s.SHA256, true
}

func writeStamp(p string, info fs.FileInfo, sum string) error {
	data, err := json.Marshal(stamp{SHA256: sum, facts: factsOf(info)})
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(stampPath(p), append(data, '\n'), 0o600)
}
