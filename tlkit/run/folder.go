package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// Home is the folder, below the working folder, that holds the runs.
const Home = ".tlkit"

// ready makes the folder of Out and says before the work, not after it, that the head
// could not be written there.
func (p Place) ready() error {
	if p.Out == "" {
		return nil
	}
	info, err := os.Stat(p.Out)
	if os.IsPathSeparator(p.Out[len(p.Out)-1]) || err == nil && info.IsDir() {
		return fmt.Errorf("run: %s is a folder, want the name of a file for the head: %s", p.Out, filepath.Join(p.Out, "my.head.safetensors"))
	}
	if err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("run: %s is there and no ordinary file; name another one for the head", p.Out)
		}
		if _, err := export.Read(p.Out); err != nil && info.Size() > 0 {
			return fmt.Errorf("run: %s is there and no head file, so it is not written over; name another one, or delete it", p.Out)
		}
	}
	dir := filepath.Dir(p.Out)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("run: no folder for the head: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".tlkit-*")
	if err != nil {
		return fmt.Errorf("run: the head cannot be written there: %w", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// longestName leaves room for the names of locks and copies that are made of it.
const longestName = 200

// folder is an open run folder, locked against other processes.
type folder struct {
	path string
	lock *flock.Flock
	head *Result // of the head alone, when fine-tuning goes on from it; it stays in the folder until fine-tuning is done
	note string  // what a resumed run says
}

// openFolder makes and locks .tlkit/NAME. A folder there of another spec is moved to
// NAME.1 (or .2, ...); done is the earlier result when the same spec was finished before.
// A head that was fitted there before is where fine-tuning of the same spec goes on, and asking
// for that head again gives its figures.
func openFolder(p Place, s Spec, say func(string)) (f *folder, done *Result, err error) {
	f, err = lockFolder(p, s)
	if err != nil {
		return nil, nil, err
	}
	if err = f.recover(); err == nil {
		done, err = f.claim(p, s, say)
	}
	if err != nil {
		f.close()
		return nil, nil, err
	}
	return f, done, nil
}

// lockFolder locks the folder of a run against other processes; the folder itself need not exist.
func lockFolder(p Place, s Spec) (*folder, error) {
	name := p.Name
	if name == "" {
		name = s.defaultName()
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") || unsafeName.MatchString(name) {
		return nil, fmt.Errorf("run: name %q, want letters, digits, '-', '_' and '.', no leading dot: it becomes a folder", name)
	}
	if len(name) > longestName {
		return nil, fmt.Errorf("run: a name of %d bytes (%.40s…), want at most %d: it becomes a folder", len(name), name, longestName)
	}
	home := filepath.Join(p.Folder, Home)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, fmt.Errorf("run: cannot make the folder for runs: %w; go to a folder you can write to", err)
	}
	f := &folder{path: filepath.Join(home, name), lock: flock.New(filepath.Join(home, "."+name+".lock"))}
	locked, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("run: cannot lock %s: %w", f.path, err)
	}
	if !locked {
		return nil, fmt.Errorf("run: another process%s is working on %s; wait for it, or give this run another name", holder(f.lock.Path()), f.path)
	}
	// So that the next process can say which one it waits for.
	_ = os.WriteFile(f.lock.Path(), fmt.Appendf(nil, "%d %s", os.Getpid(), time.Now().Format("15:04:05")), 0o644)
	return f, nil
}

// claim makes the folder that of a spec. What was asked for differently is moved aside, or refused.
func (f *folder) claim(p Place, s Spec, say func(string)) (done *Result, err error) {
	raw, err := os.ReadFile(f.file("spec.json"))
	switch {
	case err == nil:
		before, known := f.earlier(raw)
		if known == nil {
			done, mine, err := f.continues(before, p, s)
			if mine || err != nil {
				return done, err
			}
		} else if p.Keep {
			return nil, known
		}
		if err := f.makeRoom(p, before, s, say); err != nil {
			return nil, err
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("run: %w", err)
	default:
		if entries, err := os.ReadDir(f.path); err == nil && len(entries) > 0 && !f.bare() {
			return nil, fmt.Errorf("run: %s has files in it and is not a run of tlkit; give this run another name", f.path)
		}
	}
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return nil, f.write("spec.json", s)
}

// earlier is the spec of the run that lies in the folder.
func (f *folder) earlier(raw []byte) (before Spec, err error) {
	if err := json.Unmarshal(raw, &before); err != nil {
		return Spec{}, fmt.Errorf("run: %s: spec.json cannot be read (%w), so it is not known what was trained there; delete that folder, or give this run another name", f.path, err)
	}
	return before, nil
}

// continues reports whether the run in the folder is the one asked for, or its head, and gives its
// result when it is finished.
func (f *folder) continues(before Spec, p Place, s Spec) (done *Result, mine bool, err error) {
	there, _ := f.result()
	if there == nil || there.Finetune == nil {
		f.head = there
	}
	if before.Finetune > 0 && f.head != nil && !f.tuning() {
		before = before.frozen() // it was refused before a step was taken
	}
	switch {
	case before == s && there != nil && (there.Finetune != nil) == (s.Finetune > 0):
		f.note = "this run was finished before"
		return there, true, nil
	case before == s:
		return nil, true, nil
	case s.Finetune > 0 && before == s.frozen():
		// The same head, which now goes on to fine-tuning: no other run. The head is fitted again in a second.
		return nil, true, f.write("spec.json", s)
	case p.Keep && p.Resume && s == before.frozen() && there != nil:
		f.note = "its head was fitted before, and fine-tuning went on from it"
		return there.alone(), true, nil
	}
	return nil, false, nil
}

// makeRoom moves another run aside, or refuses to where runs are kept. A run that failed before
// anything was learnt is no run: a mistyped name must not stand in the way.
func (f *folder) makeRoom(p Place, before, s Spec, say func(string)) error {
	if f.bare() {
		return nil
	}
	if p.Keep {
		return fmt.Errorf("run: %s holds a run that was asked for differently:\n%s; give this one another name, or delete that folder", f.path, strings.TrimRight(difference(before, s), "\n"))
	}
	aside, err := moveAside(f.path)
	if err != nil {
		return err
	}
	say(fmt.Sprintf("%s held another run; it is kept as %s", f.path, aside))
	return nil
}

// aside is where a finished run waits while it is computed anew.
func (f *folder) aside() string {
	return filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".before")
}

// setAside keeps the finished run until the new one is finished too, and begins an empty folder.
func (f *folder) setAside() error {
	spec, err := os.ReadFile(f.file("spec.json"))
	if err == nil {
		err = os.Rename(f.path, f.aside())
	}
	if err == nil {
		err = os.MkdirAll(f.path, 0o755)
	}
	if err == nil {
		err = atomicfile.WriteBytes(f.file("spec.json"), spec, 0o644)
	}
	if err != nil {
		return fmt.Errorf("run: cannot keep the finished run while it is made anew: %w", err)
	}
	return nil
}

// bringBack undoes setAside after a run that failed.
func (f *folder) bringBack() error {
	err := os.RemoveAll(f.path)
	if err == nil {
		err = os.Rename(f.aside(), f.path)
	}
	if err != nil {
		return fmt.Errorf("run: the earlier run is in %s and could not be brought back: %w", f.aside(), err)
	}
	return nil
}

// recover does what a process that was killed between setAside and its end could not.
func (f *folder) recover() error {
	if _, err := os.Stat(f.aside()); err != nil {
		return nil
	}
	if _, err := f.result(); err == nil { // the new run was finished
		return os.RemoveAll(f.aside())
	}
	return f.bringBack()
}

// bare reports whether the folder holds what was asked for and planned, and nothing that was learnt.
func (f *folder) bare() bool {
	entries, err := os.ReadDir(f.path)
	for _, e := range entries {
		n := e.Name()
		half := strings.HasPrefix(n, ".") && strings.Contains(n, ".tmp-") // of a killed process
		if n != "spec.json" && n != "plan.json" && n != "history.jsonl" && !half {
			return false
		}
	}
	return err == nil
}

// holder says which process has a lock, as far as it wrote that down.
func holder(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 100 {
		return ""
	}
	pid, since, ok := strings.Cut(string(b), " ")
	if _, err := strconv.Atoi(pid); !ok || err != nil {
		return ""
	}
	return fmt.Sprintf(" (number %s, since %s)", pid, since)
}

// difference lists the fields of two specs that differ, one line each.
func difference(before, now Spec) string {
	var b strings.Builder
	x, y := reflect.ValueOf(before), reflect.ValueOf(now)
	for i := range x.NumField() {
		if v, w := x.Field(i).Interface(), y.Field(i).Interface(); v != w {
			fmt.Fprintf(&b, "  %s: %v there, %v now\n", strings.ToLower(x.Type().Field(i).Name), v, w)
		}
	}
	return b.String()
}

func moveAside(path string) (string, error) {
	for i := 1; ; i++ {
		aside := fmt.Sprintf("%s.%d", path, i)
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			if err := os.Rename(path, aside); err != nil {
				return "", fmt.Errorf("run: cannot move the older run aside: %w", err)
			}
			return aside, nil
		}
	}
}

