package guard

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Proposal is a preset for weights that came without one.
type Proposal struct {
	Name   string            // of the statistics, such as "imagenet"
	Preset transforms.Preset // net.Preset with them
	// Confidence is how often they are found again when the outputs of the first convolution are redrawn,
	// and Times how many times better they fit than the best other statistics.
	Confidence, Times float64
	Norm              string // the tensor that tells
}

// Infer proposes the statistics for which the weights of a network were trained, by its first batch norm.
// It needs no pictures. Of net.Preset only size and geometry matter.
//
// It is an error if that cannot be told with confidence: without a batch norm right behind the first
// convolution, such as in an ONNX file whose norms were folded into the convolutions, or if the network
// was not trained on pictures.
func Infer(net *zoo.Net) (*Proposal, error) {
	s := readStem(net)
	if s == nil {
		return nil, unknown(net, "it has no batch norm behind its first convolution, which would remember them")
	}
	half, err := transforms.Statistics("half")
	if err != nil {
		return nil, err
	}
	r := rank(s, net.Preset.WithStatistics(half))
	best := r.all[0]
	q := &Proposal{Name: best.Name, Preset: best.Preset, Confidence: r.statistics, Norm: s.norm}
	for _, c := range r.all[1:] {
		if !alike(c.Preset, best.Preset) {
			q.Times = (c.Score + scoreFloor) / (best.Score + scoreFloor)
			break
		}
	}
	if best.Score > strange || q.Confidence < enoughSure || q.Times < enoughTimes {
		return nil, unknown(net, fmt.Sprintf("%s fits what its first batch norm remembers best, but not well enough", best.Name))
	}
	return q, nil
}

func unknown(net *zoo.Net, why string) error {
	return advice.New(fmt.Errorf("guard: which statistics the pictures of %s have cannot be told from its weights: %s", net.Row.Name, why), "say which, with --statistics NAME")
}

// String says what was found and how surely.
func (p *Proposal) String() string {
	return fmt.Sprintf("%s, by what the first batch norm remembers; others fit at least %s worse", p.Name, times(p.Times))
}
