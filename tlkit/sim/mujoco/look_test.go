package mujoco

import (
	"image/color"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

const painted = `<asset>
	<texture name="fields" type="2d" builtin="checker" width="64" height="64" rgb1="1 0 0" rgb2="0 0 1"/>
	<texture name="sky" type="skybox" builtin="gradient" width="8" height="48" rgb1="1 0 0" rgb2="0 0 1"/>
	<texture name="sides" type="cube" builtin="gradient" width="32" height="192" rgb1="0 1 0" rgb2="0 0 1"/>
	<material name="floor" texture="fields" texrepeat="2 2"/>
	<material name="metres" texture="fields" texrepeat="2 2" texuniform="true"/>
	<material name="dice" texture="sides" emission=".5" specular=".25" shininess=".75" reflectance=".125"/>
	<mesh name="sheet" vertex="0 0 0 1 0 0 1 1 0 0 1 .01" face="0 1 2 0 2 3 2 1 0 3 2 0" texcoord="0 1 1 1 1 0 0 0"/>
	</asset><worldbody>
	<geom name="floor" type="plane" size="1 1 .1" material="floor"/>
	<geom name="field" type="plane" size="0 0 .1" pos="0 0 -1" material="floor"/>
	<geom name="slab" type="box" size="3 1 .1" pos="0 0 -.5" material="metres"/>
	<geom name="dice" type="box" size=".1 .1 .1" pos="0 0 3" material="dice"/>
	<geom name="sheet" type="mesh" mesh="sheet" pos="0 0 4" material="floor"/>
	</worldbody>`

// Textures, and what else a material has, are those of the model, where MuJoCo draws them.
func TestMaterials(t *testing.T) {
	m, err := small(t, painted)
	if err != nil {
		t.Fatal(err)
	}
	look, err := m.NewLook()
	if err != nil {
		t.Fatal(err)
	}
	d := data(t, m)
	if err := d.Forward(); err != nil {
		t.Fatal(err)
	}
	look.Place(d)
	of := func(name string) *raster.Instance {
		g, err := m.Find(Geom, name)
		if err != nil {
			t.Fatal(err)
		}
		return look.Of(g)
	}
	red, blue := color.NRGBA{R: 1}, color.NRGBA{B: 1}
	for name, fields := range map[string]map[[2]float64]color.NRGBA{
		// As MuJoCo's own renderer shows them.
		"floor": {{-0.75, 0.75}: red, {-0.25, 0.75}: blue, {-0.75, 0.25}: blue, {0.75, -0.25}: blue},
		"field": {{-0.75, 0.75}: red, {-0.25, 0.75}: blue, {-0.25, 0.25}: red, {-1.25, 0.75}: blue, {5.25, 0.25}: blue},
		"slab":  {{-0.75, 0.75}: red, {-0.25, 0.75}: blue, {-0.25, 0.25}: red, {-1.25, 0.75}: blue, {2.25, 0.25}: blue},
	} {
		s := raster.Scene{Ambient: [3]float64{1, 1, 1}, Instances: []raster.Instance{*of(name)}}
		for at, want := range fields {
			p := of(name).Position
			c := raster.Camera{Position: raster.Vec{at[0] + p[0], at[1] + p[1], p[2] + 2}, FovY: 4}
			img, err := new(raster.Renderer).Draw(&s, c, 16)
			if err != nil {
				t.Fatal(err)
			}
			got := img.NRGBAAt(8, 8)
			if got = (color.NRGBA{R: got.R / 128, B: got.B / 128}); got != want {
				t.Errorf("%s at %v: the colour is %v, want %v", name, at, got, want)
			}
		}
	}
	if m := of("dice").Material; m.Texture == nil || m.Emission != 0.5 || m.Specular != 0.25 || m.Shininess != 0.75 || m.Reflectance != 0.125 {
		t.Errorf("the material of dice is %+v", m)
	}
	again, err := m.NewLook()
	if err != nil || again.Instances[0].Material.Texture != look.Instances[0].Material.Texture {
		t.Errorf("a second look at the model makes its textures again (%v)", err)
	}
}
