//go:build !tlkit_worker

package tlkit

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

var update = flag.Bool("update", false, "write stubs.go and verbs.go anew")

// The verbs have two builds: one that computes, and one for the cells of a kernel, which asks the kernel's
// worker. stubs.go and verbs.go are made from the first.
func TestStubsAreUpToDate(t *testing.T) {
	stubs, verbs := makeStubs(t)
	for name, want := range map[string][]byte{"stubs.go": stubs, "verbs.go": verbs} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(name); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what the verbs of this package say: run go test ./tlkit -run Stubs -update", name)
		}
	}
	if home != run.Home {
		t.Errorf("runs are in %q here, and in %q of package run", home, run.Home)
	}
}

// stubMaker collects what the build that computes declares.
type stubMaker struct {
	t       *testing.T
	fset    *token.FileSet
	imports map[string]string // of the signatures: name: path
	types   []string
	funcs   []string
	verbs   []string
	byHand  map[string]bool // what the other build declares itself
}

func makeStubs(t *testing.T) (stubs, verbs []byte) {
	t.Helper()
	m := &stubMaker{t: t, fset: token.NewFileSet(), imports: map[string]string{}, byHand: map[string]bool{}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	computing := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || name == "stubs.go" || name == "verbs.go" {
			continue
		}
		f, err := parser.ParseFile(m.fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		switch tagOf(f) {
		case "!" + worker.Tag:
			computing[name] = f
		default:
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					m.byHand[nameOf(fn)] = true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(computing)) {
		m.file(name, computing[name])
	}
	return m.stubs(), m.table()
}

// tagOf returns the build constraint of a file.
func tagOf(f *ast.File) string {
	for _, g := range f.Comments {
		for _, c := range g.List {
			if c.Pos() < f.Package && constraint.IsGoBuild(c.Text) {
				return strings.TrimSpace(strings.TrimPrefix(c.Text, "//go:build"))
			}
		}
	}
	return ""
}

// nameOf returns the name of a function, or of a method as "Learner.FitHead".
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return of.(*ast.Ident).Name + "." + fn.Name.Name
}

func (m *stubMaker) file(name string, f *ast.File) {
	source, err := os.ReadFile(name)
	if err != nil {
		m.t.Fatal(err)
	}
	imports := map[string]string{}
	for _, i := range f.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		imports[path[strings.LastIndex(path, "/")+1:]] = path
	}
	text := func(n ast.Node) string {
		return string(source[m.fset.Position(n.Pos()).Offset:m.fset.Position(n.End()).Offset])
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() && !m.byHand[s.Name.Name] {
					m.types = append(m.types, commented(d.Doc)+"type "+m.light(text(s), s, imports))
				}
			}
		case *ast.FuncDecl:
			if name := nameOf(d); d.Name.IsExported() && ast.IsExported(name) && !m.byHand[name] {
				m.function(name, d, text, imports)
			}
		}
	}
}

