// Package features runs a frozen backbone over pictures once and keeps the result.
//
//	b := features.FromNet(net, engine)
//	m, err := features.Extract(ctx, features.Job{Items: ds.Items, Preset: net.Preset, Backbone: b})
//	row := m.Row(0) // the features of the first picture, float32
//
// Features are kept in a cache, one row for each picture. A row is found by the sha256 of the
// picture's bytes, in a file named by a digest of everything else that it depends on: the
// backbone's identity (architecture, weights, engine and plugin), the preset, the batch size, and
// the seed of augmented views. So a picture that was seen before costs nothing, whichever data set
// it is in; a folder that grew by ten pictures costs ten pictures; and an interrupted run continues
// where it stopped. Each row carries a checksum, which is
// checked whenever the row is read; a damaged row is computed again.
//
// Rows are streamed to disk. Memory does not grow with the number of pictures until [Extract] reads
// back the whole matrix, [N,C] float32. [Open] leaves them on disk.
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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Backbone is a frozen network as this package needs it. [FromNet] and [Logits] make one; a test
// can use any function.
type Backbone struct {
	Identity string // all that the features depend on besides picture, preset and batch
	Features int    // C, numbers per picture
	Batch    int    // pictures per call; batches that are not full are padded with zeros
	// AnyBatch reports that a call takes fewer pictures too, and that the features of a picture do
	// not depend on their number by a bit. Then nothing is padded.
	AnyBatch bool
	Side     int // calls at the same time; 0 = 1
	// Map is the shape [h,w,C] of a map, row by row, if that is what the features are; else zero.
	Map [3]int
	// Half rounds features to float16, in the cache and wherever else they are used: half the bytes.
	// A number is moved by at most 2^-11 of itself, or by 2^-28 of the largest of its picture.
	Half bool
	Form engine.Form // how the features are computed, as far as known
	// Open prepares the network for pictures of size x size pixels. The function it returns takes
	// [Batch,size,size,3] and returns [Batch,C]; Side goroutines may call it at the same time. Open
	// is called only if a row is missing.
	Open func(ctx context.Context, size int) (func(batch []float32) ([]float32, error), error)

	forms *forms // further ways to compute the same features; nil = none
}

// Job is one pass over some pictures.
type Job struct {
	Items    []datasets.Item
	Preset   transforms.Preset
	Backbone Backbone
	// Picture draws an item that is not a file: its SHA256 must be [Sum] of the picture. It is called
	// from several goroutines, for the rows that are missing. nil = items are files.
	Picture func(item int) (*transforms.Picture, error)
	Views   int    // 0: each picture once, by Preset.Eval; K: K augmented views, by Preset.Train
	Seed    uint64 // of the views
	// MinArea is the smallest area of a view, as a share of the picture's; 0 = torchvision's 0.08.
	MinArea float64
	Workers int // goroutines that decode; 0 = one for each processor
	// Decoded shares the decoding with other jobs, for a job without views; nil = this job alone.
	Decoded *Decoded

	// BadLimit is the share of unreadable pictures above which the job fails. 0 = 0.05, because
	// more than that usually means a wrong folder; 1 accepts any number.
	BadLimit float64
	// Progress gets the number of rows done, of those found in the cache, and of all. It may be
	// nil.
	Progress func(done, cached, total int)
	// Note gets a sentence if cached features were damaged and are computed anew, and if a form of
	// the backbone is not used because its results differ. It may be nil.
	Note func(sentence string)
	// Look gets some pictures as they reach the network, of those that are missing in the cache: up to 48,
	// evenly spread, each with its item. It may be nil.
	Look func(item int, t transforms.Tensor)
	// Compiling is called before the backbone is opened, which can take seconds. It may be nil.
	Compiling func()
	// Chosen gets the form of the backbone, once it is known. It may be nil.
	Chosen func(Choice)
}

// views is the number of rows of a picture.
func (j Job) views() int { return max(j.Views, 1) }

// Matrix holds the features of the pictures that could be read, in the order of the items, and of
// the views of an item.
type Matrix struct {
	Features int
	Map      [3]int    // [h,w,C] of a row, if the features are a map; else zero
	Data     []float32 // [Rows,Features], row by row
	Items    []int     // for each row the index into Job.Items
	Bad      []Bad     // pictures that could not be read; they have no row
	Cached   int       // number of rows that were in the cache
}

// Bad is a picture that was left out, and why.
type Bad struct {
	Item int // index into Job.Items
	Err  error
}

