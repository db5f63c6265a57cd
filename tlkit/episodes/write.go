package episodes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

const (
	fileBytes  = 100 << 20 // a data file is full then
	chunkFiles = 1000      // in a folder
)

// Writer writes a LeRobot data set of version 3.0, its pictures as PNG inside the parquet files.
// Nothing is at its place until Close: a program that dies leaves a folder NAME.partial behind.
type Writer struct {
	dir, partial string
	spec         sim.Spec
	row          reflect.Type // of the data files
	file         *dataFile
	chunk, index int // of the file
	episode      []reflect.Value
	episodes     []episodeRow
	tasks        []string
	frames       int64
	first        int64 // frame of the episode that is being written
	sizes        []image.Point
	columns      map[string]*gatherer
	cameras      []histogram // of the episodes that have ended
	current      []histogram // of the one that is being written
	failed       error
}

// episodeRow is a line of meta/episodes.
type episodeRow struct {
	Episode   int64    `parquet:"episode_index"`
	Tasks     []string `parquet:"tasks,list"`
	Length    int64    `parquet:"length"`
	Chunk     int64    `parquet:"data/chunk_index"`
	File      int64    `parquet:"data/file_index"`
	From      int64    `parquet:"dataset_from_index"`
	To        int64    `parquet:"dataset_to_index"`
	MetaChunk int64    `parquet:"meta/episodes/chunk_index"`
	MetaFile  int64    `parquet:"meta/episodes/file_index"`
}

// pictureCell is a picture in a data file.
type pictureCell struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional"`
}

// Create starts a data set in a folder that does not exist yet, for the robot that the Spec
// describes. Its truth, where it has any, becomes LeRobot's observation.environment_state; units,
// limits and goal, for which LeRobot has no place, are kept beside them.
func Create(dir string, spec sim.Spec) (*Writer, error) {
	if _, err := os.Lstat(dir); err == nil {
		return nil, advice.New(fmt.Errorf("episodes: %s is there already", dir), "remove it, or choose another name")
	}
	if !(spec.Rate > 0 && spec.Rate <= 10_000) || len(spec.State) == 0 || len(spec.Action) == 0 {
		return nil, fmt.Errorf("episodes: a robot with %d states, %d actions and %g steps a second cannot be recorded", len(spec.State), len(spec.Action), spec.Rate)
	}
	w := &Writer{dir: dir, partial: filepath.Clean(dir) + ".partial", spec: spec.Clone(), columns: make(map[string]*gatherer)}
	seen := make(map[string]bool)
	for _, c := range spec.Cameras {
		if c.Name == "" || seen[c.Name] || strings.ContainsAny(c.Name, "/\\\",") {
			return nil, fmt.Errorf("episodes: a camera cannot be called %q here", c.Name)
		}
		seen[c.Name] = true
	}
	// The order of cameras is that of their names in a set, so it has to be that here.
	if !slices.IsSortedFunc(spec.Cameras, func(a, b sim.Camera) int { return strings.Compare(a.Name, b.Name) }) {
		return nil, advice.New(errors.New("episodes: the cameras are not in the order of their names"), "sort Spec.Cameras, and the pictures of each frame with them")
	}
	if err := os.RemoveAll(w.partial); err != nil {
		return nil, fmt.Errorf("episodes: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(w.partial, "meta"), 0o755); err != nil {
		return nil, fmt.Errorf("episodes: %w", err)
	}
	w.row = w.rowType()
	w.cameras, w.current, w.sizes = make([]histogram, len(spec.Cameras)), make([]histogram, len(spec.Cameras)), make([]image.Point, len(spec.Cameras))
	return w, nil
}

// rowType makes the type of a row, whose tags are the columns.
func (w *Writer) rowType() reflect.Type {
	var fields []reflect.StructField
	add := func(example any, tag string) {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)), Type: reflect.TypeOf(example), Tag: reflect.StructTag(fmt.Sprintf("parquet:%q", tag)),
		})
	}
	add([]float32(nil), stateColumn+",list")
	add([]float32(nil), actionColumn+",list")
	if len(w.spec.Truth) > 0 {
		add([]float32(nil), truthColumn+",list")
	}
	for _, c := range w.spec.Cameras {
		add(pictureCell{}, "observation.images."+c.Name+",optional")
	}
	add(float32(0), "timestamp")
	for _, name := range []string{"frame_index", "episode_index", "index", "task_index"} {
		add(int64(0), name)
	}
	return reflect.StructOf(fields)
}

