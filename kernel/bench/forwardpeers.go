package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// peerBatches are the batch sizes that peers are tried at in the first round; the fastest one counts.
var peerBatches = []int{1, 8, 32}

// forwardPeers is a Python that has a network ready in several runtimes, and times one when asked.
type forwardPeers struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	errs    bytes.Buffer
	by      map[Peer]string
	missing map[Peer]string // why a peer is left out
	best    map[Peer]int    // batch size
	rates   map[Peer][]float64
}

// forwardPeers starts the peers for a network; without Options.Python there are none.
func (s *session) forwardPeers(ctx context.Context, model string, threads int) (*forwardPeers, error) {
	p := &forwardPeers{best: map[Peer]int{}, rates: map[Peer][]float64{}}
	if s.Python == "" {
		return p, nil
	}
	job, err := json.Marshal(peerJob{"what": "forward", "model": model, "threads": threads})
	if err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, s.Python, "-c", peerScript, string(job))
	p.cmd.Stderr = &p.errs
	p.cmd.WaitDelay = 5 * time.Second
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var ready struct{ By, Missing map[Peer]string }
	if err := p.read(&ready); err != nil {
		p.close()
		return nil, err
	}
	p.by, p.missing = ready.By, ready.Missing
	for _, peer := range []Peer{torch, torchJIT, onnxRuntime} {
		if why := p.missing[peer]; why != "" {
			s.Progress.Say(fmt.Sprintf("%s is left out: %s", peer, why))
		}
	}
	return p, nil
}

// read reads one line of JSON.
func (p *forwardPeers) read(out any) error {
	if p.out.Scan() {
		return json.Unmarshal(p.out.Bytes(), out)
	}
	_ = p.cmd.Wait()
	return fmt.Errorf("%s: %w", p.cmd.Path, errors.New(lastLine(p.errs.String())))
}

// time has one peer run for some seconds.
func (p *forwardPeers) time(peer Peer, batch int, seconds float64) (float64, error) {
	ask, err := json.Marshal(map[string]any{"peer": peer, "batch": batch, "seconds": seconds})
	if err != nil {
		return 0, err
	}
	if _, err := p.in.Write(append(ask, '\n')); err != nil {
		return 0, err
	}
	var answer struct{ Rate float64 }
	err = p.read(&answer)
	return answer.Rate, err
}

// round measures each peer once. The first round finds its best batch size.
func (p *forwardPeers) round(seconds float64) error {
	for _, peer := range []Peer{torch, torchJIT, onnxRuntime} {
		if p.by[peer] == "" {
			continue
		}
		sizes := []int{p.best[peer]}
		if p.best[peer] == 0 {
			sizes = peerBatches
		}
		var rates []float64
		for _, batch := range sizes {
			rate, err := p.time(peer, batch, seconds)
			if err != nil {
				return err
			}
			rates = append(rates, rate)
		}
		fastest := slices.Max(rates)
		p.best[peer] = sizes[slices.Index(rates, fastest)]
		p.rates[peer] = append(p.rates[peer], fastest)
	}
	return nil
}

// beside adds the peers to the figure of ours.
func (p *forwardPeers) beside(f Figure) Figure {
	var sizes []string
	for _, peer := range []Peer{torch, torchJIT, onnxRuntime} {
		if rates := p.rates[peer]; rates != nil {
			f = f.against(peer, p.by[peer], median(rates))
			sizes = append(sizes, fmt.Sprintf("%s %d", peer, p.best[peer]))
		}
	}
	if sizes != nil {
		f.Note += "; the peers' best batches: " + strings.Join(sizes, ", ")
	}
	return f
}

func (p *forwardPeers) close() {
	if p.cmd == nil {
		return
	}
	p.in.Close() // it ends
	_ = p.cmd.Wait()
}
