package robot

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// filmSide is the side of a clip in pixels.
const filmSide = 240

// filmBytes is the most that a film of tries may take: heat is harder to compress than pictures.
const filmBytes = 2_500_000

// A film of tries shows so many steps of an episode, in which each failure is seen to begin.
const filmSteps = 44

// Watch films the teacher in the scenes of the first demonstrations, one clip of each.
func (l *Lab) Watch(ctx context.Context, clips int) (show.Film, error) {
	if clips < 1 || clips > 24 {
		return show.Film{}, fmt.Errorf("robot: a film of %d clips, want 1 to 24", clips)
	}
	if err := l.simulator("film the teacher"); err != nil {
		return show.Film{}, err
	}
	film := show.Film{Clips: make([]show.Clip, clips), Words: fmt.Sprintf("The teacher shows how to %s, in %d scenes.", l.Robot.Goal, clips)}
	g, ctx := errgroup.WithContext(ctx)
	for i := range film.Clips {
		g.Go(func() error {
			t, err := l.teacher()
			if err != nil {
				return err
			}
			c := &film.Clips[i]
			c.Title = fmt.Sprintf("demonstration %d", i+1)
			o, err := sim.Demonstrate(ctx, t, l.scene(i), sim.Lesson{Side: filmSide, Noise: noise}, func(f sim.Frame) error {
				c.Frames = append(c.Frames, f.Pictures[0])
				return nil
			})
			if err != nil {
				return err
			}
			last, err := t.Draw(l.Robot.Cameras[0].Name, filmSide)
			c.Frames, c.End = append(c.Frames, last), end(o.Success)
			return err
		})
	}
	return film, g.Wait()
}

func end(success bool) show.End {
	if success {
		return show.Good
	}
	return show.Bad
}

// Film plays the policy again in some scenes of a try, those where it failed first. Over each picture
// lies where the policy looks: the probability of each cell for the next event, and a ring where it
// goes.
func (l *Lab) Film(ctx context.Context, t *rollout.Try, clips int) (show.Film, error) {
	if err := l.simulator("film the policy"); err != nil {
		return show.Film{}, err
	}
	p, sight, err := l.acting(ctx)
	if err != nil {
		return show.Film{}, err
	}
	return l.film(ctx, t, filmed{policy: p, sight: sight, clips: clips})
}

// Disturbed films the policy while something is wrong with its pictures, in the first so many scenes. The
// film shows what the camera sees, with a red border while that is not familiar. Then the robot holds.
func (l *Lab) Disturbed(ctx context.Context, d Disturbance, clips int) (show.Film, error) {
	if err := l.simulator("film the policy"); err != nil {
		return show.Film{}, err
	}
	fitted, err := l.Fit(ctx)
	if err != nil {
		return show.Film{}, err
	}
	t := &rollout.Try{Task: l.Spec.Task}
	for _, scene := range rollout.Scenes(clips) {
		t.Episodes = append(t.Episodes, rollout.Episode{Scene: scene})
	}
	film, err := l.film(ctx, t, filmed{fitted.File.Guard(true), Pretrained, clips, d})
	if err != nil {
		return film, err
	}
	film.Words = fmt.Sprintf("The robot tries to %s while its pictures are disturbed (%s), in %d scenes. A red border: what it sees is not familiar, and it holds.", l.Robot.Goal, d, clips)
	return film, nil
}

// alarm draws a red border.
func alarm(p *image.NRGBA) {
	b := p.Bounds()
	const wide = 5
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if min(x-b.Min.X, b.Max.X-1-x, y-b.Min.Y, b.Max.Y-1-y) < wide {
				p.SetNRGBA(x, y, color.NRGBA{200, 30, 40, 255})
			}
		}
	}
}

// seenAs is a drawn picture as disturbed eyes see it.
func seenAs(e rollout.Eyes, scene uint64, p *image.NRGBA) (*image.NRGBA, error) {
	if e.Before == nil {
		return p, nil
	}
	in, err := transforms.FromImage(p)
	if err != nil {
		return nil, err
	}
	out, err := e.Before(scene, in)
	if err != nil {
		return nil, err
	}
	seen := image.NewNRGBA(out.Bounds())
	draw.Draw(seen, seen.Bounds(), out, image.Point{}, draw.Src)
	return seen, nil
}

// filmed is what a film shows.
type filmed struct {
	policy policy.Policy
	sight  Sight
	clips  int
	wrong  Disturbance
}

