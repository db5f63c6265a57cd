package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// peerBatches are the batch sizes that peers are tried at in the first round; the fastest one counts.
var peerBatches = []int{1, 8, 32}

// forwardPeers is a Python that has a network ready in several runtimes, and times one when asked.
type forwardPeers struct {
	*talk   // nil = there are no peers
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
	var err error
	if p.talk, err = s.talk(ctx, peerJob{"what": "forward", "model": model, "threads": threads}); err != nil {
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

// time has one peer run for some seconds.
func (p *forwardPeers) time(peer Peer, batch int, seconds float64) (float64, error) {
	var answer struct{ Rate float64 }
	err := p.ask(map[string]any{"peer": peer, "batch": batch, "seconds": seconds}, nil, &answer)
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
	if p.talk != nil {
		p.talk.close()
	}
}
