package guard

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// sentences say what each finding means.
var sentences = map[Finding]string{
	NotDivided:      "the pictures are not divided by 255",
	DividedTwice:    "the pictures are divided by 255 once too often",
	SwappedChannels: "red and blue are exchanged",
	HalfForImageNet: "the pictures are from -1 to 1, for a network with ImageNet's mean and deviation",
	ImageNetForHalf: "the pictures have ImageNet's mean and deviation, for a network of pictures from -1 to 1",
	MeanOnly:        "the mean is subtracted, but nothing is divided by the deviation",
	OtherStatistics: "the pictures have another mean and deviation than the network learnt from",
	ChannelsFirst:   "the pictures are planes of red, green and blue that are read as pixels: transpose them to height, width, channel",
	Constant:        "the pictures are empty: each is of a single colour",
}

// titles are the findings as the title of a figure.
var titles = map[Finding]string{
	CannotTell:      "It cannot be told how the pictures should be prepared",
	NotDivided:      "Not divided by 255",
	DividedTwice:    "Divided by 255 once too often",
	SwappedChannels: "Red and blue are exchanged",
	HalfForImageNet: "From -1 to 1",
	ImageNetForHalf: "ImageNet's mean and deviation",
	MeanOnly:        "Not divided by the deviation",
	OtherStatistics: "Another mean and deviation",
	ChannelsFirst:   "Planes of red, green and blue, read as pixels",
	Constant:        "The pictures are empty",
	Grey:            "Prepared as the network wants, and grey",
}

func upper(sentence string) string { return strings.ToUpper(sentence[:1]) + sentence[1:] }

// Line says in a sentence what was found.
func (v *Verdict) Line() string {
	switch v.Finding {
	case Fits:
		return fmt.Sprintf("the pictures are prepared as %s learnt to see them%s", v.Model, v.because())
	case Grey:
		return fmt.Sprintf("the pictures are prepared as %s learnt to see them%s; they are grey: if they should have colours, they lost them before", v.Model, v.because())
	case CannotTell:
		return fmt.Sprintf("whether the pictures are prepared as %s learnt to see them cannot be told: its first layer remembers nothing", v.Model)
	}
	line := sentences[v.Finding]
	if v.Candidates != nil && !alike(v.actual, v.best) {
		line += fmt.Sprintf(": %s wants %s, which fits %s better", v.Model, v.Best, times(v.Times))
	}
	return line + fmt.Sprintf(" (%.0f %% sure)", 100*min(v.Confidence, 0.99))
}

// Text is Line, the warnings, and a table of the scores.
func (v *Verdict) Text() string {
	var b strings.Builder
	fmt.Fprintln(&b, upper(v.Line()))
	for _, w := range v.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	if len(v.Candidates) > 0 {
		best := v.Candidates[0].Score + scoreFloor
		fmt.Fprintf(&b, "\n%-20s %10s  %s\n", "statistics", "score", "fits worse")
		for i, c := range v.Candidates {
			mark, worse := " ", times((c.Score+scoreFloor)/best)
			if i == 0 {
				worse = "the best"
			}
			if c.Preset.WithStatistics(v.actual) == c.Preset {
				mark = "*"
			}
			fmt.Fprintf(&b, "%s %-18s %10.4g  %s\n", mark, c.Name, c.Score, worse)
		}
		fmt.Fprintf(&b, "* as the pictures are prepared (%d were looked at)\n", v.Pictures)
	}
	return strings.TrimRight(b.String(), "\n")
}

// because names the evidence.
func (v *Verdict) because() string {
	switch v.Evidence {
	case BatchNorm:
		return ", by its first batch norm"
	case Published:
		return ", by its published preset"
	}
	return ""
}

// times writes a ratio: "2.6 times", "thousands of times".
func times(ratio float64) string {
	switch {
	case ratio >= 1000:
		return "thousands of times"
	case ratio >= 10:
		return fmt.Sprintf("%.0f times", ratio)
	}
	return fmt.Sprintf("%.1f times", ratio)
}

// draw keeps the histograms of the values, beside what the network expects.
func (v *Verdict) draw(pictures []*looked) {
	if len(pictures) == 0 {
		return
	}
	const bins = 60
	want := preparation(v.best)
	names := [3]string{"red", "green", "blue"}
	from := source(v.best)
	for c := range 3 {
		ch := plots.Channel{Name: names[from[c]], Counts: make([]int, bins)}
		if v.best.Channels == "grey" {
			ch.Name = "grey"
		}
		var values []float64
		for _, l := range pictures {
			for _, x := range l.samples {
				values = append(values, float64(x[c]))
			}
		}
		ch.Mean, ch.SD = spreadOf(values)
		ch.WantMean, ch.WantSD = expected(want, c)
		ch.WantMean = math.Round(ch.WantMean*1e4) / 1e4
		ch.Low, ch.High = ch.WantMean-2.5*ch.WantSD, ch.WantMean+2.5*ch.WantSD
		for _, x := range values {
			ch.Low, ch.High = min(ch.Low, x), max(ch.High, x)
		}
		for _, x := range values {
			ch.Counts[min(int((x-ch.Low)/(ch.High-ch.Low)*bins), bins-1)]++
		}
		v.channels = append(v.channels, ch)
	}
	if v.best.Channels == "grey" { // three times the same
		v.channels = v.channels[:1]
	}
}

// Figure draws the values that reach the network, channel by channel, and the band in which those of
// ordinary photographs are when they are prepared as it expects. Without pictures there is nothing to
// draw, which the figure's error says.
func (v *Verdict) Figure() plots.Figure {
	title, short := titles[v.Finding]
	switch {
	case !short:
		title = upper(v.Line())
	case !alike(v.actual, v.best):
		title += fmt.Sprintf(": %s wants %s", v.Model, v.Best)
	}
	return plots.Statistics(title, !v.OK, v.channels...)
}

// Preset returns the statistics that fit the network best, in the preset that was used.
func (v *Verdict) Preset() transforms.Preset { return v.best }
