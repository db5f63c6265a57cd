package mujoco

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/ownhome"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

const pickFile = "gymnasium_robotics/envs/assets/fetch/pick_and_place.xml"

// library opens MuJoCo, and skips the test where it cannot be had.
func library(t testing.TB) *Library {
	t.Helper()
	l, err := Open(t.Context(), Options{})
	if err != nil {
		missing := errors.Is(err, fetch.ErrOffline) || errors.Is(err, fetch.ErrUnreachable)
		if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" && built && !missing {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return l
}

func pick(t testing.TB) *Model {
	t.Helper()
	l := library(t)
	files, err := Scenes(t.Context(), GymnasiumRobotics, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Load(files, pickFile)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func data(t testing.TB, m *Model) *Data {
	t.Helper()
	d, err := m.NewData()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// small loads a model of a few lines.
func small(t testing.TB, body string) (*Model, error) {
	t.Helper()
	return library(t).Load(fstest.MapFS{"a.xml": {Data: []byte("<mujoco>" + body + "</mujoco>")}}, "a.xml")
}

const ball = `<worldbody><body pos="0 0 2"><freejoint/><geom name="ball" size=".1"/></body></worldbody>`

// A ball falls as physics says: MuJoCo's integrator is Euler's, semi-implicit.
func TestBallFalls(t *testing.T) {
	m, err := small(t, ball)
	if err != nil {
		t.Fatal(err)
	}
	d := data(t, m)
	if err := d.Step(100); err != nil {
		t.Fatal(err)
	}
	h, n := m.Timestep(), 100.0
	want := 2 - 9.81*h*h*n*(n+1)/2
	if got := d.Qpos()[2]; math.Abs(got-want) > 1e-12 || math.Abs(d.Time()-n*h) > 1e-12 {
		t.Errorf("after %g s at height %.15f, want %.15f", d.Time(), got, want)
	}
	if err := d.Reset(); err != nil || d.Time() != 0 || d.Qpos()[2] != 2 {
		t.Errorf("after Reset: %v, time %g, height %g", err, d.Time(), d.Qpos()[2])
	}
}

// Whatever goes wrong is an error, and the process goes on.
func TestErrors(t *testing.T) {
	m, err := small(t, ball)
	if err != nil {
		t.Fatal(err)
	}
	d := data(t, m)
	nan := make([]float64, 7)
	nan[3] = math.NaN()
	files := func(list ...string) fs.FS {
		all := fstest.MapFS{}
		for i := 0; i < len(list); i += 2 {
			all[list[i]] = &fstest.MapFile{Data: []byte(list[i+1])}
		}
		return all
	}
	load := func(list ...string) error { _, err := library(t).Load(files(list...), "a.xml"); return err }
	mesh := `<mujoco><asset><mesh name="m" file="m.stl"/></asset><worldbody><geom type="mesh" mesh="m"/></worldbody></mujoco>`
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no file":          {load("b.xml", "<mujoco/>"), "a.xml"},
		"not XML":          {load("a.xml", "<mujoco><worldbody></mujoco>"), "XML"},
		"binary":           {load("a.xml", "\x00\x01\x02"), "a.xml"},
		"empty":            {load("a.xml", ""), "a.xml"},
		"not MJCF":         {load("a.xml", "<html/>"), "a.xml"},
		"unknown element":  {load("a.xml", "<mujoco><wheel/></mujoco>"), "unrecognized element"},
		"missing mesh":     {load("a.xml", mesh), "names the file m.stl, which is not there"},
		"missing include":  {load("a.xml", `<mujoco><include file="b.xml"/></mujoco>`), "names the file b.xml"},
		"include of self":  {load("a.xml", `<mujoco><include file="a.xml"/></mujoco>`), "a.xml"},
		"outside":          {load("a.xml", `<mujoco><include file="../../etc/passwd"/></mujoco>`), "is not there"},
		"corrupt mesh":     {load("a.xml", mesh, "m.stl", strings.Repeat("x", 200)), "stl"},
		"cut mesh":         {load("a.xml", mesh, "m.stl", strings.Repeat("\x00", 80)+"\xff\x00\x00\x00"), "stl"},
		"flat meshes":      {load("a.xml", `<mujoco><asset>`+flat("a")+flat("b")+flat("c")+flat("d")+`</asset><worldbody><body><freejoint/><geom type="mesh" mesh="a"/><geom type="mesh" mesh="b"/><geom type="mesh" mesh="c"/><geom type="mesh" mesh="d"/></body></worldbody></mujoco>`), "qhull error"},
		"one name twice":   {load("a.xml", `<mujoco><include file="x/b.xml"/><include file="y/b.xml"/></mujoco>`, "x/b.xml", "<mujoco/>", "y/b.xml", "<mujoco/>"), "same last part"},
		"no such name":     {second(m.Find(Geom, "cube")), `no geom "cube"; there are ball`},
		"no mocap":         {second(m.MocapPlace(1)), "not a mocap body"},
		"no joint":         {third(m.JointPlace(9)), "joint 9, want 0 to 0"},
		"short qpos":       {d.SetQpos(make([]float64, 3)), "qpos of 3 numbers, want 7"},
		"long qvel":        {d.SetQvel(make([]float64, 7)), "qvel of 7 numbers, want 6"},
		"control of none":  {d.SetCtrl([]float64{1}), "ctrl of 1 numbers, want 0"},
		"NaN":              {d.SetQpos(nan), "qpos 3 is NaN"},
		"mocap of none":    {d.SetMocap(0, [3]float64{}, [4]float64{1}), "mocap body 0"},
		"too many steps":   {d.Step(1 << 30), "want 0 to 1,000,000"},
		"steps back":       {d.Step(-1), "want 0 to 1,000,000"},
		"no memory at all": {arena(t, "4K", 40), "out of memory"},
		"no contacts":      {arena(t, "6K", 6), "Too many contacts"},
		"stack overflow":   {arena(t, "400K", 6), "stack overflow"},
		"what to do":       {arena(t, "400K", 6), "<size memory="},
		"unstable":         {unstable(t), "unstable"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || strings.ContainsAny(c.err.Error(), "\n\x00") {
			t.Errorf("%s: want one line with %q, got %v", name, c.want, c.err)
		}
	}
	if err := d.Step(1); err != nil {
		t.Error("after the errors:", err)
	}
}

// flat is a mesh without a volume; MuJoCo notices that on threads of its own.
func flat(name string) string {
	return `<mesh name="` + name + `" vertex="0 0 0 1 0 0 0 1 0 1 1 0"/>`
}

func second(_ int, err error) error   { return err }
func third(_, _ int, err error) error { return err }

// arena makes MuJoCo run out of the memory that the model gives it: while it compiles the model, with a
// warning at the first step, or with an error there, at which it ends the process.
func arena(t *testing.T, memory string, boxes int) error {
	m, err := small(t, `<size memory="`+memory+`"/><worldbody><geom type="plane" size="9 9 1"/>`+strings.Repeat(`<body pos="0 0 .1"><freejoint/><geom type="box" size=".1 .1 .1"/></body>`, boxes)+`</worldbody>`)
	if err != nil {
		return err
	}
	d, err := m.NewData()
	if err != nil {
		return err
	}
	return d.Step(10)
}

func unstable(t *testing.T) error {
	m, err := small(t, `<option timestep=".1"/><worldbody><body><joint type="slide" axis="1 0 0" stiffness="1e9"/><geom size=".1"/></body></worldbody>`)
	if err != nil {
		return err
	}
	d := data(t, m)
	if err := d.SetQpos([]float64{1}); err != nil {
		return err
	}
	return d.Step(1000)
}

// A library that is not the pinned one is refused, and what was open before still works.
func TestOtherLibraries(t *testing.T) {
	m, err := small(t, ball)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"libmujoco.so": "not an absolute path", text: "not a shared library", filepath.Join(dir, "none.so"): "no such file"} {
		t.Setenv(PathVar, path)
		if _, err := find(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", path, want, err)
		}
	}
	t.Setenv(PathVar, "")
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: ", err)
	}
	for source, want := range map[string]string{
		"int mj_version(void) { return 321; }": "is MuJoCo 3.2.1, want 3.3.0",
		"int mj_version(void) { return 330; }": "exports no mj_defaultVFS",
		"int other;":                           "exports no mj_version",
	} {
		c, so := filepath.Join(dir, "a.c"), filepath.Join(dir, fmt.Sprintf("%x.so", source[len(source)-8:]))
		if err := os.WriteFile(c, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, c).CombinedOutput(); err != nil {
			t.Skipf("cc: %v: %s", err, out)
		}
		if err := (&Library{Path: so}).open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", source, want, err)
		}
	}
	if err := data(t, m).Step(10); err != nil {
		t.Error(err)
	}
}

// States of one model may step side by side; each goes its own way, the same one every time.
func TestSideBySide(t *testing.T) {
	m := pick(t)
	run := func(control float64) []float64 {
		d, err := m.NewData()
		if err == nil {
			err = d.SetCtrl([]float64{control, control})
		}
		if err == nil {
			err = d.Step(300)
		}
		if err != nil {
			t.Error(err)
			return nil
		}
		return d.Qpos()
	}
	alone := [2][]float64{run(0), run(0.05)}
	if reflect.DeepEqual(alone[0], alone[1]) {
		t.Fatal("the controls change nothing")
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			if got := run(0.05 * float64(i%2)); !reflect.DeepEqual(got, alone[i%2]) {
				t.Errorf("run %d: %v, alone %v", i, got, alone[i%2])
			}
		})
	}
	wait.Wait()
}

