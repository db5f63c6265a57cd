package setup

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/wrapper"
)

// page.py makes the HTML page, notebook.py does everything else. They are one program.
//
//go:embed page.py
var pageScript string

//go:embed notebook.py
var notebookScript string

// Job is a notebook to execute from top to bottom.
type Job struct {
	Notebook string          `json:"notebook"`
	Folder   string          `json:"folder"` // where cells run; "" = the notebook's
	Kernel   string          `json:"kernel"` // "" = ours
	Out      string          `json:"out"`    // the executed notebook
	Failed   string          `json:"failed"` // path of the executed notebook if a cell fails; "" = Out
	HTML     string          `json:"html"`   // a page that loads nothing; "" = none
	Timeout  time.Duration   `json:"-"`      // for one cell, and for writing the files; 0 = none
	Env      []string        `json:"-"`      // added to ours
	Cell     func(n, of int) `json:"-"`      // before each cell; may be nil
}

// Outcome is the result of a [Job].
type Outcome struct {
	OK       bool    `json:"ok"`
	Cell     int     `json:"cell,omitempty"` // which cell failed, counted among code cells from 1; 0 = before the first
	Why      string  `json:"why,omitempty"`  // its error message
	Last     string  `json:"last"`           // text of the last cell that printed something
	Out      string  `json:"out"`
	HTML     string  `json:"html,omitempty"`
	Cells    int     `json:"cells"`
	Pictures int     `json:"pictures"` // outputs with a picture
	Seconds  float64 `json:"seconds"`
}

const startup = 2 * time.Minute // a kernel may take this long to answer, on a busy machine too

var ( // tests shorten them
	spare  = time.Minute      // how long after its own time limits we end notebook.py
	ending = 30 * time.Second // for ending a kernel
)

// Execute runs a notebook through its kernel, as JupyterLab would, and writes the executed
// notebook. A cell that fails is not an error: it is in the Outcome. When Execute returns, no
// process that the notebook started is left, even if this process is killed meanwhile.
func (j Jupyter) Execute(ctx context.Context, job Job) (Outcome, error) {
	if job.Timeout < 0 {
		return Outcome{}, advice.New(fmt.Errorf("setup: a time limit of %s for a cell", job.Timeout), "want a positive one, or 0 for none: --timeout 30m")
	}
	request, err := job.request()
	if err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(running, j.Python, "-c", pageScript+notebookScript)
	cmd.Env = append(append(os.Environ(), "PYDEVD_DISABLE_FILE_VALIDATION=1", wrapper.BoundVar+"=1"), job.Env...)
	ownGroup(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = ending
	var errs bytes.Buffer
	cmd.Stderr = &errs
	// Standard input stays open: its end tells notebook.py that we are gone.
	in, err := cmd.StdinPipe()
	if err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	defer in.Close()
	events, err := cmd.StdoutPipe()
	if err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	defer killGroup(cmd)
	if _, err := in.Write(append(request, '\n')); err != nil {
		errs.WriteString(err.Error())
	}
	w := job.watch(stop)
	o, ended := job.follow(events, w)
	err = cmd.Wait()
	late := w.end()
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case ended:
		return o, nil
	case late != "":
		err = fmt.Errorf("%s took too long (--timeout %s)", late, job.Timeout)
	case err == nil:
		err = errors.New("it ended without a result")
	}
	return o, fmt.Errorf("setup: %s could not be executed: %w\n%s", job.Notebook, err, lastLines(errs.String(), 12))
}

// request is what notebook.py reads.
func (job Job) request() ([]byte, error) {
	path, err := filepath.Abs(job.Notebook)
	if err != nil {
		return nil, err
	}
	job.Notebook = path
	if job.Folder == "" {
		job.Folder = filepath.Dir(path)
	}
	if job.Kernel == "" {
		job.Kernel = kernelspec.Name
	}
	return json.Marshal(struct {
		Job
		Timeout float64 `json:"timeout"`
		Startup float64 `json:"startup"`
	}{job, job.Timeout.Seconds(), startup.Seconds()})
}

// watch is a time limit that each event of notebook.py resets. notebook.py enforces the limits
// itself; watch covers the case in which notebook.py hangs.
type watch struct {
	timer *time.Timer
	mu    sync.Mutex
	doing string
	late  string // what took too long; "" = nothing
	limit time.Duration
}

// watch begins with the start of the kernel. stop is called when something takes too long.
func (job Job) watch(stop func()) *watch {
	w := &watch{doing: "starting the kernel", limit: job.Timeout}
	w.timer = time.AfterFunc(startup+spare, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.late = w.doing
		stop()
	})
	return w
}

// begins records what happens next and sets its time limit.
func (w *watch) begins(doing string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doing = doing
	if w.timer.Stop() && w.limit > 0 {
		w.timer.Reset(w.limit + spare)
	}
}

// end returns what took too long, or "".
func (w *watch) end() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	return w.late
}

// follow reads the events that notebook.py prints, one JSON object a line. ended is false when the
// last one, which has the outcome, is missing.
func (job Job) follow(events io.Reader, w *watch) (o Outcome, ended bool) {
	for lines := bufio.NewReader(events); ; {
		line, err := lines.ReadBytes('\n')
		var e struct {
			Event string
			N, Of int
			Out   string
		}
		if json.Unmarshal(line, &e) == nil {
			switch e.Event {
			case "cell":
				w.begins(fmt.Sprintf("cell %d", e.N))
				if job.Cell != nil {
					job.Cell(e.N, e.Of)
				}
			case "save":
				w.begins("writing the notebook")
			case "page":
				w.begins("writing the HTML page of " + e.Out)
			case "end":
				ended = json.Unmarshal(line, &o) == nil
			}
		}
		if err != nil {
			return o, ended
		}
	}
}
