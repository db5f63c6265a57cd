package parts

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// Gathered is what lies in a folder of shards.
type Gathered struct {
	Function Function `json:"function"`
	Shards   int      `json:"shards"` // whole ones of the manifest
	Rows     int      `json:"rows"`
	Bad      []Bad    `json:"bad,omitempty"` // pictures without a row
	// Machines is how many shards come from each processor and engine.
	Machines map[string]int `json:"machines"`
	Missing  []int          `json:"missing,omitempty"` // parts without a shard; nil if all are there
	Damaged  []string       `json:"damaged,omitempty"` // shards that are torn or changed; their parts are missing
	Foreign  []string       `json:"foreign,omitempty"` // shards of another manifest or function

	found []*Shard // in the order of the parts
}

// Gather checks the shards in the folder dir. Features stay in memory, for [Gathered.Each]. m is the manifest
// that counts; nil = the one of the shards. model is the network that counts, by its name; "" = the one
// of the shards.
//
// It is an error if there is no such shard at all, or if the shards are of several manifests or networks.
func Gather(dir string, m *Manifest, model string) (*Gathered, error) {
	names, err := filepath.Glob(filepath.Join(dir, "part-*"+ending))
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	g := &Gathered{Machines: map[string]int{}}
	functions, manifests := map[string]Function{}, map[string]bool{}
	for _, path := range names {
		s, err := Read(path)
		if err != nil {
			g.Damaged = append(g.Damaged, filepath.Base(path))
			continue
		}
		if m != nil && s.Manifest != m.Sum || model != "" && s.Function.Model != model {
			g.Foreign = append(g.Foreign, filepath.Base(path))
			continue
		}
		functions[s.Function.digest()], manifests[s.Manifest] = s.Function, true
		g.found = append(g.found, s)
	}
	if len(g.found) == 0 {
		return nil, advice.New(fmt.Errorf("parts: %s has no shard that counts (%d of other manifests or networks, %d damaged)", dir, len(g.Foreign), len(g.Damaged)), "compute some: tlkit extract MANIFEST --out %s", dir)
	}
	if len(functions) > 1 {
		var models []string
		for _, f := range functions {
			models = append(models, fmt.Sprintf("%s with preset %.8s", f.Model, f.Preset))
		}
		slices.Sort(models)
		return nil, advice.New(fmt.Errorf("parts: %s has shards of several networks: %s", dir, strings.Join(models, ", ")), "name one: --model MODEL")
	}
	if len(manifests) > 1 {
		return nil, advice.New(fmt.Errorf("parts: %s has shards of %d manifests", dir, len(manifests)), "name one: tlkit gather %s --parts MANIFEST", dir)
	}
	g.count()
	return g, nil
}

// count sorts the shards by part and says what is missing.
func (g *Gathered) count() {
	slices.SortFunc(g.found, func(a, b *Shard) int { return a.Part - b.Part })
	there := map[int]bool{}
	for _, s := range g.found {
		g.Function = s.Function
		there[s.Part] = true
		g.Rows += len(s.Rows)
		g.Bad = append(g.Bad, s.Bad...)
		g.Machines[s.Machine]++
	}
	g.Shards = len(g.found)
	for k := range g.found[0].Of {
		if !there[k] {
			g.Missing = append(g.Missing, k)
		}
	}
}

// Whole reports parts that are missing as an error, with what to type.
func (g *Gathered) Whole() error {
	if len(g.Missing) == 0 {
		return nil
	}
	list := make([]string, 0, 20)
	for i, k := range g.Missing {
		if i == cap(list) {
			return advice.New(fmt.Errorf("parts: %d parts have no shard: %s and more", len(g.Missing), strings.Join(list, ", ")), "run tlkit extract again; what is there is left alone")
		}
		list = append(list, fmt.Sprint(k))
	}
	return advice.New(fmt.Errorf("parts: %d part(s) have no shard: %s", len(g.Missing), strings.Join(list, ", ")), "run: tlkit extract MANIFEST --only %s --out SHARDS", strings.Join(list, ","))
}

// Dataset returns the pictures that have a row, with their labels and splits, as a data set. The files need
// not be on this machine. Splits are dealt by o where the manifest has none. Pictures without a row are
// its unreadable ones: more of them than o.BadLimit are an error.
func (g *Gathered) Dataset(name string, o datasets.Options) (*datasets.Dataset, error) {
	labels := map[string]int{}
	for _, s := range g.found {
		for _, r := range s.Rows {
			if r.Label != "" {
				labels[r.Label] = 0
			}
		}
	}
	root := g.found[0].Root
	d := &datasets.Dataset{Name: name, Root: root, Task: datasets.Classes}
	for l := range labels {
		d.Labels = append(d.Labels, l)
	}
	slices.Sort(d.Labels)
	for i, l := range d.Labels {
		labels[l] = i
	}
	for _, s := range g.found {
		for _, r := range s.Rows {
			class := datasets.Unlabelled
			if r.Label != "" {
				class = labels[r.Label]
			}
			d.Items = append(d.Items, datasets.Item{Path: filepath.Join(root, filepath.FromSlash(r.Path)), Rel: r.Path, Class: class, Split: r.Split, SHA256: r.SHA256})
		}
	}
	for _, b := range g.Bad {
		d.Report.Unreadable = append(d.Report.Unreadable, datasets.Bad{Rel: b.Path, Why: b.Why})
	}
	return d.Listed(o)
}

// Each calls use for each picture with a row, with its features, [C], in the order of the manifest.
func (g *Gathered) Each(use func(r Row, features []float32) error) error {
	for _, s := range g.found {
		n := s.Function.Features
		for i, r := range s.Rows {
			if err := use(r, s.Features[i*n:(i+1)*n]); err != nil {
				return err
			}
		}
	}
	return nil
}
