package arrows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rules for what packages export, decided with go/types: what counts as a name is what the
// package's scope holds (functions, types, variables and constants, each as one; no methods), and a
// parameter of type Mode is not a string, even where Mode is declared as one. A signature is that of
// a function, of a method, or of a field that holds a function.
const (
	mostParameters = 5  // a context counts; more go into a struct of options with stated defaults
	mostNames      = 25 // of a package
)

// moreNames are packages whose subject has more names than others.
var moreNames = map[string]int{"tlkit/transforms": 50, "tlkit/metrics": 50, "tlkit/backbone": 50}

func TestExportedSignatures(t *testing.T) {
	for _, p := range modulePackages(t) {
		for _, f := range p.functions() {
			for _, fault := range signatureFaults(f.sig) {
				t.Errorf("%s: %s: %s", p.name(), f.name, fault)
			}
			if named := internalType(f.sig); named != "" && !p.internal() {
				t.Errorf("%s: %s: names %s, which no other module can name", p.name(), f.name, named)
			}
		}
	}
}

func TestExportedNamesAreFew(t *testing.T) {
	for _, p := range modulePackages(t) {
		most := mostNames
		if n, ok := moreNames[p.name()]; ok {
			most = n
		}
		if names := p.exported(); len(names) > most && !p.internal() {
			t.Errorf("%s exports %d names, want at most %d; unexport what no other package needs: %s", p.name(), len(names), most, strings.Join(names, " "))
		}
	}
}

// go doc is the manual: each package that others can import shows an example that the tests
// run and whose output they check.
func TestEveryPackageHasAnExample(t *testing.T) {
	for _, p := range modulePackages(t) {
		if p.internal() || len(p.exported()) == 0 {
			continue
		}
		if !p.hasExample(t) {
			t.Errorf("%s has no Example with an Output comment", p.name())
		}
	}
}

// signatureFaults says what is wrong with the parameters of a function.
func signatureFaults(sig *types.Signature) (faults []string) {
	params := sig.Params()
	if n := params.Len(); n > mostParameters {
		faults = append(faults, fmt.Sprintf("%d parameters, want at most %d: put options into a struct", n, mostParameters))
	}
	bools, strs := 0, 0 // in a row
	for i := range params.Len() {
		kind := types.Unalias(params.At(i).Type())
		if kind == types.Typ[types.Bool] {
			bools++
		} else {
			bools = 0
		}
		if kind == types.Typ[types.String] {
			strs++
		} else {
			strs = 0
		}
		if bools == 2 {
			faults = append(faults, "two bools side by side: a call does not tell which is which")
		}
		if strs == 3 {
			faults = append(faults, "three strings side by side: a call does not tell which is which")
		}
	}
	return faults
}

// internalType finds a type of an internal package in the text of a type; "" = none. An
// exported alias of such a type can be named from outside, so it may stand.
func internalType(t types.Type) string {
	switch t := t.(type) {
	case *types.Alias:
		return internalName(t.Obj(), t.TypeArgs())
	case *types.Named:
		return internalName(t.Obj(), t.TypeArgs())
	case *types.Pointer:
		return internalType(t.Elem())
	case *types.Slice:
		return internalType(t.Elem())
	case *types.Array:
		return internalType(t.Elem())
	case *types.Chan:
		return internalType(t.Elem())
	case *types.Map:
		return firstOf(internalType(t.Key()), internalType(t.Elem()))
	case *types.Tuple:
		var found string
		for v := range t.Variables() {
			found = firstOf(found, internalType(v.Type()))
		}
		return found
	case *types.Signature:
		return firstOf(internalType(t.Params()), internalType(t.Results()))
	case *types.Struct:
		var found string
		for f := range t.Fields() {
			found = firstOf(found, internalType(f.Type()))
		}
		return found
	}
	return ""
}

