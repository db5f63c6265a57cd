package compare

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// paceFor and paceRuns limit the timing of one backbone: to two runs for a slow one, to a few for a
// fast one.
const (
	paceFor  = time.Second
	paceRuns = 6
	// leastPictures are prepared for one timing.
	leastPictures = 8
)

// timed is what pace measures.
type timed struct {
	backbone features.Backbone
	net      *zoo.Net
	within   time.Duration // more than two runs if there is time for them
}

// pace measures the seconds per picture from file to features: read and prepare a batch on all
// processors, then run it, as many batches side by side as the form of the backbone has. It takes the fastest of a few runs, because other programs can only slow
// them down; compiling does not count. processors is the average number of processors that this
// process used; fewer than one suggests that other programs were busy. It is 0 if unknown.
func pace(ctx context.Context, t timed, items []datasets.Item) (seconds, processors float64, err error) {
	b, net := t.backbone, t.net
	if len(items) == 0 {
		return 0, 0, fmt.Errorf("compare: no pictures to time")
	}
	c, err := b.Choose(ctx, b.Batch)
	if err != nil {
		return 0, 0, err
	}
	b = c.Backbone
	size := net.Preset.Size
	run, err := b.Open(ctx, size)
	if err != nil {
		return 0, 0, err
	}
	pixels := make([]float32, b.Batch*size*size*3)
	side := max(b.Side, 1)
	pictures := max(b.Batch*side, leastPictures)
	pipeline := net.Preset.Eval()
	prepare, forward := math.Inf(1), math.Inf(1)
	began, used := time.Now(), machine.ProcessorTime()
	for k := 0; k < 2 || k < paceRuns && time.Since(began) < t.within; k++ {
		start := time.Now()
		err := transforms.Each(ctx, pictures, 0, func(i int) (transforms.Tensor, error) {
			return pipeline.LoadFile(nil, items[i%len(items)].Path, transforms.DecodeOptions{}, transforms.Rand{})
		}, func(i int, t transforms.Tensor, err error) error {
			if err == nil && i < b.Batch {
				copy(pixels[i*size*size*3:], t.Data)
			}
			return err
		})
		if err != nil {
			return 0, 0, fmt.Errorf("compare: timing: %w", err)
		}
		prepare = min(prepare, time.Since(start).Seconds()/float64(pictures))
		start = time.Now()
		var calls errgroup.Group
		for range side {
			calls.Go(func() error { _, err := run(pixels); return err })
		}
		if err := calls.Wait(); err != nil {
			return 0, 0, err
		}
		if k > 0 { // the first run is a warm-up
			forward = min(forward, time.Since(start).Seconds()/float64(side*b.Batch))
		}
	}
	return prepare + forward, (machine.ProcessorTime() - used).Seconds() / time.Since(began).Seconds(), nil
}
