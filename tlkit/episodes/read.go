package episodes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// readLines reads a file of JSON lines into a slice.
func readLines[T any](root *os.Root, name string, into *[]T) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, mostJSON))
	lines.Buffer(make([]byte, 0, 1<<16), 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		if *into = append(*into, v); len(*into) > mostEpisodes {
			return fmt.Errorf("%s has more than %d lines", name, mostEpisodes)
		}
	}
	return lines.Err()
}

// A span is a range of rows.
type span struct{ from, n int64 }

// rowIndex knows which rows of a data file are which episode.
type rowIndex struct {
	mu    sync.Mutex
	spans map[string]map[int64]span
}

// of returns the rows of each episode in a data file.
func (x *rowIndex) of(root *os.Root, name string) (map[int64]span, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if found, ok := x.spans[name]; ok {
		return found, nil
	}
	t, err := openTable(root, name)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	index, err := t.ints("episode_index", 0, -1)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]span)
	for i, e := range index {
		s, ok := found[e]
		if !ok {
			s.from = int64(i)
		} else if s.from+s.n != int64(i) {
			return nil, fmt.Errorf("%s: the rows of episode %d are not together", name, e)
		}
		s.n++
		found[e] = s
	}
	if x.spans == nil {
		x.spans = make(map[string]map[int64]span)
	}
	x.spans[name] = found
	return found, nil
}

// ReadOptions say what is read of an episode.
type ReadOptions struct {
	NoPictures bool // leave Frame.Pictures nil, which is much faster
	// Camera is the name of the only camera that is read, so that Frame.Pictures has one picture;
	// "" = all are.
	Camera string
	// Skip says of which frames the pictures are not decoded: they are nil. Nil = of none.
	Skip func(frame int) bool
}

// Read calls each with every frame of an episode, in order, and keeps none. Frame.Time is what the
// set states. A frame with a NaN or an infinity, a missing picture and another number of rows or
// pictures than the set states end it with an error; Check lists all such faults.
func (s *Set) Read(ctx context.Context, episode int, o ReadOptions, each func(sim.Frame) error) error {
	if episode < 0 || episode >= len(s.episodes) {
		return advice.New(fmt.Errorf("episodes: %s: no episode %d", s.dir, episode), "there are 0 to %d", len(s.episodes)-1)
	}
	if err := s.read(ctx, episode, o, each); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var own callerError
		if errors.As(err, &own) {
			return own.error
		}
		return wrap(s.dir, fmt.Errorf("episode %d: %w", episode, err))
	}
	return nil
}

// callerError is an error of the caller's own function.
type callerError struct{ error }

func (s *Set) read(ctx context.Context, episode int, o ReadOptions, each func(sim.Frame) error) error {
	rows, err := s.table(episode)
	if err != nil {
		return err
	}
	if n := s.episodes[episode].Length; len(rows.state) != n {
		return fmt.Errorf("%d rows in %s, but the list of episodes says %d", len(rows.state), s.places[episode].data, n)
	}
	views, stop, err := s.views(ctx, episode, o)
	defer stop()
	if err != nil {
		return err
	}
	for i := range rows.state {
		f := rows.frame(i)
		if err := s.finite(f); err != nil {
			return err
		}
		skip := o.Skip != nil && o.Skip(i)
		for _, v := range views {
			picture, err := v.next(skip)
			if err != nil {
				return fmt.Errorf("frame %d, camera %s: %w", i, v.name, err)
			}
			f.Pictures = append(f.Pictures, picture)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := each(f); err != nil {
			return callerError{err}
		}
	}
	return nil
}

// view is the pictures of a camera in an episode, one after the other.
type view struct {
	name string
	next pictures
}

// views are the pictures that the options ask for. Stop has to be called, also after an error.
func (s *Set) views(ctx context.Context, episode int, o ReadOptions) (all []view, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	if o.NoPictures {
		return nil, stop, nil
	}
	for i, c := range s.spec.Cameras {
		if o.Camera != "" && c.Name != o.Camera {
			continue
		}
		next, end, err := s.pictures(ctx, episode, i)
		if err != nil {
			return nil, stop, fmt.Errorf("camera %s: %w", c.Name, err)
		}
		all, stops = append(all, view{c.Name, next}), append(stops, end)
	}
	if o.Camera != "" && len(all) == 0 {
		return nil, stop, fmt.Errorf("no camera %s", o.Camera)
	}
	return all, stop, nil
}

// finite refuses a frame with a NaN or an infinity.
func (s *Set) finite(f sim.Frame) error {
	check := func(what string, dims []sim.Dimension, v []float32) error {
		for i, x := range v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return advice.New(fmt.Errorf("frame %d: the %s's %s is %v", f.Index, what, dims[i].Name, x), "leave this episode out (tlkit robot convert --leave-out), or record it again")
			}
		}
		return nil
	}
	return errors.Join(check("state", s.spec.State, f.State), check("action", s.spec.Action, f.Action))
}

// numbers are an episode without its pictures.
type numbers struct {
	state, action, truth [][]float32
	time                 [][]float32
	index                []int64 // frame_index
	task                 []int64
}

func (n *numbers) frame(i int) sim.Frame {
	f := sim.Frame{Index: i, Time: float64(n.time[i][0]), State: n.state[i], Action: n.action[i]}
	if n.truth != nil {
		f.Truth = n.truth[i]
	}
	return f
}

