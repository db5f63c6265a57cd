package episodes

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Kind is what is wrong.
type Kind string

// The kinds of findings.
const (
	Unreadable   Kind = "unreadable"    // rows or files are missing or damaged
	Length       Kind = "length"        // counts contradict each other
	Dropped      Kind = "dropped"       // frames are missing
	Timestamps   Kind = "timestamps"    // times are off by more than half a frame
	NotFinite    Kind = "not finite"    // NaN or infinite states or actions
	BadPicture   Kind = "picture"       // a picture is missing, damaged or of another size
	Black        Kind = "black camera"  // nothing to see
	FrozenCamera Kind = "frozen camera" // the same picture again and again while the robot moves
	FrozenState  Kind = "frozen state"  // the same state again and again while actions change
	Drift        Kind = "drift"         // actions and states differ more than in other episodes
	Outlier      Kind = "outlier"       // an episode unlike the others
	Statistics   Kind = "statistics"    // meta/stats.json is not about these data
)

// Finding is one fault of a set.
type Finding struct {
	Kind    Kind   `json:"kind"`
	Episode int    `json:"episode"`          // -1 = the set
	Frame   int    `json:"frame"`            // the first that is concerned; -1 = all
	Camera  string `json:"camera,omitempty"` // "" = none
	Text    string `json:"text"`             // what was found, in a sentence
}

// Audit is what Check found.
type Audit struct {
	Dir      string    `json:"dir"`
	Version  string    `json:"version"`
	Episodes int       `json:"episodes"`
	Frames   int       `json:"frames"`
	Findings []Finding `json:"findings"`
	Skipped  []string  `json:"skipped,omitempty"` // what was not looked at, and why
}

// CheckOptions choose what [Set.Check] looks at.
type CheckOptions struct {
	NoPictures bool                  // check only the numbers
	Progress   func(done, total int) // episodes; nil = nothing is told
}

// Check reads the whole set and lists what is wrong with it. Faults are findings, not errors.
// States and actions of all episodes are kept in memory, pictures are not.
func (s *Set) Check(ctx context.Context, o CheckOptions) (Audit, error) {
	c := &checker{set: s, audit: Audit{Dir: s.dir, Version: s.info.Version, Episodes: len(s.episodes), Findings: []Finding{}}, pictures: make([]histogram, len(s.cameras)), broken: make([]bool, len(s.cameras))}
	for i := range s.episodes {
		if err := ctx.Err(); err != nil {
			return Audit{}, err
		}
		c.episode(ctx, i, o)
		if o.Progress != nil {
			o.Progress(i+1, len(s.episodes))
		}
	}
	if err := ctx.Err(); err != nil {
		return Audit{}, err
	}
	c.totals()
	c.drift()
	c.outliers()
	c.statistics(o)
	slices.SortStableFunc(c.audit.Findings, func(a, b Finding) int { return a.Episode - b.Episode })
	return c.audit, nil
}

// A checker audits a set.
type checker struct {
	set      *Set
	audit    Audit
	runs     []run // of the episodes that could be read
	pictures []histogram
	broken   []bool // a picture of that camera could not be read
	ffmpeg   error
}

// run is what is kept of an episode.
type run struct {
	episode       int
	state, action [][]float32
}

func (c *checker) find(k Kind, episode, frame int, text string, args ...any) {
	c.audit.Findings = append(c.audit.Findings, Finding{Kind: k, Episode: episode, Frame: frame, Text: fmt.Sprintf(text, args...)})
}

func (c *checker) findCamera(k Kind, at Finding, text string, args ...any) {
	at.Kind, at.Text = k, fmt.Sprintf(text, args...)
	c.audit.Findings = append(c.audit.Findings, at)
}

// episode looks at one episode.
func (c *checker) episode(ctx context.Context, i int, o CheckOptions) {
	n, err := c.set.table(i)
	if err != nil {
		c.find(Unreadable, i, -1, "%v", err)
		return
	}
	c.audit.Frames += len(n.state)
	if want := c.set.episodes[i].Length; len(n.state) != want {
		c.find(Length, i, -1, "it has %d rows, the list of episodes says %d", len(n.state), want)
	}
	c.numbering(i, n)
	c.times(i, n)
	c.tasks(i, n)
	c.notFinite(i, "state", c.set.spec.State, n.state)
	c.notFinite(i, "action", c.set.spec.Action, n.action)
	c.frozenState(i, n)
	c.runs = append(c.runs, run{i, n.state, n.action})
	if o.NoPictures {
		return
	}
	for k := range c.set.cameras {
		c.camera(ctx, i, k, n)
	}
}

