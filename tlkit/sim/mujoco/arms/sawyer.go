package arms

import (
	"math"

	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/sim/mujoco"
)

const (
	metaWorld  = "metaworld/assets/"
	sawyerFile = metaWorld + "sawyer_xyz/sawyer_button_press_topdown.xml"
)

// sawyerArm is the arm of Meta-World with a button in a box, which stands elsewhere in every scene.
var sawyerArm = &robot{
	from: mujoco.MetaWorld, file: sawyerFile,
	edits: map[string][][2]string{sawyerFile: {
		{`<weld body1="mocap" body2="hand" solref="0.02 1"/>`, `<weld body1="mocap" body2="hand" solref="0.02 1" relpose="0 0 0 1 0 0 0" torquescale="5"/>`},
		{`<body name="box"`, `<body name="box" mocap="true"`},
	}},
	mocap: "mocap", grip: "endEffector",
	home: [3]float64{0, 0.65, 0.45}, turn: [4]float64{math.Sqrt2 / 2, 0, math.Sqrt2 / 2, 0},
	open: []float64{1, -1}, closed: []float64{1, -1}, // closed at all times
	finger: [2]string{"r_close", "l_close"}, wide: 0.04, press: true,

	camera: front(vec{0, 0.7, 0.2}, vec{0, 0.5, sin60}, 0.85),
	plane:  0.3, low: 0.2, mid: 0.3, high: 0.4,
	reach: [2][2]float64{{-0.35, 0.35}, {0.45, 0.95}},
}

const (
	boxHeight = 0.115 // of the box's middle above the table
	pressed   = 0.05  // how far the button goes down, of the 0.06 that it can
)

// sawyerPress is the task of mujoco/sawyer-press.
type sawyerPress struct{}

func (sawyerPress) robot() *robot { return sawyerArm }

func (sawyerPress) spec() sim.Spec {
	return sawyerArm.describe(sim.Spec{
		Task: "mujoco/sawyer-press", Goal: "press the button on the box", Robot: "sawyer", Steps: 40,
		Truth: []sim.Dimension{share("button_x"), share("button_y")},
	})
}

func (sawyerPress) arrange(s *scene, d *dice.Dice) error {
	box, err := s.robot.model.Find(mujoco.Body, "box")
	if err != nil {
		return err
	}
	place, err := s.robot.model.MocapPlace(box)
	if err != nil {
		return err
	}
	at := vec{d.In(-0.24, 0.24), d.In(0.58, 0.84), boxHeight}
	s.things["button"] = at
	tilt := math.Sqrt2 / 2 // lying on its back: the button is on top
	if err := s.data.SetMocap(place, at, [4]float64{tilt, -tilt, 0, 0}); err != nil {
		return err
	}
	if err := s.restore(s.robot.settled.qpos); err != nil {
		return err
	}
	if err := s.dye(d); err != nil {
		return err
	}
	return s.rest(vec{d.In(-0.24, 0.24), d.In(0.55, 0.8), s.robot.high})
}

// dye gives table, box and button colours of their own.
func (s *scene) dye(d *dice.Dice) error {
	for _, part := range []struct {
		body       string
		saturation float64
	}{{"tablelink", 0.1}, {"buttonbox", 0.3}, {"button", 0.5}} {
		body, err := s.robot.model.Find(mujoco.Body, part.body)
		if err != nil {
			return err
		}
		rgb := colour(d, part.saturation)
		for _, g := range s.robot.model.Geoms(body) {
			s.paint(g, rgb)
		}
	}
	s.shine(d)
	return nil
}

func (sawyerPress) truth(s *scene) []vec { return []vec{s.things["button"]} }

func (sawyerPress) teach(s *scene) (move [2]float64, shut bool) { return s.goTo(s.things["button"]) }

func (sawyerPress) judge(s *scene) {
	at, err := place(s.robot.model, "btnbox_joint")
	if err == nil && s.data.Qpos()[at] < -pressed {
		s.end(true, "the button is pressed")
	}
}

func (sawyerPress) failed() string { return "the button is not pressed" }
