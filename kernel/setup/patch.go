package setup

import (
	"bytes"
	"embed"
	"os"
	"path/filepath"
)

// patch is a fix of a vendored source. It is applied where the old text is found exactly once, and
// left out otherwise: upstream has fixed it then.
type patch struct {
	name, file, old, new string
	also                 []edit // in the same file; all of a patch or nothing of it
	adds                 string // a file of [added] that goes beside it; "" = none
}

// added holds our own files, each to go into the folder of the file that its patch changes.
//
//go:embed patches
var added embed.FS

// text returns the file that the patch adds.
func (p patch) text() []byte {
	if p.adds == "" {
		return nil
	}
	text, err := added.ReadFile("patches/" + p.adds + ".txt")
	if err != nil {
		panic(err) // TestPatchesApply
	}
	return text
}

type edit struct{ old, new string }

var patches = []patch{
	{
		name: "a help page that knows nothing of tlkit",
		file: "github.com/janpfeifer/gonb/internal/specialcmd/specialcmd.go",
		adds: "help.go",
		old:  "var HelpMessage string\n",
		new:  "var HelpMessage string // help.go adds tlkit's part\n",
	},
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
			// These lines are only for messages in HTML; keeping an unfinished one took time in
			// proportion to the square of its length.
			{"\tw.lineBuffer.Write(p)\n", "\tif w.state.rawError {\n\t\treturn n, nil\n\t}\n\tw.lineBuffer.Write(p)\n"},
		},
	},
	{
		// One message per print took minutes for long output, and a background child, which
		// inherits the streams, blocked the cell until it ended.
		name: "output of any length, and children in the background",
		file: "github.com/janpfeifer/gonb/internal/jpyexec/jpyexec.go",
		adds: "output.go",
		old: `	exec.cmdStdout, err = cmd.StdoutPipe()
	if err != nil {
		return errors.WithMessagef(err, "failed to create pipe for stdout")
	}
	exec.cmdStderr, err = cmd.StderrPipe()
	if err != nil {
		return errors.WithMessagef(err, "failed to create pipe for stderr")
	}
`,
		new: "",
		also: []edit{
			{`	var streamersWG sync.WaitGroup
	streamersWG.Add(2)
	go func() {
		defer streamersWG.Done()
		_, err := io.Copy(exec.stdoutWriter, exec.cmdStdout)
		if err != nil {
			klog.Errorf("Failed copying execution stdout: %+v", err)
		}
	}()
	go func() {
		defer streamersWG.Done()
		_, err := io.Copy(exec.stderrWriter, exec.cmdStderr)
		if err != nil && err != io.EOF {
			klog.Errorf("Failed copying execution stderr: %+v", err)
		}
	}()
`, `	var streams [2]*output
	for i, to := range []io.Writer{exec.stdoutWriter, exec.stderrWriter} {
		stream, w, err := newOutput(to)
		if err != nil {
			return errors.WithMessagef(err, "failed to create a pipe for output")
		}
		defer w.Close()
		if streams[i] = stream; i == 0 {
			cmd.Stdout = w
		} else {
			cmd.Stderr = w
		}
		go stream.copy()
	}
`},
			{`	// Wait for output pipes to finish.
	streamersWG.Wait()
	exec.exitError = cmd.Wait()
`, `	cmd.Stdout.(io.Closer).Close()
	cmd.Stderr.(io.Closer).Close()
	exec.exitError = cmd.Wait()
	for _, stream := range streams {
		stream.settle()
	}
`},
			{"\t_ = exec.cmdStderr.Close()\n\t_ = exec.cmdStdout.Close()\n", ""},
			{"\tcmdStdout, cmdStderr                     io.ReadCloser\n", ""},
			// A program that reads its input would wait forever if no one can type.
			{"\tif exec.millisecondsToInput > 0 {\n\t\texec.handleJupyterInput()\n", "\tif exec.millisecondsToInput > 0 && !exec.withoutInput() {\n\t\texec.handleJupyterInput()\n"},
			{"\tif exec.stdinContent != nil {\n\t\texec.handleStaticInput()\n\t}\n", "\tif exec.stdinContent != nil {\n\t\texec.handleStaticInput()\n\t} else if exec.withoutInput() {\n\t\t_ = exec.cmdStdin.Close()\n\t}\n"},
		},
	},
	{
		// The C code of a cgo cell is a comment above import "C", which GoNB dropped when it
		// composed main.go. This patch and the next three keep it.
		name: "cgo cells",
		file: "github.com/janpfeifer/gonb/internal/goexec/goexec.go",
		adds: "cgo.go",
		old:  "\tPath, Alias                 string\n\tCursorInPath",
		new:  "\tPath, Alias                 string\n\tPreamble                    string // the C code above import \"C\"\n\tCursorInPath",
	},
	{
		name: "cgo cells: parser",
		file: "github.com/janpfeifer/gonb/internal/goexec/parser.go",
		old:  "\t\t\t\tpi.ParseImportEntry(decls, entry)\n\t\t\t}\n\n",
		new:  "\t\t\t\tpi.ParseImportEntry(decls, entry)\n\t\t\t}\n\t\t\tkeepPreamble(decls, fileObj)\n\n",
	},
	{
		name: "cgo cells: composer",
		file: "github.com/janpfeifer/gonb/internal/goexec/composer.go",
		old:  "\t\timportDecl := d.Imports[key]\n\t\tfile",
		new:  "\t\timportDecl := d.Imports[key]\n\t\tif importDecl.Path == \"C\" {\n\t\t\tcontinue\n\t\t}\n\t\tfile",
		also: []edit{{"\t\tw.Writef(\"%q\\n\", importDecl.Path)\n\t}\n\tw.Write(\")\\n\\n\")\n\treturn", "\t\tw.Writef(\"%q\\n\", importDecl.Path)\n\t}\n\tw.Write(\")\\n\\n\")\n\tfileToCellIdAndLine = d.renderC(w, fileToCellIdAndLine)\n\treturn"}},
	},
	{
		// By default we use Go's internal linker, which is faster and suffices for everything but
		// C.
		name: "cgo cells: linker",
		file: "github.com/janpfeifer/gonb/internal/goexec/execcode.go",
		old:  "\tcmd.Dir = s.TempDir\n\tif s.CellIsWasm {\n",
		new:  "\tcmd.Dir = s.TempDir\n\tif s.usesC() {\n\t\tcmd.Env = append(cmd.Environ(), \"GO_EXTLINK_ENABLED=1\")\n\t}\n\tif s.CellIsWasm {\n",
	},
	{
		// gopls was started before go.work existed, looked for only once, and took twelve seconds
		// to its first answer.
		name: "gopls that comes later",
		file: "github.com/janpfeifer/gonb/internal/goexec/goexec.go",
		adds: "gopls.go",
		old:  "\tif _, err = exec.LookPath(\"gopls\"); err == nil {\n\t\ts.gopls = goplsclient.New(s.TempDir)\n\t\terr = s.gopls.Start()\n\t\tif err != nil {\n\t\t\tklog.Errorf(\"Failed to start `gopls`: %v\", err)\n\t\t}\n\t\tklog.V(1).Infof(\"Started `gopls`.\")\n\t} else {\n",
		new:  "\tif _, err = exec.LookPath(\"gopls\"); err != nil {\n",
	},
	{
		name: "gopls that comes later: start",
		file: "github.com/janpfeifer/gonb/main.go",
		old:  "\t// Orchestrate dispatching of messages.\n\tdispatcher",
		new:  "\t// Orchestrate dispatching of messages.\n\tgoExec.StartGopls()\n\tdispatcher",
	},
	{
		name: "gopls that comes later: connection",
		file: "github.com/janpfeifer/gonb/internal/goexec/goplsclient/exec.go",
		adds: "warm.go",
		old:  "\t\t\tcase <-time.After(ConnectTimeout):\n",
		new:  "\t\t\tcase <-time.After(tick):\n",
		also: []edit{
			{"\t\t<-time.After(ConnectTimeout)\n", "\t\t<-time.After(tick)\n"},
			// gopls takes GOWORK=auto for a file name. With the cell's go.work it would read and
			// check the whole checkout; go.mod names everything that cells need.
			{"\tc.goplsExec.Dir = c.dir\n", "\tc.goplsExec.Dir = c.dir\n\tc.goplsExec.Env = append(os.Environ(), \"GOWORK=off\")\n"},
		},
	},
	{
		name: "gopls on a busy machine",
		file: "github.com/janpfeifer/gonb/internal/goexec/goplsclient/conn.go",
		old:  "\tCommunicationTimeout = 8000 * time.Millisecond\n",
		new:  "\tCommunicationTimeout = 20 * time.Second\n",
	},
	{
		// The cursor is lost, for example, in declarations without braces; gopls was then asked
		// about line 4294967295.
		name: "a lost cursor",
		file: "github.com/janpfeifer/gonb/internal/goexec/inspect.go",
		old:  "\tif s.gopls == nil {\n\t\t// gopls not installed.\n\t\treturn make(kernel.MIMEMap), nil\n\t}\n",
		new:  "\tif !s.StartGopls() {\n\t\treturn kernel.MIMEMap{string(protocol.MIMETextPlain): noGopls}, nil\n\t}\n",
		also: []edit{
			{"\tif s.gopls == nil {\n\t\t// gopls not installed.\n\t\treturn\n\t}\n", "\tif !s.StartGopls() {\n\t\treturn\n\t}\n"},
			{"\t// Query `gopls`.\n\tctx := context.Background()\n\tvar desc string\n", "\tif !cursorInFile.HasCursor() {\n\t\tif cursorInFile = s.recoverCursor(lines, cursorInCell); !cursorInFile.HasCursor() {\n\t\t\treturn make(kernel.MIMEMap), nil\n\t\t}\n\t}\n\n\t// Query `gopls`.\n\tctx := context.Background()\n\tvar desc string\n"},
			{"\t// Query `gopls`.\n\tctx := context.Background()\n\terr = s.notify", "\tif !cursorInFile.HasCursor() {\n\t\tif cursorInFile = s.recoverCursor(cellLines, cursorInCell); !cursorInFile.HasCursor() {\n\t\t\treturn\n\t\t}\n\t}\n\n\t// Query `gopls`.\n\tctx := context.Background()\n\terr = s.notify"},
		},
	},
	{
		// Completion also runs GoImports, and go get takes longer than gopls. Missing modules are
		// fetched when the cell runs.
		name: "completion that gets modules, and failures without words",
		file: "github.com/janpfeifer/gonb/internal/goexec/execcode.go",
		adds: "words.go",
		old:  "\tif !s.AutoGet {\n\t\treturn\n",
		new:  "\tif !s.AutoGet || msg == nil {\n\t\treturn\n",
		also: []edit{
			{"\tklog.V(1).Infof(\"ExecuteCell: %q\", lines)\n", "\tklog.V(1).Infof(\"ExecuteCell: %q\", lines)\n\tdefer noteLocals(cellId, lines)\n"},
			{"\t\treturn exitErr\n", "\t\treturn howItEnded(msg, exitErr)\n"},
		},
	},
	{
		name: "messages of the compiler",
		file: "github.com/janpfeifer/gonb/internal/goexec/gonberror.go",
		old:  "\treturn nbErr.errMsg\n",
		new:  "\treturn nbErr.message()\n",
		also: []edit{
			{"\ttraceback := make([]string, len(nbErr.Lines))\n\tfor ii, line := range nbErr.Lines {\n\t\ttraceback[ii] = line.getTraceback()\n\t}\n\treturn traceback\n", "\treturn nbErr.traceback()\n"},
			// Show only the line itself: the lines around it were generated by the kernel.
			{"\tfromLines := lineNum - LinesForErrorContext\n", "\tfromLines := lineNum\n"},
			{"\ttoLines := lineNum + LinesForErrorContext\n", "\ttoLines := lineNum + 1\n"},
			{"Cell[%d]: Line %d", "cell [%d], line %d"},
		},
	},
	{
		// A failing cell program is already reported as an error; a failing command is not.
		name: "a status that is told twice",
		file: "github.com/janpfeifer/gonb/internal/jpyexec/jpyexec.go",
		old:  "\tif exec.exitError != nil {\n",
		new:  "\tif exec.exitError != nil && !exec.useNamedPipes {\n",
	},
	{
		name: "a gopls that outlives its gonb",
		file: "github.com/janpfeifer/gonb/internal/goexec/goplsclient/exec_unix.go",
		adds: "exec_linux.go",
		old:  "//go:build !windows\n",
		new:  "//go:build !windows && !linux\n",
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
	if wait && len(line) < 4096 { // longer paths are not printed
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
		b.WriteString(p.file + "\x00" + p.old + "\x00" + p.new + "\x00" + p.adds + "\x00")
		b.Write(p.text())
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
		if p.adds != "" {
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), p.adds), p.text(), 0o600); err != nil {
				return nil, err
			}
		}
		applied[p.name] = true
	}
	return applied, nil
}
