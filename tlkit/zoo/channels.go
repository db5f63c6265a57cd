package zoo

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// colours is the number of channels of pictures, and of the published networks.
const colours = 3

const mostChannels = 1024

// WithChannels returns a copy of the net that takes images [N,S,S,channels], such as one channel of an
// X-ray, or four of colour and depth. Its first convolution is adapted as timm's in_chans does: for one
// channel the weights of the three colours are summed; for others they are repeated, red again after
// blue, and scaled by 3/channels, so that the sums keep their size. All other weights stay.
//
// It is for Graph and NewExtractor; the packages that read picture files give three channels. See
// Normalisation for the mean and the deviation of each channel. It is an error if n has other channels
// already, is an ONNX file, or takes colours only.
func (n *Net) WithChannels(channels int) (*Net, error) {
	wrong := func(err error) error { return &LoadError{Model: n.Row.Name, Err: err} }
	switch _, own := n.Row.arch.(*onnx.Net); {
	case channels < 1 || channels > mostChannels:
		return nil, wrong(fmt.Errorf("%d channels, want 1 to %d", channels, mostChannels))
	case n.Channels() != colours:
		return nil, wrong(fmt.Errorf("it has %d channels, want one of %d to adapt", n.Channels(), colours))
	case own:
		return nil, wrong(advice.New(fmt.Errorf("an ONNX file says how many channels it takes"), "export it again for %d channels", channels))
	}
	out := *n
	var err error
	if out.declared, err = backbone.DeclareInput(n.Row.arch, n.Preset.Size, n.Preset.Size, channels); err != nil {
		return nil, wrong(err)
	}
	out.channels, out.tensors, out.changed = channels, maps.Clone(n.tensors), maps.Clone(n.changed)
	if out.changed == nil {
		out.changed = map[string]bool{}
	}
	changed := false
	for _, w := range out.declared.Weights {
		t := n.tensors[w.Name]
		if slices.Equal(t.Shape, w.GraphShape) {
			continue
		}
		if out.tensors[w.Name], err = adapted(t, w.GraphShape); err != nil {
			return nil, wrong(fmt.Errorf("%s: %w", w.Name, err))
		}
		out.changed[w.Name] = true
		changed = true
	}
	if !changed {
		return nil, wrong(fmt.Errorf("it mixes colours itself, so it cannot take %d channels", channels))
	}
	return &out, nil
}

// Channels is the number of channels of the images that the net takes: 3, except for WithChannels.
func (n *Net) Channels() int {
	if n.channels == 0 {
		return colours
	}
	return n.channels
}

// Normalisation returns the mean that is subtracted from each channel and the deviation that it is then
// divided by, in the units of the preset's Range. For one channel both are the averages of the three
// colours; for others they are repeated as the weights are.
func (n *Net) Normalisation() (mean, std []float32) {
	if n.Channels() == 1 {
		average := func(v [3]float32) []float32 { return []float32{(v[0] + v[1] + v[2]) / 3} }
		return average(n.Preset.Mean), average(n.Preset.Std)
	}
	for c := range n.Channels() {
		mean, std = append(mean, n.Preset.Mean[c%colours]), append(std, n.Preset.Std[c%colours])
	}
	return mean, std
}

// adapted returns a tensor of three channels with another number of them. shape differs from that of t
// in one axis.
func adapted(t weights.Loaded, shape []int) (weights.Loaded, error) {
	axis := -1
	for i := range shape {
		if len(t.Shape) != len(shape) || t.Shape[i] != shape[i] && (axis >= 0 || t.Shape[i] != colours) {
			return t, fmt.Errorf("shape %v cannot become %v", t.Shape, shape)
		}
		if t.Shape[i] != shape[i] {
			axis = i
		}
	}
	channels, inner := shape[axis], sizeOf(shape[axis+1:])
	out := make([]float32, 0, sizeOf(shape))
	for block := range slices.Chunk(t.Data, colours*inner) {
		if channels == 1 {
			for i := range inner {
				out = append(out, block[i]+block[inner+i]+block[2*inner+i])
			}
			continue
		}
		for c := range channels {
			from := block[c%colours*inner:][:inner]
			for _, v := range from {
				out = append(out, v*colours/float32(channels))
			}
		}
	}
	return weights.Loaded{Shape: slices.Clone(shape), Data: out}, nil
}
