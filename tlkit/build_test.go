//go:build !tlkit_worker

package tlkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/worker"
)

// heavy are the packages that a cell of a kernel need not link, because its verbs run in the worker.
var heavy = []string{"github.com/gomlx/", "net/http", invoke.ModulePath + "/tlkit/engine", invoke.ModulePath + "/tlkit/zoo",
	invoke.ModulePath + "/tlkit/datasets", invoke.ModulePath + "/tlkit/run", invoke.ModulePath + "/tlkit/export"}

type listed struct {
	ImportPath, Export string
	Standard           bool
	CgoFiles           []string
}

// list returns this package and what it depends on, in the build with some tags.
func list(t *testing.T, tags string, flags ...string) (all []listed) {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"list", "-deps", "-tags=" + tags, "-json=ImportPath,Export,Standard,CgoFiles"}, flags...), ".")...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	for dec := json.NewDecoder(bytes.NewReader(raw)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// The build for cells links neither GoMLX nor C. (The standard library's net, which GoNB's library
// imports, has a form with cgo; Go's own linker links it.)
func TestCellsLinkLittle(t *testing.T) {
	cell, whole := list(t, worker.Tag), list(t, "")
	for _, p := range cell {
		if i := slices.IndexFunc(heavy, func(h string) bool { return strings.HasPrefix(p.ImportPath, h) }); i >= 0 {
			t.Errorf("a cell links %s: a verb that names a type of it needs that type in tlkit/results or tlkit/settings, and a file with a verb begins with //go:build !%s", p.ImportPath, worker.Tag)
		}
		if !p.Standard && len(p.CgoFiles) > 0 {
			t.Errorf("a cell links C, in %s", p.ImportPath)
		}
	}
	for _, h := range heavy { // the test can see them
		if !slices.ContainsFunc(whole, func(p listed) bool { return strings.HasPrefix(p.ImportPath, h) }) {
			t.Errorf("the build that computes does not link %s", h)
		}
	}
}

// A cell compiles with either build: both have the same types, functions and methods.
func TestBothBuildsHaveTheSameAPI(t *testing.T) {
	whole, cell := spelledAPI(t, ""), spelledAPI(t, worker.Tag)
	for name, is := range whole {
		if cell[name] != is {
			t.Errorf("%s: with %s it is %q, without %q", name, worker.Tag, cell[name], is)
		}
	}
	for name := range cell {
		if whole[name] == "" {
			t.Errorf("%s is only there with %s", name, worker.Tag)
		}
	}
	if len(whole) < 35 {
		t.Errorf("only %d names seen", len(whole))
	}
}

// spelledAPI returns what the package exports, by name.
func spelledAPI(t *testing.T, tags string) map[string]string {
	t.Helper()
	exports := map[string]string{}
	for _, p := range list(t, tags, "-export") {
		exports[p.ImportPath] = p.Export
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	p, err := imports.Import(invoke.ModulePath + "/tlkit")
	if err != nil {
		t.Fatal(err)
	}
	api := map[string]string{}
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		api[name] = spell(o.Type())
		if named, ok := types.Unalias(o.Type()).(*types.Named); ok {
			api[name] += " " + spell(named.Underlying())
			for m := range named.Methods() {
				if m.Exported() {
					api[name+"."+m.Name()] = spell(m.Type())
				}
			}
		}
	}
	return api
}

// spell writes a type with every alias followed.
func spell(t types.Type) string {
	tuple := func(of *types.Tuple) string {
		var parts []string
		for v := range of.Variables() {
			parts = append(parts, spell(v.Type()))
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		return t.Obj().Id() + " of " + fmt.Sprint(t.Obj().Pkg())
	case *types.Pointer:
		return "*" + spell(t.Elem())
	case *types.Slice:
		return "[]" + spell(t.Elem())
	case *types.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), spell(t.Elem()))
	case *types.Map:
		return "map[" + spell(t.Key()) + "]" + spell(t.Elem())
	case *types.Signature:
		return fmt.Sprintf("func%s %s %v", tuple(t.Params()), tuple(t.Results()), t.Variadic())
	case *types.Struct:
		var fields []string
		for i := range t.NumFields() {
			fields = append(fields, t.Field(i).Name()+" "+spell(t.Field(i).Type())+" "+t.Tag(i))
		}
		return "struct{" + strings.Join(fields, "; ") + "}"
	default:
		return t.String()
	}
}
