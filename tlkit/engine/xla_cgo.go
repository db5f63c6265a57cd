//go:build cgo && unix

package engine

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "hook.h"
#include "memory.h"
*/
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// xlaBuilt reports whether this program can open XLA.
const xlaBuilt = true

// loadedPlugin is a plugin opened in this process. It stays open until the
// process ends: XLA starts threads that never stop.
type loadedPlugin struct {
	slot  int
	name  string // under which go-xla knows it
	sha   string
	cache atomic.Pointer[compileCache] // nil: compile every time
}

var (
	loadMu sync.Mutex
	// loadedSlots is read by the compile hook without the mutex: an entry is set
	// before its hook can be called, and never changed.
	loadedSlots [C.TLKIT_SLOTS]atomic.Pointer[loadedPlugin]
)

// load verifies and opens a plugin, once for each file, and registers it with go-xla. Its name is
// an absolute path so that go-xla uses it as it is: for any other name it would search
// folders and open every plugin in them, and a truncated one kills the process.
func load(p *plugin.Plugin) (*loadedPlugin, error) {
	if !filepath.IsAbs(p.Path) {
		return nil, fmt.Errorf("plugin path %q is not absolute", p.Path)
	}
	loadMu.Lock()
	defer loadMu.Unlock()
	slot := 0
	for ; slot < len(loadedSlots); slot++ {
		l := loadedSlots[slot].Load()
		if l == nil {
			break
		}
		if l.sha == p.SHA256 {
			return l, nil
		}
	}
	if slot == len(loadedSlots) {
		return nil, advice.New(fmt.Errorf("%d different plugins are open in this process already", slot), "start a new one")
	}
	// Read in full, once in a process: a damaged library may compute wrong numbers or end the
	// process, and its size and times need not tell.
	if err := p.Verify(context.Background(), false); err != nil {
		return nil, err
	}
	for _, lib := range p.Libraries {
		// If one does not open, it is not needed, or the plugin's own error will name it.
		_, _ = open(lib, true)
	}
	handle, err := open(p.Path, false)
	if err != nil {
		return nil, err
	}
	var msg *C.char
	table := C.tlkit_table(handle, &msg)
	if table == nil {
		return nil, fmt.Errorf("%s: %w", p.Path, taken(msg))
	}
	if p.Platform == "cpu" {
		C.tlkit_keep_memory(handle)
	}
	// go-xla looks for "cpu" or "cuda" in the name.
	l := &loadedPlugin{slot: slot, sha: p.SHA256, name: fmt.Sprintf("/tlkit/%s-%.12s", p.Platform, p.SHA256)}
	loadedSlots[slot].Store(l)
	var hooked C.int
	api := C.tlkit_hook(C.int(slot), table, &hooked)
	if err := pjrt.RegisterPreloadedPlugin(l.name, uintptr(unsafe.Pointer(api))); err != nil {
		loadedSlots[slot].Store(nil)
		return nil, fmt.Errorf("the plugin does not initialise: %w", err)
	}
	return l, nil
}

func open(path string, global bool) (unsafe.Pointer, error) {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	var g C.int
	if global {
		g = 1
	}
	var msg *C.char
	h := C.tlkit_open(c, g, &msg)
	if h == nil {
		return nil, taken(msg)
	}
	return h, nil
}

// taken turns a C string that this package owns into an error.
func taken(msg *C.char) error {
	defer C.free(unsafe.Pointer(msg))
	return errors.New(C.GoString(msg))
}