// tuning reports whether fine-tuning has left something in the folder.
func (f *folder) tuning() bool {
	found, err := filepath.Glob(f.file("finetune*"))
	return err != nil || len(found) > 0
}

// clear removes what an earlier run of the same spec left, the result first: a folder
// without result.json is not a finished run. With resume the way of a fine-tuning that was
// interrupted stays: its checkpoints and its history. A head from which fine-tuning goes on
// stays too, with its figures.
func (f *folder) clear(resume, keepHead bool) error {
	names := []string{"result.json", "curves.png", "confusion.png", "labels.png", "values.png", "report.txt", "plan.json", "finetune.json", headFile}
	if keepHead {
		names = []string{"finetune.json"}
	}
	if !resume {
		names = append(names, "history.jsonl")
		old, err := filepath.Glob(f.file("finetune*"))
		if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		for _, path := range old {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("run: %w", err)
			}
		}
	}
	for _, name := range names {
		if err := os.Remove(f.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("run: %w", err)
		}
	}
	return nil
}

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

func (f *folder) write(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("run: %s: %w", name, err)
	}
	if err := atomicfile.WriteBytes(f.file(name), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

func (f *folder) result() (*Result, error) {
	b, err := os.ReadFile(f.file("result.json"))
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	r.upgrade()
	return r, nil
}

func (f *folder) close() {
	_ = os.Truncate(f.lock.Path(), 0)
	f.lock.Unlock()
}
