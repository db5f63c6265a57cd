// Package episodes keeps demonstrations of robots on disk, as LeRobot data sets: it reads versions
// 2.1 and 3.0, writes 3.0 with the pictures inside the parquet files, and audits what others have
// recorded.
//
//	set, err := episodes.Open("demos")
//	for _, e := range set.Episodes() {
//		err = set.Read(ctx, e.Index, episodes.ReadOptions{}, func(f sim.Frame) error { … })
//	}
//
// Pictures in parquet are read as they are. Those in mp4 files need the program ffmpeg, which is
// taken from the search path, or from TLKIT_FFMPEG. A set is read one frame at a time, so memory
// does not grow with it. Whatever a set claims is checked before it is believed; no code in it is
// run, and no path leaves its folder.
package episodes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Set is a data set, opened for reading. Its methods may be called from several goroutines.
type Set struct {
	dir      string
	root     *os.Root
	info     *info
	spec     sim.Spec
	cameras  []string // columns, in the order of spec.Cameras
	episodes []Episode
	places   []place // of the episodes
	files    rowIndex
}

// Episode is one demonstration.
type Episode struct {
	Index  int      // its number in the set
	Length int      // frames
	Tasks  []string // what was to be done, in words
}

// place is where the frames of an episode are.
type place struct {
	data   string // parquet file
	videos map[string]clip
}

// clip is where the pictures of a camera are in a video.
type clip struct {
	file string
	from float64 // seconds
}

// Open opens the LeRobot data set in a folder: the one that has meta and data in it.
func Open(dir string) (*Set, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("episodes: %w", err)
	}
	s := &Set{dir: dir, root: root}
	if err := s.open(); err != nil {
		root.Close()
		return nil, wrap(dir, err)
	}
	return s, nil
}

// wrap puts the package and the set before an error.
func wrap(dir string, err error) error {
	if why, fix := advice.Split(err); fix != "" {
		return advice.New(fmt.Errorf("episodes: %s: %s", dir, why), "%s", fix)
	}
	return fmt.Errorf("episodes: %s: %w", dir, err)
}

func (s *Set) open() (err error) {
	if s.info, err = readInfo(s.root); err != nil {
		return err
	}
	s.cameras = s.info.cameras()
	s.spec = s.info.spec(s.root)
	if s.info.Version == version3 {
		err = s.index3()
	} else {
		err = s.index21()
	}
	if err != nil {
		return err
	}
	if len(s.episodes) == 0 {
		return errors.New("no episodes")
	}
	if len(s.spec.Goal) == 0 && len(s.episodes[0].Tasks) > 0 {
		s.spec.Goal = s.episodes[0].Tasks[0]
	}
	return nil
}

// Close frees what the set holds.
func (s *Set) Close() error { return s.root.Close() }

// Dir returns the folder of the set.
func (s *Set) Dir() string { return s.dir }

// Spec describes the robot: names, rate and cameras, and units and limits where the set states
// them, as those that this package wrote do. Otherwise the limits are those of the data.
func (s *Set) Spec() sim.Spec { return s.spec.Clone() }

// Episodes lists the demonstrations, in order.
func (s *Set) Episodes() []Episode { return slices.Clone(s.episodes) }

// Frames returns how many frames all episodes have together.
func (s *Set) Frames() (n int) {
	for _, e := range s.episodes {
		n += e.Length
	}
	return n
}