// Rows returns the number of rows.
func (m *Matrix) Rows() int { return len(m.Items) }

// Row returns the features of row i.
func (m *Matrix) Row(i int) []float32 { return m.Data[i*m.Features : (i+1)*m.Features] }

// maxBad is the default of Job.BadLimit.
const maxBad = 0.05

// Extract returns the features of every item, and computes those that are not in the cache.
//
// Errors: that of ctx when interrupted (finished rows stay in the cache), a wrong preset, a
// backbone that cannot be opened, more than BadLimit unreadable pictures, a full disk.
func Extract(ctx context.Context, job Job) (*Matrix, error) {
	r, err := Open(ctx, job)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m := &Matrix{Features: job.Backbone.Features, Map: job.Backbone.Map, Cached: r.cached, Bad: r.Bad, Data: make([]float32, 0, len(r.keys)*job.Backbone.Features)}
	for i := range job.Items {
		if r.left[i] {
			continue
		}
		for v := range job.views() {
			row, err := r.Read(i, v)
			if err != nil {
				return nil, err
			}
			m.Data = append(m.Data, row...)
			m.Items = append(m.Items, i)
		}
	}
	return m, nil
}

// Rows are the features of a job, left on disk: for features that do not fit into memory, or that
// are read repeatedly in another order.
type Rows struct {
	Bad []Bad // pictures that could not be read; they have no row

	job    Job
	store  *store
	keys   []key  // of the rows, item by item
	left   []bool // by item: it is in Bad
	cached int
}

// Open computes the rows that are not in the cache, as Extract does and with the same errors, and
// leaves them on disk.
func Open(ctx context.Context, job Job) (*Rows, error) {
	if job.Backbone.Features < 1 || job.Backbone.Batch < 1 || job.Views < 0 {
		return nil, fmt.Errorf("features: backbone with %d features, batch %d, %d views: want positive numbers", job.Backbone.Features, job.Backbone.Batch, job.Views)
	}
	r, err := job.choose(ctx)
	if err != nil {
		return nil, err
	}
	if said := r.store.damage(); said != "" && job.Note != nil {
		job.Note(said)
	}
	if err := r.fill(ctx); err != nil {
		r.store.close()
		return nil, err
	}
	return r, nil
}

// Missing returns how many rows Extract would have to compute, as far as that can be told without
// opening the backbone.
func (j Job) Missing(ctx context.Context) (int, error) {
	best, missing, err := j.there(ctx)
	if best == nil || err != nil {
		return len(j.Items) * j.views(), err
	}
	best.store.close()
	return missing, nil
}

