package episodes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// ConvertOptions choose what [Set.Convert] writes.
type ConvertOptions struct {
	LeaveOut []int                 // episodes; those after them get new numbers
	Progress func(done, total int) // episodes; nil = nothing is told
}

// Convert rewrites the set as version 3.0, with the pictures inside the parquet files, into a
// folder that does not exist yet. Numbers and decoded pictures stay what they are, bit for bit.
// Times become regular, so an episode whose timestamps are off by more than half a frame is an
// error; leave it out.
func (s *Set) Convert(ctx context.Context, dir string, o ConvertOptions) error {
	for _, e := range o.LeaveOut {
		if e < 0 || e >= len(s.episodes) {
			return advice.New(fmt.Errorf("episodes: %s: no episode %d to leave out", s.dir, e), "there are 0 to %d", len(s.episodes)-1)
		}
	}
	if len(s.cameras) > 0 && slices.ContainsFunc(s.cameras, func(key string) bool { return s.info.Features[key].Dtype == "video" }) {
		if _, err := ffmpeg(); err != nil {
			return wrap(s.dir, err)
		}
	}
	w, err := Create(dir, s.spec)
	if err != nil {
		return err
	}
	defer w.Discard()
	for i, e := range s.episodes {
		if slices.Contains(o.LeaveOut, i) {
			continue
		}
		err := s.Read(ctx, i, ReadOptions{}, func(f sim.Frame) error {
			if off := math.Abs(f.Time*s.spec.Rate - float64(f.Index)); !(off <= 0.5) {
				return wrap(s.dir, advice.New(fmt.Errorf("episode %d: frame %d is off by %.1f frames", i, f.Index, off), "leave this episode out"))
			}
			return w.Add(f)
		})
		if err != nil {
			return err
		}
		task := ""
		if len(e.Tasks) > 0 {
			task = e.Tasks[0]
		}
		if err := w.End(task); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(i+1, len(s.episodes))
		}
	}
	if len(w.episodes) == 0 {
		return errors.New("episodes: nothing is left to convert")
	}
	return w.Close()
}
