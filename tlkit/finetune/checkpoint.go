package finetune

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// A checkpoint is one file, step-00000120.SHA256.safetensors, named by the hash of its content. It
// has all tensors that training changes, including the optimiser's state, and in its metadata the
// position of the training. It is written under a temporary name, synced, renamed, and read back
// before an older one is removed. The last two are kept, and the best one if held-out pictures
// choose it. Resuming takes the newest one whose content matches the hash in its name.

// errOtherPlan is wrapped if the checkpoints were made by another plan, from other pictures or for
// another network.
var errOtherPlan = errors.New("the checkpoints belong to another training")

// cursor is the position of a training.
type cursor struct {
	Step  int         `json:"step"`  // steps so far, over all epochs
	Moved []int       `json:"moved"` // steps of each group since its optimiser was reset
	Loss  float64     `json:"loss"`  // sums over the epoch so far
	Right float64     `json:"right"`
	Seen  int         `json:"seen"`
	Watch optim.Watch `json:"watch"`
	Best  *best       `json:"best,omitempty"`
	Stale int         `json:"stale"`           // epochs without a better loss on the held-out pictures
	Over  bool        `json:"over"`            // ended early
	Retry int         `json:"retry,omitempty"` // trainings before this one that broke the network
}

// best is the epoch with the lowest loss on held-out training pictures.
type best struct {
	Step int     `json:"step"`
	Loss float64 `json:"loss"`
}

// saved is a checkpoint in memory.
type saved struct {
	Identity map[string]string `json:"of"` // what it depends on: plan, network, pictures, engine
	Cursor   cursor            `json:"cursor"`
	tensors  map[string][]float32
}

const checkpointKey = "tlkit.checkpoint"

var checkpointName = regexp.MustCompile(`^step-(\d{8})\.([0-9a-f]{64})\.safetensors$`)

// checkpoints is a folder of checkpoints.
type checkpoints struct{ dir string }

type checkpointFile struct {
	path, sum string
	step      int
}

// list returns the checkpoint files, newest first.
func (c checkpoints) list() ([]checkpointFile, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("finetune: %w", err)
	}
	var out []checkpointFile
	for _, e := range entries {
		if m := checkpointName.FindStringSubmatch(e.Name()); m != nil {
			step, _ := strconv.Atoi(m[1])
			out = append(out, checkpointFile{filepath.Join(c.dir, e.Name()), m[2], step})
		}
	}
	slices.SortFunc(out, func(a, b checkpointFile) int {
		if a.step != b.step {
			return b.step - a.step
		}
		return strings.Compare(a.path, b.path)
	})
	return out, nil
}

// save writes a checkpoint and, once it has been read back, removes surplus ones. On an error,
// older ones stay.
func (c checkpoints) save(s *saved) error {
	about, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("finetune: %w", err) // such as a number that is not finite
	}
	var list []weights.Tensor
	for name, v := range s.tensors {
		for i, x := range v {
			if !finite(float64(x)) {
				return advice.New(fmt.Errorf("finetune: value %d of %s is %v, want finite numbers in a checkpoint", i, name, x), "use a smaller rate")
			}
		}
		list = append(list, weights.FromFloat32(name, []int{len(v)}, v))
	}
	var buf bytes.Buffer
	if err := weights.EncodeSafetensors(&buf, list, map[string]string{checkpointKey: string(about)}); err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	sum := sha256.Sum256(buf.Bytes())
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	file := checkpointFile{filepath.Join(c.dir, fmt.Sprintf("step-%08d.%x.safetensors", s.Cursor.Step, sum)), hex.EncodeToString(sum[:]), s.Cursor.Step}
	if err := atomicfile.WriteBytes(file.path, buf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("finetune: the checkpoint of step %d cannot be written; the previous one is intact: %w", s.Cursor.Step, err)
	}
	if err := file.verify(); err != nil {
		os.Remove(file.path)
		return fmt.Errorf("finetune: the checkpoint of step %d cannot be read back; the previous one is intact: %w", s.Cursor.Step, err)
	}
	return c.prune(s, file)
}

func (c checkpoints) prune(s *saved, newest checkpointFile) error {
	files, err := c.list()
	if err != nil {
		return err
	}
	kept := 0
	for _, f := range files {
		switch {
		case f.path == newest.path:
			kept++
		case s.Cursor.Best != nil && f.step == s.Cursor.Best.Step:
		case f.step < newest.step && kept < keptCheckpoints:
			kept++
		default: // older, or after the step that the training returned to
			if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("finetune: %w", err)
			}
		}
	}
	return nil
}

func (f checkpointFile) verify() error {
	_, err := f.bytes()
	return err
}

func (f checkpointFile) bytes() ([]byte, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.sum {
		return nil, fmt.Errorf("%s is %w: the sha256 of its content is %x", filepath.Base(f.path), atomicfile.ErrDamaged, sum)
	}
	return data, nil
}

func (f checkpointFile) load() (*saved, error) {
	if err := f.verify(); err != nil {
		return nil, err
	}
	file, err := weights.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s := &saved{tensors: map[string][]float32{}}
	if err := json.Unmarshal([]byte(file.Metadata[checkpointKey]), s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(f.path), err)
	}
	for _, name := range file.Names() {
		t, _ := file.Tensor(name)
		s.tensors[name], err = t.Float32()
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// newest returns the newest intact checkpoint, or nil if there is none, and a sentence for each one
// that was skipped. A checkpoint of another training is an error that lists the differences.
func (c checkpoints) newest(identity map[string]string) (s *saved, skipped []string, err error) {
	files, err := c.list()
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		s, err := f.load()
		if err != nil {
			sentence := fmt.Sprintf("the checkpoint of step %d is skipped: %v", f.step, err)
			if errors.Is(err, atomicfile.ErrDamaged) {
				if aside, err := fetch.SetAside(f.path); err == nil {
					sentence += "; it was set aside as " + aside
				}
			}
			skipped = append(skipped, sentence)
			continue
		}
		if d := difference(s.Identity, identity); d != "" {
			return nil, skipped, fmt.Errorf("finetune: %s: %w:\n%sdelete that folder, or train without --resume", c.dir, errOtherPlan, d)
		}
		return s, skipped, nil
	}
	return nil, skipped, nil
}

// at returns the checkpoint of a step.
func (c checkpoints) at(step int) (*saved, error) {
	files, err := c.list()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.step == step {
			s, err := f.load()
			if err != nil {
				return nil, fmt.Errorf("finetune: %w", err)
			}
			return s, nil
		}
	}
	return nil, advice.New(fmt.Errorf("finetune: the checkpoint of step %d is missing from %s", step, c.dir), "train without --resume")
}

// clear removes all checkpoints.
func (c checkpoints) clear() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	return nil
}

func difference(there, here map[string]string) string {
	var b strings.Builder
	keys := map[string]bool{}
	for k := range there {
		keys[k] = true
	}
	for k := range here {
		keys[k] = true
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range keys {
			if !yield(k) {
				return
			}
		}
	}) {
		if there[k] != here[k] {
			fmt.Fprintf(&b, "  %s: %s there, %s now\n", k, there[k], here[k])
		}
	}
	return b.String()
}