func commented(doc *ast.CommentGroup) string {
	if doc == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range doc.List {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

// function writes the stub of a verb.
func (m *stubMaker) function(name string, d *ast.FuncDecl, text func(ast.Node) string, imports map[string]string) {
	if d.Type.TypeParams != nil {
		m.t.Fatalf("%s has type parameters: write it by hand in both builds", name)
	}
	args := []string{fmt.Sprintf("%q", name)}
	var results, returned []string
	if d.Type.Results != nil {
		for _, r := range d.Type.Results.List {
			for range max(1, len(r.Names)) {
				out := fmt.Sprintf("out%d", len(results))
				results = append(results, out+" "+m.light(text(r.Type), r.Type, imports))
				returned = append(returned, "&"+out)
			}
		}
	}
	sent := "nil"
	if len(returned) > 0 {
		sent = "[]any{" + strings.Join(returned, ", ") + "}"
	}
	args = append(args, sent)
	receiver := ""
	if d.Recv != nil {
		r := d.Recv.List[0]
		receiver = "(" + r.Names[0].Name + " " + text(r.Type) + ") "
		args = append(args, r.Names[0].Name)
	}
	var params []string
	for _, p := range d.Type.Params.List {
		var names []string
		for _, n := range p.Names {
			names = append(names, n.Name)
		}
		args = append(args, names...)
		params = append(params, strings.Join(names, ", ")+" "+m.light(text(p.Type), p.Type, imports))
	}
	head := fmt.Sprintf("%sfunc %s%s(%s)", commented(d.Doc), receiver, d.Name.Name, strings.Join(params, ", "))
	body := fmt.Sprintf("remote(%s)", strings.Join(args, ", "))
	if len(results) > 0 {
		head += " (" + strings.Join(results, ", ") + ")"
		body += "\n\treturn " + strings.ReplaceAll(strings.Join(returned, ", "), "&", "")
	}
	m.funcs = append(m.funcs, head+" {\n\t"+body+"\n}\n")
	m.verbs = append(m.verbs, name)
}

// light returns a piece of source in which the types of other packages are named where they are declared:
// run.Result is results.Result, which needs no GoMLX.
func (m *stubMaker) light(source string, n ast.Node, imports map[string]string) string {
	type change struct {
		from, to int
		text     string
	}
	var changes []change
	ast.Inspect(n, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := s.X.(*ast.Ident)
		if !ok || imports[pkg.Name] == "" {
			return true
		}
		path, name := m.declared(imports[pkg.Name], s.Sel.Name)
		short := path[strings.LastIndex(path, "/")+1:]
		m.imports[short] = path
		changes = append(changes, change{int(s.Pos()), int(s.End()), short + "." + name})
		return true
	})
	begin := int(n.Pos())
	slices.SortFunc(changes, func(a, b change) int { return b.from - a.from })
	for _, c := range changes {
		source = source[:c.from-begin] + c.text + source[c.to-begin:]
	}
	return source
}

// declared follows aliases of this module's packages to where a type is declared.
func (m *stubMaker) declared(path, name string) (string, string) {
	folder, ours := strings.CutPrefix(path, invoke.ModulePath+"/")
	if !ours {
		return path, name
	}
	files, _ := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*.go"))
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				s, ok := spec.(*ast.TypeSpec)
				if !ok || s.Name.Name != name || !s.Assign.IsValid() {
					continue
				}
				to, ok := s.Type.(*ast.SelectorExpr)
				if !ok {
					continue
				}
				for _, i := range f.Imports {
					if p := strings.Trim(i.Path.Value, `"`); strings.HasSuffix(p, "/"+to.X.(*ast.Ident).Name) {
						return m.declared(p, to.Sel.Name)
					}
				}
			}
		}
	}
	return path, name
}

const generated = "// Code generated by go test ./tlkit -run Stubs -update; DO NOT EDIT.\n\n"

func (m *stubMaker) stubs() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "//go:build %s\n\n%spackage tlkit\n\nimport (\n", worker.Tag, generated)
	std, ours := []string{}, []string{}
	for _, path := range slices.Sorted(maps.Values(m.imports)) {
		if strings.Contains(path, ".") {
			ours = append(ours, path)
		} else {
			std = append(std, path)
		}
	}
	for _, path := range std {
		fmt.Fprintf(&b, "\t%q\n", path)
	}
	b.WriteString("\n")
	for _, path := range ours {
		fmt.Fprintf(&b, "\t%q\n", path)
	}
	b.WriteString(")\n\n" + m.hash())
	for _, d := range slices.Concat(m.types, m.funcs) {
		b.WriteString("\n" + d + "\n")
	}
	return m.formatted(b.Bytes())
}

// hash is the constant by which both builds know that they have the same verbs.
func (m *stubMaker) hash() string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Concat(m.types, m.funcs), "\n")))
	return fmt.Sprintf("const stubsHash = \"%x\"\n", sum[:8])
}

func (m *stubMaker) table() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "//go:build !%s\n\n%spackage tlkit\n\n%s\n// verbs are what the cells of a kernel ask for, by name.\nvar verbs map[string]any\n\nfunc init() {\nverbs = map[string]any{\n", worker.Tag, generated, m.hash())
	for _, v := range m.verbs {
		fmt.Fprintf(&b, "\t%q: %s,\n", v, v)
	}
	b.WriteString("}\n}\n")
	return m.formatted(b.Bytes())
}

func (m *stubMaker) formatted(source []byte) []byte {
	out, err := format.Source(source)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, source)
	}
	return out
}
