package setup

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

//go:embed notebook.py
var notebookScript string

// Job is a notebook to be executed from top to bottom.
type Job struct {
	Notebook string          `json:"notebook"`
	Folder   string          `json:"folder"` // where cells run; "" = the notebook's
	Kernel   string          `json:"kernel"` // "" = ours
	Out      string          `json:"out"`    // the executed notebook
	Failed   string          `json:"failed"` // where it goes instead when a cell fails; "" = Out
	HTML     string          `json:"html"`   // a page that loads nothing; "" = none
	Timeout  time.Duration   `json:"-"`      // for one cell; 0 = none
	Env      []string        `json:"-"`      // added to ours
	Cell     func(n, of int) `json:"-"`      // before each cell; may be nil
}

// Outcome is what became of it.
type Outcome struct {
	OK       bool    `json:"ok"`
	Cell     int     `json:"cell,omitempty"` // which cell failed, counted among code cells from 1; 0 = before the first
	Why      string  `json:"why,omitempty"`  // what it said
	Last     string  `json:"last"`           // text of the last cell that said something
	Out      string  `json:"out"`
	HTML     string  `json:"html,omitempty"`
	Cells    int     `json:"cells"`
	Pictures int     `json:"pictures"` // image/png outputs
	Seconds  float64 `json:"seconds"`
}

// startup is how long a kernel may take to answer: the machine may be busy.
const startup = 2 * time.Minute

// Execute runs a notebook through its kernel with nbclient, as JupyterLab would, and writes
// what came of it. A failing cell is no error here: it is in the Outcome.
func (j Jupyter) Execute(ctx context.Context, job Job) (Outcome, error) {
	var o Outcome
	var err error
	if job.Notebook, err = filepath.Abs(job.Notebook); err != nil {
		return o, fmt.Errorf("setup: %w", err)
	}
	if job.Folder == "" {
		job.Folder = filepath.Dir(job.Notebook)
	}
	if job.Kernel == "" {
		job.Kernel = kernelspec.Name
	}
	request, err := json.Marshal(struct {
		Job
		Timeout int `json:"timeout"`
		Startup int `json:"startup"`
	}{job, int(job.Timeout.Seconds()), int(startup.Seconds())})
	if err != nil {
		return o, fmt.Errorf("setup: %w", err)
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
		return o, fmt.Errorf("setup: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return o, fmt.Errorf("setup: %w", err)
	}
	ended := false
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e struct {
				Event string
				N, Of int
			}
			if json.Unmarshal(line, &e) != nil {
				continue
			}
			switch {
			case e.Event == "cell" && job.Cell != nil:
				job.Cell(e.N, e.Of)
			case e.Event == "end":
				ended = json.Unmarshal(line, &o) == nil
			}
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return o, ctx.Err()
	}
	if !ended {
		text := strings.Split(strings.TrimSpace(errs.String()), "\n")
		if len(text) > 12 {
			text = text[len(text)-12:]
		}
		return o, fmt.Errorf("setup: %s could not be executed (%v):\n%s", job.Notebook, err, strings.Join(text, "\n"))
	}
	return o, nil
}
