package setup

import (
	"bytes"
	"os"
	"path/filepath"
)

// patch is a fix of a vendored source: applied where the old text stands exactly once, left
// out where it does not (somebody fixed it upstream, in their own words).
type patch struct{ name, file, old, new string }

var patches = []patch{
	{
		// A location without a column has column 0; taking that as "a column" ends GoNB.
		name: "log lines that end the kernel",
		file: "github.com/janpfeifer/gonb/internal/goexec/gonberror.go",
		old:  "\tif col == -1 {\n",
		new:  "\tif col < 1 {\n",
	},
	{
		// Stopping a cell while it compiles was forgotten by the time it ran: an interrupt
		// reached what was running at that moment, and left no trace (this patch and the next).
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
}

// patchText is what all patches say: a changed patch is another build.
func patchText() string {
	var b bytes.Buffer
	for _, p := range patches {
		b.WriteString(p.file + "\x00" + p.old + "\x00" + p.new + "\x00")
	}
	return b.String()
}

// applyPatches patches the vendor folder below dir and says what was applied.
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
		if bytes.Count(text, []byte(p.old)) != 1 {
			continue
		}
		if err := os.WriteFile(path, bytes.Replace(text, []byte(p.old), []byte(p.new), 1), 0o600); err != nil {
			return nil, err
		}
		applied[p.name] = true
	}
	return applied, nil
}
