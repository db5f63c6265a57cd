package cachedir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// Use says that this process works with a file of the cache until it ends: [Free] refuses the file,
// and everything that lies in the same folder two levels below the root, such as files/SHA256 or
// kernel/jupyter. Use also notes the time, and adds the path to the record of ctx, see [Recording].
// It ignores a path outside of the cache, and guards nothing on a disk without locks.
func Use(ctx context.Context, path string) {
	rel, ok := relative(path)
	if !ok {
		return
	}
	if u, ok := ctx.Value(usesKey{}).(*Uses); ok {
		about, _ := ctx.Value(aboutKey{}).(string)
		u.add(rel, about)
	}
	key := useKey{os.Getenv(EnvVar), rel}
	if _, again := inUse.LoadOrStore(key, true); again {
		return
	}
	lock, err := useLock(rel)
	if err != nil {
		return
	}
	// Free holds the lock for the length of a rename.
	wait, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if ok, err := lock.TryRLockContext(wait, 10*time.Millisecond); err != nil || !ok {
		inUse.Delete(key)
		return
	}
	held.Store(key, lock) // a lock that is collected as garbage would be given up
	now := time.Now()
	_ = os.Chtimes(lock.Path(), now, now)
}

var inUse, held sync.Map // by useKey

// useKey is a path in one of the caches that this process has worked with.
type useKey struct{ cache, rel string }

// relative returns the slash path of the entry that a file belongs to: its first two elements below
// the cache folder.
func relative(path string) (string, bool) {
	root, err := Root()
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", false
	}
	parts := strings.SplitN(filepath.ToSlash(rel), "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/"), true
}

// useLock returns the lock of a path. Its file stays: to remove it would let two processes lock two
// files of one name.
func useLock(rel string) (*flock.Flock, error) {
	dir, err := Dir("locks")
	if err != nil {
		return nil, err
	}
	return flock.New(filepath.Join(dir, useLockName(rel))), nil
}

func useLockName(rel string) string {
	sum := sha256.Sum256([]byte(rel))
	return "use-" + hex.EncodeToString(sum[:16]) + ".lock"
}

// LastUse returns when a process said last that it uses a path, relative to the cache folder; the
// zero time if none did.
func LastUse(rel string) time.Time {
	root, err := Root()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(filepath.Join(root, "locks", useLockName(rel)))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Free calls remove while no process uses the path, relative to the cache folder, and none can begin
// to. It reports whether the path was free.
func Free(rel string, remove func() error) (bool, error) {
	root, err := Root()
	if err != nil {
		return false, err
	}
	name := filepath.Join(root, "locks", useLockName(rel))
	if _, err := os.Lstat(name); err != nil { // no process ever used it, so a lock would only litter
		return true, remove()
	}
	lock := flock.New(name)
	ok, err := lock.TryLock()
	if err != nil || !ok {
		return false, err
	}
	defer lock.Unlock()
	return true, remove()
}

// Uses is a record of what a job used of the cache.
type Uses struct {
	mu    sync.Mutex
	paths map[string]string // slash paths relative to the cache folder, and what each is used for
}

type (
	usesKey  struct{}
	aboutKey struct{}
)

// Recording returns a context in which [Use] adds to the record.
func Recording(ctx context.Context) (context.Context, *Uses) {
	u := &Uses{paths: map[string]string{}}
	return context.WithValue(ctx, usesKey{}, u), u
}

// About returns a context in which [Use] records what a path is used for, such as "resnet18 on
// hymenoptera".
func About(ctx context.Context, about string) context.Context {
	return context.WithValue(ctx, aboutKey{}, about)
}

func (u *Uses) add(rel, about string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.paths[rel] = about
}

// UsesFile is the file in the folder of a job that names what the job used of the cache.
const UsesFile = "cache.json"

type record struct {
	Uses map[string]string `json:"uses"`
}

// Keep writes the record into the folder of a job, below home, which is the folder of all jobs that
// a person has in one place, and makes the place known to [Owners].
func (u *Uses) Keep(home, folder string) error {
	u.mu.Lock()
	text, err := json.MarshalIndent(record{u.paths}, "", "  ")
	u.mu.Unlock()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(folder, UsesFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("cachedir: %w", err)
	}
	if home, err = filepath.Abs(home); err != nil {
		return fmt.Errorf("cachedir: %w", err)
	}
	dir, err := Dir("homes")
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(home))
	return atomicfile.WriteBytes(filepath.Join(dir, hex.EncodeToString(sum[:8])), []byte(home+"\n"), 0o600)
}

// Owner is the folder of a job that used something of the cache.
type Owner struct {
	Name   string // of the job: the base name of its folder
	Folder string
	About  string // what the job used the path for
}

// Owners returns, for each path in the cache, the jobs that used it and whose folders still exist.
// A job whose folder was moved within its home, or renamed, is found.
func Owners() (map[string][]Owner, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	homes, err := os.ReadDir(filepath.Join(root, "homes"))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("cachedir: %w", err)
	}
	owners := map[string][]Owner{}
	for _, h := range homes {
		text, err := os.ReadFile(filepath.Join(root, "homes", h.Name()))
		if err != nil {
			return nil, fmt.Errorf("cachedir: %w", err)
		}
		home := strings.TrimSuffix(string(text), "\n")
		if !filepath.IsAbs(home) {
			continue
		}
		jobs, err := os.ReadDir(home)
		if err != nil && !os.IsNotExist(err) {
			// What cannot be read now, such as a disk that does not answer, is not gone.
			return nil, fmt.Errorf("cachedir: the runs in %s cannot be read: %w", home, err)
		}
		for _, job := range jobs {
			addOwner(owners, filepath.Join(home, job.Name()), job)
		}
	}
	return owners, nil
}

func addOwner(owners map[string][]Owner, folder string, job fs.DirEntry) {
	if !job.IsDir() {
		return
	}
	var uses record
	text, err := os.ReadFile(filepath.Join(folder, UsesFile))
	if err != nil || json.Unmarshal(text, &uses) != nil {
		return
	}
	for rel, about := range uses.Uses {
		owners[rel] = append(owners[rel], Owner{Name: job.Name(), Folder: folder, About: about})
	}
}