// Add adds a frame to the episode that is being written. Frames are numbered as they come, and their
// times are those of the robot's rate.
func (w *Writer) Add(f sim.Frame) error {
	if w.failed != nil {
		return w.failed
	}
	if err := w.check(f); err != nil {
		return fmt.Errorf("episodes: frame %d: %w", len(w.episode), err)
	}
	row := reflect.New(w.row)
	cells := []any{slices.Clone(f.State), slices.Clone(f.Action)}
	if len(w.spec.Truth) > 0 {
		cells = append(cells, slices.Clone(f.Truth))
	}
	n := len(w.episode)
	for i, p := range f.Pictures {
		data, err := encode(p)
		if err != nil {
			return fmt.Errorf("episodes: frame %d: %w", n, err)
		}
		w.current[i].add(p.Pix)
		cells = append(cells, pictureCell{data, fmt.Sprintf("frame-%06d.png", n)})
	}
	cells = append(cells, float32(float64(n)/w.spec.Rate), int64(n), int64(len(w.episodes)), w.frames, int64(0))
	for i, c := range cells {
		row.Elem().Field(i).Set(reflect.ValueOf(c))
	}
	w.episode = append(w.episode, row)
	w.frames++
	return nil
}

// check refuses what could not be read back.
func (w *Writer) check(f sim.Frame) error {
	for what, pair := range map[string]struct {
		dims []sim.Dimension
		v    []float32
	}{"state": {w.spec.State, f.State}, "action": {w.spec.Action, f.Action}, "truth": {w.spec.Truth, f.Truth}} {
		if len(pair.v) != len(pair.dims) {
			return fmt.Errorf("a %s of %d numbers, want %d", what, len(pair.v), len(pair.dims))
		}
		for i, x := range pair.v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fmt.Errorf("the %s's %s is %v", what, pair.dims[i].Name, x)
			}
		}
	}
	if len(f.Pictures) != len(w.spec.Cameras) {
		return fmt.Errorf("%d pictures, want one of each of %d cameras", len(f.Pictures), len(w.spec.Cameras))
	}
	for i, p := range f.Pictures {
		if p == nil || p.Rect.Empty() || len(p.Pix) != 4*p.Rect.Dx()*p.Rect.Dy() || p.Rect.Dx() > mostSide || p.Rect.Dy() > mostSide {
			return fmt.Errorf("camera %s has no picture, or a part of one", w.spec.Cameras[i].Name)
		}
		size := p.Rect.Size()
		if w.sizes[i] == (image.Point{}) {
			w.sizes[i] = size
		}
		if size != w.sizes[i] {
			return fmt.Errorf("camera %s has %d x %d pixels, the first picture %d x %d", w.spec.Cameras[i].Name, size.X, size.Y, w.sizes[i].X, w.sizes[i].Y)
		}
	}
	return nil
}

