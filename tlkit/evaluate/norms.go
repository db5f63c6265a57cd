package evaluate

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Norms is how far the running means of a network's batch norms moved from those of the checkpoint,
// stage by stage, in the checkpoint's standard deviations.
type Norms struct {
	Stages []NormShift
	Moved  int // norms with a statistic whose bits differ
	Total  int
}

// NormShift is the shift of one stage.
type NormShift struct {
	Stage string
	Norms int     // number of batch norms
	Shift float64 // mean absolute shift of their channels, in standard deviations
}

// CompareNorms compares the batch norms of a network before and after training. It is an error if
// the two are not the same network or if it has no batch norms.
func CompareNorms(before, after *zoo.Net) (*Norms, error) {
	if before.Row.Name != after.Row.Name {
		return nil, fmt.Errorf("evaluate: batch norms of %s and %s, want the same network before and after training", before.Row.Name, after.Row.Name)
	}
	out := &Norms{}
	channels := 0
	for _, w := range before.Declaration().Weights {
		spread := varianceOf(w.Name)
		if spread == "" {
			continue
		}
		mean, _, _ := before.Tensor(w.Name)
		now, _, _ := after.Tensor(w.Name)
		variance, _, ok := before.Tensor(spread)
		varianceNow, _, _ := after.Tensor(spread)
		if !ok || len(variance) != len(mean) {
			return nil, fmt.Errorf("evaluate: %s of %s has no running variance", w.Name, before.Row.Name)
		}
		if n := len(out.Stages); n == 0 || out.Stages[n-1].Stage != w.Stage {
			out.Stages, channels = append(out.Stages, NormShift{Stage: w.Stage}), 0
		}
		s := &out.Stages[len(out.Stages)-1]
		moved, sum := false, 0.0
		for i := range mean {
			moved = moved || mean[i] != now[i] || variance[i] != varianceNow[i]
			// A channel with almost no variance is dead; without a floor, any shift would be huge
			// in it.
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

// Text formats the result as a sentence.
func (n *Norms) Text() string {
	if n.Moved == 0 {
		return fmt.Sprintf("batch norms: all %d have the checkpoint's statistics, bit for bit", n.Total)
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

// varianceOf returns the name of the running variance beside a running mean, as PyTorch and Keras call
// them; "" = the tensor is no running mean.
func varianceOf(mean string) string {
	for leaf, variance := range map[string]string{".running_mean": ".running_var", ".moving_mean": ".moving_variance"} {
		if key, is := strings.CutSuffix(mean, leaf); is {
			return key + variance
		}
	}
	return ""
}
