package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Job computes parts.
type Job struct {
	Manifest *Manifest
	Function Function
	Backbone features.Backbone
	Preset   transforms.Preset
	Out      string // folder of the shards
	Machine  string // recorded in the shards
	Workers  int    // goroutines that decode; 0 = one for each processor
	// Prepare makes the network's input of the bytes of a picture; nil = by the preset.
	Prepare func(data []byte) (transforms.Tensor, error)
	// Progress gets the number of pictures done, and of all of the part. It may be nil.
	Progress func(done, total int)
}

// Done says what became of a part.
type Done struct {
	Part  int    `json:"part"`
	Shard string `json:"shard"` // path of the file
	Rows  int    `json:"rows"`
	Bad   []Bad  `json:"bad,omitempty"`
	There bool   `json:"there"` // the shard was there, and nothing was computed
}

// Extract computes a part, counted from 0, and writes its shard. A whole shard that is there is left
// alone. Pictures that cannot be read are listed in the shard, whatever their number: [Gather] judges
// that over all parts.
//
// A picture that ends the process, such as one that takes all memory, is found: after a try that did not
// come to an end, pictures are prepared one at a time and noted, and one that is noted last by two tries
// is left out, by name.
//
// When ctx is cancelled, or on a full disk, there is no shard, and the part can be computed again.
func (j Job) Extract(ctx context.Context, part int) (Done, error) {
	p, err := j.Manifest.Part(part)
	if err != nil {
		return Done{}, err
	}
	if err := os.MkdirAll(j.Out, 0o755); err != nil {
		return Done{}, fmt.Errorf("parts: %w", err)
	}
	path := filepath.Join(j.Out, j.Function.name(p))
	if s, ok := whole(j.Out, j.Function, p); ok {
		_ = os.Remove(triesPath(path)) // of a process that was killed after the shard was there
		return Done{Part: part, Shard: path, Rows: len(s.Rows), Bad: s.Bad, There: true}, nil
	}
	tries, err := startTry(path)
	if err != nil {
		return Done{}, err
	}
	s, err := j.compute(ctx, p, tries)
	if err == nil {
		err = s.write(path)
	}
	// The process lives, so no picture has ended it.
	if end := tries.end(); err == nil {
		err = end
	}
	if err != nil {
		return Done{}, err
	}
	return Done{Part: part, Shard: path, Rows: len(s.Rows), Bad: s.Bad}, nil
}

// compute returns the shard of a part.
func (j Job) compute(ctx context.Context, p *Part, tries *tries) (*Shard, error) {
	c := &computing{Job: j, part: p, tries: tries, rows: make([]Row, len(p.Pictures)), why: map[int]string{}, values: make([]float32, len(p.Pictures)*j.Function.Features)}
	if c.Prepare == nil {
		eval := j.Preset.Eval()
		c.Prepare = func(data []byte) (transforms.Tensor, error) {
			return eval.Load(nil, data, transforms.DecodeOptions{}, transforms.Rand{})
		}
	}
	workers := j.Workers
	if tries.careful() {
		workers = 1
	}
	err := features.Forward(ctx, j.Backbone, features.Pass{
		Size: j.Preset.Size, Pictures: len(p.Pictures), Workers: workers,
		Prepare: c.prepare, Use: c.use, Bad: c.bad,
	})
	if err != nil {
		return nil, err
	}
	return c.shard(), nil
}

// computing is a part on its way.
type computing struct {
	Job
	part   *Part
	tries  *tries
	rows   []Row
	values []float32
	done   int

	mu  sync.Mutex
	why map[int]string // pictures without a row
}

// prepare reads and prepares picture i.
func (c *computing) prepare(i int) (transforms.Tensor, error) {
	picture := c.part.Pictures[i]
	if why := c.tries.blamed(picture.Path); why != "" {
		return transforms.Tensor{}, errors.New(why)
	}
	if err := c.tries.preparing(picture.Path); err != nil {
		return transforms.Tensor{}, err
	}
	data, err := os.ReadFile(filepath.Join(c.Manifest.Root, filepath.FromSlash(picture.Path)))
	if err != nil {
		return transforms.Tensor{}, err
	}
	sum := sha256.Sum256(data)
	c.rows[i] = Row{Picture: picture, SHA256: hex.EncodeToString(sum[:])}
	t, err := c.Prepare(data)
	return t, errors.Join(err, c.tries.prepared())
}

// use keeps the features of a batch.
func (c *computing) use(pictures []int, values []float32) error {
	n := c.Function.Features
	for k, i := range pictures {
		row := values[k*n : (k+1)*n]
		if at := slices.IndexFunc(row, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }); at >= 0 {
			return advice.New(fmt.Errorf("parts: feature %d of %s is %v: want a finite number", at, c.part.Pictures[i].Path, row[at]), "the weights are broken, or the preset is wrong")
		}
		copy(c.values[i*n:], row)
	}
	c.done += len(pictures)
	if c.Progress != nil {
		c.Progress(c.done+len(c.why), len(c.rows))
	}
	return nil
}

func (c *computing) bad(i int, err error) {
	c.why[i] = strings.TrimPrefix(err.Error(), c.part.Pictures[i].Path+": ")
}

// shard puts what was computed together, in the order of the part.
func (c *computing) shard() *Shard {
	s := &Shard{Function: c.Function, Part: c.part.Index, Parts: c.part.Sum, Manifest: c.Manifest.Sum, Root: c.Manifest.Root, Of: c.Manifest.Parts, Machine: c.Machine, Rows: []Row{}}
	n := c.Function.Features
	for i, picture := range c.part.Pictures {
		if why, bad := c.why[i]; bad {
			s.Bad = append(s.Bad, Bad{picture.Path, why})
			continue
		}
		s.Rows = append(s.Rows, c.rows[i])
		s.Features = append(s.Features, c.values[i*n:(i+1)*n]...)
	}
	return s
}
