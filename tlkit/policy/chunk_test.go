package policy

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// seeker is a chunk that goes towards channel 0, one keypoint, with one layer: its first mode moves by a
// tenth of the way in each direction, its second stands still and is less likely.
func seeker() *Chunk {
	c := &Chunk{Robot: arm(), Map: [3]int{side, side, channels}, Modes: 2, Ahead: 3, Used: 2}
	w := make([]float32, 2*channels)
	w[0] = 1
	c.Points = [][]float32{w}
	outputs := c.Modes * (c.Ahead*3 + 1)
	weight, bias := make([]float32, 4*outputs), make([]float32, outputs) // of x, y, gripper, opening
	for t := range c.Ahead {
		weight[t*3], weight[outputs+t*3+1] = 2, 2 // 0.1 of the way, of limits of 0.05
		bias[t*3+2] = 0.3                         // a little above: shut
	}
	bias[outputs-1] = -1
	c.Layers = [][2][]float32{{weight, bias}}
	return c
}

func TestChunkActs(t *testing.T) {
	scene := table{[2]float64{0.7, 0.3}, [2]float64{0.2, 0.2}}
	a, err := seeker().Start(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := a.Act(scene.seen(rand.New(rand.NewPCG(1, 1))), []float32{0.5, 0.5, 0, 1})
	if err != nil || len(d.Actions) != 2 {
		t.Fatal(d, err)
	}
	for _, action := range d.Actions {
		if math.Abs(float64(action[0])-0.02) > 2e-3 || math.Abs(float64(action[1])+0.02) > 2e-3 || action[2] != 1 {
			t.Errorf("action %v, want about 0.02, -0.02 and fingers that shut", action)
		}
	}
	if math.Abs(d.Where[0]-0.54) > 5e-3 || len(d.Heat) != side*side || d.Heat[2*side+5] < 0.1 {
		t.Errorf("goes to %v, looks at %v", d.Where, d.Heat)
	}
	for want, in := range map[string][2][]float32{"a row of 3 features": {{1, 2, 3}, {0, 0, 0, 0}}, "state of 1 numbers": {make([]float32, side*side*channels), {0}}} {
		if _, err := a.Act(in[0], in[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestChunkFile(t *testing.T) {
	c := seeker()
	entries := contract{Robot: c.Robot, Sight: Sight{Map: c.Map}}
	fit, tensors := c.pack()
	file := filepath.Join(t.TempDir(), "policy.safetensors")
	if err := weights.WriteSafetensors(file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := json.Marshal(fit)
	if err != nil {
		t.Fatal(err)
	}
	entries.Fit = raw
	p, err := unpackChunk(entries, f)
	if err != nil {
		t.Fatal(err)
	}
	if back := p.(*Chunk); !reflect.DeepEqual(back, c) {
		t.Errorf("after reading: %+v", back)
	}
	for from, to := range map[string]string{`"ahead":3`: `"ahead":4`, `"used":2`: `"used":9`, `"modes":2`: `"modes":0`, `"points":1`: `"points":0`, `"layers":1`: `"layers":2`} {
		broken := entries
		broken.Fit = bytes.Replace(raw, []byte(from), []byte(to), 1)
		if bytes.Equal(raw, broken.Fit) {
			t.Fatalf("the file has no %s", from)
		}
		if _, err := unpackChunk(broken, f); err == nil {
			t.Errorf("%s instead of %s passes", to, from)
		}
	}
}

func TestChunkIsChecked(t *testing.T) {
	for want, spoil := range map[string]func(*Chunk){
		"0 of them used":      func(c *Chunk) { c.Used = 0 },
		"keypoint 0 has 3":    func(c *Chunk) { c.Points[0] = c.Points[0][:3] },
		"without layers":      func(c *Chunk) { c.Layers = nil },
		"layer 0 has":         func(c *Chunk) { c.Layers[0][0][0] = float32(math.NaN()) },
		"20 outputs, want":    func(c *Chunk) { c.Ahead = 4 },
		"inputs, want 6":      func(c *Chunk) { c.Points = append(c.Points, c.Points[0]) },
		"which are no limits": func(c *Chunk) { c.Robot.Action[1].Max = math.Inf(1) },
	} {
		c := seeker()
		spoil(c)
		if _, err := c.Start(0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
