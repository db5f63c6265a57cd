package finetune

import (
	"fmt"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// Pictures per second of a training step (forward, backward, SGD with momentum) from different
// stages on, without the frozen part.
func BenchmarkStep(b *testing.B) {
	e := xla(b)
	for _, c := range []struct {
		name, from string
		norms      Norms
		batch      int
	}{
		{"mobilenetv2", "features.17", FrozenNorms, 16}, {"mobilenetv2", "features.13", FrozenNorms, 16},
		{"mobilenetv2", "features.0", FrozenNorms, 32}, {"mobilenetv2", "features.0", BatchNorms, 32},
		{"resnet18", "stem", FrozenNorms, 8}, {"resnet18", "stem", BatchNorms, 8}, {"resnet18", "stem", FrozenNorms, 32},
	} {
		b.Run(fmt.Sprintf("%s from %s, batch %d, norms %s", c.name, c.from, c.batch, c.norms), func(b *testing.B) {
			net := formulaNet(b, c.name, 0.8)
			p := Plan{Name: "speed", Epochs: 1, Batch: c.batch, Norms: c.norms, Mix: 1, Rule: optim.Rule{Name: optim.SGD, Momentum: 0.9}, Schedule: optim.Schedule{Kind: optim.Constant}}
			p.Groups = p.groupsFrom(net, c.from, 1e-4, &Search{LayerDecay: 1, HeadRate: 1})
			began := time.Now()
			t, err := newTuner(net, e, classes(2), freshHead(2, net.Row.Features, 1), p)
			if err != nil {
				b.Fatal(err)
			}
			defer t.close()
			width := t.width()
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
			before := machine.ProcessorTime()
			for range b.N {
				if _, err := t.run(in, p.Rule.Now(make([]int, len(rates)), rates, 0)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "pictures/s")
			// Depends less on other processes.
			b.ReportMetric(((machine.ProcessorTime() - before).Seconds())/float64(b.N*c.batch)*1000, "cpu-ms/picture")
		})
	}
}
