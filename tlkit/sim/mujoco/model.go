package mujoco

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// Kind is a kind of named thing in a model.
type Kind int

// The kinds, with MuJoCo's numbers.
const (
	Body     Kind = 1
	Joint    Kind = 3
	Geom     Kind = 5
	Site     Kind = 6
	Camera   Kind = 7
	Actuator Kind = 19
)

// String is the kind in a word.
func (k Kind) String() string {
	switch k {
	case Body:
		return "body"
	case Joint:
		return "joint"
	case Geom:
		return "geom"
	case Site:
		return "site"
	case Camera:
		return "camera"
	case Actuator:
		return "actuator"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// A Model is a compiled MJCF model. It never changes and is safe for concurrent use. Its memory is
// given back when the garbage collector finds that neither it nor its data is used any more.
type Model struct {
	c    pointer
	name string
	made struct { // of what it looks like
		sync.Mutex
		meshes   map[int]*raster.Mesh
		textures map[int]*raster.Texture
	}
}

// Sizes are how many of its parts a model has.
type Sizes struct {
	Qpos, Qvel, Act, Ctrl                         int // numbers of a state
	Bodies, Joints, Geoms, Sites, Cameras, Mocaps int
}

// A file of a model, by the last part of its name: MuJoCo looks no further.
type file struct {
	name    string
	content []byte
}

// Limits of a model's files.
const (
	mostFiles = 2000
	mostBytes = 256 << 20
)

// Load compiles the MJCF file of that name, with the files that it names: includes, meshes, textures
// and height fields.
//
// It is an error if one is missing, if two have the same last part of their name, and whatever MuJoCo
// says is wrong with them.
func (l *Library) Load(files fs.FS, name string) (*Model, error) {
	g := &gathering{files: files, root: path.Dir(name), have: map[string]string{}}
	if err := g.model(name); err != nil {
		return nil, fmt.Errorf("mujoco: %w", err)
	}
	return compile(name, g.out)
}

// compile makes a model of the file of that name, among the files.
func compile(name string, files []file) (*Model, error) {
	c, err := nativeLoad(strings.ToLower(path.Base(name)), files)
	if err != nil {
		return nil, fmt.Errorf("mujoco: %s: %s", name, oneLine(err))
	}
	m := &Model{c: c, name: name}
	runtime.AddCleanup(m, func(c pointer) { nativeFreeModel(c) }, c)
	return m, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// gathering collects the files of a model.
type gathering struct {
	files    fs.FS
	root     string // folder of the model
	mesh     string // folders that its compiler names
	texture  string
	have     map[string]string // full name by last part
	out      []file
	size     int64
	includes int
}

// model adds an MJCF file and what it names.
func (g *gathering) model(name string) error {
	if g.includes++; g.includes > mostFiles {
		return fmt.Errorf("%s: more than %d files include each other", name, mostFiles)
	}
	raw, added, err := g.add(name)
	if err != nil || !added {
		return err
	}
	var named []xml.StartElement
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.Strict = false // MuJoCo is the judge
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s is not an MJCF file: %w", name, err)
		}
		e, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if e.Name.Local == "compiler" {
			g.folders(e)
		}
		named = append(named, e.Copy())
	}
	for _, e := range named {
		if err := g.named(name, e); err != nil {
			return err
		}
	}
	return nil
}

// folders takes over where a compiler element says that files are.
func (g *gathering) folders(e xml.StartElement) {
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "meshdir":
			g.mesh = a.Value
		case "texturedir":
			g.texture = a.Value
		case "assetdir":
			g.mesh, g.texture = a.Value, a.Value
		}
	}
}

// named adds the files that an element of a file names.
func (g *gathering) named(in string, e xml.StartElement) error {
	for _, a := range e.Attr {
		if a.Value == "" || !strings.HasPrefix(a.Name.Local, "file") {
			continue
		}
		switch e.Name.Local {
		case "include":
			if at, ok := g.find(in, a.Value); ok {
				if err := g.model(at); err != nil {
					return err
				}
				continue
			}
		case "mesh", "hfield", "skin", "flexcomp":
			if at, ok := g.find(in, path.Join(g.mesh, a.Value)); ok {
				if _, _, err := g.add(at); err != nil {
					return err
				}
				continue
			}
		case "texture":
			if at, ok := g.find(in, path.Join(g.texture, a.Value)); ok {
				if _, _, err := g.add(at); err != nil {
					return err
				}
				continue
			}
		default:
			continue
		}
		return fmt.Errorf("%s names the file %s, which is not there", in, a.Value)
	}
	return nil
}

