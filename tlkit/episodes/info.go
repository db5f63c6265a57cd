package episodes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Limits for what strangers wrote: memory and time must not follow what a file merely claims.
const (
	mostJSON     = 64 << 20
	mostFeatures = 500
	mostNumbers  = 4096 // of a state or an action
	mostFrames   = 50_000_000
	mostEpisodes = 1_000_000
	mostSide     = 8192 // of a picture
)

// The names that LeRobot gives to columns and files.
const (
	stateColumn  = "observation.state"
	truthColumn  = "observation.environment_state"
	actionColumn = "action"
	infoFile     = "meta/info.json"
	statsFile    = "meta/stats.json"
	specFile     = "meta/tlkit.json" // what LeRobot has no place for: units, limits, goal
	version3     = "v3.0"
	version21    = "v2.1"
)

// info is meta/info.json.
type info struct {
	Version     string             `json:"codebase_version"`
	Robot       string             `json:"robot_type"`
	Episodes    int                `json:"total_episodes"`
	Frames      int                `json:"total_frames"`
	Tasks       int                `json:"total_tasks"`
	ChunksSize  int                `json:"chunks_size"`
	DataFileMB  int                `json:"data_files_size_in_mb"`
	VideoFileMB int                `json:"video_files_size_in_mb"`
	FPS         float64            `json:"fps"`
	Splits      map[string]string  `json:"splits"`
	DataPath    string             `json:"data_path"`
	VideoPath   *string            `json:"video_path"`
	Features    map[string]feature `json:"features"`
}

// feature is a column of the data.
type feature struct {
	Dtype string          `json:"dtype"`
	Shape []int           `json:"shape"`
	Names json.RawMessage `json:"names"`
}

// names returns the names of n numbers: LeRobot writes a list, or an object with lists. Without
// names, or with another count, they are called PREFIX_0 and so on.
func (f feature) names(n int, prefix string) []string {
	var all any
	_ = json.Unmarshal(f.Names, &all)
	if found := flatten(all, nil, 0); len(found) == n {
		return found
	}
	out := make([]string, n)
	for i := range out {
		out[i] = prefix + "_" + strconv.Itoa(i)
	}
	return out
}

func flatten(v any, found []string, depth int) []string {
	switch v := v.(type) {
	case string:
		return append(found, v)
	case []any:
		if depth < 4 {
			for _, e := range v {
				found = flatten(e, found, depth+1)
			}
		}
	case map[string]any:
		if len(v) == 1 && depth < 4 { // with several, their order would be a guess
			for _, e := range v {
				found = flatten(e, found, depth+1)
			}
		}
	}
	return found
}

// isPicture reports whether the feature is a camera.
func (f feature) isPicture() bool { return f.Dtype == "image" || f.Dtype == "video" }

// size returns the width and height of a camera's pictures; 0 = not stated.
func (f feature) size() (width, height int) {
	if len(f.Shape) != 3 {
		return 0, 0
	}
	if names := f.names(3, ""); names[0] == "channels" || names[0] == "channel" || (f.Shape[0] <= 4 && f.Shape[2] > 4) {
		return f.Shape[2], f.Shape[1]
	}
	return f.Shape[1], f.Shape[0]
}

// readJSON reads a JSON file of the set.
func readJSON(root *os.Root, name string, into any) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostJSON+1))
	if err != nil {
		return err
	}
	if len(raw) > mostJSON {
		return fmt.Errorf("%s has more than %d bytes", name, mostJSON)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readInfo reads and checks meta/info.json.
func readInfo(root *os.Root) (*info, error) {
	in := new(info)
	if err := readJSON(root, infoFile, in); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, advice.New(errors.New("no meta/info.json: not a LeRobot data set"), "name the folder that has meta and data in it")
		}
		return nil, err
	}
	if in.Version != version3 && in.Version != version21 {
		return nil, advice.New(fmt.Errorf("LeRobot version %q, want %s or %s", in.Version, version3, version21), "convert it with LeRobot first")
	}
	if !(in.FPS > 0 && in.FPS <= 10_000) {
		return nil, fmt.Errorf("%s: fps %v, want more than 0", infoFile, in.FPS)
	}
	if in.Frames < 0 || in.Frames > mostFrames || in.Episodes < 0 || in.Episodes > mostEpisodes || len(in.Features) > mostFeatures {
		return nil, fmt.Errorf("%s: %d episodes, %d frames and %d features are out of range", infoFile, in.Episodes, in.Frames, len(in.Features))
	}
	if in.ChunksSize < 1 {
		in.ChunksSize = 1000
	}
	for name, f := range in.Features {
		for _, n := range f.Shape {
			if n < 0 || n > mostSide || (!f.isPicture() && n > mostNumbers) {
				return nil, fmt.Errorf("%s: feature %s has the shape %v", infoFile, name, f.Shape)
			}
		}
	}
	for _, needed := range []string{stateColumn, actionColumn} {
		if _, ok := in.Features[needed]; !ok {
			return nil, fmt.Errorf("%s: no feature %s: nothing to learn from", infoFile, needed)
		}
	}
	return in, in.halfMigrated(root)
}

