package sharedlib

import (
	"debug/elf"
	"debug/macho"
	"fmt"
	"os"
	"runtime"
)

// Kind is a kind of shared library, known by a function that all of them export.
type Kind struct {
	Name  string // "PJRT plugin", for messages
	Entry string // "GetPjrtApi"
}

// Sound checks a shared library without loading it. The error says whether it is not a
// library, truncated, for another machine, or of another kind.
//
// The loader does not check this: mapping a truncated library ends in SIGBUS, which a Go
// program cannot catch. For a file with a pinned sha256 the check adds nothing; for other
// files it is the only one.
func (k Kind) Sound(path string) (err error) {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s %s", path, fmt.Sprintf(format, args...))
	}
	// debug/elf has no known panic, but the file is untrusted.
	defer func() {
		if r := recover(); r != nil {
			err = fail("cannot be read as a shared library (%v)", r)
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fail("is not a file (%s)", info.Mode().Type())
	}
	if runtime.GOOS == "darwin" {
		f, err := macho.Open(path)
		if err != nil {
			return fail("is not a shared library (%v)", err)
		}
		defer f.Close()
		for _, l := range f.Loads {
			if s, ok := l.(*macho.Segment); ok && s.Offset+s.Filesz > uint64(info.Size()) {
				return fail("is cut off: it has %d bytes, its segment %s ends at %d", info.Size(), s.Name, s.Offset+s.Filesz)
			}
		}
		return nil
	}
	f, err := elf.Open(path)
	if err != nil {
		return fail("is not a shared library, or is cut off (%v)", err)
	}
	defer f.Close()
	if f.Type != elf.ET_DYN {
		return fail("is an ELF file of type %s, want a shared library", f.Type)
	}
	if want, ok := machines[runtime.GOARCH]; ok && f.Machine != want {
		return fail("is made for %s, this machine is %s", f.Machine, want)
	}
	for _, p := range f.Progs {
		// Written so that it cannot overflow: the file determines both numbers.
		if p.Off > uint64(info.Size()) || p.Filesz > uint64(info.Size())-p.Off {
			return fail("is cut off: it has %d bytes, one of its segments begins at %d and has %d", info.Size(), p.Off, p.Filesz)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return fail("has no readable symbol table (%v)", err)
	}
	for _, s := range symbols {
		if s.Name == k.Entry && s.Section != elf.SHN_UNDEF {
			return nil
		}
	}
	return fail("is a shared library but no %s: it exports no %s", k.Name, k.Entry)
}

var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64,
	"arm64": elf.EM_AARCH64,
}
