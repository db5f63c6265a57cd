//go:build unix

package raster_test

import (
	"syscall"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// processor is the time that processors have worked for this process: what else the machine does
// counts little.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func benchmark(b *testing.B, s raster.Scene, c raster.Camera, side int) {
	r := raster.Renderer{Threads: 1}
	drawn(b, &r, s, c, side)
	start := processor()
	for b.Loop() {
		drawn(b, &r, s, c, side)
	}
	b.ReportMetric((processor()-start)/float64(b.N), "cpu-ms/op")
}

func BenchmarkDraw(b *testing.B) {
	b.Run("workshop/224", func(b *testing.B) { benchmark(b, workshop(), workshopCamera(b), 224) })
	b.Run("30k/224", func(b *testing.B) { s, c := twoArms(b, 30, 25); benchmark(b, s, c, 224) })
	b.Run("120k/224", func(b *testing.B) { s, c := twoArms(b, 60, 50); benchmark(b, s, c, 224) })
	b.Run("120k/480", func(b *testing.B) { s, c := twoArms(b, 60, 50); benchmark(b, s, c, 480) })
}
