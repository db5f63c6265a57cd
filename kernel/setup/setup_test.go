package setup

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// play makes a step that counts how often it is done.
func play(name string, done *bool, times *int, err error) Step {
	return Step{
		Name: name,
		Done: func(context.Context) (string, bool) { return "here", *done },
		Do: func(context.Context, func(string)) (string, error) {
			*times++
			*done = err == nil
			return "now", err
		},
	}
}

func states(rows []Row) (all []State) {
	for _, r := range rows {
		all = append(all, r.State)
	}
	return all
}

func TestAnInterruptedRunGoesOnWhereItStopped(t *testing.T) {
	t.Setenv(cachedir.EnvVar, t.TempDir())
	var did [3]bool
	var times [3]int
	broken := errors.New("no network")
	steps := []Step{play("a", &did[0], &times[0], nil), play("b", &did[1], &times[1], broken), play("c", &did[2], &times[2], nil)}
	rows, err := Run(context.Background(), steps, Reporter{})
	if err == nil || !strings.Contains(err.Error(), "b: no network") {
		t.Errorf("error %v, want the step and its reason", err)
	}
	if got := states(rows); !reflect.DeepEqual(got, []State{StateDone, StateFailed, StateNot}) {
		t.Errorf("states %v", got)
	}
	steps[1] = play("b", &did[1], &times[1], nil)
	if rows, err = Run(context.Background(), steps, Reporter{}); err != nil {
		t.Fatal(err)
	}
	if got := states(rows); !reflect.DeepEqual(got, []State{StateHere, StateDone, StateDone}) {
		t.Errorf("states %v", got)
	}
	if times != [3]int{1, 2, 1} {
		t.Errorf("done %v times", times)
	}
}

func TestOptionalStepsAndLaterOnesStopNothing(t *testing.T) {
	t.Setenv(cachedir.EnvVar, t.TempDir())
	var did [3]bool
	var times [3]int
	a, b := play("a", &did[0], &times[0], errors.New("no card")), play("b", &did[1], &times[1], errLater)
	a.Optional, b.Optional = true, true
	rows, err := Run(context.Background(), []Step{a, b, play("c", &did[2], &times[2], nil)}, Reporter{})
	if err != nil {
		t.Fatal(err)
	}
	if got := states(rows); !reflect.DeepEqual(got, []State{StateFailed, StateLater, StateDone}) {
		t.Errorf("states %v", got)
	}
}

func TestASecondRunWaitsAndSaysSo(t *testing.T) {
	t.Setenv(cachedir.EnvVar, t.TempDir())
	dir, err := cachedir.Dir("kernel")
	if err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, "setup.lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var said []string
	_, err = Run(ctx, nil, Reporter{Say: func(s string) { said = append(said, s) }})
	if err == nil || len(said) != 1 || !strings.Contains(said[0], "waiting") {
		t.Errorf("held by another: %v, said %q", err, said)
	}
	lock.Unlock()
	if _, err := Run(context.Background(), nil, Reporter{}); err != nil {
		t.Errorf("free again: %v", err)
	}
}

func TestTheToolsModuleIsPinned(t *testing.T) {
	for _, b := range []tool{gonb, goimports, gopls} {
		if !strings.Contains(toolsMod, b.pkg+"\n") || !strings.Contains(toolsMod, b.version) {
			t.Errorf("%s %s is not in the tools module", b.pkg, b.version)
		}
	}
	for _, m := range []string{"github.com/janpfeifer/gonb v0.11.5 h1:", "golang.org/x/tools/gopls v0.23.0 h1:", "golang.org/x/tools v0.47.1-0.20260707181000-a299dadba899 h1:"} {
		if !strings.Contains(toolsSum, m) {
			t.Errorf("no sum for %q", m)
		}
	}
}

// The fixes fit the sources that are pinned. They are in the module cache of whoever has set
// notebooks up before.
func TestPatchesFitTheirSources(t *testing.T) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "github.com", "janpfeifer", "gonb@v0.11.5")
	if _, err := os.Stat(source); err != nil {
		t.Skip("GoNB's sources are not in the module cache; tlkit setup brings them")
	}
	dir := t.TempDir()
	for _, p := range patches {
		text, err := os.ReadFile(filepath.Join(source, strings.TrimPrefix(p.file, gonb.pkg+"/")))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "vendor", filepath.FromSlash(p.file))
		os.MkdirAll(filepath.Dir(to), 0o700)
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	applied, err := applyPatches(dir)
	if err != nil || len(applied) != len(patches) {
		t.Errorf("applied %v, %v, want all %d", applied, err, len(patches))
	}
	if applied, err = applyPatches(dir); err != nil || len(applied) != 0 {
		t.Errorf("a second time: %v, %v, want none: the text is another one now", applied, err)
	}
}