func (l *Lab) film(ctx context.Context, t *rollout.Try, f filmed) (show.Film, error) {
	episodes := failuresFirst(t.Episodes, f.clips)
	film, at := show.Film{Clips: make([]show.Clip, len(episodes))}, map[uint64]int{}
	job := rollout.Job{Task: l.Spec.Task, Policy: f.policy}
	failed := 0
	for i, e := range episodes {
		at[e.Scene] = i
		job.Scenes = append(job.Scenes, e.Scene)
		film.Clips[i].Title, film.Clips[i].End = fmt.Sprintf("scene %d", e.Scene-rollout.Scenes(1)[0]+1), end(e.Success)
		if !e.Success {
			failed++
		}
	}
	if len(episodes) == 0 {
		return film, fmt.Errorf("robot: a film of %d clips of %d episodes, want some of both", f.clips, len(t.Episodes))
	}
	s, err := l.sight(f.sight)
	if err != nil {
		return film, err
	}
	eyes, err := disturb(s.eyes, f.wrong)
	if err != nil {
		return film, err
	}
	camera, err := disturb(s.eyes, f.wrong) // of its own: a frozen one keeps larger pictures
	if err != nil {
		return film, err
	}
	job.Eyes = &eyes
	job.Watch = func(m rollout.Moment) error {
		if m.Step > filmSteps && !m.World.Done().Over {
			return nil
		}
		picture, err := m.World.Draw(l.Robot.Cameras[0].Name, filmSide)
		if err != nil {
			return err
		}
		if picture, err = seenAs(camera, m.Scene, picture); err != nil {
			return err
		}
		overlay(picture, m.Decision, [2]int{s.shape[1], s.shape[0]})
		if m.Decision.Strange > 1 {
			alarm(picture)
		}
		c := &film.Clips[at[m.Scene]]
		c.Frames = append(c.Frames, picture)
		return nil
	}
	if _, err := rollout.Run(ctx, job); err != nil {
		return film, err
	}
	film.Most = filmBytes
	film.Words = fmt.Sprintf("The robot tries to %s in %d scenes that no demonstration shows; it fails in %d of them. %s", l.Robot.Goal, len(episodes), failed, l.looks(s.shape))
	return film, nil
}

// looks says what the film shows of where a policy looks.
func (l *Lab) looks(shape [3]int) string {
	if l.Spec.Policy == Chunks {
		return "Yellow: where its keypoints are. Ring: where it goes."
	}
	if shape == [3]int{} {
		return "Ring: where it believes that the next event of its fingers is."
	}
	return "Yellow: where it believes that the next event of its fingers is. Ring: where it goes."
}

// failuresFirst returns up to n episodes.
func failuresFirst(all []rollout.Episode, n int) []rollout.Episode {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b rollout.Episode) int {
		switch {
		case !a.Success && b.Success:
			return -1
		case a.Success && !b.Success:
			return 1
		}
		return 0
	})
	return out[:max(min(n, len(out)), 0)]
}

// heatSteps are the levels of heat that a film tells apart.
const heatSteps = 5

// overlay draws over a picture where a decision looks: heat on the cells [w,h], a ring at the place.
func overlay(p *image.NRGBA, d policy.Decision, cells [2]int) {
	b := p.Bounds()
	w, h := float64(b.Dx()), float64(b.Dy())
	var most float32
	for _, v := range d.Heat {
		most = max(most, v)
	}
	radius := w / 22
	for y := range b.Dy() {
		for x := range b.Dx() {
			var glow float64
			if most > 0 {
				u, v := (float64(x)+0.5)/w*float64(cells[0])-0.5, (float64(y)+0.5)/h*float64(cells[1])-0.5
				// In proportion to the root, so that second thoughts are seen too; in steps, whose
				// edges show the form, and which take less of the file.
				glow = 0.7 * math.Floor(heatSteps*math.Sqrt(smooth(d.Heat, cells, u, v))+0.4) / heatSteps
			}
			away := math.Hypot(float64(x)+0.5-d.Where[0]*w, float64(y)+0.5-d.Where[1]*h)
			ring := max(0, 1-math.Abs(away-radius)/1.6)
			c := p.NRGBAAt(b.Min.X+x, b.Min.Y+y)
			c = mix(c, color.NRGBA{255, 214, 10, 255}, glow)
			p.SetNRGBA(b.Min.X+x, b.Min.Y+y, mix(c, color.NRGBA{200, 30, 40, 255}, ring))
		}
	}
}

// smooth is the heat between the middles of cells.
func smooth(heat []float32, cells [2]int, u, v float64) float64 {
	at := func(x, y int) float64 {
		x, y = min(max(x, 0), cells[0]-1), min(max(y, 0), cells[1]-1)
		return float64(heat[y*cells[0]+x])
	}
	x, y := math.Floor(u), math.Floor(v)
	fx, fy := u-x, v-y
	i, j := int(x), int(y)
	return (1-fy)*((1-fx)*at(i, j)+fx*at(i+1, j)) + fy*((1-fx)*at(i, j+1)+fx*at(i+1, j+1))
}

func mix(under, over color.NRGBA, share float64) color.NRGBA {
	s := min(max(share, 0), 1)
	blend := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-s) + float64(b)*s)) }
	return color.NRGBA{blend(under.R, over.R), blend(under.G, over.G), blend(under.B, over.B), 255}
}
