package episodes_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

func check(t *testing.T, dir string) episodes.Audit {
	t.Helper()
	a, err := open(t, dir).Check(t.Context(), episodes.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Nothing is found in good sets: of 40 demonstrations with an arm that shakes, and of others.
func TestNothingIsFoundInGoodSets(t *testing.T) {
	for _, n := range []int{1, 7, 40} {
		dir, frames := record(t, n, nil)
		a := check(t, dir)
		if len(a.Findings) > 0 || a.Episodes != n || len(a.Skipped) > 0 {
			t.Errorf("%d demonstrations:\n%s", n, a.Text())
		}
		count := 0
		for _, f := range frames {
			count += len(f)
		}
		if a.Frames != count || !strings.Contains(a.Text(), "nothing found") {
			t.Errorf("%d frames, want %d:\n%s", a.Frames, count, a.Text())
		}
	}
}

func blackPicture() []byte {
	var b bytes.Buffer
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = 255
	}
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Every fault that is planted is named, in its episode, and no other.
func TestPlantedFaults(t *testing.T) {
	good, _ := record(t, 12, nil)
	const e = 5
	in := func(rows []row) []*row {
		var out []*row
		for i := range rows {
			if rows[i].Episode == e {
				out = append(out, &rows[i])
			}
		}
		return out
	}
	for _, c := range []struct {
		kind    episodes.Kind
		episode int
		frame   int
		text    string
		rows    func(r []*row) // of the episode
		set     func(dir string)
	}{
		{kind: episodes.Dropped, episode: e, frame: 7, text: "from 6 to 9: 2 frames are missing", rows: func(r []*row) {
			for _, x := range r[7:] {
				x.Frame += 2
			}
		}},
		{kind: episodes.Dropped, episode: e, frame: 7, text: "time jumps in 1 place: about 3 frames are missing", rows: func(r []*row) {
			for _, x := range r[7:] {
				x.Timestamp += 0.3
			}
		}},
		{kind: episodes.Timestamps, episode: e, frame: 6, text: "off by up to", rows: func(r []*row) {
			for i, x := range r {
				x.Timestamp = float32(i) * 0.109
			}
		}},
		{kind: episodes.Timestamps, episode: e, frame: 4, text: "time does not advance", rows: func(r []*row) { r[4].Timestamp = r[3].Timestamp }},
		{kind: episodes.Timestamps, episode: e, frame: 0, text: "the first timestamp is 5.000 s", rows: func(r []*row) {
			for _, x := range r {
				x.Timestamp += 5
			}
		}},
		{kind: episodes.NotFinite, episode: e, frame: 3, text: "the state's y is NaN; 2 such numbers", rows: func(r []*row) {
			r[3].State[1], r[4].State[0] = float32(math.NaN()), float32(math.Inf(1))
		}},
		{kind: episodes.BadPicture, episode: e, frame: 2, text: "frame 2: the picture is missing, and 1 more", rows: func(r []*row) { r[2].Top, r[5].Top = nil, nil }},
		{kind: episodes.BadPicture, episode: e, frame: 2, text: "frame 2: ", rows: func(r []*row) { r[2].Top.Bytes = r[2].Top.Bytes[:40] }},
		{kind: episodes.Black, episode: e, frame: 0, text: "every picture is black", rows: func(r []*row) {
			for _, x := range r {
				x.Top.Bytes = blackPicture()
			}
		}},
		{kind: episodes.Black, episode: e, frame: 8, text: "2 pictures are black, the first is 8", rows: func(r []*row) { r[8].Top.Bytes, r[9].Top.Bytes = blackPicture(), blackPicture() }},
		{kind: episodes.FrozenCamera, episode: e, frame: 4, text: "the same in frames 4 to 15", rows: func(r []*row) {
			for _, x := range r[5:16] {
				x.Top = r[4].Top
			}
		}},
		{kind: episodes.FrozenState, episode: e, frame: 3, text: "the same in frames 3 to 14", rows: func(r []*row) {
			for _, x := range r[4:15] {
				copy(x.State, r[3].State)
			}
		}},
		{kind: episodes.Drift, episode: e, frame: -1, text: "action and state of dx differ", rows: func(r []*row) {
			for _, x := range r {
				x.Action[0] += 0.04
			}
		}},
		{kind: episodes.Outlier, episode: e, frame: -1, text: "the state jerks by", rows: func(r []*row) {
			for i, x := range r {
				x.State[0] += 0.2 * float32(i%2)
			}
		}},
		{kind: episodes.Length, episode: e, frame: 0, text: "task_index is 3, and the list of tasks has 1", rows: func(r []*row) { r[0].Task = 3 }},
		{kind: episodes.Length, episode: -1, frame: -1, text: "meta/info.json says 99 frames", set: func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { v["total_frames"] = 99 })
		}},
		{kind: episodes.Length, episode: -1, frame: -1, text: "meta/info.json says 13 episodes", set: func(dir string) {
			edit(t, dir, "meta/info.json", func(v map[string]any) { v["total_episodes"] = 13 })
		}},
		{kind: episodes.Length, episode: 11, frame: -1, text: "rows, the list of episodes says", set: func(dir string) {
			spoil(t, dir, func(r []row) []row { return r[:len(r)-3] })
		}},
		{kind: episodes.Unreadable, episode: e, frame: -1, text: "has no row of it", set: func(dir string) {
			spoil(t, dir, func(r []row) []row {
				var out []row
				for _, x := range r {
					if x.Episode != e {
						out = append(out, x)
					}
				}
				return out
			})
		}},
		{kind: episodes.Statistics, episode: -1, frame: -1, text: "mean of action, dy, is 0.5", set: func(dir string) {
			edit(t, dir, "meta/stats.json", func(v map[string]any) { v["action"].(map[string]any)["mean"].([]any)[1] = 0.5 })
		}},
		{kind: episodes.Statistics, episode: -1, frame: -1, text: "std of observation.images.top is 0.9", set: func(dir string) {
			edit(t, dir, "meta/stats.json", func(v map[string]any) {
				v["observation.images.top"].(map[string]any)["std"] = []any{0.9, 0.9, 0.9}
			})
		}},
		{kind: episodes.Statistics, episode: -1, frame: -1, text: "is missing", set: func(dir string) { os.Remove(filepath.Join(dir, "meta/stats.json")) }},
	} {
		dir := filepath.Join(t.TempDir(), "set")
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		if c.rows != nil {
			spoil(t, dir, func(r []row) []row { c.rows(in(r)); return r })
		} else {
			c.set(dir)
		}
		a := check(t, dir)
		named := false
		for _, f := range a.Findings {
			if f.Kind == c.kind && f.Episode == c.episode && f.Frame == c.frame && strings.Contains(f.Text, c.text) {
				named = true
			} else if f.Episode != c.episode && f.Episode >= 0 {
				t.Errorf("%s, %q: another episode is blamed: %+v", c.kind, c.text, f)
			}
		}
		if !named {
			t.Errorf("%s in episode %d, frame %d, %q is not named:\n%s", c.kind, c.episode, c.frame, c.text, a.Text())
		}
	}
}

