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
	"time"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

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
	Timeout  time.Duration   `json:"-"`      // for one cell; 0 = none
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

// startup is how long a kernel may take to answer, on a busy machine too.
const startup = 2 * time.Minute

// Execute runs a notebook through its kernel with nbclient, as JupyterLab would, and writes the
// executed notebook. A cell that fails is not an error: it is in the Outcome.
func (j Jupyter) Execute(ctx context.Context, job Job) (Outcome, error) {
	request, err := job.request()
	if err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	cmd := exec.CommandContext(ctx, j.Python, "-c", notebookScript)
	cmd.Stdin = bytes.NewReader(request)
	cmd.Env = append(append(os.Environ(), "PYDEVD_DISABLE_FILE_VALIDATION=1"), job.Env...)
	// nbclient shuts its kernel down when it is interrupted; killed, it could not.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	events, err := cmd.StdoutPipe()
	if err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return Outcome{}, fmt.Errorf("setup: %w", err)
	}
	o, ended := job.follow(events)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case ended:
		return o, nil
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
		Timeout int `json:"timeout"`
		Startup int `json:"startup"`
	}{job, int(job.Timeout.Seconds()), int(startup.Seconds())})
}

// follow reads the events that notebook.py prints, one JSON object a line. ended is false when the
// last one, which has the outcome, is missing.
func (job Job) follow(events io.Reader) (o Outcome, ended bool) {
	for lines := bufio.NewReader(events); ; {
		line, err := lines.ReadBytes('\n')
		var e struct {
			Event string
			N, Of int
		}
		if json.Unmarshal(line, &e) == nil {
			switch {
			case e.Event == "cell" && job.Cell != nil:
				job.Cell(e.N, e.Of)
			case e.Event == "end":
				ended = json.Unmarshal(line, &o) == nil
			}
		}
		if err != nil {
			return o, ended
		}
	}
}
