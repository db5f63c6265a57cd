package metrics

import (
	"fmt"
	"math"
)

// Bin holds the pictures whose confidence lies in (Low, High]; the first bin
// holds 0 too.
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Correct    int     `json:"correct"`
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"` // mean; 0 in an empty bin
}

// Calibration is how far confidence and accuracy lie apart. The embedded Fraction is the accuracy.
type Calibration struct {
	Bins []Bin `json:"bins"`
	// Expected calibration error: mean |accuracy - confidence|, weighted by count.
	ECE  float64 `json:"ece"`
	MCE  float64 `json:"mce"` // maximum calibration error: the largest gap of any bin
	Mean float64 `json:"mean_confidence"`
	Fraction
}

// Reliability sorts pictures into equally wide bins by their largest probability, and compares the
// mean confidence of each bin with its accuracy. ECE depends on the number of bins (15 is usual)
// and is never exactly 0 for a finite set, so report the number of bins with it.
//
// probabilities is [N, K] with rows that sum to 1; labels has N classes; bins is 1 to 1000.
func Reliability(probabilities Matrix, labels []int, bins int) (Calibration, error) {
	if err := probabilities.checkProbabilities(labels); err != nil {
		return Calibration{}, err
	}
	if bins < 1 || bins > 1000 {
		return Calibration{}, fmt.Errorf("metrics: %d calibration bins: want 1..1000, 15 is usual", bins)
	}
	c := Calibration{Bins: make([]Bin, bins)}
	for b := range c.Bins {
		c.Bins[b].Low, c.Bins[b].High = float64(b)/float64(bins), float64(b+1)/float64(bins)
	}
	best, err := probabilities.Argmax()
	if err != nil {
		return Calibration{}, err
	}
	for i, l := range labels {
		p := math.Min(1, float64(probabilities.Row(i)[best[i]]))
		b := &c.Bins[min(max(int(math.Ceil(p*float64(bins)))-1, 0), bins-1)]
		b.Count++
		b.Confidence += p
		c.Total++
		c.Mean += p
		if best[i] == l {
			b.Correct++
			c.Correct++
		}
	}
	c.Mean /= float64(c.Total)
	for i := range c.Bins {
		b := &c.Bins[i]
		if b.Count == 0 {
			continue
		}
		b.Confidence /= float64(b.Count)
		gap := math.Abs(float64(b.Correct)/float64(b.Count) - b.Confidence)
		c.ECE += gap * float64(b.Count) / float64(c.Total)
		c.MCE = math.Max(c.MCE, gap)
	}
	return c, nil
}