// A demonstration that takes three times as long is named.
func TestLongEpisode(t *testing.T) {
	dir, _ := record(t, 10, nil)
	w := open(t, dir)
	out, err := episodes.Create(dir+"-long", w.Spec())
	if err != nil {
		t.Fatal(err)
	}
	for e := range 10 {
		for range map[bool]int{true: 5, false: 1}[e == 4] {
			if err := w.Read(t.Context(), e, episodes.ReadOptions{}, out.Add); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.End(""); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	a := check(t, dir+"-long")
	if len(a.Findings) != 1 || a.Findings[0].Kind != episodes.Outlier || a.Findings[0].Episode != 4 || !strings.Contains(a.Findings[0].Text, "frames, usually") {
		t.Error(a.Text())
	}
}

// An arm that rests is not frozen, and neither is its camera.
func TestRestIsNoFault(t *testing.T) {
	var first sim.Frame
	dir, _ := record(t, 3, func(episode int, f *sim.Frame) {
		if f.Index == 0 {
			first = *f
		}
		if episode == 1 && f.Index < 15 {
			f.State, f.Action, f.Pictures = first.State, first.Action, first.Pictures
		}
	})
	for _, f := range check(t, dir).Findings {
		if f.Kind == episodes.FrozenState || f.Kind == episodes.FrozenCamera {
			t.Errorf("%+v", f)
		}
	}
}

func ExampleSet_Check() {
	a := episodes.Audit{Dir: "demos", Version: "v3.0", Episodes: 50, Frames: 1204, Findings: []episodes.Finding{
		{Kind: episodes.FrozenCamera, Episode: 7, Frame: 3, Camera: "top", Text: "the picture is the same in frames 3 to 21, while the robot moves"},
	}}
	fmt.Println(a.Text())
	// Output:
	// demos: LeRobot v3.0, 50 episodes, 1204 frames
	// ✗ episode 7, camera top: frozen camera: the picture is the same in frames 3 to 21, while the robot moves
	// 1 finding
}
