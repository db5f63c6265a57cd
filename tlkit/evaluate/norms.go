package evaluate

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Norms says how far the running means of a network's batch norms have moved from where the checkpoint had them, stage by
// stage, in the checkpoint's own standard deviations.
type Norms struct {
	Stages []NormShift
	Moved  int // norms of which any statistic has other bits
	Total  int
}

// NormShift is one stage of it.
type NormShift struct {
	Stage string
	Norms int
	Shift float64 // mean over all channels
}

// CompareNorms looks at the same network before and after a training.
func CompareNorms(before, after *zoo.Net) (*Norms, error) {
	if before.Row.Name != after.Row.Name {
		return nil, fmt.Errorf("evaluate: batch norms of %s and of %s, want one network before and after", before.Row.Name, after.Row.Name)
	}
	out := &Norms{}
	channels := 0
	for _, w := range before.Declaration().Weights {
		key, is := strings.CutSuffix(w.Name, ".running_mean")
		if !is {
			continue
		}
		mean, _, _ := before.Tensor(w.Name)
		now, _, _ := after.Tensor(w.Name)
		variance, _, ok := before.Tensor(key + ".running_var")
		varianceNow, _, _ := after.Tensor(key + ".running_var")
		if !ok || len(variance) != len(mean) {
			return nil, fmt.Errorf("evaluate: %s of %s has no variance beside it", w.Name, before.Row.Name)
		}
		if n := len(out.Stages); n == 0 || out.Stages[n-1].Stage != w.Stage {
			out.Stages, channels = append(out.Stages, NormShift{Stage: w.Stage}), 0
		}
		s := &out.Stages[len(out.Stages)-1]
		moved, sum := false, 0.0
		for i := range mean {
			moved = moved || mean[i] != now[i] || variance[i] != varianceNow[i]
			// A channel whose variance is next to nothing is dead, and any distance would be large in it.
			sum += math.Abs(float64(now[i])-float64(mean[i])) / math.Sqrt(math.Max(float64(variance[i]), 1e-3))
		}
		s.Shift = (s.Shift*float64(channels) + sum) / float64(channels+len(mean))
		channels += len(mean)
		s.Norms++
		out.Total++
		if moved {
			out.Moved++
		}
	}
	if out.Total == 0 {
		return nil, fmt.Errorf("evaluate: %s has no batch norms", before.Row.Name)
	}
	return out, nil
}

// Text is the finding in one sentence.
func (n *Norms) Text() string {
	if n.Moved == 0 {
		return fmt.Sprintf("batch norms: all %d have the checkpoint's statistics to the bit", n.Total)
	}
	most := n.Stages[0]
	for _, s := range n.Stages {
		if s.Shift > most.Shift {
			most = s
		}
	}
	return fmt.Sprintf("batch norms: the statistics of %d of %d moved, most in %s, by %.2f standard deviations", n.Moved, n.Total, most.Stage, most.Shift)
}

// Figure draws a row for each stage.
func (n *Norms) Figure() plots.Figure {
	var bars []plots.Bar
	for _, s := range n.Stages {
		bars = append(bars, plots.Bar{Label: s.Stage, Value: s.Shift, Note: count(s.Norms)})
	}
	return plots.Bars("How far the running means moved", plots.Scale{Name: "shift in standard deviations"}, bars)
}

func count(norms int) string {
	if norms == 1 {
		return "1 norm"
	}
	return fmt.Sprintf("%d norms", norms)
}
