package features

import (
	"context"
	"flag"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

var many = flag.Int("pictures", 2000, "pictures of TestMemoryDoesNotGrowWithPictures; 20000 takes a minute")

// Extraction needs memory for a few batches, whatever the number of pictures. The largest Go heap
// is measured, as the backbone sees it.
func TestMemoryDoesNotGrowWithPictures(t *testing.T) {
	peak := func(n int) uint64 {
		t.Setenv("TLKIT_CACHE", t.TempDir())
		one := pictures(t, t.TempDir(), 1)[0]
		var top, batches atomic.Uint64
		b := Backbone{Identity: "heap", Features: 3, Batch: 8, Open: func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return func([]float32) ([]float32, error) {
				if batches.Add(1)%16 != 0 {
					return make([]float32, 8*3), nil
				}
				// What is still in use: how much garbage waits depends on the number of threads.
				runtime.GC()
				sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
				metrics.Read(sample)
				top.Store(max(top.Load(), sample[0].Value.Uint64()))
				return make([]float32, 8*3), nil
			}, nil
		}}
		preset := transforms.Preset{Size: 224, Resize: 256, Geometry: transforms.GeometryShort, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
		runtime.GC()
		// The same file n times: Forward has no cache, so it is prepared n times.
		err := Forward(context.Background(), b, Pass{
			Size: 224, Pictures: n,
			Prepare: func(int) (transforms.Tensor, error) {
				return preset.Eval().LoadFile(nil, one.Path, transforms.DecodeOptions{}, transforms.Rand{})
			},
			Use: func([]int, []float32) error { return nil },
			Bad: func(_ int, err error) { t.Error(err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return top.Load()
	}
	peak(200)
	few, lots := peak(1000), peak(*many)
	t.Logf("peak heap %.1f MB with 1,000 pictures, %.1f MB with %d", float64(few)/1e6, float64(lots)/1e6, *many)
	if float64(lots) > 1.5*float64(few)+8e6 {
		t.Errorf("heap grew from %d to %d bytes between 1,000 and %d pictures", few, lots, *many)
	}
}
