package plugin

import (
	"debug/elf"
	"debug/macho"
	"fmt"
	"os"
	"runtime"
)

// entry is the one function that every PJRT plugin exports.
const entry = "GetPjrtApi"

// Sound looks at a shared library without loading it, and says what is wrong
// with it: not a library, cut off, for another machine, or no PJRT plugin.
//
// It exists because the loader does not ask: mapping a library that was cut off
// ends in SIGBUS, which no Go program can catch. For a file whose sha256 is
// pinned this adds nothing; for one that somebody else installed it is the only
// check there is.
func Sound(path string) (err error) {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("plugin: %s %s", path, fmt.Sprintf(format, args...))
	}
	// debug/elf has no known panic, but this reads a stranger's file.
	defer func() {
		if r := recover(); r != nil {
			err = fail("cannot be read as a shared library (%v)", r)
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("plugin: %w", err)
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
		// Overflow-safe: both are attacker-sized.
		if p.Off > uint64(info.Size()) || p.Filesz > uint64(info.Size())-p.Off {
			return fail("is cut off: it has %d bytes, one of its segments begins at %d and has %d", info.Size(), p.Off, p.Filesz)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return fail("has no readable symbol table (%v)", err)
	}
	for _, s := range symbols {
		if s.Name == entry && s.Section != elf.SHN_UNDEF {
			return nil
		}
	}
	return fail("is a shared library but no PJRT plugin: it exports no %s", entry)
}

var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64,
	"arm64": elf.EM_AARCH64,
}
