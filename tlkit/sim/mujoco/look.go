package mujoco

import (
	"fmt"
	"image"
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
	mostGroup = 2    // groups beyond it are hidden, as in MuJoCo's viewer: shapes that are only felt
	faintest  = 0.1  // lines and zones that help people who build a model
	mostSide  = 8192 // of textures
	usualGrey = 0.5  // a geom of this grey has the colour of its material
)

// NewLook returns what the model looks like, before it is placed: geoms of the groups 0 to 2 that are
// not transparent. Those of mocap bodies, which only pull, and height fields are left out.
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
		if err := m.texture(g, &material); err != nil {
			return nil, fmt.Errorf("mujoco: %s: the texture of geom %d: %w", m.name, g, err)
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
		out.Emission = unit(array[float32](m.c, modelMatEmission, nmat)[mat])
		out.Reflectance = unit(array[float32](m.c, modelMatReflectance, nmat)[mat])
	}
	for k, v := range rgba {
		out.RGBA[k] = unit(v)
	}
	return out
}

func unit(v float32) float64 { return float64(max(0, min(v, 1))) }

// texture lays the texture of a geom's material on it, as MuJoCo does.
func (m *Model) texture(geom int, on *raster.Material) error {
	const roles, colours, plane = 10, 1, 0 // of textures, mjNTEXROLE and mjTEXROLE_RGB
	n, nmat := m.Sizes().Geoms, integer(m.c, modelNmat)
	mat := int(array[int32](m.c, modelGeomMatid, n)[geom])
	if mat < 0 || mat >= nmat {
		return nil
	}
	id := int(array[int32](m.c, modelMatTexid, roles*nmat)[roles*mat+colours])
	if id < 0 || id >= integer(m.c, modelNtex) {
		return nil
	}
	var err error
	if on.Texture, err = m.picture(id); on.Texture == nil {
		return err
	}
	size := array[float64](m.c, modelGeomSize, 3*n)[3*geom:][:3]
	endless := array[int32](m.c, modelGeomType, n)[geom] == plane && (size[0] <= 0 || size[1] <= 0)
	on.PerMetre = array[byte](m.c, modelMatTexuniform, nmat)[mat] != 0 || endless
	for k, v := range array[float32](m.c, modelMatTexrepeat, 2*nmat)[2*mat:][:2] {
		on.Repeat[k] = float64(max(0, min(v, 1e5)))
		if on.PerMetre {
			on.Repeat[k] /= 2 // MuJoCo's unit is 2 m
		}
	}
	return nil
}

// picture returns a texture of the model, made once; nil if it is a sky.
func (m *Model) picture(i int) (*raster.Texture, error) {
	m.made.Lock()
	defer m.made.Unlock()
	if known := m.made.textures[i]; known != nil {
		return known, nil
	}
	const flat, cube = 0, 1
	n, all := integer(m.c, modelNtex), integer(m.c, modelNtexdata)
	of := func(at uintptr) int { return int(array[int32](m.c, at, n)[i]) }
	kind, w, h, channels, first := of(modelTexType), of(modelTexWidth), of(modelTexHeight), of(modelTexNchannel), of(modelTexAdr)
	if kind != flat && kind != cube {
		return nil, nil
	}
	if w < 1 || h < 1 || w > mostSide || h > 6*mostSide || channels < 1 || first < 0 || first+w*h*channels > all {
		return nil, fmt.Errorf("%d x %d pixels of %d bytes from %d of %d", w, h, channels, first, all)
	}
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for p, bytes := 0, array[byte](m.c, modelTexData, all)[first:]; p < w*h; p++ {
		for k := range 3 {
			img.Pix[4*p+k] = bytes[channels*p+min(k, channels-1)]
		}
		img.Pix[4*p+3] = 255
	}
	made, err := raster.NewTexture(img)
	if kind == cube {
		var faces [6]image.Image
		for k := range faces {
			side := h / 6
			if h == w { // one face for all
				side = 0
			}
			faces[k] = img.SubImage(image.Rect(0, k*side, w, k*side+w))
		}
		made, err = raster.NewCube(faces)
	}
	if err != nil {
		return nil, err
	}
	if m.made.textures == nil {
		m.made.textures = map[int]*raster.Texture{}
	}
	m.made.textures[i] = made
	return made, nil
}

// mesh returns a mesh of the model, made once.
func (m *Model) mesh(i int) (*raster.Mesh, error) {
	m.made.Lock()
	defer m.made.Unlock()
	if known := m.made.meshes[i]; known != nil {
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
	data := raster.MeshData{Points: points, Faces: faces}
	if first := of(modelMeshTexcoordadr); first >= 0 {
		data.UVs = array[float32](m.c, modelMeshTexcoord, 2*count(modelNmeshtexcoord))[2*first:][:2*of(modelMeshTexcoordnum)]
		data.UVFaces = array[int32](m.c, modelMeshFacetexcoord, 3*count(modelNmeshface))[3*of(modelMeshFaceadr):][:3*of(modelMeshFacenum)]
	}
	made, err := raster.NewMesh(data)
	if err != nil {
		return nil, err
	}
	if m.made.meshes == nil {
		m.made.meshes = map[int]*raster.Mesh{}
	}
	m.made.meshes[i] = made
	return made, nil
}