// table reads the numbers of an episode.
func (s *Set) table(episode int) (n *numbers, err error) {
	name := s.places[episode].data
	spans, err := s.files.of(s.root, name)
	if err != nil {
		return nil, err
	}
	at, ok := spans[int64(episode)]
	if !ok {
		return nil, fmt.Errorf("%s has no row of it", name)
	}
	if length := s.episodes[episode].Length; at.n > int64(4*length+1000) { // what it is worth reading
		return nil, fmt.Errorf("%d rows in %s, but the list of episodes says %d", at.n, name, length)
	}
	t, err := openTable(s.root, name)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	n = new(numbers)
	read := func(column string, dims int) (v [][]float32) {
		if err == nil {
			v, err = t.numbers(column, at.from, at.n, dims)
		}
		return v
	}
	n.state, n.action, n.time = read(stateColumn, len(s.spec.State)), read(actionColumn, len(s.spec.Action)), read("timestamp", 1)
	if len(s.spec.Truth) > 0 {
		n.truth = read(truthColumn, len(s.spec.Truth))
	}
	if err == nil {
		n.index, err = t.ints("frame_index", at.from, at.n)
	}
	if err == nil {
		n.task, err = t.ints("task_index", at.from, at.n)
	}
	return n, err
}

// pictures gives the next picture of a camera in an episode; nil if it is to be skipped.
type pictures func(skip bool) (*image.NRGBA, error)

// pictures returns the pictures of a camera in an episode.
func (s *Set) pictures(ctx context.Context, episode, camera int) (next pictures, stop func(), err error) {
	key := s.cameras[camera]
	if s.info.Features[key].Dtype == "video" {
		return s.video(ctx, episode, key)
	}
	name := s.places[episode].data
	spans, err := s.files.of(s.root, name)
	if err != nil {
		return nil, nil, err
	}
	t, err := openTable(s.root, name)
	if err != nil {
		return nil, nil, err
	}
	encoded, inside := t.column(key, "bytes")
	if !inside {
		encoded, inside = t.column(key)
	}
	if !inside {
		t.Close()
		return nil, nil, fmt.Errorf("%s has no pictures in column %s", name, key)
	}
	pull, end := iter.Pull2(t.rows(encoded, spans[int64(episode)].from))
	stop = func() { end(); t.Close() }
	return func(skip bool) (*image.NRGBA, error) {
		row, err, ok := pull()
		switch {
		case !ok:
			return nil, errors.New("no more pictures")
		case err != nil:
			return nil, err
		case len(row) != 1 || row[0].IsNull() || (row[0].Kind() != parquet.ByteArray && row[0].Kind() != parquet.FixedLenByteArray):
			return nil, errMissing
		case skip:
			return nil, nil
		}
		return s.decode(key, row[0].ByteArray())
	}, stop, nil
}

// errMissing says that a frame has no picture of a camera.
var errMissing = errors.New("the picture is missing")

// decode decodes a picture of a camera, of the size that the set states.
func (s *Set) decode(key string, data []byte) (*image.NRGBA, error) {
	w, h := s.info.Features[key].size()
	p, err := transforms.Decode(data, transforms.DecodeOptions{MaxPixels: w * h, IgnoreOrientation: true})
	if err != nil {
		why, _ := advice.Split(err)
		return nil, errors.New(strings.TrimPrefix(why, "transforms: "))
	}
	if w > 0 && h > 0 && (p.Width != w || p.Height != h) {
		return nil, fmt.Errorf("%d x %d pixels, the set says %d x %d", p.Width, p.Height, w, h)
	}
	return opaque(p.Pix, p.Width, p.Height), nil
}

// opaque makes an image of red, green and blue bytes.
func opaque(rgb []byte, width, height int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i, j := 0, 0; j < len(img.Pix); i, j = i+3, j+4 {
		img.Pix[j], img.Pix[j+1], img.Pix[j+2], img.Pix[j+3] = rgb[i], rgb[i+1], rgb[i+2], 255
	}
	return img
}

// taskNames reads the words of the tasks, by their number; none if they cannot be read.
func (s *Set) taskNames() []string {
	var out []string
	put := func(i int, task string) {
		if i >= 0 && i < 100_000 {
			for len(out) <= i {
				out = append(out, "")
			}
			out[i] = task
		}
	}
	if s.info.Version == version21 {
		var lines []struct {
			Index int    `json:"task_index"`
			Task  string `json:"task"`
		}
		if readLines(s.root, "meta/tasks.jsonl", &lines) == nil {
			for _, l := range lines {
				put(l.Index, l.Task)
			}
		}
		return out
	}
	t, err := openTable(s.root, "meta/tasks.parquet")
	if err != nil {
		return nil
	}
	defer t.Close()
	index, err := t.ints("task_index", 0, -1)
	for i, path := range t.pq.Schema().Columns() {
		if path[0] == "task_index" || err != nil {
			continue
		}
		words, err := t.texts(i)
		for k := range words {
			if err == nil && k < len(index) && len(words[k]) == 1 {
				put(int(index[k]), words[k][0])
			}
		}
	}
	return out
}

// exists reports whether a file of the set is there.
func (s *Set) exists(name string) bool { _, err := fs.Stat(s.root.FS(), name); return err == nil }