func TestASwappedToolIsNotSound(t *testing.T) {
	x := &tools{dir: t.TempDir()}
	os.MkdirAll(x.bin(), 0o700)
	if x.sound("gonb") {
		t.Error("nothing there is sound")
	}
	os.WriteFile(x.program("gonb"), []byte("program"), 0o700)
	os.WriteFile(x.program("gonb")+".sha256", []byte("57cc000ce778f81b0d1aca77d0c06e38b6e08a29a4a29ac2cbdb0bf1b1e1a0e1"), 0o600)
	if x.sound("gonb") {
		t.Error("another sum is sound")
	}
}

func TestBundlesAreRefusedByName(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenBundle(dir); err == nil || !strings.Contains(err.Error(), "--make-bundle") {
		t.Errorf("an empty folder: %v", err)
	}
	for text, word := range map[string]string{
		`{"os":"plan9","arch":"amd64","version":1}`: "plan9/amd64",
		`{"os":`: "damaged",
		`{"os":"` + runtime.GOOS + `","arch":"` + runtime.GOARCH + `","version":9}`: "format 9",
	} {
		os.WriteFile(filepath.Join(dir, bundleFile), []byte(text), 0o600)
		if _, err := OpenBundle(dir); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %q in it", text, err, word)
		}
	}
	os.WriteFile(filepath.Join(dir, bundleFile), []byte(`{"os":"`+runtime.GOOS+`","arch":"`+runtime.GOARCH+`","version":1,"python":"3.11"}`), 0o600)
	b, err := OpenBundle(dir)
	if err != nil || b.Dir == "" || b.Python != "3.11" {
		t.Fatalf("%+v, %v", b, err)
	}
	if env := strings.Join(b.goEnv(), " "); !strings.Contains(env, "GOPROXY=file://") {
		t.Errorf("Go would ask the network: %s", env)
	}
	if args := strings.Join(b.pipArgs(), " "); !strings.Contains(args, "--no-index") {
		t.Errorf("pip would ask the network: %s", args)
	}
}

func TestFilesOfABundleGoWhereFetchLooks(t *testing.T) {
	t.Setenv(cachedir.EnvVar, t.TempDir())
	b := Bundle{Dir: t.TempDir()}
	os.Mkdir(filepath.Join(b.Dir, "files"), 0o700)
	os.WriteFile(filepath.Join(b.Dir, "files", "w.pt"), []byte("weights"), 0o600)
	s := b.take()
	if _, done := s.Done(context.Background()); done {
		t.Error("done before it was")
	}
	if _, err := s.Do(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if _, done := s.Done(context.Background()); !done {
		t.Error("not done after it was")
	}
	dir, _ := cachedir.Dir("incoming")
	if text, _ := os.ReadFile(filepath.Join(dir, "w.pt")); string(text) != "weights" {
		t.Errorf("in the drop folder: %q", text)
	}
}

func TestShebang(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jupyter-lab")
	for text, want := range map[string]string{"#!/opt/lab/bin/python\nimport x\n": "/opt/lab/bin/python", "#!python\n": "", "\x7fELF": "", "": ""} {
		os.WriteFile(path, []byte(text), 0o700)
		if got := shebang(path); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestNotebookIsOne(t *testing.T) {
	text := string(Notebook("a \"b\"", "c"))
	for _, w := range []string{`"nbformat": 4`, `"name": "tlkit"`, `"source": "a \"b\""`, `"id": "cell-2"`} {
		if !strings.Contains(text, w) {
			t.Errorf("no %s in\n%s", w, text)
		}
	}
}

// The help page names every verb of package tlkit, and no other.
func TestHelpNamesTheVerbs(t *testing.T) {
	help := string(patches[0].text())
	names := regexp.MustCompile("`(bees|tlkit)\\.([A-Z]\\w*)").FindAllStringSubmatch(help, -1)
	said := map[string]bool{}
	for _, n := range names {
		said[n[1]+"."+n[2]] = true
	}
	// Of the functions, only those are on the page that stand for themselves in a cell.
	elsewhere := map[string]bool{"tlkit.Channels": true, "tlkit.ShowDrawn": true}
	files, err := filepath.Glob("../../tlkit/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no sources of package tlkit", err)
	}
	is := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			if f.Recv == nil {
				is["tlkit."+f.Name.Name] = true
			} else if r, ok := f.Recv.List[0].Type.(*ast.Ident); ok && r.Name == "Learner" {
				is["bees."+f.Name.Name] = true
			}
		}
	}
	for verb := range is {
		if !said[verb] && !elsewhere[verb] {
			t.Errorf("the help page does not name %s", verb)
		}
	}
	for verb := range said {
		if !is[verb] {
			t.Errorf("the help page names %s, which is not there", verb)
		}
	}
}
