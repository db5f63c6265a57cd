package episodes

import (
	"context"

	"github.com/tlkit/transfer-learning/internal/recorded"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// A program that imports this package can fit robots on data sets: see package robot.
func init() {
	recorded.Open = func(dir string) (recorded.Set, error) {
		s, err := Open(dir)
		if err != nil {
			return nil, err
		}
		return opened{s}, nil
	}
}

// opened is a set as package robot sees it.
type opened struct{ *Set }

func (s opened) Count() int { return len(s.episodes) }

func (s opened) Read(ctx context.Context, episode int, w recorded.Want, each func(sim.Frame) error) error {
	return s.Set.Read(ctx, episode, ReadOptions{NoPictures: w.Camera == "", Camera: w.Camera, Skip: w.Skip}, each)
}
