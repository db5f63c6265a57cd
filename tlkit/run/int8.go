package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// forInt8 is the most training pictures that a file of 8-bit integers is made with.
const forInt8 = 128

// int8Plan fills in what an export of 8-bit integers needs: training pictures, and a comparison of both
// files on pictures that the head is measured on. An error says that the integers are worse, unless
// force.
func (s HeadSpec) int8Plan(ctx context.Context, o *export.ONNXOptions, place Place, p Progress) error {
	s, err := s.withData(place)
	if err != nil {
		return err
	}
	h, err := readHead(place, s.Head)
	if err != nil {
		return err
	}
	if h.Result.Folds > 0 && s.Split == "" {
		s.Split = "all" // it learnt from all of them, and was scored by folds
	}
	m, err := measuring(ctx, h, s, place, p)
	if err != nil {
		return err
	}
	learnt := m.set.In(datasets.Train)
	if h.Result.Folds > 0 {
		learnt = m.set.Items
	}
	learnt = slices.Clone(learnt)
	rng := rand.New(rand.NewPCG(h.Seed, forInt8))
	rng.Shuffle(len(learnt), func(i, k int) { learnt[i], learnt[k] = learnt[k], learnt[i] })
	pictures := &squares{preset: h.Preset, progress: p, doing: "preparing training pictures"}
	given := *o.Int8
	o.Int8 = &given
	if given.Pictures, _, err = pictures.of(ctx, learnt[:min(len(learnt), forInt8)]); err != nil {
		return err
	}
	c := &int8Comparison{measured: m, head: h, runtime: o.Runtime, force: o.Force, progress: p}
	given.Accept = c.accept
	return nil
}

// withData returns the spec with the pictures that the head was trained on: those it names, or those of
// the run that made the head.
func (s HeadSpec) withData(place Place) (HeadSpec, error) {
	if s.Data != "" {
		return s, nil
	}
	path, err := place.HeadPath(s.Head)
	if err != nil {
		return s, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("run: %w", err)
	}
	f := place.folderOf(path, content)
	if f == nil {
		return s, advice.New(fmt.Errorf("run: this needs training pictures, and the folder of the run that made %s is not here", path), "pass the pictures that it was trained on with --data DIR")
	}
	raw, err := os.ReadFile(f.file("spec.json"))
	if err != nil {
		return s, fmt.Errorf("run: %w", err)
	}
	var spec Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return s, advice.New(fmt.Errorf("run: %s: spec.json cannot be read: %w", f.path, err), "pass the pictures that it was trained on with --data DIR")
	}
	s.Data, s.Columns, s.LabelFolders, s.MinPerLabel, s.Group, s.Changes = spec.Data, spec.Columns, spec.LabelFolders, spec.MinPerLabel, spec.Group, spec.Changes
	return s, nil
}

// squares prepares pictures as an ONNX file reads them.
type squares struct {
	preset   transforms.Preset
	progress Progress
	doing    string
}

// of returns the pictures of items that can be read, and these items. It is an error if none can.
func (q *squares) of(ctx context.Context, items []datasets.Item) (pictures [][]uint8, kept []datasets.Item, err error) {
	pipeline := q.preset.Square()
	var why error
	for i, item := range items {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		q.progress.State(q.doing, int64(i), int64(len(items)))
		pic, err := transforms.DecodeFile(item.Path, transforms.DecodeOptions{})
		if err == nil {
			pic, err = pipeline.Picture(pic, transforms.Rand{})
		}
		if err != nil {
			why = err
			continue
		}
		pictures, kept = append(pictures, pic.Pix), append(kept, item)
	}
	if len(kept) == 0 {
		return nil, nil, fmt.Errorf("run: none of %d pictures can be used: %w", len(items), why)
	}
	return pictures, kept, nil
}

// int8Comparison compares a file of integers with that of floats.
type int8Comparison struct {
	*measured
	head     *export.Head
	runtime  *onnxruntime.Runtime
	force    bool
	progress Progress
}

// errWorse is wrapped by the error of an export whose integers are worse than the floats beyond chance.
var errWorse = errors.New("8-bit integers are worse than floats")

// accept scores both files, and refuses one of integers that is worse beyond chance.
func (c *int8Comparison) accept(ctx context.Context, float, packed *export.ONNXFile) error {
	q := &squares{preset: c.head.Preset, progress: c.progress, doing: "comparing with floats"}
	pictures, kept, err := q.of(ctx, c.items)
	if err != nil {
		return err
	}
	r := packed.Int8
	r.Split = c.split
	truth := c.task.Samples(kept, nil, len(c.head.Labels))
	var logits [2][]float32
	for i, f := range []*export.ONNXFile{float, packed} {
		if logits[i], err = f.Logits(ctx, c.runtime, pictures); err != nil {
			return err
		}
		report, err := evaluate.New(c.task, evaluate.Input{Names: c.head.Labels, Truth: truth, Logits: logits[i],
			Reading: task.Reading{Thresholds: c.head.Thresholds, Scales: c.head.Scales}})
		if err != nil {
			return err
		}
		if i == 0 {
			r.FloatScore = report.Score()
		} else {
			r.Score = report.Score()
		}
	}
	if r.Gain, err = c.task.Compare(truth, logits[0], logits[1]); err != nil {
		return err
	}
	if r.Gain.Interval.High < 0 && !c.force {
		return advice.New(fmt.Errorf("run: %w beyond chance: %s instead of %s on %s, %s; nothing was written", errWorse, r.Score.Brief(), r.FloatScore.Brief(), r.Split, r.Gain.Describe(r.Score.Metric)), "keep floats, or pass --force to write it all the same")
	}
	r.FloatTime, r.Time, err = c.speeds(float, packed, pictures[0])
	return err
}

// speeds returns the seconds a picture of both files, one at a time: medians of runs in turn.
func (c *int8Comparison) speeds(float, packed *export.ONNXFile, picture []uint8) (a, b float64, err error) {
	const rounds, warm = 25, 5
	var sessions [2]*onnxruntime.Session
	for i, f := range []*export.ONNXFile{float, packed} {
		sessions[i], err = f.Session(c.runtime)
		if err != nil {
			return 0, 0, err
		}
		defer sessions[i].Close()
	}
	one := onnxruntime.Tensor{Shape: []int{1, c.head.Preset.Size, c.head.Preset.Size, 3}, Uint8: picture}
	var times [2][]float64
	for round := range warm + rounds {
		for i, s := range sessions {
			start := time.Now()
			if _, err := s.Run(one); err != nil {
				return 0, 0, err
			}
			if round >= warm {
				times[i] = append(times[i], time.Since(start).Seconds())
			}
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	return times[0][rounds/2], times[1][rounds/2], nil
}