// numbering looks for jumps of frame_index.
func (c *checker) numbering(episode int, n *numbers) {
	for i, v := range n.index {
		before := int64(-1)
		if i > 0 {
			before = n.index[i-1]
		}
		if v == before+1 {
			continue
		}
		if missing := v - before - 1; missing > 0 {
			c.find(Dropped, episode, i, "frame_index goes from %d to %d: %s missing", before, v, counted(int(missing), "frame is", "frames are"))
		} else {
			c.find(Dropped, episode, i, "frame_index goes from %d to %d, which is not forward", before, v)
		}
		return
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// times compares timestamps with the rate. A gap counts once, as dropped frames; what follows it is
// measured from there.
func (c *checker) times(episode int, n *numbers) {
	step := 1 / c.set.info.FPS
	start, gaps, lost, gap := float64(n.time[0][0]), 0, 0, -1
	if !(math.Abs(start) <= step/2) {
		c.find(Timestamps, episode, 0, "the first timestamp is %.3f s, want 0", start)
	}
	late, worst := -1, 0.0
	for i := 1; i < len(n.time); i++ {
		t, before := float64(n.time[i][0]), float64(n.time[i-1][0])
		if !(t > before) { // NaN as well
			c.find(Timestamps, episode, i, "time does not advance: %.3f s after %.3f s", t, before)
			return
		}
		if d := t - before; d > 1.5*step {
			missing := int(math.Round(d/step)) - 1
			if gaps == 0 {
				gap = i
			}
			gaps, lost = gaps+1, lost+max(missing, 1)
			start += float64(missing) * step
		}
		if off := math.Abs(t - start - float64(i)*step); off > step/2 {
			if late < 0 {
				late = i
			}
			worst = max(worst, off)
		}
	}
	if gaps > 0 {
		c.find(Dropped, episode, gap, "time jumps in %s: about %s missing", counted(gaps, "place", "places"), counted(lost, "frame is", "frames are"))
	}
	if late >= 0 {
		c.find(Timestamps, episode, late, "timestamps are off by up to %.1f frames at %g frames a second", worst/step, c.set.info.FPS)
	}
}

// tasks looks for numbers of tasks that are not in the list.
func (c *checker) tasks(episode int, n *numbers) {
	names := c.set.taskNames()
	for i, t := range n.task {
		if t < 0 || int(t) >= len(names) || names[t] == "" {
			c.find(Length, episode, i, "task_index is %d, and the list of tasks has %d", t, len(names))
			return
		}
	}
}

func (c *checker) notFinite(episode int, what string, dims []sim.Dimension, rows [][]float32) {
	first, count, name := -1, 0, ""
	for i, row := range rows {
		for k, v := range row {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				if first < 0 {
					first, name = i, fmt.Sprintf("%s is %v", dims[k].Name, v)
				}
				count++
			}
		}
	}
	if first >= 0 {
		c.find(NotFinite, episode, first, "the %s's %s; %s in all", what, name, counted(count, "such number", "such numbers"))
	}
}

// long is how many equal frames are suspicious: a second, and at least ten.
func (c *checker) long() int { return max(10, int(c.set.info.FPS+0.5)) }

// frozenState looks for states that stay the same while the actions do not.
func (c *checker) frozenState(episode int, n *numbers) {
	equal(len(n.state), c.long(), func(i, j int) bool { return slices.Equal(n.state[i], n.state[j]) }, func(from, to int) bool {
		for i := from + 1; i < to; i++ {
			if !slices.Equal(n.action[i], n.action[from]) {
				c.find(FrozenState, episode, from, "the state is the same in frames %d to %d, while the actions change", from, to-1)
				return false
			}
		}
		return true
	})
}

// equal finds runs of at least long equal items and calls f with each, until it returns false.
func equal(n, long int, same func(i, j int) bool, f func(from, to int) bool) {
	from := 0
	for i := 1; i <= n; i++ {
		if i < n && same(i-1, i) {
			continue
		}
		if i-from >= long && !f(from, i) {
			return
		}
		from = i
	}
}

// camera looks at the pictures of one camera in an episode.
func (c *checker) camera(ctx context.Context, episode, camera int, n *numbers) {
	at := Finding{Episode: episode, Frame: -1, Camera: c.set.spec.Cameras[camera].Name}
	next, stop, err := c.set.pictures(ctx, episode, camera)
	if err != nil {
		c.broken[camera] = true
		if _, missing := ffmpeg(); missing != nil && c.set.info.Features[c.set.cameras[camera]].Dtype == "video" {
			if c.ffmpeg == nil {
				c.ffmpeg = missing
				c.audit.Skipped = append(c.audit.Skipped, fmt.Sprintf("the pictures: %v", missing))
			}
			return
		}
		why, _ := advice.Split(err)
		c.findCamera(BadPicture, at, "no pictures: %s", why)
		return
	}
	defer stop()
	seen := make([]look, len(n.state))
	bad := 0
	var before *image.NRGBA
	for i := range seen {
		p, err := next(false)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			c.broken[camera] = true
			if bad++; bad == 1 {
				at.Frame = i
				c.findCamera(BadPicture, at, "frame %d: %v", i, err)
			}
			if !errors.Is(err, errMissing) && c.set.info.Features[c.set.cameras[camera]].Dtype == "video" {
				seen = seen[:i]
				break // nothing follows
			}
			before = nil
			continue
		}
		c.pictures[camera].add(p.Pix)
		seen[i] = lookAt(p, before)
		before = p
	}
	if bad > 1 {
		last := &c.audit.Findings[len(c.audit.Findings)-1]
		last.Text += fmt.Sprintf(", and %d more", bad-1)
	}
	c.blackOrFrozen(at, seen, n)
}

