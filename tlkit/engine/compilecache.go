package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// The versions of the modules whose programs are cached. They are constants because a binary
// does not always know its modules; a test compares them with go.mod.
const (
	gomlxVersion = "v0.28.8"
	goXLAVersion = "v0.4.5"
)

const (
	cacheFormat = "tlkit compiled 1\n" // first bytes of an entry; also part of every key
	cacheSuffix = ".xla"
	cacheCap    = 1 << 30 // bytes of all entries; above it the least recently used are removed
)

// Stats counts what the compile cache did in this process.
type Stats struct {
	Hits     int // programs loaded from the cache
	Misses   int // programs compiled
	Rejected int // entries found damaged or unusable, and compiled anew
}

// compileCache keeps compiled programs between processes, in a folder of files named after
// everything the machine code depends on: the program and its compile options, the plugin's
// content, the processor, and the versions of the libraries between them.
//
// XLA accepts damaged executables, and those of other builds, and then computes wrong
// results. So each entry carries a sha256 over its key and content.
type compileCache struct {
	dir     string
	machine string // processor, threads, flags: what else the code depends on
	limit   int64

	hits, misses, rejected atomic.Int64
	note                   atomic.Pointer[func(string)] // Options.Note of who opened the engine last
}

// newCompileCache returns nil, so that everything is compiled each time, if there is no
// folder for the cache or the processor is unknown (machines may share the folder). device
// identifies the accelerator.
func newCompileCache(device string) *compileCache {
	dir, err := cachedir.Dir("compile")
	if err != nil || processor().features == "" {
		return nil
	}
	return &compileCache{dir: dir, machine: machineID() + "\x00" + device, limit: cacheCap}
}

func (c *compileCache) stats() Stats {
	return Stats{Hits: int(c.hits.Load()), Misses: int(c.misses.Load()), Rejected: int(c.rejected.Load())}
}

// key names an entry. The parts are written with their lengths, so that different lists of
// parts never give the same bytes.
func (c *compileCache) key(parts ...any) string {
	h := sha256.New()
	add := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, s := range []string{cacheFormat, gomlxVersion, goXLAVersion, c.machine, compilerEnv()} {
		add([]byte(s))
	}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			add([]byte(p))
		case []byte:
			add(p)
		default:
			panic("engine: cache key part is neither string nor bytes")
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c *compileCache) path(key string) string { return filepath.Join(c.dir, key+cacheSuffix) }

// sum returns a hash of the content and the key, so that an entry copied to another name is
// rejected.
func (c *compileCache) sum(key string, blob []byte) []byte {
	h := sha256.New()
	io.WriteString(h, cacheFormat)
	io.WriteString(h, key)
	h.Write(blob)
	return h.Sum(nil)
}

// get returns the content of an entry if its hash is right.
func (c *compileCache) get(key string) ([]byte, bool) {
	p := c.path(key)
	info, err := os.Lstat(p)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	const head = len(cacheFormat) + sha256.Size
	if info.Size() <= int64(head) || info.Size() > c.limit {
		c.reject(key)
		return nil, false
	}
	data, err := os.ReadFile(p)
	if err != nil {
		return nil, false
	}
	if len(data) <= head || string(data[:len(cacheFormat)]) != cacheFormat ||
		!bytes.Equal(data[len(cacheFormat):head], c.sum(key, data[head:])) {
		c.reject(key)
		return nil, false
	}
	// The time of last use decides what is evicted. To the hour is enough, and saves a write
	// for each cell.
	if now := time.Now(); now.Sub(info.ModTime()) > time.Hour {
		_ = os.Chtimes(p, now, now)
	}
	return data[head:], true
}

// reject sets a damaged entry aside and says so.
func (c *compileCache) reject(key string) {
	c.rejected.Add(1)
	said := "a compiled program in the cache was damaged; "
	if aside, err := fetch.SetAside(c.path(key)); err == nil {
		said += "it was set aside as " + aside + " and is compiled anew"
	} else {
		said += "it is compiled anew"
	}
	if note := c.note.Load(); note != nil {
		(*note)(said)
	}
}

// drop deletes an entry that is whole and that XLA does not load.
func (c *compileCache) drop(key string) {
	c.rejected.Add(1)
	_ = os.Remove(c.path(key))
}

// put stores an entry. A failure is not an error: with a read-only or full cache, programs
// are compiled again next time.
func (c *compileCache) put(key string, blob []byte) {
	if len(blob) == 0 || int64(len(blob)) > c.limit/4 {
		return
	}
	err := atomicfile.Write(c.path(key), 0o600, func(w io.Writer) error {
		if _, err := io.WriteString(w, cacheFormat); err != nil {
			return err
		}
		if _, err := w.Write(c.sum(key, blob)); err != nil {
			return err
		}
		_, err := w.Write(blob)
		return err
	})
	if err == nil {
		c.evict()
	}
}

// evict removes the least recently used entries above the limit, and after a day leftovers of
// killed processes and damaged entries.
func (c *compileCache) evict() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	type entry struct {
		path string
		size int64
		used time.Time
	}
	var all []entry
	var sum int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		p := filepath.Join(c.dir, e.Name())
		if !strings.HasSuffix(e.Name(), cacheSuffix) {
			leftover := strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), cacheSuffix+fetch.Aside)
			if leftover && time.Since(info.ModTime()) > 24*time.Hour {
				os.Remove(p)
			}
			continue
		}
		all = append(all, entry{p, info.Size(), info.ModTime()})
		sum += info.Size()
	}
	if sum <= c.limit {
		return
	}
	sort.Slice(all, func(i, j int) bool { return all[i].used.Before(all[j].used) })
	// A tenth below the limit, so that not every compilation evicts.
	for _, e := range all {
		if sum <= c.limit-c.limit/10 {
			return
		}
		if os.Remove(e.path) == nil {
			sum -= e.size
		}
	}
}

// compilerEnv returns the settings that XLA and NVIDIA's libraries read from the environment.
func compilerEnv() string {
	env := "XLA_FLAGS=" + os.Getenv("XLA_FLAGS") + "\nNVIDIA_TF32_OVERRIDE=" + os.Getenv("NVIDIA_TF32_OVERRIDE")
	for _, name := range []string{"PJRT_NPROC", "NPROC"} { // the number of XLA's threads, where it is not that of the processors
		if n := os.Getenv(name); n != "" {
			env += "\n" + name + "=" + n
		}
	}
	return env
}

// machineID describes what the generated code depends on: the processor with all its features
// and the number of threads, because XLA divides the work when it compiles.
func machineID() string {
	return fmt.Sprintf("%s/%s threads %d\n%s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor().features)
}