// encode makes a PNG without transparency, which LeRobot does not expect.
func encode(p *image.NRGBA) ([]byte, error) {
	if !p.Opaque() {
		return nil, errors.New("a picture with transparency")
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	err := enc.Encode(&b, p)
	return b.Bytes(), err
}

// Drop forgets the frames of the episode that is being written, such as one in which the teacher
// failed.
func (w *Writer) Drop() {
	w.frames -= int64(len(w.episode))
	w.episode = nil
	clear(w.current)
}

// End ends the episode, which needs at least one frame, and says in words what was to be done.
func (w *Writer) End(task string) error {
	if w.failed != nil {
		return w.failed
	}
	if len(w.episode) == 0 {
		return errors.New("episodes: an episode without a frame")
	}
	if task == "" {
		task = w.spec.Goal
	}
	number := slices.Index(w.tasks, task)
	if number < 0 {
		number, w.tasks = len(w.tasks), append(w.tasks, task)
	}
	if w.failed = w.flush(int64(number)); w.failed != nil {
		return w.failed
	}
	w.episodes = append(w.episodes, episodeRow{
		Episode: int64(len(w.episodes)), Tasks: []string{task}, Length: int64(len(w.episode)), Chunk: int64(w.chunk), File: int64(w.index), From: w.first, To: w.frames,
	})
	w.first, w.episode = w.frames, nil
	for i := range w.current {
		w.cameras[i].merge(&w.current[i])
	}
	clear(w.current)
	return nil
}

// flush writes the episode as one row group.
func (w *Writer) flush(task int64) (err error) {
	if w.file != nil && w.file.size() > fileBytes {
		if err := w.file.close(); err != nil {
			return err
		}
		w.file = nil
		if w.index++; w.index == chunkFiles {
			w.chunk, w.index = w.chunk+1, 0
		}
	}
	if w.file == nil {
		name := filepath.Join(w.partial, "data", fmt.Sprintf("chunk-%03d", w.chunk), fmt.Sprintf("file-%03d.parquet", w.index))
		if w.file, err = newDataFile(name, parquet.SchemaOf(reflect.New(w.row).Interface()), w.spec.Cameras); err != nil {
			return err
		}
	}
	for _, row := range w.episode {
		cells := row.Elem()
		cells.Field(cells.NumField() - 1).SetInt(task)
		w.gather(cells)
		if err := w.file.pq.Write(row.Interface()); err != nil {
			return fmt.Errorf("episodes: %w", err)
		}
	}
	if err := w.file.pq.Flush(); err != nil {
		return fmt.Errorf("episodes: %w", err)
	}
	return nil
}

// gather collects the numbers of a row for the statistics.
func (w *Writer) gather(cells reflect.Value) {
	for i := range cells.NumField() {
		name, _, _ := strings.Cut(w.row.Field(i).Tag.Get("parquet"), ",")
		g := w.columns[name]
		if g == nil {
			g = new(gatherer)
		}
		switch c := cells.Field(i).Interface().(type) {
		case []float32:
			for k, v := range c {
				g.add(k, float64(v))
			}
		case float32:
			g.add(0, float64(c))
		case int64:
			g.add(0, float64(c))
		default:
			continue // a picture
		}
		w.columns[name] = g
	}
}

// Close writes what describes the set and puts it at its place. A set without an episode is an
// error, and so is one whose last episode was not ended.
func (w *Writer) Close() error {
	if w.failed != nil {
		return w.failed
	}
	w.failed = errors.New("episodes: the writer is closed")
	err := w.finish()
	if err != nil {
		os.RemoveAll(w.partial)
	}
	return err
}

// Discard gives up: nothing is left behind. After Close it does nothing.
func (w *Writer) Discard() {
	w.failed = errors.New("episodes: the writer is closed")
	if w.file != nil {
		w.file.f.Close()
	}
	os.RemoveAll(w.partial)
}

func (w *Writer) finish() error {
	if w.file != nil {
		if err := w.file.close(); err != nil {
			return err
		}
		w.file = nil
	}
	switch {
	case len(w.episode) > 0:
		return fmt.Errorf("episodes: %d frames of an episode that was not ended", len(w.episode))
	case len(w.episodes) == 0:
		return errors.New("episodes: no episode was recorded")
	}
	if err := writeRows(filepath.Join(w.partial, "meta", "episodes", "chunk-000", "file-000.parquet"), w.episodes); err != nil {
		return err
	}
	type task struct {
		Index int64  `parquet:"task_index"`
		Task  string `parquet:"__index_level_0__"`
	}
	var tasks []task
	for i, t := range w.tasks {
		tasks = append(tasks, task{int64(i), t})
	}
	if err := writeRows(filepath.Join(w.partial, "meta", "tasks.parquet"), tasks, parquet.KeyValueMetadata("pandas", pandasIndex)); err != nil {
		return err
	}
	for name, v := range map[string]any{infoFile: w.info(), statsFile: w.stats(), specFile: w.spec} {
		raw, err := json.MarshalIndent(v, "", "    ")
		if err != nil {
			return fmt.Errorf("episodes: %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(w.partial, filepath.FromSlash(name)), append(raw, '\n'), 0o644); err != nil {
			return fmt.Errorf("episodes: %w", err)
		}
	}
	if err := os.Rename(w.partial, w.dir); err != nil {
		return fmt.Errorf("episodes: %w", err)
	}
	return nil
}

// pandasIndex tells pandas, with which LeRobot reads the tasks, that their words are the index.
const pandasIndex = `{"index_columns": ["__index_level_0__"], "column_indexes": [{"name": null, "field_name": null, "pandas_type": "unicode", "numpy_type": "object", "metadata": {"encoding": "UTF-8"}}], "columns": [{"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": null}, {"name": null, "field_name": "__index_level_0__", "pandas_type": "unicode", "numpy_type": "object", "metadata": null}], "creator": {"library": "pyarrow", "version": "22.0.0"}, "pandas_version": "2.3.3"}`

// info is meta/info.json.
func (w *Writer) info() map[string]any {
	numbers := func(dims []sim.Dimension) map[string]any {
		var names []string
		for _, d := range dims {
			names = append(names, d.Name)
		}
		return map[string]any{"dtype": "float32", "shape": []int{len(dims)}, "names": names}
	}
	one := func(dtype string) map[string]any {
		return map[string]any{"dtype": dtype, "shape": []int{1}, "names": nil}
	}
	features := map[string]any{
		stateColumn: numbers(w.spec.State), actionColumn: numbers(w.spec.Action), "timestamp": one("float32"),
		"frame_index": one("int64"), "episode_index": one("int64"), "index": one("int64"), "task_index": one("int64"),
	}
	if len(w.spec.Truth) > 0 {
		features[truthColumn] = numbers(w.spec.Truth)
	}
	for i, c := range w.spec.Cameras {
		features["observation.images."+c.Name] = map[string]any{"dtype": "image", "shape": []int{w.sizes[i].Y, w.sizes[i].X, 3}, "names": []string{"height", "width", "channels"}}
	}
	var fps any = w.spec.Rate
	if whole := int(w.spec.Rate); float64(whole) == w.spec.Rate {
		fps = whole
	}
	return map[string]any{
		"codebase_version": version3, "robot_type": w.spec.Robot, "total_episodes": len(w.episodes), "total_frames": w.frames,
		"total_tasks": len(w.tasks), "chunks_size": chunkFiles, "data_files_size_in_mb": fileBytes >> 20, "video_files_size_in_mb": 200,
		"fps": fps, "splits": map[string]string{"train": fmt.Sprintf("0:%d", len(w.episodes))},
		"data_path":  "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
		"video_path": nil, "features": features,
	}
}

func (w *Writer) stats() map[string]any {
	out := make(map[string]any)
	for name, g := range w.columns {
		out[name] = g.stats()
	}
	for i, c := range w.spec.Cameras {
		out["observation.images."+c.Name] = w.cameras[i].stats()
	}
	return out
}

// dataFile is a parquet file that is being written.
type dataFile struct {
	f  *os.File
	pq *parquet.Writer
}

func newDataFile(name string, schema *parquet.Schema, cameras []sim.Camera) (*dataFile, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("episodes: %w", err)
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("episodes: %w", err)
	}
	options := []parquet.WriterOption{schema, parquet.Compression(&parquet.Snappy)}
	for _, c := range cameras { // else the least and the largest picture of a page are stored again
		column := []string{"observation.images." + c.Name, "bytes"}
		options = append(options, parquet.SkipPageBounds(column...), parquet.SkipPageStatistics(column...))
	}
	return &dataFile{f, parquet.NewWriter(f, options...)}, nil
}

func (d *dataFile) size() int64 {
	st, err := d.f.Stat()
	if err != nil {
		return 0
	}
	return st.Size()
}

func (d *dataFile) close() error {
	if err := errors.Join(d.pq.Close(), d.f.Sync(), d.f.Close()); err != nil {
		return fmt.Errorf("episodes: %w", err)
	}
	return nil
}

// writeRows writes a whole parquet file.
func writeRows[T any](name string, rows []T, options ...parquet.WriterOption) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("episodes: %w", err)
	}
	if err := parquet.WriteFile(name, rows, append(options, parquet.Compression(&parquet.Snappy))...); err != nil {
		return fmt.Errorf("episodes: %w", err)
	}
	return nil
}