// find looks for a file beside the model, and beside the file that names it.
func (g *gathering) find(in, name string) (string, bool) {
	for _, dir := range []string{g.root, path.Dir(in)} {
		at := path.Join(dir, name)
		if !fs.ValidPath(at) {
			continue
		}
		if info, err := fs.Stat(g.files, at); err == nil && info.Mode().IsRegular() {
			return at, true
		}
	}
	return "", false
}

// add reads a file; added is false if it is there already.
func (g *gathering) add(name string) (raw []byte, added bool, err error) {
	last := strings.ToLower(path.Base(name))
	if other, ok := g.have[last]; ok {
		if other != name {
			return nil, false, fmt.Errorf("%s and %s have the same last part of their names, which MuJoCo takes for one file", other, name)
		}
		return nil, false, nil
	}
	in, err := g.files.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer in.Close()
	raw, err = io.ReadAll(io.LimitReader(in, mostBytes-g.size+1))
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	if g.size += int64(len(raw)); g.size > mostBytes || len(g.out) == mostFiles {
		return nil, false, fmt.Errorf("%s: the files of the model are too large: more than %d MB, or %d files", name, mostBytes>>20, mostFiles)
	}
	g.have[last] = name
	g.out = append(g.out, file{last, raw})
	return raw, true, nil
}

// Sizes returns how many of its parts the model has.
func (m *Model) Sizes() Sizes {
	defer runtime.KeepAlive(m)
	n := func(at uintptr) int { return integer(m.c, at) }
	return Sizes{
		Qpos: n(modelNq), Qvel: n(modelNv), Act: n(modelNa), Ctrl: n(modelNu),
		Bodies: n(modelNbody), Joints: n(modelNjnt), Geoms: n(modelNgeom), Sites: n(modelNsite), Cameras: n(modelNcam), Mocaps: n(modelNmocap),
	}
}

// Timestep returns how much time a step is, in seconds.
func (m *Model) Timestep() float64 {
	defer runtime.KeepAlive(m)
	return *number(m.c, modelTimestep)
}

func (m *Model) find(k Kind, name string) int {
	defer runtime.KeepAlive(m)
	return nativeFind(m.c, k, name)
}

// Find returns the number of the named thing, which counts from 0 within its kind. It is an error if
// the model has none of that name.
func (m *Model) Find(k Kind, name string) (int, error) {
	if i := m.find(k, name); i >= 0 {
		return i, nil
	}
	var some []string
	for i := range m.count(k) {
		if n := m.Name(k, i); n != "" && len(some) < 40 {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		return 0, fmt.Errorf("mujoco: %s has no %s %q", m.name, k, name)
	}
	return 0, advice.New(fmt.Errorf("mujoco: %s has no %s %q", m.name, k, name), "there are %s", strings.Join(some, ", "))
}

// Name returns the name of a thing, "" if it has none or does not exist.
func (m *Model) Name(k Kind, i int) string {
	defer runtime.KeepAlive(m)
	if i < 0 || i >= m.count(k) {
		return ""
	}
	return nativeName(m.c, k, i)
}

func (m *Model) count(k Kind) int {
	s := m.Sizes()
	return map[Kind]int{Body: s.Bodies, Joint: s.Joints, Geom: s.Geoms, Site: s.Sites, Camera: s.Cameras, Actuator: s.Ctrl}[k]
}

// JointPlace returns where the numbers of a joint begin in Qpos and in Qvel.
func (m *Model) JointPlace(joint int) (qpos, qvel int, err error) {
	defer runtime.KeepAlive(m)
	n := m.Sizes().Joints
	if joint < 0 || joint >= n {
		return 0, 0, fmt.Errorf("mujoco: %s: joint %d, want 0 to %d", m.name, joint, n-1)
	}
	return int(array[int32](m.c, modelJntQposadr, n)[joint]), int(array[int32](m.c, modelJntDofadr, n)[joint]), nil
}

// MocapPlace returns the number of a body among the mocap bodies, those that are moved from outside.
func (m *Model) MocapPlace(body int) (int, error) {
	defer runtime.KeepAlive(m)
	n := m.Sizes().Bodies
	if body < 0 || body >= n {
		return 0, fmt.Errorf("mujoco: %s: body %d, want 0 to %d", m.name, body, n-1)
	}
	at := int(array[int32](m.c, modelBodyMocapid, n)[body])
	if at < 0 {
		return 0, fmt.Errorf("mujoco: %s: body %q is not a mocap body", m.name, m.Name(Body, body))
	}
	return at, nil
}

// Geoms returns the numbers of a body's geoms.
func (m *Model) Geoms(body int) (all []int) {
	defer runtime.KeepAlive(m)
	for g, b := range array[int32](m.c, modelGeomBodyid, m.Sizes().Geoms) {
		if int(b) == body {
			all = append(all, g)
		}
	}
	return all
}