// look is what is kept of a picture.
type look struct {
	good, black, same bool // same: as the one before
}

// lookAt compares a picture with the one before it. Encoders of videos change a still picture a
// little, so that a mean difference of a third of a grey level is none.
func lookAt(p, before *image.NRGBA) look {
	var sum, off, count int
	for i := 0; i+3 < len(p.Pix); i += 8 { // every other pixel tells enough
		sum += int(p.Pix[i]) + int(p.Pix[i+1]) + int(p.Pix[i+2])
		count += 3
		if before != nil && len(before.Pix) == len(p.Pix) {
			for k := range 3 {
				d := int(p.Pix[i+k]) - int(before.Pix[i+k])
				off += max(d, -d)
			}
		}
	}
	return look{good: true, black: sum < 6*count, same: before != nil && 3*off < count}
}

func (c *checker) blackOrFrozen(at Finding, seen []look, n *numbers) {
	black, first := 0, -1
	for i, l := range seen {
		if l.good && l.black {
			if black++; first < 0 {
				first = i
			}
		}
	}
	at.Frame = first
	switch {
	case black > 0 && black == len(seen):
		c.findCamera(Black, at, "every picture is black")
	case black > 0:
		c.findCamera(Black, at, "%s black, the first is %d", counted(black, "picture is", "pictures are"), first)
	}
	same := func(_, j int) bool { return seen[j].same && !seen[j].black }
	equal(len(seen), c.long(), same, func(from, to int) bool {
		if slices.Equal(n.state[from], n.state[to-1]) {
			return true // nothing moved
		}
		at.Frame = from
		c.findCamera(FrozenCamera, at, "the picture is the same in frames %d to %d, while the robot moves", from, to-1)
		return false
	})
}

// totals compares the counts of meta/info.json.
func (c *checker) totals() {
	in := c.set.info
	if in.Episodes != len(c.set.episodes) {
		c.find(Length, -1, -1, "%s says %d episodes, the list of episodes has %d", infoFile, in.Episodes, len(c.set.episodes))
	}
	if listed := c.set.Frames(); in.Frames != listed {
		c.find(Length, -1, -1, "%s says %d frames, the episodes have %d", infoFile, in.Frames, listed)
	}
	for name, spans := range c.set.files.spans {
		for e := range spans {
			if e < 0 || int(e) >= len(c.set.episodes) || c.set.places[e].data != name {
				c.find(Length, -1, -1, "%s has rows of episode %d, which is not listed there", name, e)
			}
		}
	}
}

// Text says what was found, a line for each.
func (a Audit) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: LeRobot %s, %s, %d frames\n", a.Dir, a.Version, counted(a.Episodes, "episode", "episodes"), a.Frames)
	for _, f := range a.Findings {
		where := "set"
		if f.Episode >= 0 {
			where = fmt.Sprintf("episode %d", f.Episode)
		}
		if f.Camera != "" {
			where += ", camera " + f.Camera
		}
		fmt.Fprintf(&b, "✗ %s: %s: %s\n", where, f.Kind, f.Text)
	}
	for _, s := range a.Skipped {
		fmt.Fprintf(&b, "• not checked: %s\n", s)
	}
	if len(a.Findings) == 0 {
		b.WriteString("✓ nothing found\n")
	} else {
		fmt.Fprintf(&b, "%s\n", counted(len(a.Findings), "finding", "findings"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
