// Package features runs a frozen backbone over pictures once and keeps the result.
//
//	m, err := features.Extract(ctx, features.Job{Items: ds.In("train"), Preset: net.Preset, Backbone: b})
//	row := m.Row(0) // Features float32 values of the first picture
//
// What is kept: one row for each picture, under the sha256 of the picture's bytes, in a
// file named by a digest of all else that a row depends on: the backbone's identity
// (architecture, weights sha256, engine and plugin), the preset, the batch size, and for
// augmented views the seed. So a picture seen before costs nothing in whatever data set
// it turns up next, a folder that grew by ten pictures costs ten pictures, and an
// interrupted run goes on where it stopped. Each row carries a checksum; a damaged or
// torn row is computed again.
//
// Rows are streamed to disk: memory does not grow with the number of pictures until the
// matrix itself, [N, C] float32, is read back for the fit.
package features

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Backbone is a frozen network as this package needs it.
type Backbone struct {
	Identity string // all that the numbers depend on beside picture, preset and batch
	Features int    // C
	Batch    int    // pictures a call; short batches are padded with zeros
	// Open readies the network for pictures of side size: the returned function takes
	// [Batch, size, size, 3] and gives [Batch, C]. It is called only when a row is missing.
	Open func(ctx context.Context, size int) (func(batch []float32) ([]float32, error), error)
}

// Job is one pass over some pictures.
type Job struct {
	Items    []datasets.Item
	Preset   transforms.Preset
	Backbone Backbone
	Views    int    // 0: each picture once, as Preset.Eval prepares it; K: K augmented views of Preset.Train
	Seed     uint64 // of the views
	Workers  int    // decoders; 0 = one for each processor

	// BadLimit is the share of unreadable items beyond which the job stops; 0 means 0.05, 1
	// skips any number, for a caller who counts over a whole data set.
	BadLimit float64
	// Progress is called with the pictures done, those found in the cache among them. It may be nil.
	Progress func(done, cached, total int)
}

// Matrix is the features of the pictures that could be read, in the order of the items
// (and of the views within an item).
type Matrix struct {
	Features int
	Data     []float32 // [Rows, Features] row-major
	Items    []int     // index into Job.Items of each row
	Bad      []Bad     // pictures that could not be read, left out of Data
	Cached   int       // rows that were already there
}

// Bad is a picture left out, and why.
type Bad struct {
	Item int
	Err  error
}

// Rows is the number of rows.
func (m *Matrix) Rows() int { return len(m.Items) }

// Row is the features of row i.
func (m *Matrix) Row(i int) []float32 { return m.Data[i*m.Features : (i+1)*m.Features] }

// maxBad is the share of unreadable pictures beyond which a run stops: a twentieth is an
// accident, more is a wrong folder.
const maxBad = 0.05

// Extract returns the features of every item, computing what the cache lacks.
//
// Errors: ctx's when interrupted (finished rows stay cached), a wrong preset, a backbone
// that cannot be opened, more than BadLimit unreadable pictures, a full disk.
func Extract(ctx context.Context, job Job) (*Matrix, error) {
	r, err := Open(ctx, job)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	views := max(job.Views, 1)
	m := &Matrix{Features: job.Backbone.Features, Cached: r.cached, Bad: r.Bad, Data: make([]float32, 0, len(r.keys)*job.Backbone.Features)}
	for i := range job.Items {
		if r.left[i] {
			continue
		}
		for v := range views {
			row, err := r.store.read(r.keys[i*views+v])
			if err != nil {
				return nil, err
			}
			m.Data = append(m.Data, row...)
			m.Items = append(m.Items, i)
		}
	}
	return m, nil
}

// Rows are the results of a job on disk, for those that do not fit into memory or are
// wanted in another order again and again.
type Rows struct {
	Bad []Bad // pictures that could not be read; they have no row

	job    Job
	store  *store
	keys   []key
	left   []bool // by item: it is in Bad
	cached int
}

