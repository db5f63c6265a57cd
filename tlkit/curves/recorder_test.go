package curves

import (
	"testing"
	"testing/synctest"
	"time"
)

// A drawing that takes a tenth of a second may not come every two seconds: that would be 5 %.
func TestDrawingTakesAFiftieth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const draw = 100 * time.Millisecond
		frames := 0
		r := NewRecorder(Run{}, nil, 2*time.Second, func(Run) { frames++; time.Sleep(draw) })
		start := time.Now()
		for step := range 600 {
			if err := r.Add(Point{Step: step, Metric: Loss, Value: 1}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // a minute of training
		}
		lasted := time.Since(start)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		// the last one always comes
		frames--
		// the first one comes early
		if part := float64(frames) * draw.Seconds() / lasted.Seconds(); part > 0.021 || frames < 10 {
			t.Errorf("%d frames of %v in %v: %.1f %% of the time", frames, draw, lasted, 100*part)
		}
	})
}

func TestAShortRunIsDrawnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames, points := 0, 0
		r := NewRecorder(Run{}, nil, 2*time.Second, func(run Run) { frames++; points = len(run.Points) })
		for step := range 9 {
			if err := r.Add(Point{Step: step, Metric: Loss, Value: 1}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if frames != 1 || points != 9 {
			t.Errorf("%d frames, the last of %d points; want one of all 9", frames, points)
		}
	})
}
