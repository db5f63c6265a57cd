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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/answers"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// retrain says how to train although a run of the same name is there. Its folder does not show in
// JupyterLab's file browser, so it is of little help to say that it can be deleted.
const retrain = "train it again with --retrain (in a notebook, Retrain: true)"

// Home is the folder of the runs, relative to the working folder.
const Home = ".tlkit"

// ready creates the folder of Out and checks that the head can be written there, before any work is
// done.
func (p Place) ready() error {
	if p.Out == "" {
		return nil
	}
	info, err := os.Stat(p.Out)
	if os.IsPathSeparator(p.Out[len(p.Out)-1]) || err == nil && info.IsDir() {
		return advice.New(fmt.Errorf("run: %s is a folder, want a file name for the head", p.Out), "write %s", filepath.Join(p.Out, "my.head.safetensors"))
	}
	err = atomicfile.Replaceable(p.Out, "a head file", p.Force, func() bool {
		_, err := export.Read(p.Out)
		return err == nil || info.Size() == 0
	})
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	dir := filepath.Dir(p.Out)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("run: cannot create the folder for the head: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".tlkit-*")
	if err != nil {
		return fmt.Errorf("run: cannot write the head there: %w", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// longestName is the maximum length of a run's name in bytes. It leaves room for names of locks and
// copies made from it.
const longestName = 200

// folder is an open run folder, locked against other processes.
type folder struct {
	path string
	lock *flock.Flock
	// Of the head alone, if fine-tuning continues from it; it stays in the folder until fine-tuning
	// is done.
	head *Result
	note string // the sentence of a resumed run
	// Where the run of another spec is, if it was moved for this one; "" = there was none.
	moved string
}

// openFolder creates and locks .tlkit/NAME. A folder with another spec is moved to NAME.1 (or .2,
// ...). done is the earlier result if the same spec was finished before. If the head of the spec
// was fitted there before, fine-tuning continues from it; asking for that head again returns its
// result.
func openFolder(p Place, s Spec, say func(string)) (f *folder, done *Result, err error) {
	f, err = lockFolder(p, s)
	if err != nil {
		return nil, nil, err
	}
	err = f.recover()
	if err == nil {
		done, err = f.claim(p, s, say)
	}
	if err != nil {
		f.close()
		return nil, nil, err
	}
	return f, done, nil
}

// lockFolder locks the folder of a run against other processes. The folder itself need not exist.
func lockFolder(p Place, s Spec) (*folder, error) {
	name := p.Name
	if name == "" {
		name = s.defaultName()
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") || unsafeName.MatchString(name) {
		return nil, fmt.Errorf("run: name %q, want letters, digits, '-', '_' and '.', without a leading dot, because it names a folder", name)
	}
	if len(name) > longestName {
		return nil, advice.New(fmt.Errorf("run: a name of %d bytes (%.40s…), want at most %d, because it names a folder", len(name), name, longestName), "choose a shorter name")
	}
	home := filepath.Join(p.Folder, Home)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, advice.New(fmt.Errorf("run: cannot make the folder for runs: %w", err), "change to a folder that you can write to")
	}
	f := &folder{path: filepath.Join(home, name), lock: flock.New(filepath.Join(home, "."+name+".lock"))}
	locked, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("run: cannot lock %s: %w", f.path, err)
	}
	if !locked {
		return nil, advice.New(fmt.Errorf("run: another process%s is working on %s", holder(f.lock.Path()), f.path), "wait for it, or give this run another name")
	}
	// For the error message of the next process.
	_ = os.WriteFile(f.lock.Path(), fmt.Appendf(nil, "%d %s", os.Getpid(), time.Now().Format("15:04:05")), 0o644)
	return f, nil
}

// claim makes the folder that of a spec. A run with another spec is moved aside, or is an error.
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
			return nil, advice.New(fmt.Errorf("run: %s has files and is not a run of tlkit", f.path), "give this run another name")
		}
	}
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return nil, f.write("spec.json", s)
}

// earlier returns the spec of the run in the folder.
func (f *folder) earlier(raw []byte) (before Spec, err error) {
	if err := json.Unmarshal(raw, &before); err != nil {
		return Spec{}, advice.New(fmt.Errorf("run: %s: spec.json cannot be read (%w), so it is unknown what was trained there", f.path, err), "give this run another name, or %s", retrain)
	}
	return before, nil
}

// continues reports whether the run in the folder is the requested one, or its head, and returns
// its result if it is finished.
func (f *folder) continues(before Spec, p Place, s Spec) (done *Result, mine bool, err error) {
	there, _ := f.result()
	if there == nil || there.Finetune == nil {
		f.head = there
	}
	if before.Finetune > 0 && f.head != nil && !f.tuning() {
		before = before.frozen() // fine-tuning failed before its first step
	}
	switch {
	case before == s && there != nil && (there.Finetune != nil) == (s.Finetune > 0):
		f.note = "this run was finished before"
		return there, true, nil
	case before == s:
		return nil, true, nil
	case s.Finetune > 0 && before == s.frozen():
		// The same run, now with fine-tuning after its head. Fitting the head again takes a second.
		return nil, true, f.write("spec.json", s)
	case p.Keep && p.Resume && s == before.frozen() && there != nil:
		f.note = "its head was fitted before, and fine-tuning continued from it"
		return alone(there), true, nil
	}
	return nil, false, nil
}

