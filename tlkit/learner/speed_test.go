//go:build unix

package learner

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// processor is the processor time of this process so far, in seconds.
func processor() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// Pictures per second of a training step (forward, backward, AdamW) from different stages on, frozen part not counted.
func BenchmarkStep(b *testing.B) {
	e := xla(b)
	net, err := zoo.Load(context.Background(), "mobilenetv2", zoo.Options{})
	if err != nil {
		b.Skip(err)
	}
	for _, c := range []struct {
		from  string
		batch int
	}{{"features.17", 16}, {"features.13", 16}, {"features.0", 16}} {
		b.Run(c.from, func(b *testing.B) {
			p := TunePlan{Name: "speed", Epochs: 1, Batch: c.batch, Norms: FrozenNorms, Mix: 1, Rule: optim.Rule{Name: optim.AdamW, Clip: 1}, Schedule: optim.Schedule{Kind: optim.Constant}}
			p.Groups = p.groupsFrom(stages(net), c.from, 1e-4, &Search{LayerDecay: 1, HeadRate: 1, Decay: 0.01})
			began := time.Now()
			t, err := newTuner(net, e, freshHead(2, 1280, 1), p)
			if err != nil {
				b.Fatal(err)
			}
			defer t.close()
			width := t.in[0] * t.in[1] * t.in[2]
			in := &batch{x: golden.Numbers("x", c.batch*width), targets: make([]float32, c.batch*2), rows: make([]float32, c.batch)}
			for i := range c.batch {
				in.targets[2*i], in.rows[i] = 1, 1
			}
			rates := make([]float64, len(p.Groups))
			if _, err := t.run(in, p.Rule.Now(make([]int, len(rates)), rates, 0)); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(began).Seconds(), "s/first")
			b.ResetTimer()
			before := processor()
			for range b.N {
				if _, err := t.run(in, p.Rule.Now(make([]int, len(rates)), rates, 0)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "pictures/s")
			b.ReportMetric((processor()-before)/float64(b.N*c.batch)*1000, "cpu-ms/picture") // what other processes do shows less in this one
		})
	}
}
