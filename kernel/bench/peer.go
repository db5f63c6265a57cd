package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

//go:embed peer.py
var peerScript string

// peerJob names a function of peer.py ("what") and its arguments.
type peerJob map[string]any

// peerAnswer is what peer.py prints; each job fills some of it.
type peerAnswer struct {
	Rate                 float64 // pictures/s
	Seconds              float64
	Peak                 float64 // MiB
	CPU                  float64 // ms a picture
	Correct, Best, Total int     // pictures
	By                   string  // "torch 2.9.0"
}

// peer has PyTorch do a job; ok is false without [Options].Python.
func (s *session) peer(ctx context.Context, job peerJob) (answer peerAnswer, ok bool, err error) {
	if s.Python == "" {
		return answer, false, nil
	}
	arg, err := json.Marshal(job)
	if err != nil {
		return answer, false, err
	}
	cmd := s.python(ctx, arg)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return answer, false, fmt.Errorf("%s: %w: %s", s.Python, err, lastLine(errs.String()))
	}
	return answer, true, json.Unmarshal(out, &answer)
}

// python is the peer's process. It imports nothing from the folder that it is started in.
func (s *session) python(ctx context.Context, job []byte) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Python, "-c", peerScript, string(job))
	cmd.Env = append(os.Environ(), "PYTHONSAFEPATH=1")
	if len(s.Networks) > 0 {
		// Waiting threads of PyTorch's would spin, and that is processor time too: on a busy machine
		// several times that of the work.
		cmd.Env = append(cmd.Env, "OMP_WAIT_POLICY=passive")
	}
	return cmd
}

// talk is a Python that goes on with a job of peer.py, and answers in lines of JSON.
type talk struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	errs bytes.Buffer
}

// talk starts a job.
func (s *session) talk(ctx context.Context, job peerJob) (*talk, error) {
	arg, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	t := &talk{cmd: s.python(ctx, arg)}
	t.cmd.Stderr = &t.errs
	t.cmd.WaitDelay = 5 * time.Second
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewScanner(out)
	return t, t.cmd.Start()
}

// read reads one line of JSON.
func (t *talk) read(out any) error {
	if t.out.Scan() {
		return json.Unmarshal(t.out.Bytes(), out)
	}
	_ = t.cmd.Wait()
	return fmt.Errorf("%s: %w", t.cmd.Path, errors.New(lastLine(t.errs.String())))
}

// ask sends a line of JSON, and bytes that it announces, and reads the answer.
func (t *talk) ask(question any, data []byte, answer any) error {
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := t.in.Write(append(line, '\n')); err != nil {
		return err
	}
	if _, err := t.in.Write(data); err != nil {
		return err
	}
	return t.read(answer)
}

func (t *talk) close() {
	t.in.Close() // it ends
	_ = t.cmd.Wait()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// contest is work whose rate is measured, and the same work for the peer.
type contest struct {
	what, unit string
	ours       func() (rate float64, err error)
	peer       peerJob
	which      Peer // "" = torch
}

func (c contest) by() Peer { return cmp.Or(c.which, torch) }

// rounds is how often each rate is measured; the median counts.
const rounds = 5

// rates measures ours and the peer's in turn and adds the figure of their medians.
func (s *session) rates(ctx context.Context, c contest) error {
	var ours, peers []float64
	var by string
	for range rounds {
		rate, err := c.ours()
		if err != nil {
			return err
		}
		ours = append(ours, rate)
		answer, ok, err := s.peer(ctx, c.peer)
		if err != nil {
			return err
		}
		if ok {
			peers, by = append(peers, answer.Rate), answer.By
		}
	}
	f := Figure{Name: c.what, Unit: c.unit, Ours: median(ours)}
	if peers != nil {
		f = f.against(c.by(), by, median(peers))
	}
	s.add(f)
	return nil
}

// repeat calls work, which handles n pictures, for some seconds and returns pictures a second.
func repeat(seconds float64, n int, work func() error) (float64, error) {
	if err := work(); err != nil { // the first call also compiles and allocates
		return 0, err
	}
	start, done := time.Now(), 0
	for time.Since(start).Seconds() < seconds {
		if err := work(); err != nil {
			return 0, err
		}
		done += n
	}
	return float64(done) / time.Since(start).Seconds(), nil
}
