package policy

import (
	"encoding/json"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

const kindChunk = "chunk 1"

// chunkFit is what a file says about a chunk, beside its tensors.
type chunkFit struct {
	Modes  int `json:"modes"`
	Ahead  int `json:"ahead"`
	Used   int `json:"used"`
	Points int `json:"points"`
	Layers int `json:"layers"`
	Steps  int `json:"steps"`
	Frames int `json:"frames"`
}

func (c *Chunk) kind() string { return kindChunk }

// pack returns what a file holds of the policy.
func (c *Chunk) pack() (fit any, tensors []weights.Tensor) {
	for i, p := range c.Points {
		tensors = append(tensors, weights.FromFloat32(pointName(i), []int{len(p)}, p))
	}
	for i, l := range c.Layers {
		w, b := layerNames(i)
		tensors = append(tensors, weights.FromFloat32(w, []int{len(l[0]) / len(l[1]), len(l[1])}, l[0]), weights.FromFloat32(b, []int{len(l[1])}, l[1]))
	}
	return chunkFit{c.Modes, c.Ahead, c.Used, len(c.Points), len(c.Layers), c.Steps, c.Frames}, tensors
}

func pointName(i int) string { return fmt.Sprintf("chunk.point%d", i) }

func layerNames(i int) (weight, bias string) {
	return fmt.Sprintf("chunk.layer%d.weight", i), fmt.Sprintf("chunk.layer%d.bias", i)
}

// unpackChunk makes a policy of what a file holds.
func unpackChunk(about contract, f *weights.File) (Policy, error) {
	var fit chunkFit
	if err := json.Unmarshal(about.Fit, &fit); err != nil {
		return nil, fmt.Errorf("its fit: %w", err)
	}
	if fit.Points < 0 || fit.Points > 1<<10 || fit.Layers < 1 || fit.Layers > 16 {
		return nil, fmt.Errorf("a chunk of %d keypoints and %d layers", fit.Points, fit.Layers)
	}
	c := &Chunk{Robot: about.Robot, Map: about.Sight.Map, Modes: fit.Modes, Ahead: fit.Ahead, Used: fit.Used, Steps: fit.Steps, Frames: fit.Frames}
	read := func(name string) ([]float32, error) {
		t, ok := f.Tensor(name)
		if !ok {
			return nil, fmt.Errorf("it has no tensor %s", name)
		}
		return t.Float32()
	}
	for i := range fit.Points {
		p, err := read(pointName(i))
		if err != nil {
			return nil, err
		}
		c.Points = append(c.Points, p)
	}
	for i := range fit.Layers {
		w, b := layerNames(i)
		weight, err := read(w)
		if err != nil {
			return nil, err
		}
		bias, err := read(b)
		if err != nil {
			return nil, err
		}
		c.Layers = append(c.Layers, [2][]float32{weight, bias})
	}
	return c, c.Check()
}
