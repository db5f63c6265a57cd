package episodes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/sim/bench"
)

const side = 48 // of pictures here

// record writes n demonstrations of bench/sort; change may spoil frames.
func record(t testing.TB, n int, change func(episode int, f *sim.Frame)) (dir string, frames [][]sim.Frame) {
	t.Helper()
	w, err := bench.New(bench.Sort, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "demos")
	out, err := episodes.Create(dir, w.Spec())
	if err != nil {
		t.Fatal(err)
	}
	for e := range n {
		var all []sim.Frame
		if _, err := sim.Demonstrate(t.Context(), w, uint64(e), sim.Lesson{Side: side, Noise: 0.3}, func(f sim.Frame) error {
			if change != nil {
				change(e, &f)
			}
			all = append(all, f)
			return out.Add(f)
		}); err != nil {
			t.Fatal(err)
		}
		if err := out.End(""); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, all)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, frames
}

func open(t testing.TB, dir string) *episodes.Set {
	t.Helper()
	s, err := episodes.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What was recorded comes back bit for bit, and so does the robot's contract.
func TestRoundTrip(t *testing.T) {
	dir, frames := record(t, 3, nil)
	s := open(t, dir)
	w, _ := bench.New(bench.Sort, bench.Options{})
	want := w.Spec()
	want.Cameras[0].Side = side
	if got := s.Spec(); !reflect.DeepEqual(got, want) {
		t.Errorf("the contract is %+v, want %+v", got, want)
	}
	if len(s.Episodes()) != 3 || s.Frames() != len(slices.Concat(frames...)) {
		t.Fatalf("%d episodes, %d frames", len(s.Episodes()), s.Frames())
	}
	for e, episode := range s.Episodes() {
		if episode.Length != len(frames[e]) || episode.Tasks[0] != want.Goal {
			t.Errorf("episode %d is %+v", e, episode)
		}
		i := 0
		err := s.Read(t.Context(), e, episodes.ReadOptions{}, func(f sim.Frame) error {
			w := frames[e][i]
			if !slices.Equal(f.State, w.State) || !slices.Equal(f.Action, w.Action) || !slices.Equal(f.Truth, w.Truth) || f.Index != i ||
				float32(f.Time) != float32(w.Time) || !bytes.Equal(f.Pictures[0].Pix, w.Pictures[0].Pix) {
				t.Fatalf("episode %d, frame %d differs", e, i)
			}
			i++
			return nil
		})
		if err != nil || i != len(frames[e]) {
			t.Fatalf("episode %d: %d frames, %v", e, i, err)
		}
	}
	// In any order, and without pictures.
	count := 0
	for _, e := range []int{2, 0, 1} {
		if err := s.Read(t.Context(), e, episodes.ReadOptions{NoPictures: true}, func(f sim.Frame) error {
			if f.Pictures != nil || !slices.Equal(f.State, frames[e][f.Index].State) {
				t.Fatalf("episode %d, frame %d", e, f.Index)
			}
			count++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if count != s.Frames() {
		t.Errorf("%d frames", count)
	}
}

// The data files hold each picture once.
func TestPicturesAreStoredOnce(t *testing.T) {
	dir, _ := record(t, 2, nil)
	name := filepath.Join(dir, dataFile)
	rows, err := parquet.ReadFile[row](name)
	st, err2 := os.Stat(name)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	pictures := 0
	for _, r := range rows {
		pictures += len(r.Top.Bytes)
	}
	if size := int(st.Size()); size > pictures*11/10 {
		t.Errorf("%d bytes for %d bytes of pictures", size, pictures)
	}
}

func TestReadStops(t *testing.T) {
	dir, _ := record(t, 1, nil)
	s := open(t, dir)
	enough := errors.New("enough")
	if err := s.Read(t.Context(), 0, episodes.ReadOptions{}, func(sim.Frame) error { return enough }); err != enough {
		t.Errorf("error %v, want that of the function", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Read(ctx, 0, episodes.ReadOptions{}, func(sim.Frame) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	for _, e := range []int{-1, 1} {
		if err := s.Read(t.Context(), e, episodes.ReadOptions{}, nil); err == nil || !strings.Contains(err.Error(), "there are 0 to 0") {
			t.Errorf("episode %d: %v", e, err)
		}
	}
}

// Pictures that are not wanted are not decoded, and those of other cameras not even looked at.
func TestReadSomePictures(t *testing.T) {
	dir, frames := record(t, 2, nil)
	spoil(t, dir, func(rows []row) []row {
		for i := range rows {
			if rows[i].Frame%2 == 1 {
				rows[i].Top.Bytes = []byte("no picture")
			}
		}
		return rows
	})
	s := open(t, dir)
	odd := func(i int) bool { return i%2 == 1 }
	if err := s.Read(t.Context(), 1, episodes.ReadOptions{Camera: "top", Skip: odd}, func(f sim.Frame) error {
		if len(f.Pictures) != 1 || (f.Pictures[0] == nil) != odd(f.Index) || f.Pictures[0] != nil && !bytes.Equal(f.Pictures[0].Pix, frames[1][f.Index].Pictures[0].Pix) {
			t.Errorf("frame %d has other pictures", f.Index)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := s.Read(t.Context(), 1, episodes.ReadOptions{}, func(sim.Frame) error { return nil }); err == nil {
		t.Error("without Skip, a picture that is none is read")
	}
	if err := s.Read(t.Context(), 1, episodes.ReadOptions{Camera: "wrist"}, func(sim.Frame) error { return nil }); err == nil || !strings.Contains(err.Error(), "no camera wrist") {
		t.Error(err)
	}
}

func TestWriterRefuses(t *testing.T) {
	w, _ := bench.New(bench.Sort, bench.Options{})
	spec := w.Spec()
	picture, _ := w.Draw("top", side)
	nan := float32(math.NaN())
	good := func() sim.Frame {
		return sim.Frame{State: w.Feel(), Action: []float32{0, 0, 0}, Truth: w.Truth(), Pictures: []*image.NRGBA{picture}}
	}
	dir := filepath.Join(t.TempDir(), "set")
	out, err := episodes.Create(dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(f *sim.Frame){
		"a state of 3 numbers, want 4":         func(f *sim.Frame) { f.State = f.State[:3] },
		"the action's dy is NaN":               func(f *sim.Frame) { f.Action[1] = nan },
		"0 pictures, want one of each of 1":    func(f *sim.Frame) { f.Pictures = nil },
		"camera top has no picture":            func(f *sim.Frame) { f.Pictures = []*image.NRGBA{nil} },
		"has 20 x 20 pixels, the first":        func(f *sim.Frame) { f.Pictures = []*image.NRGBA{image.NewNRGBA(image.Rect(0, 0, 20, 20))} },
		"a picture with transparency":          func(f *sim.Frame) { f.Pictures = []*image.NRGBA{image.NewNRGBA(image.Rect(0, 0, side, side))} },
		"a truth of 0 numbers, want 4":         func(f *sim.Frame) { f.Truth = nil },
		"camera top has no picture, or a part": func(f *sim.Frame) { f.Pictures = []*image.NRGBA{{Rect: picture.Rect}} },
	} {
		f := good()
		if err := out.Add(good()); err != nil {
			t.Fatal(err)
		}
		change(&f)
		if err := out.Add(f); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "frame 1") {
			t.Errorf("error %v, want one with %q", err, want)
		}
		out.Drop()
	}
	if err := out.End("x"); err == nil {
		t.Error("an episode without a frame is accepted")
	}
	if err := out.Close(); err == nil || !strings.Contains(err.Error(), "no episode was recorded") {
		t.Errorf("an empty set: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
	os.MkdirAll(dir, 0o755)
	if _, err := episodes.Create(dir, spec); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a folder that is there: %v", err)
	}
	spec.Cameras = []sim.Camera{{Name: "wrist"}, {Name: "top"}}
	if _, err := episodes.Create(dir+"2", spec); err == nil || !strings.Contains(err.Error(), "order of their names") {
		t.Errorf("cameras out of order: %v", err)
	}
}

// A dropped episode leaves no trace, and nothing is there before Close.
func TestDropAndDiscard(t *testing.T) {
	w, _ := bench.New(bench.Sort, bench.Options{})
	dir := filepath.Join(t.TempDir(), "set")
	out, _ := episodes.Create(dir, w.Spec())
	for seed := range uint64(2) {
		for range 2 {
			if _, err := sim.Demonstrate(t.Context(), w, seed, sim.Lesson{Side: side}, out.Add); err != nil {
				t.Fatal(err)
			}
			if seed == 0 {
				out.Drop()
			}
		}
		if seed == 1 {
			if err := out.End("twice"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the set is there before Close")
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := open(t, dir).Check(t.Context(), episodes.CheckOptions{})
	if err != nil || a.Episodes != 1 || len(a.Findings) > 0 {
		t.Errorf("%+v, %v", a, err)
	}
	out, _ = episodes.Create(dir+"2", w.Spec())
	out.Discard()
	if _, err := os.Stat(dir + "2.partial"); err == nil {
		t.Error("Discard leaves the folder")
	}
}

// row is a row of the data files of bench/sort, for tests that spoil them.
type row struct {
	State     []float32 `parquet:"observation.state,list"`
	Action    []float32 `parquet:"action,list"`
	Truth     []float32 `parquet:"observation.environment_state,list"`
	Top       *cell     `parquet:"observation.images.top,optional"`
	Timestamp float32   `parquet:"timestamp"`
	Frame     int64     `parquet:"frame_index"`
	Episode   int64     `parquet:"episode_index"`
	Index     int64     `parquet:"index"`
	Task      int64     `parquet:"task_index"`
}

type cell struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional"`
}

const dataFile = "data/chunk-000/file-000.parquet"

// spoil rewrites the rows of a set.
func spoil(t testing.TB, dir string, change func(rows []row) []row) {
	t.Helper()
	name := filepath.Join(dir, dataFile)
	rows, err := parquet.ReadFile[row](name)
	if err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(name, change(rows)); err != nil {
		t.Fatal(err)
	}
}

// edit changes a JSON file of a set.
func edit(t testing.TB, dir, name string, change func(v map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	change(v)
	if raw, err = json.Marshal(v); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each of these sets is refused with one sentence that says what and where.
func TestRefusals(t *testing.T) {
	good, _ := record(t, 2, nil)
	read := func(s *episodes.Set) error {
		return s.Read(t.Context(), 1, episodes.ReadOptions{}, func(sim.Frame) error { return nil })
	}
	at := func(rows []row, episode, frame int64) *row {
		for i := range rows {
			if rows[i].Episode == episode && rows[i].Frame == frame {
				return &rows[i]
			}
		}
		t.Fatal("no such row")
		return nil
	}
	for want, change := range map[string]func(dir string){
		"not a LeRobot data set": func(dir string) { os.Remove(filepath.Join(dir, "meta/info.json")) },
		`LeRobot version "v1.6"`: func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { v["codebase_version"] = "v1.6" })
		},
		"fps 0, want": func(dir string) { edit(t, dir, "meta/info.json", func(v map[string]any) { v["fps"] = 0 }) },
		"no feature action": func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { delete(v["features"].(map[string]any), "action") })
		},
		"leaves the folder": func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { v["data_path"] = "../x/file-{file_index:03d}.parquet" })
		},
		"the unknown part {passwd}": func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { v["data_path"] = "data/{passwd}" })
		},
		"a migration has stopped half-way": func(dir string) {
			os.RemoveAll(filepath.Join(dir, "meta/episodes"))
			os.WriteFile(filepath.Join(dir, "meta/episodes.jsonl"), []byte(`{"episode_index":0}`), 0o644)
		},
		"says v2.1, but the episodes are in the folder": func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { v["codebase_version"] = "v2.1" })
		},
		"episode 1: frame 3: the action's dx is NaN": func(dir string) {
			spoil(t, dir, func(r []row) []row { at(r, 1, 3).Action[0] = float32(math.NaN()); return r })
		},
		"has 2 numbers, want 3": func(dir string) {
			spoil(t, dir, func(r []row) []row { w := at(r, 1, 3); w.Action = w.Action[:2]; return r })
		},
		"frame 4, camera top: the picture is missing": func(dir string) {
			spoil(t, dir, func(r []row) []row { at(r, 1, 4).Top = nil; return r })
		},
		"frame 5, camera top:": func(dir string) {
			spoil(t, dir, func(r []row) []row { at(r, 1, 5).Top.Bytes = []byte("no picture"); return r })
		},
		"but the list of episodes says": func(dir string) { spoil(t, dir, func(r []row) []row { return r[:len(r)-2] }) },
		"has no row of it": func(dir string) {
			spoil(t, dir, func(r []row) []row { return slices.DeleteFunc(r, func(x row) bool { return x.Episode == 1 }) })
		},
		"are not together": func(dir string) {
			spoil(t, dir, func(r []row) []row { return append(r[2:], r[:2]...) })
		},
		"no such file": func(dir string) { os.Remove(filepath.Join(dir, dataFile)) },
	} {
		dir := filepath.Join(t.TempDir(), "set")
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		change(dir)
		s, err := episodes.Open(dir)
		if err == nil {
			err = read(s)
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "episodes: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", err, want)
		}
	}
}

// No link leads out of a set.
func TestLinksStayInside(t *testing.T) {
	dir, _ := record(t, 1, nil)
	secret := filepath.Join(t.TempDir(), "secret.parquet")
	if err := os.Rename(filepath.Join(dir, dataFile), secret); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, dataFile)); err != nil {
		t.Skip(err)
	}
	if err := open(t, dir).Read(t.Context(), 0, episodes.ReadOptions{}, func(sim.Frame) error { return nil }); err == nil {
		t.Error("a link to a file outside is followed")
	}
}

func ExampleCreate() {
	folder, err := os.MkdirTemp("", "example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)

	w, err := bench.New(bench.Sort, bench.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := episodes.Create(filepath.Join(folder, "demos"), w.Spec())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Discard() // nothing, once it is closed
	for seed := range uint64(3) {
		outcome, err := sim.Demonstrate(context.Background(), w, seed, sim.Lesson{Side: 64, Noise: 0.3}, out.Add)
		if err != nil {
			fmt.Println(err)
			return
		}
		if !outcome.Success {
			out.Drop()
			continue
		}
		if err := out.End(w.Spec().Goal); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := out.Close(); err != nil {
		fmt.Println(err)
		return
	}

	set, err := episodes.Open(filepath.Join(folder, "demos"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close()
	fmt.Println(len(set.Episodes()), "episodes:", set.Episodes()[0].Tasks[0])
	err = set.Read(context.Background(), 0, episodes.ReadOptions{}, func(f sim.Frame) error {
		if f.Index == 0 {
			fmt.Println(len(f.State), "numbers felt,", len(f.Action), "done,", f.Pictures[0].Bounds().Dx(), "pixels wide")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 3 episodes: put the bee onto the blossom, and leave the ant
	// 4 numbers felt, 3 done, 64 pixels wide
	// <nil>
}