// newXLA makes a client of the plugin. config is what follows the plugin's name
// in GOMLX_BACKEND: "tf32=false,preallocate=false".
func newXLA(p *plugin.Plugin, config string) (compute.Backend, error) {
	l, err := load(p)
	if err != nil {
		return nil, err
	}
	name := l.name
	if config != "" {
		name += "," + config
	}
	if p.Platform == "cpu" {
		// By default the plugin presents itself as four devices, each with its own threads.
		if b, err := xla.NewWithOptions(name, pjrt.NamedValuesMap{"cpu_device_count": int64(1)}); err == nil {
			return b, nil
		}
	}
	// Not returned directly: a nil *xla.Backend in an interface is not nil.
	b, err := xla.NewWithOptions(name, nil)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// releaseMemory gives back to the system what closed backends kept for their next call.
func releaseMemory() { C.tlkit_release_memory() }

// blockBytes counts the large blocks of memory that XLA uses on a CPU.
type blockBytes struct{ used, kept, given int64 }

func blocks() blockBytes {
	m := C.tlkit_memory()
	return blockBytes{int64(m.used), int64(m.kept), int64(m.given)}
}

// useCache makes this plugin compile through the cache; nil means without one.
func useCache(p *plugin.Plugin, cache *compileCache) {
	for i := range loadedSlots {
		if l := loadedSlots[i].Load(); l != nil && l.sha == p.SHA256 {
			l.cache.Store(cache)
		}
	}
}

// extraOptions are additional options of compilations, a serialised CompileOptionsProto, by thread.
// They are not a variable of the thread: Go's own linker, which notebook cells use, knows none.
var extraOptions sync.Map

// withOptions calls build, whose compilations on this goroutine get additional options.
func withOptions(options []byte, build func() error) error {
	// XLA compiles on the thread of the call, so that other goroutines' programs keep theirs.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := C.tlkit_thread()
	extraOptions.Store(thread, options)
	defer extraOptions.Delete(thread)
	return build()
}

// tlkitCompile replaces PJRT_Client_Compile: it loads the executable from the cache, or
// compiles and stores it. If anything goes wrong with the cache, the program is compiled;
// it is never an error.
//
//export tlkitCompile
func tlkitCompile(slot C.int, args *C.tlkit_compile_args) *C.tlkit_opaque {
	if extra, ok := extraOptions.Load(C.tlkit_thread()); ok {
		options, size := args.options, args.options_size
		// Serialised messages one behind the other are their union.
		both := append(bytes.Clone(view(options, size)), extra.([]byte)...)
		args.options, args.options_size = (*C.char)(C.CBytes(both)), C.size_t(len(both))
		defer func() {
			C.free(unsafe.Pointer(args.options))
			args.options, args.options_size = options, size
		}()
	}
	done, fault := compileCached(int(slot), args)
	if !done {
		return C.tlkit_real_compile(slot, args)
	}
	return fault
}

// compileCached returns done if the work is finished: then args hold the executable, or fault
// is the compiler's error.
func compileCached(slot int, args *C.tlkit_compile_args) (done bool, fault *C.tlkit_opaque) {
	// A panic must not unwind through C. After the compilation, its result stays valid.
	compiled := false
	defer func() {
		if recover() != nil {
			done, fault = compiled, nil
		}
	}()
	l := loadedSlots[slot].Load()
	if l == nil || args.struct_size < C.size_t(unsafe.Sizeof(*args)) || args.program == nil {
		return false, nil
	}
	cache := l.cache.Load()
	if cache == nil {
		return false, nil
	}
	prog := args.program
	key := cache.key(l.sha,
		view(prog.format, prog.format_size),
		canonical(view(prog.code, prog.code_size)),
		view(args.options, args.options_size))
	if blob, ok := cache.get(key); ok {
		if C.tlkit_load(C.int(slot), args, (*C.char)(unsafe.Pointer(unsafe.SliceData(blob))), C.size_t(len(blob))) == 1 {
			cache.hits.Add(1)
			return true, nil
		}
		cache.drop(key)
	}
	cache.misses.Add(1)
	if fault := C.tlkit_real_compile(C.int(slot), args); fault != nil {
		return true, fault
	}
	compiled = true
	var out C.tlkit_serialize_args
	if C.tlkit_serialize(C.int(slot), args.loaded, &out) == 1 {
		cache.put(key, view(out.bytes, out.bytes_size))
		C.tlkit_serialize_free(C.int(slot), &out)
	}
	return true, nil
}

// view returns C memory as a slice that is valid during the call.
func view(p *C.char, n C.size_t) []byte {
	if p == nil || n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n))
}