// The memory of states that nothing refers to is given back.
func TestMemoryIsGivenBack(t *testing.T) {
	m := pick(t)
	resident := func() int {
		raw, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Skip(err)
		}
		var size, pages int
		fmt.Sscan(string(raw), &size, &pages)
		return pages * os.Getpagesize() >> 20
	}
	make := func(n int) {
		for range n {
			if err := data(t, m).Step(5); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
		}
	}
	make(10)
	before := resident()
	make(100)
	if after := resident(); after > before+60 {
		t.Errorf("%d MB before a hundred states, %d MB after", before, after)
	}
}

// The three packages have their scenes, and what they look like can be told.
func TestScenes(t *testing.T) {
	l := library(t)
	for name, p := range map[string]Package{
		pickFile: GymnasiumRobotics,
		"gym_aloha/assets/bimanual_viperx_transfer_cube.xml":          GymAloha,
		"metaworld/assets/sawyer_xyz/sawyer_button_press_topdown.xml": MetaWorld,
	} {
		files, err := Scenes(t.Context(), p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := l.Load(files, name)
		if err != nil {
			t.Error(err)
			continue
		}
		look, err := m.NewLook()
		if err != nil || len(look.Instances) < 15 {
			t.Errorf("%s: %d things to see, %v", name, len(look.Instances), err)
		}
	}
	if _, err := Scenes(t.Context(), "gym-none", Options{}); err == nil {
		t.Error("a package that does not exist has scenes")
	}
}

// Without the network, what is missing is named, and where to put it by hand.
func TestMissing(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	if _, err := find(t.Context(), Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "libmujoco") || !strings.Contains(err.Error(), "by hand") {
		t.Error(err)
	}
	wheelsOpen.Lock()
	kept := wheelsOpen.files
	wheelsOpen.files = nil
	wheelsOpen.Unlock()
	defer func() { wheelsOpen.files = kept }()
	if _, err := Scenes(t.Context(), GymAloha, Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "gym-aloha") || !strings.Contains(err.Error(), "by hand") {
		t.Error(err)
	}
}