func internalName(obj *types.TypeName, args *types.TypeList) string {
	if obj.Pkg() != nil && strings.HasPrefix(obj.Pkg().Path(), module) && isInternal(obj.Pkg().Path()) {
		return strings.TrimPrefix(obj.Pkg().Path(), module) + "." + obj.Name()
	}
	var found string
	for arg := range args.Types() {
		found = firstOf(found, internalType(arg))
	}
	return found
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func isInternal(path string) bool { return slices.Contains(strings.Split(path, "/"), "internal") }

// apiPackage is a package of the module with its types.
type apiPackage struct {
	ImportPath, Name, Dir, Export string
	DepOnly                       bool
	TestGoFiles, XTestGoFiles     []string

	types *types.Package
}

func (p *apiPackage) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func (p *apiPackage) internal() bool { return isInternal(p.ImportPath) }

// exported returns the top-level names that other packages can use.
func (p *apiPackage) exported() (names []string) {
	for _, n := range p.types.Scope().Names() {
		if token.IsExported(n) {
			names = append(names, n)
		}
	}
	return names
}

type function struct {
	name string
	sig  *types.Signature
}

// functions returns the exported functions, the exported methods of exported types, and the
// functions that exported variables, fields and function types hold.
func (p *apiPackage) functions() (all []function) {
	for _, n := range p.exported() {
		obj := p.types.Scope().Lookup(n)
		if sig, ok := obj.Type().Underlying().(*types.Signature); ok {
			all = append(all, function{n, sig})
		}
		named, ok := types.Unalias(obj.Type()).(*types.Named)
		if _, isType := obj.(*types.TypeName); !isType || !ok {
			continue
		}
		for m := range named.Methods() {
			if m.Exported() {
				all = append(all, function{n + "." + m.Name(), m.Signature()})
			}
		}
		switch under := named.Underlying().(type) {
		case *types.Interface:
			for m := range under.Methods() {
				all = append(all, function{n + "." + m.Name(), m.Signature()})
			}
		case *types.Struct:
			for f := range under.Fields() {
				if sig, ok := f.Type().(*types.Signature); ok && f.Exported() {
					all = append(all, function{n + "." + f.Name(), sig})
				}
			}
		}
	}
	return all
}

// hasExample reports whether the tests hold an example whose output is checked.
func (p *apiPackage) hasExample(t *testing.T) bool {
	var files []*ast.File
	fset := token.NewFileSet()
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return slices.ContainsFunc(doc.Examples(files...), func(e *doc.Example) bool { return e.Output != "" || e.EmptyOutput })
}

// modulePackages type-checks the module from the compiler's export data. Programs and packages
// that are tests alone export nothing and are left out.
func modulePackages(t *testing.T) []*apiPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Name,Dir,Export,DepOnly,TestGoFiles,XTestGoFiles", module+"...")
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	var all []*apiPackage
	for dec := json.NewDecoder(bytes.NewReader(raw)); dec.More(); {
		p := new(apiPackage)
		if err := dec.Decode(p); err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly && p.Name != "main" && p.Export != "" {
			all = append(all, p)
		}
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	for _, p := range all {
		if p.types, err = imports.Import(p.ImportPath); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 3 {
		t.Fatalf("only %d packages seen: go list does not see the module", len(all))
	}
	return all
}

// The rules themselves, on functions made for them.
func TestFaultsAreFound(t *testing.T) {
	const source = `package p
type Mode string
type Flag = bool
func Six(a, b, c, d, e, f int) {}
func Five(a, b, c, d int, e ...int) {}
func Bools(a bool, b Flag) {}
func Apart(a bool, n int, b bool) {}
func Strings(a, b, c string) {}
func Typed(a string, m Mode, b, c string) {}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := new(types.Config).Check("p", fset, []*ast.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"Six": 1, "Five": 0, "Bools": 1, "Apart": 0, "Strings": 1, "Typed": 0} {
		if faults := signatureFaults(p.Scope().Lookup(name).Type().(*types.Signature)); len(faults) != want {
			t.Errorf("%s: faults %q, want %d", name, faults, want)
		}
	}
	event := types.NewNamed(types.NewTypeName(0, types.NewPackage(module+"internal/fetch", "fetch"), "Event", nil), types.NewStruct(nil, nil), nil)
	told := types.NewSignatureType(nil, nil, nil, types.NewTuple(types.NewVar(0, nil, "e", types.NewPointer(event))), nil, false)
	report := types.NewSignatureType(nil, nil, nil, types.NewTuple(types.NewVar(0, nil, "report", told)), nil, false)
	if got := internalType(report); got != "internal/fetch.Event" {
		t.Errorf("a function that takes func(*fetch.Event) names %q", got)
	}
	if got := internalType(types.Universe.Lookup("error").Type()); got != "" {
		t.Errorf("error names %q", got)
	}
}