// Open computes what the cache lacks, as Extract does and with the same errors, and
// leaves the rows where they are.
func Open(ctx context.Context, job Job) (_ *Rows, err error) {
	if job.Backbone.Features < 1 || job.Backbone.Batch < 1 || job.Views < 0 {
		return nil, fmt.Errorf("features: backbone with %d features, batch %d, %d views: want positive numbers", job.Backbone.Features, job.Backbone.Batch, job.Views)
	}
	dir, err := cachedir.Dir("features")
	if err != nil {
		return nil, fmt.Errorf("features: no cache folder: %w", err)
	}
	store, err := openStore(filepath.Join(dir, job.digest()+".rows"), job.Backbone.Features)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			store.close()
		}
	}()
	views := max(job.Views, 1)
	keys := make([]key, 0, len(job.Items)*views)
	missing := make([]int, 0)
	queued := make(map[key]bool)
	for i, item := range job.Items {
		for v := range views {
			k, err := job.key(item, v)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
			if !store.has(k) && !queued[k] {
				queued[k] = true
				missing = append(missing, i*views+v)
			}
		}
	}
	r := &Rows{job: job, store: store, keys: keys, left: make([]bool, len(job.Items)), cached: len(keys) - len(missing)}
	bad := make(map[int]error) // by item
	if len(missing) > 0 {
		if err := job.compute(ctx, store, keys, missing, r.cached, bad); err != nil {
			return nil, err
		}
	} else if job.Progress != nil {
		job.Progress(len(keys), r.cached, len(keys))
	}
	for i, item := range job.Items {
		for v := range views {
			if store.has(keys[i*views+v]) {
				continue
			}
			// A duplicate of an unreadable picture was not queued a second time: its key is missing too.
			why := bad[i]
			if why == nil {
				why = fmt.Errorf("features: %s: same bytes as an unreadable picture", item.Rel)
			}
			r.Bad, r.left[i] = append(r.Bad, Bad{i, why}), true
			break
		}
	}
	limit := job.BadLimit
	if limit == 0 {
		limit = maxBad
	}
	if n := len(r.Bad); n > 0 && float64(n) > limit*float64(len(job.Items)) {
		return nil, fmt.Errorf("features: %d of %d pictures cannot be read, more than %.3g %%; the first: %w", n, len(job.Items), 100*limit, r.Bad[0].Err)
	}
	return r, nil
}

// Read gives the row of one view (0 without views) of an item. It may be called from
// several goroutines.
func (r *Rows) Read(item, view int) ([]float32, error) {
	views := max(r.job.Views, 1)
	if item < 0 || item >= len(r.job.Items) || view < 0 || view >= views {
		return nil, fmt.Errorf("features: row of picture %d, view %d; there are %d pictures with %d views", item, view, len(r.job.Items), views)
	}
	if r.left[item] {
		return nil, fmt.Errorf("features: %s could not be read and has no row", r.job.Items[item].Rel)
	}
	return r.store.read(r.keys[item*views+view])
}

// Close closes the file of the rows.
func (r *Rows) Close() { r.store.close() }

// version changes whenever this package or the preparation of pictures changes a number.
const version = "1"

// digest names the file: all that its rows depend on, pictures excepted.
func (j Job) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "features %s\n%s\n%s\nbatch %d width %d\n", version, j.Backbone.Identity, j.Preset.Digest(), j.Backbone.Batch, j.Backbone.Features)
	if j.Views > 0 {
		fmt.Fprintf(h, "train seed %d\n", j.Seed)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// key of a row: the picture's own hash, or for a view a hash of both.
func (j Job) key(item datasets.Item, view int) (key, error) {
	var k key
	if b, err := hex.DecodeString(item.SHA256); err != nil || copy(k[:], b) != len(k) {
		return k, fmt.Errorf("features: item %s carries sha256 %q, want 64 hex digits (datasets.Open fills them in)", item.Rel, item.SHA256)
	}
	if j.Views > 0 {
		k = sha256.Sum256(fmt.Appendf(nil, "%x view %d", k, view))
	}
	return k, nil
}

// compute fills the store.
func (j Job) compute(ctx context.Context, store *store, keys []key, missing []int, cached int, bad map[int]error) error {
	pipeline := j.Preset.Eval()
	if j.Views > 0 {
		pipeline = j.Preset.Train(j.Seed)
	}
	views, done := max(j.Views, 1), cached
	err := Forward(ctx, j.Backbone, j.Preset.Size, len(missing), j.Workers,
		func(i int) (transforms.Tensor, error) {
			at := missing[i]
			return j.prepare(pipeline, j.Items[at/views], at%views)
		},
		func(rows []int, values []float32) error {
			fresh := make([]key, len(rows))
			for i, r := range rows {
				fresh[i] = keys[missing[r]]
			}
			if err := store.append(fresh, values); err != nil {
				return err
			}
			if done += len(rows); j.Progress != nil {
				j.Progress(done, cached, len(keys))
			}
			return nil
		},
		func(i int, err error) { bad[missing[i]/views] = err })
	// What is finished stays, also when something stopped the run.
	return errors.Join(err, store.sync())
}

// prepare reads, checks and prepares one view of one picture.
func (j Job) prepare(p transforms.Pipeline, item datasets.Item, view int) (transforms.Tensor, error) {
	data, err := os.ReadFile(item.Path)
	if err != nil {
		return transforms.Tensor{}, fmt.Errorf("features: %w", err)
	}
	got := sha256.Sum256(data)
	if hex.EncodeToString(got[:]) != item.SHA256 {
		return transforms.Tensor{}, fmt.Errorf("features: %s changed on disk while the run was going: start it again", item.Rel)
	}
	// Named by content, not by place: the same view whatever data set the picture is in.
	t, err := p.Load(nil, data, transforms.DecodeOptions{}, transforms.Rand{Epoch: view, Picture: int(binary.LittleEndian.Uint64(got[:8]) >> 1)})
	if err != nil {
		return transforms.Tensor{}, fmt.Errorf("%s: %w", item.Rel, err)
	}
	return t, nil
}
