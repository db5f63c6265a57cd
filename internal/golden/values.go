package golden

import (
	"embed"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
)

// Two kinds of golden: on weights that the formula makes, and on the published weights.
const (
	Formula = "formula"
	Weights = "weights"
)

//go:embed values/*.json
var files embed.FS

// Golden is what a referee computed for one network on test pictures 0, 1, ...
type Golden struct {
	Name     string            `json:"name"` // of the architecture
	Kind     string            `json:"kind"` // Formula or Weights
	By       map[string]string `json:"by"`   // the referee's packages and their versions
	File     string            `json:"file"` // of published weights
	Version  int               `json:"formula"`
	Gain     float64           `json:"gain"`
	Size     int               `json:"size"` // side of the pictures
	Pictures int               `json:"pictures"`
	Tensors  struct {
		All  string            `json:"all"`  // CRC-32 of all tensors in graph layout, sorted by name
		Some map[string]string `json:"some"` // and of some alone
	} `json:"tensors"`
	Stages   []Stage `json:"stages"`
	Features Sample  `json:"features"`
	Logits   *Sample `json:"logits"` // nil without classifier
	Argmax   []int   `json:"argmax"`
}

// Stage is the output of one stage, so that a difference can be traced to where it begins.
type Stage struct {
	Name string `json:"name"`
	Sample
}

// Sample holds some numbers of an array [pictures, Shape...]: of each picture those at 0, Step, 2
// Step, ...
type Sample struct {
	Shape   []int       `json:"shape"`
	Step    int         `json:"step"`
	Largest float64     `json:"largest"` // largest magnitude in the whole array
	Values  [][]float64 `json:"values"`
}

// Published is what torchvision says about one of its own weights files.
type Published struct {
	Name          string     `json:"name"` // "resnet50.imagenet1k_v2"
	URL           string     `json:"url"`
	Params        int        `json:"params"`
	Top1          float64    `json:"top1"` // percent
	Top5          float64    `json:"top5"`
	Resize        int        `json:"resize"`
	Size          int        `json:"size"`
	Interpolation string     `json:"interpolation"`
	Mean          [3]float32 `json:"mean"`
	Std           [3]float32 `json:"std"`
}

// Torchvision returns what torchvision publishes about the families here.
func Torchvision() ([]Published, error) {
	data, err := files.ReadFile("values/torchvision.json")
	if err != nil {
		return nil, fmt.Errorf("golden: %w", err)
	}
	var all struct {
		Weights []Published `json:"weights"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("golden: torchvision.json: %w", err)
	}
	return all.Weights, nil
}

// Names returns the networks that have a golden of this kind.
func Names(kind string) []string {
	entries, err := files.ReadDir("values")
	if err != nil {
		panic(err) // embedded: it is there, or the program would not have been built
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), "."+kind+".json"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Find returns a golden; ok is false if there is none.
func Find(name, kind string) (g Golden, ok bool, err error) {
	data, err := files.ReadFile(path.Join("values", name+"."+kind+".json"))
	if err != nil {
		return Golden{}, false, nil
	}
	if err := json.Unmarshal(data, &g); err != nil {
		return Golden{}, false, fmt.Errorf("golden: %s, %s: %w", name, kind, err)
	}
	if g.Kind != kind || (kind == Formula && g.Version != Version) || g.Pictures < 1 || len(g.Features.Values) != g.Pictures {
		return Golden{}, false, fmt.Errorf("golden: %s, %s: the file does not hold what its name says", name, kind)
	}
	return g, true, nil
}

// Difference returns the largest deviation of got [pictures, Shape...] from the sample, divided by
// the largest magnitude in the referee's array. It is infinite if got has another number of
// elements, or one that is not finite.
func (s Sample) Difference(got []float32) float64 {
	each := 1
	for _, d := range s.Shape {
		each *= d
	}
	if len(got) != each*len(s.Values) || s.Largest <= 0 || s.Step < 1 {
		return math.Inf(1)
	}
	worst := 0.0
	for k, row := range s.Values {
		for i, want := range row {
			d := math.Abs(float64(got[k*each+i*s.Step]) - want)
			if math.IsNaN(d) {
				return math.Inf(1)
			}
			worst = max(worst, d)
		}
	}
	return worst / s.Largest
}