// there opens the store with the most rows of the job, and returns how many are missing; nil if none has
// half of them.
func (j Job) there(ctx context.Context) (best *Rows, missing int, err error) {
	for _, c := range j.Backbone.stored() {
		r, err := j.in(c).rows(ctx, false)
		if err != nil {
			return nil, 0, err
		}
		if r == nil {
			continue
		}
		m, err := r.missing()
		if err == nil && len(m) <= len(r.keys)/2 && (best == nil || len(m) < missing) {
			r, best, missing = best, r, len(m)
		}
		if r != nil {
			r.store.close()
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return best, missing, nil
}

// choose chooses the form of the backbone and opens the store of its rows. Rows that are there count
// more than speed: a form with half of them is taken, without measuring.
func (j Job) choose(ctx context.Context) (*Rows, error) {
	best, _, err := j.there(ctx)
	if err != nil {
		return nil, err
	}
	if best != nil {
		c := j.Backbone.take(best.job.Backbone)
		if j.Chosen != nil {
			j.Chosen(c)
		}
		return best, nil
	}
	if j.Compiling != nil {
		j.Compiling()
	}
	c, err := j.Backbone.Choose(ctx, len(j.Items)*j.views())
	if err != nil {
		return nil, err
	}
	if j.Note != nil {
		for _, t := range c.Refused {
			j.Note(fmt.Sprintf("the form %s of this network is not used here: %s", t.Form, t.Refused))
		}
	}
	if j.Chosen != nil {
		j.Chosen(c)
	}
	return j.in(c.Backbone).rows(ctx, true)
}

// in returns j with its backbone in one form.
func (j Job) in(b Backbone) Job {
	j.Backbone = b
	return j
}

// rows opens the store of a job whose backbone has one form. Without create, it returns nil if there
// is none.
func (j Job) rows(ctx context.Context, create bool) (*Rows, error) {
	dir, err := cachedir.Dir("features")
	if err != nil {
		return nil, fmt.Errorf("features: no cache folder: %w", err)
	}
	file := filepath.Join(dir, j.digest()+".rows")
	if _, err := os.Stat(file); err != nil && !create {
		return nil, nil
	}
	cachedir.Use(ctx, file)
	store, err := openStore(file, j.Backbone.Features, j.Backbone.Half)
	if err != nil {
		return nil, err
	}
	return &Rows{job: j, store: store, left: make([]bool, len(j.Items))}, nil
}

// fill computes what is missing and finds out which pictures are bad.
func (r *Rows) fill(ctx context.Context) error {
	missing, err := r.missing()
	if err != nil {
		return err
	}
	if len(missing) > 0 && r.job.Compiling != nil {
		r.job.Compiling()
	}
	r.cached = len(r.keys) - len(missing)
	unreadable := make(map[int]error) // by item
	if len(missing) > 0 {
		err = r.compute(ctx, missing, unreadable)
	} else if r.job.Progress != nil {
		r.job.Progress(len(r.keys), r.cached, len(r.keys))
	}
	if err != nil {
		return err
	}
	return r.leaveOut(unreadable)
}

// missing returns the indices of the keys that are not in the store. A picture that is there
// several times is computed once.
func (r *Rows) missing() ([]int, error) {
	r.keys = r.keys[:0]
	var missing []int
	queued := make(map[key]bool)
	for i, item := range r.job.Items {
		for v := range r.job.views() {
			k, err := r.job.key(item, v)
			if err != nil {
				return nil, err
			}
			r.keys = append(r.keys, k)
			if !r.store.has(k) && !queued[k] {
				queued[k] = true
				missing = append(missing, i*r.job.views()+v)
			}
		}
	}
	return missing, nil
}

// leaveOut lists the items without rows in r.Bad. It returns an error if there are too many.
func (r *Rows) leaveOut(unreadable map[int]error) error {
	views := r.job.views()
	for i, item := range r.job.Items {
		for v := range views {
			if r.store.has(r.keys[i*views+v]) {
				continue
			}
			// A duplicate of an unreadable picture was not computed a second time, and has no row
			// either.
			why := unreadable[i]
			if why == nil {
				why = fmt.Errorf("features: %s: same bytes as an unreadable picture", item.Rel)
			}
			r.Bad, r.left[i] = append(r.Bad, Bad{i, why}), true
			break
		}
	}
	limit := r.job.BadLimit
	if limit == 0 {
		limit = maxBad
	}
	if n := len(r.Bad); n > 0 && float64(n) > limit*float64(len(r.job.Items)) {
		return fmt.Errorf("features: %d of %d pictures cannot be read, more than %.3g %%; the first: %w", n, len(r.job.Items), 100*limit, r.Bad[0].Err)
	}
	return nil
}

// Read returns the features of one view of an item; view is 0 for a job without views. It may be
// called from several goroutines.
func (r *Rows) Read(item, view int) ([]float32, error) {
	views := r.job.views()
	if item < 0 || item >= len(r.job.Items) || view < 0 || view >= views {
		return nil, advice.New(fmt.Errorf("features: row of picture %d, view %d", item, view), "there are %d pictures with %d views", len(r.job.Items), views)
	}
	if r.left[item] {
		return nil, fmt.Errorf("features: %s could not be read and has no row", r.job.Items[item].Rel)
	}
	return r.store.read(r.keys[item*views+view])
}

// Close closes the file of the rows.
func (r *Rows) Close() { r.store.close() }

// version changes when this package, or the preparation of pictures, changes a number.
const version = "1"

// digest names the cache file: everything that its rows depend on, except the pictures.
func (j Job) digest() string {
	h := sha256.New()
	batch := j.Backbone.Batch
	if j.Backbone.AnyBatch {
		batch = 0
	}
	fmt.Fprintf(h, "features %s\n%s\n%s\nbatch %d width %d\n", version, j.Backbone.Identity, j.Preset.Digest(), batch, j.Backbone.Features)
	if j.Backbone.Half {
		fmt.Fprintln(h, "float16")
	}
	if j.Views > 0 {
		fmt.Fprintf(h, "train seed %d\n", j.Seed)
		if j.MinArea > 0 {
			fmt.Fprintf(h, "area from %g\n", j.MinArea)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// key returns the key of a row: the picture's own hash, or for a view a hash of both.
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

// compute fills the store with the missing rows. unreadable gets the items that cannot be read.
func (r *Rows) compute(ctx context.Context, missing []int, unreadable map[int]error) error {
	job, views, done := r.job, r.job.views(), r.cached
	pipeline := job.Preset.Eval()
	if job.Views > 0 {
		pipeline = job.Preset.Train(job.Seed)
		if job.MinArea > 0 {
			pipeline = job.Preset.Train(job.Seed, transforms.Scale(job.MinArea, 1))
		}
	}
	look := job.Look
	if look != nil {
		look = func(i int, t transforms.Tensor) { job.Look(missing[i]/views, t) }
	}
	err := Forward(ctx, job.Backbone, Pass{
		Look: look,
		Size: job.Preset.Size, Pictures: len(missing), Workers: job.Workers,
		Prepare: func(i int) (transforms.Tensor, error) {
			return job.prepare(pipeline, missing[i]/views, missing[i]%views)
		},
		Use: func(rows []int, values []float32) error {
			fresh := make([]key, len(rows))
			for i, row := range rows {
				fresh[i] = r.keys[missing[row]]
			}
			if err := r.store.append(fresh, values); err != nil {
				return err
			}
			done += len(rows)
			if job.Progress != nil {
				job.Progress(done, r.cached, len(r.keys))
			}
			return nil
		},
		Bad: func(i int, err error) { unreadable[missing[i]/views] = err },
	})
	// What is finished is kept, even if something stopped the run.
	return errors.Join(err, r.store.sync())
}

// prepare reads, checks and prepares one view of one picture.
func (j Job) prepare(p transforms.Pipeline, index, view int) (transforms.Tensor, error) {
	item := j.Items[index]
	if j.Picture != nil {
		return j.prepareDrawn(p, index, view)
	}
	shared := j.Decoded != nil && j.Views == 0
	if shared {
		if t, ok := j.Decoded.find(j.Preset, item); ok {
			return t, nil
		}
	}
	data, err := os.ReadFile(item.Path)
	if err != nil {
		return transforms.Tensor{}, fmt.Errorf("features: %w", err)
	}
	got := sha256.Sum256(data)
	if hex.EncodeToString(got[:]) != item.SHA256 {
		return transforms.Tensor{}, fmt.Errorf("features: %s changed on disk during the run: start it again", item.Rel)
	}
	var t transforms.Tensor
	if shared {
		t, err = j.Decoded.decode(j.Preset, p, item, data)
	} else {
		t, err = p.Load(nil, data, transforms.DecodeOptions{}, randomOf(got, view))
	}
	if err != nil {
		return transforms.Tensor{}, fmt.Errorf("%s: %w", item.Rel, err)
	}
	return t, nil
}

// prepareDrawn is prepare for a picture that is not a file.
func (j Job) prepareDrawn(p transforms.Pipeline, index, view int) (t transforms.Tensor, err error) {
	item := j.Items[index]
	picture, err := j.Picture(index)
	if err != nil {
		return t, fmt.Errorf("features: %s: %w", item.Rel, err)
	}
	got := sumOf(picture)
	if hex.EncodeToString(got[:]) != item.SHA256 {
		return t, advice.New(fmt.Errorf("features: the picture drawn for item %d (%s) is not that of its SHA256", index, item.Rel), "set Item.SHA256 to features.Sum of the picture, and draw the same one again")
	}
	t, err = p.Apply(picture, randomOf(got, view))
	if err != nil {
		return t, fmt.Errorf("%s: %w", item.Rel, err)
	}
	return t, nil
}

// randomOf seeds the view of a picture. The random numbers depend on the content, not on the place: a
// view is the same in every data set.
func randomOf(sum key, view int) transforms.Rand {
	return transforms.Rand{Epoch: view, Picture: int(binary.LittleEndian.Uint64(sum[:8]) >> 1)}
}

// Sum returns the key of a picture that is not a file, for Item.SHA256: 64 hex digits of the sha256
// of its size and pixels.
func Sum(p *transforms.Picture) string {
	sum := sumOf(p)
	return hex.EncodeToString(sum[:])
}

func sumOf(p *transforms.Picture) (sum key) {
	h := sha256.New()
	fmt.Fprintf(h, "tlkit picture %d x %d\n", p.Width, p.Height)
	h.Write(p.Pix)
	h.Sum(sum[:0])
	return sum
}
