package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/sim/bench"
)

const robotSide = 64 // of the pictures of these data sets

// recorded writes a data set of bench/sort into the current folder: a demonstration of each scene, whose
// frames change may spoil.
func recorded(t *testing.T, dir string, scenes []uint64, change func(episode int, f *sim.Frame)) {
	t.Helper()
	w, err := bench.New(bench.Sort, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := episodes.Create(dir, w.Spec())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Discard()
	for e, scene := range scenes {
		if _, err := sim.Demonstrate(t.Context(), w, scene, sim.Lesson{Side: robotSide, Noise: 0.3}, func(f sim.Frame) error {
			if change != nil { // what is recorded, not what is done
				f.State, f.Action = slices.Clone(f.State), slices.Clone(f.Action)
				change(e, &f)
			}
			return out.Add(f)
		}); err != nil {
			t.Fatal(err)
		}
		if err := out.End(""); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// rowOf is a row of such a set.
type rowOf struct {
	State     []float32  `parquet:"observation.state,list"`
	Action    []float32  `parquet:"action,list"`
	Truth     []float32  `parquet:"observation.environment_state,list"`
	Top       *pictureOf `parquet:"observation.images.top,optional"`
	Timestamp float32    `parquet:"timestamp"`
	Frame     int64      `parquet:"frame_index"`
	Episode   int64      `parquet:"episode_index"`
	Index     int64      `parquet:"index"`
	Task      int64      `parquet:"task_index"`
}

type pictureOf struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional"`
}

const rowsFile, infoFile = "data/chunk-000/file-000.parquet", "meta/info.json"

// spoilRows changes the rows of a set.
func spoilRows(t *testing.T, dir string, change func(r *rowOf)) {
	t.Helper()
	name := filepath.Join(dir, rowsFile)
	rows, err := parquet.ReadFile[rowOf](name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		change(&rows[i])
	}
	if err := parquet.WriteFile(name, rows); err != nil {
		t.Fatal(err)
	}
}

// bombRows writes rows that pack well instead of those of a set.
func bombRows(t *testing.T, dir string, n int, r func(i int) rowOf) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, rowsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pictures := []string{"observation.images.top", "bytes"}
	w := parquet.NewGenericWriter[rowOf](f, parquet.Compression(&parquet.Zstd), parquet.SkipPageBounds(pictures...), parquet.SkipPageStatistics(pictures...))
	for i := range n {
		if _, err := w.Write([]rowOf{r(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// editInfo changes meta/info.json of a set.
func editInfo(t *testing.T, dir string, change func(info map[string]any)) {
	t.Helper()
	name := filepath.Join(dir, infoFile)
	raw, err := os.ReadFile(name)
	var v map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	change(v)
	if raw, err = json.Marshal(v); err == nil {
		err = os.WriteFile(name, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shortVideo puts the pictures of a set into an mp4 file that ends in the second episode.
func shortVideo(t *testing.T, dir string) {
	t.Helper()
	type episode struct {
		Episode int64    `parquet:"episode_index"`
		Tasks   []string `parquet:"tasks,list"`
		Length  int64    `parquet:"length"`
		Chunk   int64    `parquet:"data/chunk_index"`
		File    int64    `parquet:"data/file_index"`
		VChunk  int64    `parquet:"videos/observation.images.top/chunk_index"`
		VFile   int64    `parquet:"videos/observation.images.top/file_index"`
		From    float64  `parquet:"videos/observation.images.top/from_timestamp"`
		To      float64  `parquet:"videos/observation.images.top/to_timestamp"`
	}
	set, err := episodes.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var raw bytes.Buffer
	var list []episode
	n := 0
	for _, e := range set.Episodes() {
		list = append(list, episode{Episode: int64(e.Index), Tasks: e.Tasks, Length: int64(e.Length), From: float64(n) / 10, To: float64(n+e.Length) / 10})
		n += e.Length
	}
	for e := range 2 {
		if err := set.Read(t.Context(), e, episodes.ReadOptions{}, func(f sim.Frame) error {
			if e == 0 || f.Index < 5 {
				for i := 0; i < len(f.Pictures[0].Pix); i += 4 {
					raw.Write(f.Pictures[0].Pix[i : i+3])
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "videos/observation.images.top/chunk-000/file-000.mp4")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", fmt.Sprintf("%dx%d", robotSide, robotSide), "-r", "10", "-i", "pipe:0", "-c:v", "mpeg4", "-g", "7", file)
	cmd.Stdin = &raw
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if err := parquet.WriteFile(filepath.Join(dir, "meta/episodes/chunk-000/file-000.parquet"), list); err != nil {
		t.Fatal(err)
	}
	spoilRows(t, dir, func(r *rowOf) { r.Top = nil })
	editInfo(t, dir, func(info map[string]any) {
		info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
		info["features"].(map[string]any)["observation.images.top"].(map[string]any)["dtype"] = "video"
	})
}

// robotCommandLine runs tlkit robot in the current folder.
func robotCommandLine(args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = execute(context.Background(), append([]string{"robot"}, args...), &o, &e)
	return status, o.String(), e.String()
}

// A data set is learnt from by its folder, and the figures are offline; nothing is tried.
func TestRobotFitsADataSet(t *testing.T) {
	t.Chdir(t.TempDir())
	status, out, errs := robotCommandLine("teach", "bench/sort", "--demos", "4", "-o", "demos")
	if status != 0 || !strings.Contains(out, "demos") {
		t.Fatalf("status %d, %q, %q", status, out, errs)
	}
	status, out, errs = robotCommandLine("fit", "demos", "-o", "bee.policy.safetensors")
	if status != 0 || !strings.Contains(out, "of 4 demonstrations") || !strings.Contains(out, "Offline: in folds of whole demonstrations") || !strings.Contains(out, "This is no success rate") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	status, out, errs = robotCommandLine("fit", "demos", "--tip", "x,observation.state.1", "--gripper", "gripper", "--json")
	if v := one[fitResult](t, out); status != 0 || v.Demos != 4 || v.Offline == nil || v.Offline.Found.Total == 0 {
		t.Errorf("status %d, %+v, %q", status, v, errs)
	}
	if f, err := robot.OpenPolicy(t.Context(), "bee.policy.safetensors", (&command{}).place(), nil); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	for want, args := range map[string][]string{
		"there is no simulator to film the teacher in": {"watch", "demos"},
		"there is no simulator to try the policy in":   {"try", "demos"},
		"there is no simulator to try policies in":     {"curve", "demos"},
		"demos is a data set already":                  {"teach", "demos", "-o", "again"},
		"demos is there already":                       {"teach", "bench/sort", "-o", "demos"},
		"has 4 demonstrations, not 5":                  {"fit", "demos", "--demos", "5"},
		"one demonstration of demos":                   {"fit", "demos", "--demos", "1"},
		`no task "nothing", and no folder`:             {"fit", "nothing"},
		"--tip names 1 numbers, want two":              {"fit", "demos", "--tip", "x"},
		"--edges has 2 numbers, want four":             {"fit", "demos", "--tip", "x,y", "--edges", "0,640"},
		"is simulated":                                 {"fit", "bench/sort", "--gripper", "claw"},
	} {
		if status, _, errs := robotCommandLine(args...); status != 1 || !strings.Contains(errs, want) {
			t.Errorf("%q: status %d, %q, want %q", args, status, errs, want)
		}
	}
}

// Each of these data sets is refused with what is wrong, where, and what to do about it.
func TestRobotFitRefusesBadDataSets(t *testing.T) {
	t.Chdir(t.TempDir())
	nan := float32(math.NaN())
	four := []uint64{1, 2, 3, 4}
	good := func(t *testing.T, dir string) { recorded(t, dir, four, nil) }
	spoilt := func(change func(r *rowOf)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			good(t, dir)
			spoilRows(t, dir, change)
		}
	}
	changed := func(change func(e int, f *sim.Frame)) func(*testing.T, string) {
		return func(t *testing.T, dir string) { recorded(t, dir, four, change) }
	}
	const leaveOut1 = "tlkit robot convert bad NEW --leave-out 1"
	for name, c := range map[string]struct {
		what, fix string
		make      func(t *testing.T, dir string)
	}{
		"no event": {"bad: episode 1 has no event", leaveOut1, changed(func(e int, f *sim.Frame) {
			if e == 1 {
				f.State[2], f.Action[2] = 0, 0
			}
		})},
		"one demonstration": {"bad has one demonstration, want 2 or more", "record more", func(t *testing.T, dir string) { recorded(t, dir, four[:1], nil) }},
		"one scene":         {"bad: all 3 demonstrations show the same scene", "show other scenes", func(t *testing.T, dir string) { recorded(t, dir, []uint64{7, 7, 7}, nil) }},
		"another rate": {"episode 1: frame 2 is at 0.100 s, which is a rate of 20 frames a second, but the set says 10", leaveOut1, spoilt(func(r *rowOf) {
			if r.Episode == 1 {
				r.Timestamp /= 2
			}
		})},
		"NaN": {"episode 2: frame 3: the action's dy is NaN", "--leave-out", spoilt(func(r *rowOf) {
			if r.Episode == 2 && r.Frame == 3 {
				r.Action[1] = nan
			}
		})},
		"infinite state": {"episode 0: frame 3: the state's x is +Inf", "--leave-out", spoilt(func(r *rowOf) {
			if r.Episode == 0 && r.Frame == 3 {
				r.State[0] = float32(math.Inf(1))
			}
		})},
		"beyond the limits": {"bad: demonstration 1, frame 4: the action's dx is 3, beyond its limits of", leaveOut1, changed(func(e int, f *sim.Frame) {
			if e == 1 && f.Index == 4 {
				f.Action[0] = 3
			}
		})},
		"y before x": {"the state's x does not follow the action's dx", "correct the names", changed(func(_ int, f *sim.Frame) {
			f.State[0], f.State[1] = f.State[1], f.State[0]
		})},
		"dy before dx": {"the state's x does not follow the action's dx", "correct the names", changed(func(_ int, f *sim.Frame) {
			f.Action[0], f.Action[1] = f.Action[1], f.Action[0]
		})},
		"gripper before dx": {"bad: demonstration 0, frame 0: the action's gripper is -", "check the units and the order of the numbers", changed(func(_ int, f *sim.Frame) {
			f.Action[0], f.Action[2] = 0.04*f.Action[2], 20*f.Action[0]
		})},
		"other names": {"does not say which numbers are the place of the tip in the picture; its state has", "--tip NAME,NAME", func(t *testing.T, dir string) {
			good(t, dir)
			editInfo(t, dir, func(info map[string]any) {
				info["features"].(map[string]any)["observation.state"].(map[string]any)["names"] = []string{"gripper", "opening", "x", "y"}
			})
		}},
		"another count": {"row 0 of observation.state has 4 numbers, want 5", "--leave-out 0", func(t *testing.T, dir string) {
			good(t, dir)
			editInfo(t, dir, func(info map[string]any) {
				info["features"].(map[string]any)["observation.state"].(map[string]any)["shape"] = []int{5}
			})
		}},
		"a camera in some episodes": {"episode 1: frame 0, camera top: the picture is missing", leaveOut1, spoilt(func(r *rowOf) {
			if r.Episode == 1 {
				r.Top = nil
			}
		})},
		"no camera": {"bad has no camera", "record one", func(t *testing.T, dir string) {
			good(t, dir)
			editInfo(t, dir, func(info map[string]any) { delete(info["features"].(map[string]any), "observation.images.top") })
		}},
		"two cameras": {"bad has the cameras top, wrist", "--camera top", func(t *testing.T, dir string) {
			good(t, dir)
			editInfo(t, dir, func(info map[string]any) {
				all := info["features"].(map[string]any)
				all["observation.images.wrist"] = all["observation.images.top"]
			})
		}},
		"half migrated to 3.0": {"a migration has stopped half-way", "migrate it again", func(t *testing.T, dir string) {
			good(t, dir)
			os.RemoveAll(filepath.Join(dir, "meta/episodes"))
			os.WriteFile(filepath.Join(dir, "meta/episodes.jsonl"), []byte(`{"episode_index":0}`), 0o644)
		}},
		"half migrated from 2.1": {"a migration has stopped half-way", "migrate it again", func(t *testing.T, dir string) {
			good(t, dir)
			editInfo(t, dir, func(info map[string]any) { info["codebase_version"] = "v2.1" })
		}},
		"short video": {"file-000.mp4 ends after 5 of", leaveOut1, func(t *testing.T, dir string) {
			if _, err := exec.LookPath("ffmpeg"); err != nil {
				t.Skip("no ffmpeg here")
			}
			good(t, dir)
			shortVideo(t, dir)
		}},
		"a bomb of rows": {"rows in data/chunk-000/file-000.parquet, but the list of episodes says", "--leave-out 0", func(t *testing.T, dir string) {
			good(t, dir)
			bombRows(t, dir, 2_000_000, func(int) rowOf { return rowOf{} })
		}},
		"a bomb of pictures": {"claim to unpack to", "--leave-out 0", func(t *testing.T, dir string) {
			good(t, dir)
			zeros := make([]byte, 16<<20)
			bombRows(t, dir, 40, func(i int) rowOf {
				return rowOf{State: make([]float32, 4), Action: make([]float32, 3), Truth: make([]float32, 4), Top: &pictureOf{Bytes: zeros}, Frame: int64(i)}
			})
		}},
		"a bomb of numbers": {"a list of more than", "--leave-out 0", func(t *testing.T, dir string) {
			good(t, dir)
			bombRows(t, dir, 3, func(int) rowOf {
				return rowOf{State: make([]float32, 5_000_000), Action: make([]float32, 3), Truth: make([]float32, 4)}
			})
		}},
		"an empty folder": {"bad: no meta/info.json: not a LeRobot data set", "name the folder", func(t *testing.T, dir string) { os.Mkdir(dir, 0o755) }},
		"another folder":  {"bad: no meta/info.json: not a LeRobot data set", "name the folder", func(t *testing.T, dir string) { os.MkdirAll(filepath.Join(dir, "ants"), 0o755) }},
		"no episodes":     {"bad: ", "take another copy", func(t *testing.T, dir string) { good(t, dir); os.RemoveAll(filepath.Join(dir, "meta/episodes")) }},
		"damaged pictures": {"episode 1: frame 0, camera top: ", leaveOut1, spoilt(func(r *rowOf) {
			if r.Episode == 1 {
				r.Top.Bytes = r.Top.Bytes[:20]
			}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c.make(t, "bad")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			status, out, errs := robotCommandLine("fit", "bad")
			runtime.ReadMemStats(&after)
			if status != 1 || out != "" || !strings.Contains(errs, c.what) || !strings.Contains(errs, c.fix) {
				t.Errorf("status %d, %q, %q; want %q and %q", status, out, errs, c.what, c.fix)
			}
			if strings.HasPrefix(name, "a bomb") && after.TotalAlloc-before.TotalAlloc > 256<<20 {
				t.Errorf("%d MB for it", (after.TotalAlloc-before.TotalAlloc)>>20)
			}
			if _, err := os.Stat(".tlkit/bad/policy.safetensors"); err == nil {
				t.Error("a policy all the same")
			}
		})
	}
}
