package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"text/tabwriter"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// mistake is a way to prepare pictures wrongly.
type mistake struct {
	want Finding
	// prepare returns nothing where the mistake is none, such as a division by deviations of 1.
	prepare func(t testing.TB, p transforms.Preset, pictures []*transforms.Picture) []transforms.Tensor
}

// by is a mistake in the preset.
func by(change func(p *transforms.Preset) bool) func(testing.TB, transforms.Preset, []*transforms.Picture) []transforms.Tensor {
	return func(t testing.TB, p transforms.Preset, pictures []*transforms.Picture) []transforms.Tensor {
		if !change(&p) {
			return nil
		}
		return prepared(t, p, pictures)
	}
}

// instead takes statistics for others.
func instead(of, take string) func(p *transforms.Preset) bool {
	return func(p *transforms.Preset) bool {
		q, err := transforms.Statistics(take)
		if err != nil || !like(*p, of) {
			return false
		}
		q.Channels = p.Channels
		*p = p.WithStatistics(q)
		return true
	}
}

var mistakes = []mistake{
	{NotDivided, by(func(p *transforms.Preset) bool {
		if p.Range[1] > 1 { // a network of 0 to 255: the deviation is what divides
			divides := p.Std[0] > 20
			p.Std = [3]float32{1, 1, 1}
			return divides
		}
		p.Range = [2]float32{0, 255}
		return true
	})},
	{DividedTwice, by(func(p *transforms.Preset) bool { p.Range[1] /= 255; return true })},
	{MeanOnly, by(func(p *transforms.Preset) bool {
		divides := p.Range[1] == 1 && p.Std[0] < 1
		p.Std = [3]float32{1, 1, 1}
		return divides
	})},
	{HalfForImageNet, by(instead("imagenet", "half"))},
	{ImageNetForHalf, by(instead("half", "imagenet"))},
	{SwappedChannels, by(func(p *transforms.Preset) bool {
		switch p.Channels {
		case "RGB":
			p.Channels = "BGR"
		case "BGR":
			p.Channels = "RGB"
		}
		return p.Channels != "grey"
	})},
	{ChannelsFirst, func(t testing.TB, p transforms.Preset, pictures []*transforms.Picture) []transforms.Tensor {
		all := prepared(t, p, pictures)
		for i, x := range all {
			planes := make([]float32, len(x.Data))
			for k, v := range x.Data {
				planes[k%3*(len(x.Data)/3)+k/3] = v
			}
			all[i].Data = planes
		}
		return all
	}},
	{Constant, func(t testing.TB, p transforms.Preset, pictures []*transforms.Picture) []transforms.Tensor {
		var flat []*transforms.Picture
		for i, pic := range pictures {
			q := transforms.NewPicture(pic.Width, pic.Height)
			for k := range q.Pix {
				q.Pix[k] = uint8(5*i + 9)
			}
			flat = append(flat, q)
		}
		return prepared(t, p, flat)
	}},
	{Grey, func(t testing.TB, p transforms.Preset, pictures []*transforms.Picture) []transforms.Tensor {
		if p.Channels == "grey" {
			return nil
		}
		var grey []*transforms.Picture
		for _, pic := range pictures {
			q, err := transforms.Compose(transforms.Grayscale()).Picture(pic, transforms.Rand{})
			if err != nil {
				t.Fatal(err)
			}
			grey = append(grey, q)
		}
		return prepared(t, p, grey)
	}},
}

// The mistakes are named in pictures of all kinds, for the real weights that are on this machine, and
// nothing is found in clean pictures. TLKIT_GUARD=1 takes all networks and sets, with real pictures of
// TLKIT_DATA; by default, a few.
func TestTable(t *testing.T) {
	whole := os.Getenv("TLKIT_GUARD") != ""
	sets, most, side := []set{clean[0], clean[2], clean[7]}, int64(10e6), 48
	if whole {
		sets, most, side = clean, 1<<40, 160
	}
	nets := here(t, most)
	if !whole { // smaller pictures are quicker
		for _, n := range nets {
			n.Preset = n.Preset.At(min(n.Preset.Size, 48))
		}
	}
	if !whole {
		nets = append(nets[:min(len(nets), 2)], taught(t, "half"))
	}
	all := map[string][]*transforms.Picture{}
	var names []string
	for _, s := range sets {
		names, all[s.name] = append(names, s.name), s.pictures(48, side)
	}
	if whole {
		names = append(names, realSets(t, all)...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\t"+"clean")
	for _, m := range mistakes {
		fmt.Fprint(w, "\t"+string(m.want))
	}
	fmt.Fprintln(w)
	for _, net := range nets {
		counts := make([][3]int, len(mistakes)+1) // right, cannot tell, wrong
		for _, name := range names {
			v := check(t, net, prepared(t, net.Preset, all[name]))
			counts[0][outcome(v, Fits)]++
			if !v.OK {
				t.Errorf("%s, %s: a false alarm: %s", net.Row.Name, name, v.Line())
			}
			for k, m := range mistakes {
				wrong := m.prepare(t, net.Preset, all[name])
				if wrong == nil {
					continue
				}
				v := check(t, net, wrong)
				o := outcome(v, m.want)
				counts[k+1][o]++
				if o == 2 || o == 1 && m.want != SwappedChannels && name != "noise" && name != "lines of text" {
					t.Errorf("%s, %s: %s is found to be %q: %s", net.Row.Name, name, m.want, v.Finding, v.Line())
				}
			}
		}
		fmt.Fprint(w, net.Row.Name)
		for _, c := range counts {
			fmt.Fprint(w, "\t"+cell(c))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

func check(t *testing.T, net *zoo.Net, pictures []transforms.Tensor) *Verdict {
	t.Helper()
	v, err := Check(net, pictures)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// outcome is 0 if v names what is wrong, 1 if it cannot tell, 2 if it names something else. Colours do not
// always tell their order, and small pictures without structure do not tell planes.
func outcome(v *Verdict, want Finding) int {
	switch {
	case v.Finding == want, want == Fits && v.OK:
		return 0
	case (want == SwappedChannels || want == ChannelsFirst) && v.OK:
		return 1
	}
	return 2
}

func cell(c [3]int) string {
	all := c[0] + c[1] + c[2]
	switch {
	case all == 0:
		return "-"
	case c[1] > 0:
		return fmt.Sprintf("%d of %d told", c[0], all)
	}
	return fmt.Sprintf("%d/%d", c[0], all)
}

// realSets adds real pictures of the folders of TLKIT_DATA.
func realSets(t *testing.T, all map[string][]*transforms.Picture) (names []string) {
	for _, name := range []string{"hymenoptera", "flowers12", "cats_dogs_small", "cifar10_test", "cifar10_test/ship", "cifar10_test/airplane"} {
		paths, err := datasets.Pictures(t.Context(), filepath.Join(os.Getenv("TLKIT_DATA"), name))
		if os.Getenv("TLKIT_DATA") == "" || err != nil || len(paths) == 0 {
			continue
		}
		for k := range min(48, len(paths)) {
			pic, err := transforms.DecodeFile(paths[k*len(paths)/48], transforms.DecodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], pic)
		}
		names = append(names, name)
	}
	return slices.Clip(names)
}
