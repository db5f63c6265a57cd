package compare

import (
	"fmt"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

const nonCommercial = "for non-commercial use only; if your use is: --noncommercial"

// plan decides what is compared: it skips the rows of which it is known without trying that they cannot
// be, and those that the forecast finds too slow. What there is time for is decided on the way.
func (c *Comparison) plan(s Spec, rows []zoo.Row, pictures int, place run.Place) *forecast {
	var able []zoo.Row
	for _, r := range rows {
		if why := impossible(r, s, place); why != "" {
			c.Skipped = append(c.Skipped, Skipped{Model: r.Name, Skipped: why})
			continue
		}
		if s.Size != 0 {
			r.Preset = r.Preset.At(s.Size)
		}
		able = append(able, r)
	}
	f := newForecast(able, pictures, place.Folder)
	f.resized, f.latency = s.Size != 0, s.Latency
	f.hurry(s.Until)
	able = able[:0]
	for i, r := range f.rows {
		if why := f.tooSlow(i); why != "" {
			c.Skipped = append(c.Skipped, Skipped{r.Name, why, f.expected(i)})
			continue
		}
		able = append(able, r)
	}
	f.only(able)
	return f
}

// impossible returns why a row cannot be compared, as far as that is known without a look at its file or
// the network; "" = not at all.
func impossible(r zoo.Row, s Spec, place run.Place) string {
	if s.Size != 0 {
		if err := r.Fits(s.Size); err != nil {
			return reason(r, err)
		}
	}
	_, here := r.Here()
	_, own := zoo.OwnFile(r.Name)
	switch {
	case r.NonCommercial && !place.NonCommercial:
		return nonCommercial
	case byHand(r):
		return reason(r, nil)
	case place.Offline && !here && !own && len(r.Sources()) > 0:
		return "its weights are not on this machine, and --offline forbids to fetch them"
	}
	return ""
}

// byHand reports whether the file of a row is missing and has to be brought by a person.
func byHand(r zoo.Row) bool {
	_, here := r.Here()
	return !here && r.Source() == "" && r.ByHand != ""
}

// announced says what the comparison will cost and leave out, before it starts.
func (c *Comparison) announced(f *forecast, s Spec, offline bool) []string {
	lines := []string{f.before()}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	var fetched []string
	for _, r := range f.rows {
		if bytes := toFetch(r); bytes > 0 {
			fetched = append(fetched, fmt.Sprintf("%s (%.0f MB)", r.Name, bytes/1e6))
		}
	}
	if len(fetched) > 0 {
		add("to be fetched: %s", listed(fetched))
	}
	for _, why := range c.Reasons() {
		add("left out: %s", why)
	}
	if late := f.late(0); len(late) > 0 {
		add("expected to be left out: %s", listed(late))
	}
	if more := s.more(offline); more > 0 {
		add("%d more networks are like that, and would have to be fetched: --all", more)
	}
	return lines
}

// more returns how many networks the filter would select besides the handy ones.
func (s Spec) more(offline bool) int {
	if s.Models != nil || s.All || offline || !s.filtered() {
		return 0
	}
	all, err := s.Filter.Of(zoo.Rows())
	some, err2 := s.Filter.Of(zoo.Handy(offline))
	if err != nil || err2 != nil {
		return 0
	}
	return len(all) - len(some)
}

// listed joins the first names of a list, and says how many more there are.
func listed(names []string) string {
	const most = 8
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// before says what the comparison will cost.
func (f *forecast) before() string {
	line := fmt.Sprintf("%d network(s), %d pictures each", len(f.rows), f.pictures)
	fetched, bytes := 0, 0.0
	for _, r := range f.rows {
		if b := toFetch(r); b > 0 {
			fetched++
			bytes += b
		}
	}
	if fetched > 0 {
		line += fmt.Sprintf("; the weights of %d are fetched first (%.0f MB)", fetched, bytes/1e6)
	}
	if !f.until.IsZero() {
		return line + fmt.Sprintf("; those that fit into the next %s", time.Until(f.until).Round(time.Second))
	}
	if left, ok := f.left(0); ok {
		return line + fmt.Sprintf("; about %s at the rates of earlier comparisons, less where features are cached", words(left))
	}
	return line + "; how long that takes is said after the first one"
}

// tooSlow returns why a row is left out for want of speed: a picture is forecast to take more than twice
// the latency that is allowed, or was timed to take a quarter more; "" = it is not, or this machine has
// no pace yet.
func (f *forecast) tooSlow(i int) string {
	if f.latency == 0 || f.guess == 0 || f.pictures == 0 {
		return ""
	}
	takes, most := time.Duration(f.expected(i)/float64(f.pictures)*float64(time.Second)), 2*f.latency
	if f.timed[i] {
		most = f.latency + f.latency/4
	}
	if takes <= most {
		return ""
	}
	return fmt.Sprintf("a picture is expected to take more than %s", milliseconds(f.latency))
}

// milliseconds writes the time of a picture.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3g ms", d.Seconds()*1000) }

// toFetch returns the size of a row's file in bytes if it is not on this machine. Where the size is not
// published, it is that of the parameters.
func toFetch(r zoo.Row) float64 {
	if _, here := r.Here(); here {
		return 0
	}
	if r.Bytes() > 0 {
		return float64(r.Bytes())
	}
	return 4 * float64(r.Params)
}

// late lists the rows from one on that are expected to be left out, with what they take, once this
// machine has a pace. What is in the cache may make it in time all the same.
func (f *forecast) late(from int) (late []string) {
	if f.guess == 0 {
		return nil
	}
	var sum time.Duration
	for i := from; i < len(f.rows); i++ {
		r := f.rows[i]
		takes := time.Duration((f.expected(i) + toFetch(r)/fetchRate) * float64(time.Second))
		switch {
		case f.tooSlow(i) != "":
			picture := time.Duration(f.expected(i) / float64(f.pictures) * float64(time.Second))
			late = append(late, fmt.Sprintf("%s (%.0f ms a picture)", r.Name, picture.Seconds()*1000))
		case f.until.IsZero() || i == 0:
			sum += takes
		case sum+takes > time.Until(f.until):
			late = append(late, fmt.Sprintf("%s (about %s)", r.Name, roughly(takes)))
		default:
			sum += takes
		}
	}
	return late
}
