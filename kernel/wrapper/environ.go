package wrapper

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// Environ returns the environment of GoNB and of every cell, made from base. temp is the kernel's
// private folder; "" = none, for a build outside a kernel.
//
// GO_EXTLINK_ENABLED=0 and -ldflags=-s halve the time of a cell that links XLA, most of which goes
// into debugging tables and the external linker.
func Environ(base []string, p Place, temp string) []string {
	set := map[string]string{
		"GOFLAGS": cellFlags(p.Flags, p.Worker != ""),
		// Cells have a go.work of their own; one named from outside would be used instead.
		"GOWORK":              "auto",
		kernelspec.RootVar:    p.Module.Root,
		kernelspec.VersionVar: p.Module.Version,
		kernelspec.ToolsVar:   p.Tools,
	}
	have := map[string]string{}
	for _, kv := range base {
		k, v, _ := strings.Cut(kv, "=")
		have[k] = v
	}
	// A person who links a C++ archive turns this on again, for the kernel or in a cell.
	if have["GO_EXTLINK_ENABLED"] == "" {
		set["GO_EXTLINK_ENABLED"] = "0"
	}
	path := []string{p.Tools, have["PATH"]}
	if temp != "" {
		set["TMPDIR"] = temp
		path = append([]string{filepath.Join(temp, shims)}, path...)
	}
	if p.Worker != "" && temp != "" {
		set[worker.ProgramVar], set[worker.FolderVar] = p.Worker, temp
	}
	if p.Go != "" {
		path = append(path, filepath.Dir(p.Go))
	}
	set["PATH"] = strings.Join(path, string(os.PathListSeparator))
	var env []string
	for _, kv := range base {
		if k, _, _ := strings.Cut(kv, "="); set[k] == "" {
			if _, ours := set[k]; !ours {
				env = append(env, kv)
			}
		}
	}
	for k, v := range set {
		env = append(env, k+"="+v)
	}
	return env
}

// cellFlags removes -mod and -modfile from GOFLAGS, with which every build in a workspace fails,
// and adds -s unless there are other linker flags, and the tag of cells whose verbs run in a worker.
func cellFlags(flags string, tagged bool) string {
	var keep []string
	linker := false
	for _, f := range splitFlags(flags) {
		name := strings.TrimLeft(strings.Trim(f, `'"`), "-")
		name, value, _ := strings.Cut(name, "=")
		if name == "mod" || name == "modfile" {
			continue
		}
		if name == "tags" && tagged {
			f, tagged = "-tags="+value+","+worker.Tag, false
		}
		linker = linker || name == "ldflags"
		keep = append(keep, f)
	}
	if tagged {
		keep = append(keep, "-tags="+worker.Tag)
	}
	if !linker {
		keep = append(keep, "-ldflags=-s")
	}
	return strings.Join(keep, " ")
}

// splitFlags splits as Go does: at spaces, except inside quotes that begin a flag.
func splitFlags(s string) (fields []string) {
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		end := strings.IndexAny(s, " \t")
		if q := s[0]; q == '\'' || q == '"' {
			if n := strings.IndexByte(s[1:], q); n >= 0 {
				end = n + 2
			}
		}
		if end < 0 || end > len(s) {
			end = len(s)
		}
		fields = append(fields, s[:end])
		s = s[end:]
	}
	return fields
}
