package episodes_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"image"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// line is a frame as the referee prints it.
type line struct {
	Episode, Frame         int
	Task                   string
	State, Action, Picture string
	Mean                   float64
}

// referee runs internal/golden/referee/lerobot.py, with LeRobot itself.
func referee(t *testing.T, args ...string) (lines []line) {
	t.Helper()
	python := os.Getenv("TLKIT_LEROBOT_PYTHON")
	if python == "" {
		t.Skip("TLKIT_LEROBOT_PYTHON names no Python with LeRobot")
	}
	script, err := filepath.Abs("../../internal/golden/referee/lerobot.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "HF_HOME="+t.TempDir())
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, s.Bytes())
		}
		lines = append(lines, l)
	}
	return lines
}

// ours are the lines of a set as this package reads it.
func ours(t *testing.T, dir string) (lines []line) {
	t.Helper()
	s := open(t, dir)
	hash := func(data []byte) string { sum := sha256.Sum256(data); return hex.EncodeToString(sum[:]) }
	floats := func(v []float32) (raw []byte) {
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		return raw
	}
	for _, e := range s.Episodes() {
		if err := s.Read(t.Context(), e.Index, episodes.ReadOptions{}, func(f sim.Frame) error {
			rgb, mean := colours(f.Pictures[0])
			lines = append(lines, line{e.Index, f.Index, e.Tasks[0], hash(floats(f.State)), hash(floats(f.Action)), hash(rgb), mean})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

func colours(p *image.NRGBA) (rgb []byte, mean float64) {
	for i := 0; i < len(p.Pix); i += 4 {
		rgb = append(rgb, p.Pix[i:i+3]...)
	}
	for _, v := range rgb {
		mean += float64(v) / float64(len(rgb))
	}
	return rgb, mean
}

// same compares frames: bit for bit, or with mean colours of the pictures within so many grey levels.
func same(t *testing.T, got, want []line, within float64) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		near := math.Abs(g.Mean-w.Mean) <= within
		g.Mean, w.Mean = 0, 0
		if within > 0 {
			g.Picture, w.Picture = "", ""
		}
		if g != w || within > 0 && !near {
			t.Fatalf("frame %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

// A set of ours is opened by LeRobot, and holds the same frames, bit for bit.
func TestLeRobotReadsOurs(t *testing.T) {
	dir, _ := record(t, 3, nil)
	same(t, referee(t, "digest", dir), ours(t, dir), 0)
}

// A set of LeRobot's is read by us, converted, and read again by LeRobot.
func TestWeReadLeRobots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "theirs")
	want := referee(t, "make", dir, "image")
	same(t, ours(t, dir), want, 0)
	// LeRobot 0.4.4 writes a wrong deviation of pictures, and nothing else that is wrong.
	for _, f := range check(t, dir).Findings {
		if !strings.Contains(f.Text, "std of observation.images.top") || !strings.Contains(f.Text, "squares of bytes overflow") {
			t.Errorf("%+v", f)
		}
	}
	if err := open(t, dir).Convert(t.Context(), dir+"-new", episodes.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, referee(t, "digest", dir+"-new"), want, 0)
	if a := check(t, dir+"-new"); len(a.Findings) > 0 {
		t.Error(a.Text())
	}
}

func has(a episodes.Audit, k episodes.Kind) bool {
	for _, f := range a.Findings {
		if f.Kind == k {
			return true
		}
	}
	return false
}

// The same with AV1 in mp4: numbers bit for bit, pictures within half a grey level of what
// LeRobot itself decodes, and near what went in.
func TestWeReadLeRobotsVideos(t *testing.T) {
	needFFmpeg(t)
	dir := filepath.Join(t.TempDir(), "theirs")
	want := referee(t, "make", dir, "video")
	got := ours(t, dir)
	same(t, got, want, 3)
	same(t, got, referee(t, "digest", dir), 0.5)
	if a := check(t, dir); has(a, episodes.BadPicture) || has(a, episodes.Length) || len(a.Skipped) > 0 {
		t.Error(a.Text())
	}
	if err := open(t, dir).Convert(t.Context(), dir+"-new", episodes.ConvertOptions{LeaveOut: []int{0}}); err != nil {
		t.Fatal(err)
	}
	fresh := referee(t, "digest", dir+"-new")
	left := got[15:]
	for i := range left {
		left[i].Episode--
	}
	same(t, fresh, left, 0)
}
