package setup

import (
	"bytes"
	"os"
	"path/filepath"
)

// patch is a fix of a vendored source. It is applied where the old text is found exactly once, and
// left out otherwise: upstream has fixed it then.
type patch struct {
	name, file, old, new string
	also                 []edit // in the same file; all of a patch or nothing of it
}

type edit struct{ old, new string }

var patches = []patch{
	{
		// A location without a column has column 0; taking that as "a column" ends GoNB.
		name: "log lines that end the kernel",
		file: "github.com/janpfeifer/gonb/internal/goexec/gonberror.go",
		old:  "\tif col == -1 {\n",
		new:  "\tif col < 1 {\n",
	},
	{
		// A cell that was interrupted while it compiled ran all the same: an interrupt reached
		// what was running at that moment and was not remembered (this patch and the next).
		name: "interrupts that are forgotten",
		file: "github.com/janpfeifer/gonb/internal/dispatcher/dispatcher.go",
		old:  "interrupt_request.\")\n\t\t\tmsg.Kernel().CallInterruptSubscribers()\n",
		new:  "interrupt_request.\")\n\t\t\tmsg.Kernel().Interrupted.Store(true)\n\t\t\tmsg.Kernel().CallInterruptSubscribers()\n",
	},
	{
		name: "interrupts while compiling",
		file: "github.com/janpfeifer/gonb/internal/goexec/execcode.go",
		old:  "\t// Execute compiled code.\n\treturn s.Execute(msg, fileToCellIdAndLine)\n",
		new:  "\tif msg.Kernel().Interrupted.Load() {\n\t\treturn errors.New(\"interrupted while compiling\")\n\t}\n\treturn s.Execute(msg, fileToCellIdAndLine)\n",
	},
	{
		// GoNB looks for locations in each read of the pipe, and a panic is printed in small
		// pieces: a location that was cut did not name its cell. So an unfinished line waits for
		// its end while it may hold a location; other text (a prompt, a progress bar) is passed on
		// at once.
		name: "panics that name no cell",
		file: "github.com/janpfeifer/gonb/internal/goexec/execcode.go",
		old:  "\tlineBuffer          bytes.Buffer\n}\n",
		new:  "\tlineBuffer          bytes.Buffer\n\theld                []byte\n}\n" + wholeLocations,
		also: []edit{
			{"\tn := len(p) // Save original number of bytes.\n", "\tn := len(p) // Save original number of bytes.\n\tp = w.complete(p)\n"},
			{"\terr := jpyExec.Exec()\n", "\terr := jpyExec.Exec()\n\tif annotator, ok := stderrWithAnnotator.(*jupyterStackTraceMapperWriter); ok {\n\t\tannotator.release()\n\t}\n"},
		},
	},
}

const wholeLocations = `
// complete gives what can be looked at now and keeps the rest: an unfinished last line that
// holds the path of main.go, or ends in the beginning of it.
func (w *jupyterStackTraceMapperWriter) complete(p []byte) []byte {
	p = append(w.held, p...)
	w.held = nil
	start := bytes.LastIndexByte(p, '\n') + 1
	line, path := p[start:], []byte(w.mainPath)
	wait := len(path) > 0 && bytes.Contains(line, path)
	for k := min(len(line), len(path)-1); k > 0 && !wait; k-- {
		wait = bytes.HasSuffix(line, path[:k])
	}
	if wait {
		w.held = append([]byte(nil), line...)
		p = p[:start]
	}
	return p
}

// release writes what is still kept when the program has ended.
func (w *jupyterStackTraceMapperWriter) release() {
	if len(w.held) > 0 {
		_, _ = w.Write([]byte("\n"))
	}
}
`

// patchText is the text of all patches: a changed patch makes another build.
func patchText() string {
	var b bytes.Buffer
	for _, p := range patches {
		b.WriteString(p.file + "\x00" + p.old + "\x00" + p.new + "\x00")
		for _, e := range p.also {
			b.WriteString(e.old + "\x00" + e.new + "\x00")
		}
	}
	return b.String()
}

// applyPatches patches the vendor folder below dir and returns the names of what it applied.
func applyPatches(dir string) (applied map[string]bool, err error) {
	applied = map[string]bool{}
	for _, p := range patches {
		path := filepath.Join(dir, "vendor", filepath.FromSlash(p.file))
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		fits := true
		for _, e := range append([]edit{{p.old, p.new}}, p.also...) {
			fits = fits && bytes.Count(text, []byte(e.old)) == 1
			text = bytes.Replace(text, []byte(e.old), []byte(e.new), 1)
		}
		if !fits {
			continue
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
		applied[p.name] = true
	}
	return applied, nil
}
