package run

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/guard"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Guard reports whether pictures, given by their paths, are what the network of the spec learnt to see,
// prepared as [Train] would. 48 of them are looked at, evenly spread; see package guard. Of the spec,
// Model, Weights, Entry, Statistics, Preset and Size count. p may be nil.
//
// It is an error if none of them can be read.
func (s Spec) Guard(ctx context.Context, pictures []string, place Place, p Progress) (*guard.Verdict, error) {
	p, shown := place.Shown(p)
	defer shown()
	if err := s.checkNetwork(); err != nil {
		return nil, err
	}
	net, err := openNet(ctx, s, place, p)
	if err != nil {
		return nil, err
	}
	sayNotes(net, p)
	const most = 48
	n := min(len(pictures), most)
	g, pipeline := guard.New(net), net.Preset.Eval()
	read, left, first := 0, 0, error(nil)
	path := func(i int) string { return pictures[i*len(pictures)/n] }
	err = transforms.Each(ctx, n, 0, func(i int) (transforms.Tensor, error) {
		t, err := pipeline.LoadFile(nil, path(i), transforms.DecodeOptions{}, transforms.Rand{})
		if err == nil {
			err = g.Look(i, t)
		}
		return transforms.Tensor{}, err
	}, func(i int, _ transforms.Tensor, err error) error {
		p.State("looking at pictures", int64(i+1), int64(n))
		if err == nil {
			read++
			return nil
		}
		if first == nil {
			first = err
		}
		if left++; left <= shownBad {
			p.Say(fmt.Sprintf("left out: %v", err))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if left > shownBad {
		p.Say(fmt.Sprintf("left out: %d more", left-shownBad))
	}
	if read == 0 && n > 0 {
		return nil, advice.New(fmt.Errorf("run: none of the pictures can be read: %w", first), "name a folder of photographs")
	}
	return g.Verdict()
}

// warn says once what is wrong with the pictures that reached the network, or with its preset, and keeps
// the verdict.
func (o *opened) warn(p Progress) {
	if o.guard == nil {
		return
	}
	o.verdict = warn(o.guard, p)
	o.guard = nil
}

// warn says what is wrong with pictures, and returns the verdict; nil = there is none.
func warn(g *guard.Guard, p Progress) *results.Guard {
	v, err := g.Verdict()
	if err != nil {
		return nil
	}
	if !v.OK {
		p.Say("warning: " + v.Line() + advice.Join("tlkit guard shows what was compared"))
	}
	return summaryOf(v)
}

// summaryOf returns a verdict in short, as results and model cards keep it.
func summaryOf(v *guard.Verdict) *results.Guard {
	return &results.Guard{OK: v.OK, Verdict: string(v.Finding), Best: v.Best, Confidence: v.Confidence, Pictures: v.Pictures, Evidence: string(v.Evidence), Line: v.Line(), Warnings: v.Warnings}
}

// inferred loads an ONNX file of the user's that came without statistics, with those that its weights
// remember. asked is the error that asks for them, which stands if they cannot be told.
func (s Spec) inferred(ctx context.Context, asked error, place Place, p Progress) (*zoo.Net, error) {
	guess := s
	guess.Statistics = "half" // until the weights are read
	preset, err := guess.preset()
	if err != nil {
		return nil, err
	}
	net, err := zoo.Load(ctx, s.Model, place.zoo(s, preset, p))
	if err != nil {
		return nil, err
	}
	proposal, err := guard.Infer(net)
	if err != nil {
		return nil, asked
	}
	preset = &proposal.Preset
	preset.Name = fmt.Sprintf("%s with statistics %s", net.Row.Preset.Name, proposal.Name)
	if s.Size != 0 {
		preset.Name += fmt.Sprintf(" at %d pixels", s.Size)
	}
	net.Preset = *preset
	p.Say(fmt.Sprintf("%s: statistics %s; --statistics NAME takes others", net.Row.Name, proposal))
	return net, nil
}
