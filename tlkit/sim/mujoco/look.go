package mujoco

import (
	"fmt"
	"runtime"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// Look is what a state looks like: the things that package raster draws, one for each geom that can be
// seen. Its Instances may be given other materials, and more may be appended.
type Look struct {
	Instances []raster.Instance
	geoms     []int // of the first instances
}

// MuJoCo's numbers of shapes.
var shapes = map[int32]raster.Shape{0: raster.Plane, 2: raster.Sphere, 3: raster.Capsule, 4: raster.Ellipsoid, 5: raster.Cylinder, 6: raster.Box}

const (
	meshShape = 7
	mostGroup = 2   // groups beyond it are hidden, as in MuJoCo's viewer: shapes that are only felt
	faintest  = 0.1 // lines and zones that help people who build a model
	usualGrey = 0.5 // a geom of this grey has the colour of its material
)

// NewLook returns what the model looks like, before it is placed: geoms of the groups 0 to 2 that are
// not transparent. Those of mocap bodies, which only pull, and height fields are left out, and so are
// textures.
func (m *Model) NewLook() (*Look, error) {
	defer runtime.KeepAlive(m)
	n, bodies := m.Sizes().Geoms, m.Sizes().Bodies
	kinds, group, body := array[int32](m.c, modelGeomType, n), array[int32](m.c, modelGeomGroup, n), array[int32](m.c, modelGeomBodyid, n)
	mesh, mocap, size := array[int32](m.c, modelGeomDataid, n), array[int32](m.c, modelBodyMocapid, bodies), array[float64](m.c, modelGeomSize, 3*n)
	l := &Look{}
	for g := range n {
		material := m.material(g)
		if group[g] > mostGroup || material.RGBA[3] < faintest || mocap[body[g]] >= 0 {
			continue
		}
		i := raster.Instance{Material: material}
		if shape, ok := shapes[kinds[g]]; ok {
			i.Shape, i.Size = shape, raster.Vec(size[3*g:3*g+3])
		} else if kinds[g] == meshShape && mesh[g] >= 0 {
			var err error
			if i.Mesh, err = m.mesh(int(mesh[g])); err != nil {
				return nil, fmt.Errorf("mujoco: %s: mesh %d: %w", m.name, mesh[g], err)
			}
		} else {
			continue
		}
		l.Instances, l.geoms = append(l.Instances, i), append(l.geoms, g)
	}
	return l, nil
}

// Place puts the instances of geoms where they are in the state.
func (l *Look) Place(d *Data) {
	for i, g := range l.geoms {
		l.Instances[i].Position, l.Instances[i].Rotation = d.GeomPose(g)
	}
}

// Of returns the instance of a geom, nil if it is not seen.
func (l *Look) Of(geom int) *raster.Instance {
	for i, g := range l.geoms {
		if g == geom {
			return &l.Instances[i]
		}
	}
	return nil
}

// material is what a geom is made of.
func (m *Model) material(geom int) raster.Material {
	n, nmat := m.Sizes().Geoms, integer(m.c, modelNmat)
	var out raster.Material
	rgba := array[float32](m.c, modelGeomRgba, 4*n)[4*geom:][:4]
	if mat := int(array[int32](m.c, modelGeomMatid, n)[geom]); mat >= 0 && mat < nmat {
		if rgba[0] == usualGrey && rgba[1] == usualGrey && rgba[2] == usualGrey && rgba[3] == 1 {
			rgba = array[float32](m.c, modelMatRgba, 4*nmat)[4*mat:][:4]
		}
		out.Specular = unit(array[float32](m.c, modelMatSpecular, nmat)[mat])
		out.Shininess = unit(array[float32](m.c, modelMatShininess, nmat)[mat])
	}
	for k, v := range rgba {
		out.RGBA[k] = unit(v)
	}
	return out
}

func unit(v float32) float64 { return float64(max(0, min(v, 1))) }

// mesh returns a mesh of the model, made once.
func (m *Model) mesh(i int) (*raster.Mesh, error) {
	m.meshes.Lock()
	defer m.meshes.Unlock()
	if known := m.meshes.made[i]; known != nil {
		return known, nil
	}
	count := func(at uintptr) int { return integer(m.c, at) }
	n := count(modelNmesh)
	if i >= n {
		return nil, fmt.Errorf("want 0 to %d", n-1)
	}
	of := func(at uintptr) int { return int(array[int32](m.c, at, n)[i]) }
	points := array[float32](m.c, modelMeshVert, 3*count(modelNmeshvert))[3*of(modelMeshVertadr):][:3*of(modelMeshVertnum)]
	faces := array[int32](m.c, modelMeshFace, 3*count(modelNmeshface))[3*of(modelMeshFaceadr):][:3*of(modelMeshFacenum)]
	// Without the normals of the model: its meshes are often joined where there should be edges.
	made, err := raster.NewMesh(raster.MeshData{Points: points, Faces: faces})
	if err != nil {
		return nil, err
	}
	if m.meshes.made == nil {
		m.meshes.made = map[int]*raster.Mesh{}
	}
	m.meshes.made[i] = made
	return made, nil
}
