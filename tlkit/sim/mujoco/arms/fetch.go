package arms

import (
	"math"

	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/sim/mujoco"
	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

const fetchFolder = "gymnasium_robotics/envs/assets/fetch/"

// fetchArm is the arm of Fetch over its table, as gymnasium-robotics sets it up.
var fetchArm = &robot{
	from: mujoco.GymnasiumRobotics, file: fetchFolder + "pick_and_place.xml",
	edits: map[string][][2]string{fetchFolder + "shared.xml": {
		// The gripper is where the mocap body is, not as far from it as in the file.
		{`<weld body1="robot0:mocap" body2="robot0:gripper_link"`, `<weld body1="robot0:mocap" body2="robot0:gripper_link" relpose="0 0 0 1 0 0 0"`},
	}},
	mocap: "robot0:mocap", grip: "robot0:grip",
	joints: map[string][]float64{"robot0:slide0": {0.405}, "robot0:slide1": {0.48}, "robot0:slide2": {0}},
	home:   [3]float64{1.34, 0.75, 0.52}, turn: [4]float64{math.Sqrt2 / 2, 0, math.Sqrt2 / 2, 0},
	open: []float64{0.05, 0.05}, closed: []float64{0, 0},
	finger: [2]string{"robot0:l_gripper_finger_joint", "robot0:r_gripper_finger_joint"}, wide: 0.1,

	camera: front(vec{1.325, 0.75, 0.42}, vec{0.5, 0, sin60}, 0.5),
	plane:  0.415, low: 0.423, mid: 0.462, high: 0.5,
	reach: [2][2]float64{{1.12, 1.52}, {0.52, 0.98}},
}

// front is a camera that looks at a place from a direction and a distance: across the table at the
// robot, and down by 60 degrees.
func front(at, from vec, distance float64) raster.Camera {
	c, err := raster.LookAt(vec{at[0] + from[0]*distance, at[1] + from[1]*distance, at[2] + from[2]*distance}, at, 45)
	if err != nil {
		panic(err) // these numbers are good
	}
	return c
}

const sin60 = 0.8660254037844386

const (
	tableTop  = 0.4
	blockHalf = 0.025
	near      = 0.05 // how near the target's middle counts, as in gymnasium-robotics
)

// onTable is a place on Fetch's table that the arm reaches and the camera sees.
func onTable(d *dice.Dice) vec { return vec{d.In(1.21, 1.47), d.In(0.61, 0.89), tableTop} }

// apart is how far two places are from each other, seen from above.
func apart(a, b vec) float64 { return math.Hypot(a[0]-b[0], a[1]-b[1]) }

// dress gives a scene its colours and light.
func (s *scene) dress(d *dice.Dice) error {
	table, err := s.robot.model.Find(mujoco.Body, "table0")
	if err != nil {
		return err
	}
	block, err := s.robot.model.Find(mujoco.Geom, "object0")
	if err != nil {
		return err
	}
	s.paint(block, colour(d, 0.35))
	for _, g := range s.robot.model.Geoms(table) {
		s.paint(g, colour(d, 0.1))
	}
	s.drawTarget(s.things["target"])
	s.shine(d)
	return nil
}

// shine lets the sun shine from anywhere above.
func (s *scene) shine(d *dice.Dice) {
	turn, sin := d.In(0, 2*math.Pi), d.In(0.3, 0.6)
	s.drawn.Sun.Direction = vec{sin * math.Cos(turn), sin * math.Sin(turn), math.Sqrt(1 - sin*sin)}
}

// paint gives a geom a plain colour.
func (s *scene) paint(geom int, rgb [3]float64) {
	if i := s.look.Of(geom); i != nil {
		i.Material = raster.Material{RGBA: [4]float64{rgb[0], rgb[1], rgb[2], 1}, Specular: 0.1, Shininess: 0.3}
	}
}

// drawTarget draws three rings on the table.
func (s *scene) drawTarget(at vec) {
	for i, ring := range []struct {
		radius float64
		rgb    [3]float64
	}{{0.034, [3]float64{0.86, 0.1, 0.1}}, {0.0225, [3]float64{0.97, 0.97, 0.95}}, {0.011, [3]float64{0.86, 0.1, 0.1}}} {
		const thin = 0.0004
		s.look.Instances = append(s.look.Instances, raster.Instance{
			Shape: raster.Cylinder, Size: vec{ring.radius, thin}, Position: vec{at[0], at[1], tableTop + thin*float64(2*i+1)},
			Material: raster.Material{RGBA: [4]float64{ring.rgb[0], ring.rgb[1], ring.rgb[2], 1}},
		})
	}
}

// colour is a random one; the more grey, the lower the saturation.
func colour(d *dice.Dice, saturation float64) [3]float64 {
	h, s, v := d.In(0, 6), d.In(saturation/2, saturation+0.4), d.In(0.45, 1)
	var rgb [3]float64
	for i, shift := range []float64{5, 3, 1} {
		k := math.Mod(shift+h, 6)
		rgb[i] = v - float64(float64(v*s)*max(0, min(k, 4-k, 1)))
	}
	return rgb
}

// fetchPick is the task of mujoco/fetch-pick.
type fetchPick struct{}

func (fetchPick) robot() *robot { return fetchArm }

func (fetchPick) spec() sim.Spec {
	return fetchArm.describe(sim.Spec{
		Task: "mujoco/fetch-pick", Goal: "put the block onto the target", Robot: "fetch", Steps: 60,
		Truth: []sim.Dimension{share("block_x"), share("block_y"), share("target_x"), share("target_y")},
	})
}

func (fetchPick) arrange(s *scene, d *dice.Dice) error {
	block, target := onTable(d), onTable(d)
	for apart(block, target) < 0.1 {
		target = onTable(d)
	}
	s.things["target"] = target
	if err := s.lay(block); err != nil {
		return err
	}
	start := onTable(d)
	start[2] = s.robot.high
	if err := s.dress(d); err != nil {
		return err
	}
	return s.rest(start)
}

// lay starts from the settled state, with the block somewhere on the table.
func (s *scene) lay(block vec) error {
	qpos := append([]float64(nil), s.robot.settled.qpos...)
	at, err := place(s.robot.model, "object0:joint")
	if err != nil {
		return err
	}
	copy(qpos[at:], []float64{block[0], block[1], tableTop + blockHalf, 1, 0, 0, 0})
	return s.restore(qpos)
}

// block is where the block is.
func (s *scene) block() vec {
	site, err := s.robot.model.Find(mujoco.Site, "object0")
	if err != nil {
		return vec{}
	}
	at, _ := s.data.SitePose(site)
	return at
}

func (fetchPick) truth(s *scene) []vec { return []vec{s.block(), s.things["target"]} }

func (fetchPick) teach(s *scene) (move [2]float64, shut bool) {
	to := s.block()
	if s.shut {
		if s.opening() < 0.2 { // shut on nothing
			return move, false
		}
		to = s.things["target"]
	}
	return s.goTo(to)
}

// goTo moves over a place, and turns the fingers there.
func (s *scene) goTo(place vec) (move [2]float64, shut bool) {
	to, tip := s.robot.seen(place), s.tip()
	move = [2]float64{to[0] - tip[0], to[1] - tip[1]}
	if math.Hypot(move[0], move[1]) < there {
		return [2]float64{}, !s.shut
	}
	return move, s.shut
}

func (fetchPick) judge(s *scene) {
	b := s.block()
	if !s.fist && s.opening() > 0.7 && b[2] < tableTop+2*blockHalf && apart(b, s.things["target"]) < near {
		s.end(true, "the block is on the target")
	}
}

func (fetchPick) failed() string { return "the block is not on the target" }

// fetchReach is the task of mujoco/fetch-reach.
type fetchReach struct{}

func (fetchReach) robot() *robot { return fetchArm }

func (fetchReach) spec() sim.Spec {
	return fetchArm.describe(sim.Spec{
		Task: "mujoco/fetch-reach", Goal: "touch the middle of the target, not the block", Robot: "fetch", Steps: 40,
		Truth: []sim.Dimension{share("target_x"), share("target_y")},
	})
}

func (fetchReach) arrange(s *scene, d *dice.Dice) error { return fetchPick{}.arrange(s, d) }

func (fetchReach) truth(s *scene) []vec { return []vec{s.things["target"]} }

func (fetchReach) teach(s *scene) (move [2]float64, shut bool) {
	if s.shut {
		return move, false
	}
	return s.goTo(s.things["target"])
}

func (fetchReach) judge(s *scene) {
	if at := s.tool(); at[2] < tableTop+0.03 && apart(at, s.things["target"]) < near/2 {
		s.end(true, "the fingers touch the target")
	}
}

func (fetchReach) failed() string { return "the target is not touched" }
