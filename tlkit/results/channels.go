package results

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Channels draws the values of a prepared picture, channel by channel: a histogram against the
// normal distribution with mean 0 and standard deviation 1, which is what pictures have on average
// after Normalize with their own statistics. A single picture may differ a lot from it; a hundred
// may not.
//
// It is an error if x does not have three channels or holds a value that is not finite.
func Channels(x transforms.Tensor) (plots.Figure, error) {
	if x.Channels != 3 || len(x.Data) != x.Height*x.Width*3 || len(x.Data) == 0 {
		return nil, fmt.Errorf("evaluate: a tensor of %d x %d x %d with %d values, want height x width x 3", x.Height, x.Width, x.Channels, len(x.Data))
	}
	const bins = 60
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range x.Data {
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	if math.IsNaN(low) || math.IsInf(low, 0) || math.IsInf(high, 0) {
		return nil, advice.New(errors.New("evaluate: the prepared picture holds values that are not finite"), "check the preset's statistics")
	}
	low, high = min(low, -2.5), max(high, 2.5)
	channels := make([]plots.Channel, 3)
	var words string
	for c, name := range []string{"red", "green", "blue"} {
		ch := plots.Channel{Name: name, Low: low, High: high, Counts: make([]int, bins), WantSD: 1}
		var sum, squares float64
		for i := c; i < len(x.Data); i += 3 {
			v := float64(x.Data[i])
			sum += v
			squares += v * v
			ch.Counts[min(int((v-low)/(high-low)*bins), bins-1)]++
		}
		n := float64(x.Height * x.Width)
		ch.Mean = sum / n
		ch.SD = math.Sqrt(max(squares/n-ch.Mean*ch.Mean, 0))
		channels[c] = ch
		words += fmt.Sprintf("%s %.2f ± %.2f, ", name, ch.Mean, ch.SD)
	}
	return plots.Statistics("What reaches the network: "+words[:len(words)-2], false, channels...), nil
}
