package features

import (
	"hash/crc32"
	"os"
	"sync"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Decoded shares the decoding of pictures among jobs that run one after the other on the same
// pictures. The first job that needs a picture decodes it once, and keeps its squares of bytes for the
// presets of the jobs to come: the numbers that the networks get are the same bits as without it. The
// squares are in a temporary file of the cache folder, so memory does not grow with the number of
// pictures; what does not fit is decoded again.
type Decoded struct {
	mu     sync.Mutex
	stages map[transforms.Preset]*stages
	jobs   map[string]int // by shape, how many jobs are to come
	kept   map[square]place
	file   *os.File // nil before the first square
	end    int64    // of the file
	limit  int64
}

// mostKept is the largest size of the file: about 25,000 squares of 224 pixels. On a small disk it is
// a quarter of what is free.
const mostKept = 4 << 30

type stages struct {
	square, numbers transforms.Pipeline
	shape           string
	side            int
}

// square names the pixels of a picture in one shape.
type square struct{ sha256, shape string }

// place is where they are in the file, with their checksum.
type place struct {
	at  int64
	sum uint32
}

// Share prepares for jobs with these presets, one for each job.
func Share(presets []transforms.Preset) *Decoded {
	d := &Decoded{stages: map[transforms.Preset]*stages{}, jobs: map[string]int{}, kept: map[square]place{}, limit: mostKept}
	for _, p := range presets {
		d.jobs[d.of(p).shape]++
	}
	return d
}

// Begin says that a job with this preset begins now, or is left out: nothing is kept for it any more.
func (d *Decoded) Begin(p transforms.Preset) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs[d.of(p).shape]--
}

// Close removes the file.
func (d *Decoded) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		d.file.Close()
		os.Remove(d.file.Name())
	}
	d.file, d.limit, d.kept = nil, 0, nil
}

// of returns the stages of a preset.
func (d *Decoded) of(p transforms.Preset) *stages {
	s := d.stages[p]
	if s == nil {
		s = &stages{side: p.Size}
		s.square, s.numbers, s.shape = p.Stages()
		d.stages[p] = s
	}
	return s
}

// find returns what a job with preset p gets of a picture, if its square is kept.
func (d *Decoded) find(p transforms.Preset, item datasets.Item) (t transforms.Tensor, ok bool) {
	d.mu.Lock()
	mine, file := d.of(p), d.file
	where, ok := d.kept[square{item.SHA256, mine.shape}]
	d.mu.Unlock()
	if !ok || file == nil {
		return t, false
	}
	pic := transforms.NewPicture(mine.side, mine.side)
	if _, err := file.ReadAt(pic.Pix, where.at); err != nil || crc32.Checksum(pic.Pix, castagnoli) != where.sum {
		return t, false // it is decoded again
	}
	t, err := mine.numbers.Apply(pic, transforms.Rand{})
	return t, err == nil
}

// decode returns what a job with preset p, whose pipeline is eval, gets of a picture, and keeps the
// squares for the jobs to come.
func (d *Decoded) decode(p transforms.Preset, eval transforms.Pipeline, item datasets.Item, data []byte) (transforms.Tensor, error) {
	missing := d.missing(item.SHA256)
	if len(missing) == 0 {
		return eval.Load(nil, data, transforms.DecodeOptions{}, transforms.Rand{})
	}
	photo, err := transforms.Decode(data, transforms.DecodeOptions{})
	if err != nil {
		return transforms.Tensor{}, err
	}
	for _, s := range missing {
		// A step that fails is the other job's to report.
		if pic, err := s.square.Picture(photo, transforms.Rand{}); err == nil {
			d.keep(square{item.SHA256, s.shape}, pic)
		}
	}
	if t, ok := d.find(p, item); ok {
		return t, nil
	}
	return eval.Apply(photo, transforms.Rand{})
}

// missing returns a stage for each shape that jobs to come need of a picture and that is not kept.
func (d *Decoded) missing(sha256 string) (out []*stages) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range d.stages {
		_, kept := d.kept[square{sha256, s.shape}]
		if d.jobs[s.shape] > 0 && !kept && !seen[s.shape] && d.end+int64(3*s.side*s.side) <= d.limit {
			seen[s.shape] = true
			out = append(out, s)
		}
	}
	return out
}

// keep writes a square to the file, if there is room. A disk that fails ends the sharing.
func (d *Decoded) keep(name square, pic *transforms.Picture) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil && d.limit > 0 {
		d.open()
	}
	if d.end+int64(len(pic.Pix)) > d.limit {
		return
	}
	if _, err := d.file.WriteAt(pic.Pix, d.end); err != nil {
		d.limit = 0
		return
	}
	d.kept[name] = place{d.end, crc32.Checksum(pic.Pix, castagnoli)}
	d.end += int64(len(pic.Pix))
}

func (d *Decoded) open() {
	dir, err := cachedir.Dir("tmp")
	if err == nil {
		d.file, err = os.CreateTemp(dir, "pictures-*")
	}
	if err != nil {
		d.file, d.limit = nil, 0
		return
	}
	if free, ok := machine.FreeSpace(dir); ok {
		d.limit = min(d.limit, free/4)
	}
	// Where the system allows it, the name goes at once, so that a killed process leaves nothing.
	os.Remove(d.file.Name())
}