// makeRoom moves another run aside; if runs are kept, that is an error. A run that failed before it
// learnt anything does not count: a mistyped name must not block the folder.
func (f *folder) makeRoom(p Place, before, s Spec, say func(string)) error {
	if f.bare() {
		return nil
	}
	if p.Keep {
		return advice.New(fmt.Errorf("run: %s has a run with other settings:\n%s", f.path, strings.TrimRight(difference(before, s), "\n")), "give this one another name, or %s; the other run is moved aside", retrain)
	}
	aside, err := moveAside(f.path)
	if err != nil {
		return err
	}
	f.moved = aside
	say(fmt.Sprintf("%s had another run, which is now %s", f.path, aside))
	return nil
}

// leave removes the folder of a run that failed before it learnt anything, and brings back the run
// that had to make room for it: a mistyped data set must not cost a name.
func (f *folder) leave(say func(string)) {
	if !f.bare() || os.RemoveAll(f.path) != nil || f.moved == "" {
		return
	}
	if os.Rename(f.moved, f.path) == nil {
		say(fmt.Sprintf("%s has its earlier run again", f.path))
	}
}

// aside returns where a finished run is kept while it is computed again.
func (f *folder) aside() string {
	return filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".before")
}

// setAside keeps the finished run until the new one is finished, and starts with an empty folder.
func (f *folder) setAside() error {
	spec, err := os.ReadFile(f.file("spec.json"))
	form, formErr := os.ReadFile(f.file(formFile))
	if err == nil {
		err = os.Rename(f.path, f.aside())
	}
	if err == nil {
		err = os.MkdirAll(f.path, 0o755)
	}
	if err == nil {
		err = atomicfile.WriteBytes(f.file("spec.json"), spec, 0o644)
	}
	if err == nil && formErr == nil {
		err = atomicfile.WriteBytes(f.file(formFile), form, 0o644)
	}
	if err != nil {
		return fmt.Errorf("run: cannot keep the finished run while it is computed again: %w", err)
	}
	return nil
}

// bringBack undoes setAside after a failed run.
func (f *folder) bringBack() error {
	err := os.RemoveAll(f.path)
	if err == nil {
		err = os.Rename(f.aside(), f.path)
	}
	if err != nil {
		return fmt.Errorf("run: the earlier run is in %s and cannot be moved back: %w", f.aside(), err)
	}
	return nil
}

// recover finishes what a killed process left after setAside.
func (f *folder) recover() error {
	if _, err := os.Stat(f.aside()); err != nil {
		return nil
	}
	if _, err := f.result(); err == nil { // the new run was finished
		return os.RemoveAll(f.aside())
	}
	return f.bringBack()
}

// bare reports whether the folder has a spec and a plan but nothing learnt.
func (f *folder) bare() bool {
	entries, err := os.ReadDir(f.path)
	for _, e := range entries {
		n := e.Name()
		half := strings.HasPrefix(n, ".") && strings.Contains(n, ".tmp-") // of a killed process
		if n != "spec.json" && n != "plan.json" && n != "history.jsonl" && n != leftOutFile && n != cachedir.UsesFile && !half {
			return false
		}
	}
	return err == nil
}

// holder returns which process has a lock, if it has written that down.
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

// tuning reports whether fine-tuning has left anything in the folder.
func (f *folder) tuning() bool {
	found, err := filepath.Glob(f.file("finetune*"))
	return err != nil || len(found) > 0
}

// kept is what clear leaves in the folder.
type kept struct {
	head   bool // the fitted head with its result: fine-tuning continues from it
	tuning bool // checkpoints and history of an interrupted fine-tuning
}

// clear removes what an earlier run of the same spec left. The result goes first, because a folder
// without result.json is not a finished run.
func (f *folder) clear(keep kept) error {
	names := []string{"result.json", "curves.png", "confusion.png", "labels.png", "values.png", "report.txt", reportFile, answers.File, dataFile, "plan.json", "finetune.json", leftOutFile, headFile, cardFiles[0], cardFiles[1]}
	if keep.head {
		names = []string{"finetune.json"}
	}
	if !keep.tuning {
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

// formFile holds the form in which the frozen network of a run is computed, so that the run gives the
// same bits when it is repeated or continued.
const formFile = "form.json"

type keptForm struct {
	Form   engine.Form `json:"form"`
	Engine string      `json:"engine"` // its identity: on another one the bits differ anyway
}

// form returns the form that the run of this folder has on this engine; the zero value = none yet.
func (f *folder) form(e *engine.Engine) engine.Form {
	var k keptForm
	b, err := os.ReadFile(f.file(formFile))
	if err != nil || json.Unmarshal(b, &k) != nil || k.Engine != e.Identity() {
		return engine.Form{}
	}
	return k.Form
}

func (f *folder) keepForm(o *opened) error {
	if o.form == (engine.Form{}) || f.form(o.eng) == o.form {
		return nil
	}
	return f.write(formFile, keptForm{o.form, o.eng.Identity()})
}

// leftOutFile is the list of the files of the data set that were not used.
const leftOutFile = "left_out.csv"

// writeLeftOut keeps the names and reasons of all files that were left out.
func (f *folder) writeLeftOut(r datasets.Report, p Progress) error {
	n := len(r.Unreadable) + len(r.NotPicture) + len(r.Skipped)
	if n == 0 {
		return nil
	}
	if err := atomicfile.Write(f.file(leftOutFile), 0o644, r.WriteLeftOut); err != nil {
		return fmt.Errorf("run: %s: %w", leftOutFile, err)
	}
	p.Say(fmt.Sprintf("%d file(s) or folder(s) were not used: %s names them all", n, f.file(leftOutFile)))
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
	upgrade(r)
	return r, nil
}

func (f *folder) close() {
	_ = os.Truncate(f.lock.Path(), 0)
	f.lock.Unlock()
}
