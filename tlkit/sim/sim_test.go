package sim_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim"
)

func TestRoles(t *testing.T) {
	s := new(rail).Spec()
	for _, c := range []struct {
		dims []sim.Dimension
		role sim.Role
		want int
	}{{s.State, sim.TipX, 0}, {s.State, sim.TipY, -1}, {s.Action, sim.MoveX, 0}, {s.Action, sim.Gripper, 1}, {s.Truth, sim.TipX, -1}, {nil, sim.Other, -1}} {
		if got := sim.Find(c.dims, c.role); got != c.want {
			t.Errorf("role %d is at %d, want %d", c.role, got, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	s := new(rail).Spec()
	got, err := s.Limit([]float32{7, -3})
	if err != nil || got[0] != 0.1 || got[1] != 0 {
		t.Errorf("Limit(7, -3) = %v, %v; want 0.1, 0", got, err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for want, a := range map[string][]float32{"2: dx, gripper": {1}, "dx is NaN": {nan, 0}, "gripper is -Inf": {0, inf}, "3 numbers": {1, 2, 3}} {
		if _, err := s.Limit(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Limit(%v): %v, want an error with %q", a, err, want)
		}
	}
}

func TestDifferences(t *testing.T) {
	s := new(rail).Spec()
	if d := s.Differences(new(rail).Spec()); d != nil {
		t.Errorf("a robot differs from itself: %v", d)
	}
	for want, change := range map[string]func(*sim.Spec){
		"state: 2 numbers (x, y), want 1 (x)":                func(o *sim.Spec) { o.State = append(o.State, sim.Dimension{Name: "y"}) },
		"action 0: dy, want dx":                              func(o *sim.Spec) { o.Action[0].Name = "dy" },
		"action 0, dx: in m, want picture":                   func(o *sim.Spec) { o.Action[0].Unit = "m" },
		"action 1, gripper: from 0 to 255, want from 0 to 1": func(o *sim.Spec) { o.Action[1].Max = 255 },
		"camera 0: wrist, want top":                          func(o *sim.Spec) { o.Cameras[0].Name = "wrist" },
		"camera 0: none, want top":                           func(o *sim.Spec) { o.Cameras = nil },
		"camera 1: wrist, want none":                         func(o *sim.Spec) { o.Cameras = append(o.Cameras, sim.Camera{Name: "wrist"}) },
		"rate: 30 steps a second, want 10":                   func(o *sim.Spec) { o.Rate = 30 },
	} {
		o := new(rail).Spec()
		change(&o)
		if d := s.Differences(o); len(d) != 1 || d[0] != want {
			t.Errorf("differences %q, want %q", d, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := sim.Open("example/nothing"); err == nil || !strings.Contains(err.Error(), `no task "example/nothing"; `) {
		t.Errorf("an unknown task: %v", err)
	}
}

// far is a world that needs something from elsewhere.
type far struct {
	rail
	got []sim.Downloads
}

func (f *far) Install(_ context.Context, d sim.Downloads) error {
	if f.got = append(f.got, d); d.Offline {
		return errors.New("the wheel is missing")
	}
	return nil
}

func TestInstall(t *testing.T) {
	w := new(far)
	sim.Register("example/far", func() sim.World { return w })
	sim.Register("example/near", func() sim.World { return new(rail) })
	if err := sim.Install(t.Context(), "example/far", sim.Downloads{}); err != nil || len(w.got) != 1 {
		t.Errorf("%v, installed %d times", err, len(w.got))
	}
	if err := sim.Install(t.Context(), "example/far", sim.Downloads{Offline: true}); err == nil || !strings.Contains(err.Error(), "example/far: the wheel is missing") {
		t.Errorf("offline: %v", err)
	}
	if err := sim.Install(t.Context(), "example/near", sim.Downloads{Offline: true}); err != nil {
		t.Errorf("a world that needs nothing: %v", err)
	}
	if err := sim.Install(t.Context(), "example/none", sim.Downloads{}); err == nil || !strings.Contains(err.Error(), "no task") {
		t.Errorf("an unknown task: %v", err)
	}
}

// The noise moves the arm and leaves the actions that are learnt alone; the same seed gives the same.
func TestDemonstrate(t *testing.T) {
	run := func(seed uint64, l sim.Lesson) (states, actions []float32, o sim.Outcome) {
		o, err := sim.Demonstrate(t.Context(), new(rail), seed, l, func(f sim.Frame) error {
			states, actions = append(states, f.State[0]), append(actions, f.Action[1])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return states, actions, o
	}
	clean, _, o := run(9, sim.Lesson{})
	noisy, _, p := run(9, sim.Lesson{Noise: 0.5})
	again, _, _ := run(9, sim.Lesson{Noise: 0.5})
	if !o.Success || !p.Over || slices.Equal(clean, noisy) {
		t.Errorf("clean %v, noisy %v, %v %v", clean, noisy, o, p)
	}
	if !slices.Equal(noisy, again) {
		t.Fatalf("the same seed gives %v and %v", noisy, again)
	}
	_, actions, slipped := run(9, sim.Lesson{Slip: 1})
	if slipped.Success || slipped.Steps != 1 || actions[0] != 0 {
		t.Errorf("fingers that always err: %+v, actions %v", slipped, actions)
	}
}

func TestDemonstrateStops(t *testing.T) {
	stop := errors.New("enough")
	if _, err := sim.Demonstrate(t.Context(), new(rail), 1, sim.Lesson{}, func(sim.Frame) error { return stop }); err != stop {
		t.Errorf("error %v, want that of the function", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sim.Demonstrate(ctx, new(rail), 1, sim.Lesson{}, func(sim.Frame) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, err := sim.Demonstrate(t.Context(), new(rail), 1, sim.Lesson{Noise: math.NaN()}, nil); err == nil {
		t.Error("NaN passes as noise")
	}
}
