package episodes_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

func needFFmpeg(t *testing.T) string {
	t.Helper()
	name := os.Getenv("TLKIT_FFMPEG")
	if name == "" {
		name = "ffmpeg"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("no ffmpeg here")
	}
	return path
}

// videoEpisode is a line of meta/episodes of a set with videos.
type videoEpisode struct {
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

// filmed turns the pictures of a set into one mp4 file without loss, of at most so many frames.
func filmed(t *testing.T, dir string, frames [][]sim.Frame, most int) {
	t.Helper()
	program := needFFmpeg(t)
	file := filepath.Join(dir, "videos/observation.images.top/chunk-000/file-000.mp4")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	var list []videoEpisode
	n, written := 0, 0
	for e, all := range frames {
		list = append(list, videoEpisode{Episode: int64(e), Tasks: []string{"do it"}, Length: int64(len(all)), From: float64(n) / 10, To: float64(n+len(all)) / 10})
		for _, f := range all {
			if written < most {
				rgb, _ := colours(f.Pictures[0])
				raw.Write(rgb)
				written++
			}
		}
		n += len(all)
	}
	cmd := exec.Command(program, "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", fmt.Sprintf("%dx%d", side, side), "-r", "10", "-i", "pipe:0", "-c:v", "libx264rgb", "-qp", "0", "-g", "7", file)
	cmd.Stdin = &raw
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("this ffmpeg has no libx264rgb: %v %s", err, out)
	}
	if err := parquet.WriteFile(filepath.Join(dir, "meta/episodes/chunk-000/file-000.parquet"), list); err != nil {
		t.Fatal(err)
	}
	spoil(t, dir, func(rows []row) []row {
		for i := range rows {
			rows[i].Top = nil
		}
		return rows
	})
	edit(t, dir, "meta/info.json", func(v map[string]any) {
		v["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
		v["features"].(map[string]any)["observation.images.top"].(map[string]any)["dtype"] = "video"
	})
}

// Every episode of a video has its own pictures, whichever is read first.
func TestVideo(t *testing.T) {
	dir, frames := record(t, 3, nil)
	filmed(t, dir, frames, 1<<30)
	s := open(t, dir)
	for _, e := range []int{2, 0, 1} {
		if err := s.Read(t.Context(), e, episodes.ReadOptions{}, func(f sim.Frame) error {
			if !bytes.Equal(f.Pictures[0].Pix, frames[e][f.Index].Pictures[0].Pix) {
				t.Fatalf("episode %d, frame %d is another picture", e, f.Index)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Read(t.Context(), e, episodes.ReadOptions{Camera: "top", Skip: func(i int) bool { return i != 3 }}, func(f sim.Frame) error {
			if p := f.Pictures[0]; (p == nil) != (f.Index != 3) || p != nil && !bytes.Equal(p.Pix, frames[e][3].Pictures[0].Pix) {
				t.Fatalf("episode %d: picture %d alone is another", e, f.Index)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if a := check(t, dir); len(a.Findings) > 0 {
		t.Error(a.Text())
	}
}

// A video that is shorter than the table says so, in the episode that is cut.
func TestShortVideo(t *testing.T) {
	dir, frames := record(t, 2, nil)
	filmed(t, dir, frames, len(frames[0])+5)
	s := open(t, dir)
	all := func(sim.Frame) error { return nil }
	if err := s.Read(t.Context(), 0, episodes.ReadOptions{}, all); err != nil {
		t.Error(err)
	}
	want := fmt.Sprintf("ends after 5 of %d pictures", len(frames[1]))
	if err := s.Read(t.Context(), 1, episodes.ReadOptions{}, all); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	a := check(t, dir)
	if len(a.Findings) != 1 || a.Findings[0].Kind != episodes.BadPicture || a.Findings[0].Episode != 1 || a.Findings[0].Frame != 5 || !strings.Contains(a.Findings[0].Text, want) {
		t.Error(a.Text())
	}
	if err := os.WriteFile(filepath.Join(dir, "videos/observation.images.top/chunk-000/file-000.mp4"), []byte("no video"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context(), 0, episodes.ReadOptions{}, all); err == nil || !strings.Contains(err.Error(), "ends after 0 of") {
		t.Errorf("a file that is no video: %v", err)
	}
}

// Without ffmpeg the numbers are read, and the pictures are refused with what to do.
func TestWithoutFFmpeg(t *testing.T) {
	dir, frames := record(t, 1, nil)
	filmed(t, dir, frames, 1<<30)
	t.Setenv("TLKIT_FFMPEG", filepath.Join(dir, "nothing"))
	s := open(t, dir)
	all := func(sim.Frame) error { return nil }
	if err := s.Read(t.Context(), 0, episodes.ReadOptions{NoPictures: true}, all); err != nil {
		t.Error(err)
	}
	if err := s.Read(t.Context(), 0, episodes.ReadOptions{}, all); err == nil || !strings.Contains(err.Error(), "install ffmpeg") {
		t.Errorf("%v", err)
	}
	if a := check(t, dir); len(a.Findings) > 0 || len(a.Skipped) != 1 || !strings.Contains(a.Text(), "not checked: the pictures: ") {
		t.Error(a.Text())
	}
	if err := s.Convert(t.Context(), dir+"-new", episodes.ConvertOptions{}); err == nil || !strings.Contains(err.Error(), "install ffmpeg") {
		t.Errorf("%v", err)
	}
}

// A set of version 2.1 is the same frames in other files.
func TestVersion21(t *testing.T) {
	dir, frames := record(t, 3, nil)
	rows, err := parquet.ReadFile[row](filepath.Join(dir, dataFile))
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for e, all := range frames {
		var own []row
		for _, r := range rows {
			if r.Episode == int64(e) {
				own = append(own, r)
			}
		}
		if err := parquet.WriteFile(filepath.Join(dir, fmt.Sprintf("data/chunk-000/episode_%06d.parquet", e)), own); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "{\"episode_index\": %d, \"tasks\": [\"do it\"], \"length\": %d}\n", e, len(all))
	}
	os.Remove(filepath.Join(dir, dataFile))
	os.RemoveAll(filepath.Join(dir, "meta/episodes"))
	os.Remove(filepath.Join(dir, "meta/tasks.parquet"))
	os.WriteFile(filepath.Join(dir, "meta/episodes.jsonl"), []byte(list.String()), 0o644)
	os.WriteFile(filepath.Join(dir, "meta/tasks.jsonl"), []byte(`{"task_index": 0, "task": "do it"}`), 0o644)
	edit(t, dir, "meta/info.json", func(v map[string]any) {
		v["codebase_version"], v["data_path"] = "v2.1", "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
	})
	if a := check(t, dir); len(a.Findings) > 0 || a.Version != "v2.1" {
		t.Error(a.Text())
	}
	got := ours(t, dir)
	if err := open(t, dir).Convert(t.Context(), dir+"-new", episodes.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, ours(t, dir+"-new"), got, 0)
	if s := open(t, dir+"-new"); s.Episodes()[2].Tasks[0] != "do it" {
		t.Errorf("%+v", s.Episodes())
	}
}