// halfMigrated refuses a set whose files are of another version than its info says.
func (in *info) halfMigrated(root *os.Root) error {
	there := func(name string) bool { _, err := root.Stat(name); return err == nil }
	switch {
	case in.Version == version3 && !there("meta/episodes") && there("meta/episodes.jsonl"):
		return advice.New(errors.New("meta/info.json says v3.0, but the episodes are in meta/episodes.jsonl, which is v2.1: a migration has stopped half-way"), "take the copy before the migration, or migrate it again with LeRobot")
	case in.Version == version21 && !there("meta/episodes.jsonl") && there("meta/episodes"):
		return advice.New(errors.New("meta/info.json says v2.1, but the episodes are in the folder meta/episodes, which is v3.0: a migration has stopped half-way"), "take the copy before the migration, or migrate it again with LeRobot")
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{(\w+)(?::0?(\d{1,2})d)?\}`)

// fill replaces the placeholders of a path: {chunk_index:03d}. The path stays within the set.
func fill(pattern string, values map[string]any) (string, error) {
	var unknown string
	name := placeholder.ReplaceAllStringFunc(pattern, func(m string) string {
		part := placeholder.FindStringSubmatch(m)
		switch v := values[part[1]].(type) {
		case int:
			width, _ := strconv.Atoi(part[2])
			return fmt.Sprintf("%0*d", width, v)
		case string:
			return v
		}
		unknown = m
		return m
	})
	if unknown != "" {
		return "", fmt.Errorf("%s: the path %q has the unknown part %s", infoFile, pattern, unknown)
	}
	if !fs.ValidPath(name) || path.Clean(name) != name || strings.ContainsAny(name, "\\:") {
		return "", fmt.Errorf("%s: the path %q leaves the folder, or is not a path", infoFile, name)
	}
	return name, nil
}

// spec makes the contract of the robot from what the set states.
func (in *info) spec(root *os.Root) sim.Spec {
	s := sim.Spec{Robot: in.Robot, Rate: in.FPS}
	stats, _ := readStats(root)
	dims := func(column, prefix string) (out []sim.Dimension) {
		f, ok := in.Features[column]
		if !ok {
			return nil
		}
		n := 1
		for _, k := range f.Shape {
			n = min(n*k, mostNumbers+1)
		}
		for i, name := range f.names(n, prefix) {
			d := sim.Dimension{Name: name}
			if st := stats[column]; len(st.Min) == n && len(st.Max) == n {
				d.Min, d.Max = st.Min[i], st.Max[i]
			}
			out = append(out, d)
		}
		return out
	}
	s.State, s.Action, s.Truth = dims(stateColumn, "state"), dims(actionColumn, "action"), dims(truthColumn, "environment_state")
	for _, key := range in.cameras() {
		w, h := in.Features[key].size()
		c := sim.Camera{Name: cameraName(key)}
		if w == h {
			c.Side = w
		}
		s.Cameras = append(s.Cameras, c)
	}
	var stated sim.Spec
	if readJSON(root, specFile, &stated) == nil && sameNames(stated, s) {
		stated.Rate, stated.Cameras = s.Rate, s.Cameras
		return stated
	}
	return s
}

// sameNames reports whether the contract beside the data is about these data.
func sameNames(a, b sim.Spec) bool {
	same := func(x, y []sim.Dimension) bool {
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if x[i].Name != y[i].Name || math.IsNaN(x[i].Min+x[i].Max) {
				return false
			}
		}
		return true
	}
	if len(a.Cameras) != len(b.Cameras) {
		return false
	}
	for i := range a.Cameras {
		if a.Cameras[i].Name != b.Cameras[i].Name {
			return false
		}
	}
	return same(a.State, b.State) && same(a.Action, b.Action) && same(a.Truth, b.Truth)
}