// cameras lists the columns with pictures, sorted.
func (in *info) cameras() (keys []string) {
	for key, f := range in.Features {
		if f.isPicture() {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// cameraName turns "observation.images.top" into "top".
func cameraName(key string) string {
	if name, ok := strings.CutPrefix(key, "observation.images."); ok {
		return name
	}
	return strings.TrimPrefix(key, "observation.")
}

func (s *Set) add(e Episode, p place) error {
	if e.Index != len(s.episodes) {
		return fmt.Errorf("the list of episodes has number %d at place %d", e.Index, len(s.episodes))
	}
	if e.Length < 1 || e.Length > mostFrames {
		return fmt.Errorf("episode %d has %d frames, want at least 1", e.Index, e.Length)
	}
	s.episodes, s.places = append(s.episodes, e), append(s.places, p)
	return nil
}

// index3 reads the list of episodes of version 3.0.
func (s *Set) index3() error {
	var names []string
	err := fs.WalkDir(s.root.FS(), "meta/episodes", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".parquet") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the list of episodes: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.episodeFile(name); err != nil {
			return err
		}
	}
	return nil
}

// episodeFile reads one file of meta/episodes.
func (s *Set) episodeFile(name string) error {
	t, err := openTable(s.root, name)
	if err != nil {
		return err
	}
	defer t.Close()
	if n := t.pq.NumRows(); n > mostEpisodes {
		return fmt.Errorf("%s: %d episodes, want at most %d", name, n, mostEpisodes)
	}
	column := func(of string) (v []int64) {
		if err == nil {
			v, err = t.ints(of, 0, -1)
		}
		return v
	}
	index, length, chunk, file := column("episode_index"), column("length"), column("data/chunk_index"), column("data/file_index")
	type video struct {
		chunk, file []int64
		from        [][]float32
	}
	videos := make(map[string]video)
	for _, key := range s.cameras {
		if s.info.Features[key].Dtype == "video" {
			v := video{chunk: column("videos/" + key + "/chunk_index"), file: column("videos/" + key + "/file_index")}
			if err == nil {
				v.from, err = t.numbers("videos/"+key+"/from_timestamp", 0, t.pq.NumRows(), 1)
			}
			videos[key] = v
		}
	}
	var tasks [][]string
	if c, ok := t.column("tasks"); ok && err == nil {
		tasks, err = t.texts(c)
	}
	if err != nil {
		return err
	}
	for i := range index {
		p := place{videos: make(map[string]clip)}
		if p.data, err = fill(s.info.DataPath, map[string]any{"chunk_index": int(chunk[i]), "file_index": int(file[i])}); err != nil {
			return err
		}
		for key, v := range videos {
			if s.info.VideoPath == nil {
				return fmt.Errorf("%s: camera %s is a video, but there is no video_path", infoFile, key)
			}
			name, err := fill(*s.info.VideoPath, map[string]any{"video_key": key, "chunk_index": int(v.chunk[i]), "file_index": int(v.file[i])})
			if err != nil {
				return err
			}
			p.videos[key] = clip{name, float64(v.from[i][0])}
		}
		e := Episode{Index: int(index[i]), Length: int(length[i])}
		if i < len(tasks) {
			e.Tasks = tasks[i]
		}
		if err := s.add(e, p); err != nil {
			return err
		}
	}
	return nil
}

// index21 reads the list of episodes of version 2.1: a line of JSON for each.
func (s *Set) index21() error {
	var lines []struct {
		Index  int      `json:"episode_index"`
		Tasks  []string `json:"tasks"`
		Length int      `json:"length"`
	}
	if err := readLines(s.root, "meta/episodes.jsonl", &lines); err != nil {
		return err
	}
	for _, l := range lines {
		values := map[string]any{"episode_chunk": l.Index / s.info.ChunksSize, "episode_index": l.Index}
		p := place{videos: make(map[string]clip)}
		var err error
		if p.data, err = fill(s.info.DataPath, values); err != nil {
			return err
		}
		for _, key := range s.cameras {
			if s.info.Features[key].Dtype == "video" {
				if s.info.VideoPath == nil {
					return fmt.Errorf("%s: camera %s is a video, but there is no video_path", infoFile, key)
				}
				values["video_key"] = key
				name, err := fill(*s.info.VideoPath, values)
				if err != nil {
					return err
				}
				p.videos[key] = clip{file: name}
			}
		}
		if err := s.add(Episode{l.Index, l.Length, l.Tasks}, p); err != nil {
			return err
		}
	}
	return nil
}

// path returns where a file of the set is, for a program that opens it itself: a plain file, within
// the folder.
func (s *Set) path(name string) (string, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	inside, err := f.Stat()
	if err != nil {
		return "", err
	}
	full := filepath.Join(s.dir, filepath.FromSlash(name))
	if st, err := os.Stat(full); err != nil || !os.SameFile(st, inside) || !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", name)
	}
	return filepath.Abs(full)
}
