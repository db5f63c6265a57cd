package robot

import (
	"context"
	"fmt"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/settings"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A Disturbance is something wrong with what the robot sees.
type Disturbance = settings.Disturbance

// The disturbances.
const (
	undisturbed  Disturbance = ""
	rawBytes     Disturbance = "raw"    // bytes 0 to 255, where the network expects the preset's numbers
	movedCamera  Disturbance = "moved"  // by 5 % of the picture: left, right, up or down, by the scene
	dimLamp      Disturbance = "dim"    // at 30 %
	blackPicture Disturbance = "black"  // the picture is black
	frozen       Disturbance = "frozen" // the first picture of an episode stays
)

// Disturbances lists them all.
func Disturbances() []Disturbance {
	return []Disturbance{rawBytes, movedCamera, dimLamp, blackPicture, frozen}
}

// disturb makes eyes see what is wrong.
func disturb(e rollout.Eyes, d Disturbance) (rollout.Eyes, error) {
	each := func(change func(p *transforms.Picture, scene uint64, at int) uint8) func(uint64, *transforms.Picture) (*transforms.Picture, error) {
		return func(scene uint64, p *transforms.Picture) (*transforms.Picture, error) {
			out := transforms.NewPicture(p.Width, p.Height)
			for i := range out.Pix {
				out.Pix[i] = change(p, scene, i)
			}
			return out, nil
		}
	}
	switch d {
	case undisturbed:
	case rawBytes:
		e.Preset.Range, e.Preset.Mean, e.Preset.Std = [2]float32{0, 255}, [3]float32{}, [3]float32{1, 1, 1}
	case movedCamera:
		e.Before = each(func(p *transforms.Picture, scene uint64, at int) uint8 {
			by := [4][2]int{{1, 0}, {-1, 0}, {0, 1}, {0, -1}}[scene%4]
			x := min(max(at/3%p.Width+by[0]*p.Width/20, 0), p.Width-1)
			y := min(max(at/3/p.Width+by[1]*p.Height/20, 0), p.Height-1)
			return p.Pix[3*(y*p.Width+x)+at%3]
		})
	case dimLamp:
		e.Before = each(func(p *transforms.Picture, _ uint64, at int) uint8 { return uint8(3 * int(p.Pix[at]) / 10) })
	case blackPicture:
		e.Before = each(func(*transforms.Picture, uint64, int) uint8 { return 0 })
	case frozen:
		var first sync.Map
		e.Before = func(scene uint64, p *transforms.Picture) (*transforms.Picture, error) {
			kept, _ := first.LoadOrStore(scene, p)
			return kept.(*transforms.Picture), nil
		}
	default:
		return e, advice.New(fmt.Errorf("robot: no disturbance %q", d), "there are %v", Disturbances())
	}
	return e, nil
}

// Alarms says how often a policy finds what it sees unlike its demonstrations.
type Alarms struct {
	Disturbance Disturbance      `json:"disturbance"` // "" = none: these alarms are false
	Looks       int              `json:"looks"`       // within which an alarm counts; 0 = the whole episode
	Alarm       metrics.Fraction `json:"alarm"`       // episodes with one
	Interval    metrics.Interval `json:"interval"`
	Each        []int            `json:"each"` // the look of the first alarm of each episode, from 1; 0 = none
}

// alarmLooks is within how many looks an alarm counts.
const alarmLooks = 3

// Alarms tries the policy in scenes that no demonstration shows, undisturbed and with each
// disturbance, and counts the episodes with an alarm.
func (l *Lab) Alarms(ctx context.Context, episodes int) (all []Alarms, err error) {
	for _, d := range append([]Disturbance{undisturbed}, Disturbances()...) {
		looks := alarmLooks
		if d == undisturbed {
			looks = 0
		}
		t, err := l.guarded(ctx, d, rollout.Job{Scenes: rollout.Scenes(episodes), Looks: looks})
		if err != nil {
			return nil, err
		}
		a := Alarms{Disturbance: d, Looks: looks, Alarm: metrics.Fraction{Total: len(t.Episodes)}}
		for _, e := range t.Episodes {
			if a.Each = append(a.Each, e.Alarm); e.Alarm > 0 {
				a.Alarm.Correct++
			}
		}
		a.Interval = a.Alarm.Interval()
		all = append(all, a)
	}
	return all, nil
}

// Broken says what a disturbance does to tries of the policy, and whether it is noticed.
type Broken struct {
	Disturbance Disturbance      `json:"disturbance"` // "" = none
	Success     metrics.Fraction `json:"success"`
	Noticed     metrics.Fraction `json:"noticed"` // episodes with an alarm within the first three looks
}

// Break tries the policy with each disturbance, and first without, always in the same scenes. The policy
// does not hold when it notices, so that it is seen what would have become of it.
func (l *Lab) Break(ctx context.Context, episodes int, with ...Disturbance) (all []Broken, err error) {
	for _, d := range append([]Disturbance{undisturbed}, with...) {
		t, err := l.guarded(ctx, d, rollout.Job{Scenes: rollout.Scenes(episodes)})
		if err != nil {
			return nil, err
		}
		b := Broken{Disturbance: d, Success: t.Success(), Noticed: metrics.Fraction{Total: len(t.Episodes)}}
		for _, e := range t.Episodes {
			if e.Alarm > 0 && e.Alarm <= alarmLooks {
				b.Noticed.Correct++
			}
		}
		all = append(all, b)
	}
	return all, nil
}

// guarded runs a job with the guarded policy, which goes on where a look is not familiar.
func (l *Lab) guarded(ctx context.Context, d Disturbance, job rollout.Job) (*rollout.Try, error) {
	if n := len(job.Scenes); n < 1 || n > mostEpisodes {
		return nil, fmt.Errorf("robot: %d episodes, want 1 to %d", n, mostEpisodes)
	}
	if err := l.simulator("try the policy"); err != nil {
		return nil, err
	}
	fitted, err := l.Fit(ctx)
	if err != nil {
		return nil, err
	}
	s, err := l.sight(Pretrained)
	if err != nil {
		return nil, err
	}
	eyes, err := disturb(s.eyes, d)
	if err != nil {
		return nil, err
	}
	what := "trying"
	if d != undisturbed {
		what = "trying, " + string(d)
	}
	job.Task, job.Eyes, job.Policy = l.Spec.Task, &eyes, fitted.File.Guard(false)
	job.Progress = func(done, total int) { l.report.State(what, int64(done), int64(total)) }
	return rollout.Run(ctx, job)
}
