package mujoco

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pythonVar names a Python with mujoco 3.3.0, for the tests that compare with it:
//
//	python3 -m venv DIR && DIR/bin/pip install mujoco==3.3.0
//	TLKIT_MUJOCO_PYTHON=DIR/bin/python go test -run 'TestLayout|TestAsPython' -v ./tlkit/sim/mujoco
const pythonVar = "TLKIT_MUJOCO_PYTHON"

func python(t *testing.T, code string, args ...string) []byte {
	t.Helper()
	p := os.Getenv(pythonVar)
	if p == "" {
		t.Skipf("set %s to a Python with mujoco %s", pythonVar, Version)
	}
	cmd := exec.Command(p, append([]string{"-c", code}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The places in structs are those that a C compiler finds in the headers.
func TestLayout(t *testing.T) {
	headers := strings.TrimSpace(string(python(t, "import mujoco; print(mujoco.HEADERS_DIR)")))
	places := map[string]uintptr{
		"mjModel nq": modelNq, "mjModel nv": modelNv, "mjModel nu": modelNu, "mjModel na": modelNa, "mjModel nbody": modelNbody,
		"mjModel njnt": modelNjnt, "mjModel ngeom": modelNgeom, "mjModel nsite": modelNsite, "mjModel ncam": modelNcam, "mjModel nmesh": modelNmesh,
		"mjModel nmeshvert": modelNmeshvert, "mjModel nmeshface": modelNmeshface, "mjModel nmat": modelNmat, "mjModel nmocap": modelNmocap,
		"mjModel opt.timestep": modelTimestep, "mjModel body_mocapid": modelBodyMocapid, "mjModel jnt_qposadr": modelJntQposadr, "mjModel jnt_dofadr": modelJntDofadr,
		"mjModel geom_type": modelGeomType, "mjModel geom_bodyid": modelGeomBodyid, "mjModel geom_dataid": modelGeomDataid, "mjModel geom_matid": modelGeomMatid,
		"mjModel geom_group": modelGeomGroup, "mjModel geom_size": modelGeomSize, "mjModel geom_rgba": modelGeomRgba, "mjModel cam_fovy": modelCamFovy,
		"mjModel mesh_vertadr": modelMeshVertadr, "mjModel mesh_vertnum": modelMeshVertnum, "mjModel mesh_faceadr": modelMeshFaceadr, "mjModel mesh_facenum": modelMeshFacenum,
		"mjModel mesh_vert": modelMeshVert, "mjModel mesh_face": modelMeshFace, "mjModel mat_rgba": modelMatRgba, "mjModel mat_specular": modelMatSpecular, "mjModel mat_shininess": modelMatShininess,
		"mjModel ntex": modelNtex, "mjModel ntexdata": modelNtexdata, "mjModel nmeshtexcoord": modelNmeshtexcoord,
		"mjModel mesh_texcoordadr": modelMeshTexcoordadr, "mjModel mesh_texcoordnum": modelMeshTexcoordnum, "mjModel mesh_texcoord": modelMeshTexcoord, "mjModel mesh_facetexcoord": modelMeshFacetexcoord,
		"mjModel tex_type": modelTexType, "mjModel tex_height": modelTexHeight, "mjModel tex_width": modelTexWidth, "mjModel tex_nchannel": modelTexNchannel, "mjModel tex_adr": modelTexAdr, "mjModel tex_data": modelTexData,
		"mjModel mat_texid": modelMatTexid, "mjModel mat_texuniform": modelMatTexuniform, "mjModel mat_texrepeat": modelMatTexrepeat, "mjModel mat_emission": modelMatEmission, "mjModel mat_reflectance": modelMatReflectance,
		"mjData time": dataTime, "mjData qpos": dataQpos, "mjData qvel": dataQvel, "mjData ctrl": dataCtrl, "mjData mocap_pos": dataMocapPos, "mjData mocap_quat": dataMocapQuat,
		"mjData xpos": dataXpos, "mjData xquat": dataXquat, "mjData geom_xpos": dataGeomXpos, "mjData geom_xmat": dataGeomXmat,
		"mjData site_xpos": dataSiteXpos, "mjData site_xmat": dataSiteXmat, "mjData cam_xpos": dataCamXpos, "mjData cam_xmat": dataCamXmat,
	}
	source := "#include <stddef.h>\n#include <mujoco/mujoco.h>\n"
	for place, at := range places {
		of, field, _ := strings.Cut(place, " ")
		source += fmt.Sprintf("_Static_assert(offsetof(%s, %s) == %d, \"%s is elsewhere\");\n", of, field, at, place)
	}
	file := filepath.Join(t.TempDir(), "layout.c")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	include := filepath.Dir(headers) // in the wheel it is include/mujoco
	if out, err := exec.Command("cc", "-fsyntax-only", "-I", headers, "-I", include, file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

const asPython = `
import json, sys, time, zipfile, tempfile, mujoco
z = zipfile.ZipFile(sys.argv[1]); d = tempfile.mkdtemp()
z.extractall(d, [n for n in z.namelist() if '/assets/' in n])
m = mujoco.MjModel.from_xml_path(d + '/' + sys.argv[2]); s = mujoco.MjData(m)
rows = []
for i in range(200):
    s.ctrl[:] = [0.05 * (i * 37 % 101 / 101)] * m.nu
    for k in range(m.nmocap): s.mocap_pos[k] = [1.34, 0.75 + 0.1 * i / 200, 0.5]; s.mocap_quat[k] = [1, 0, 1, 0]
    mujoco.mj_step(m, s); rows.append([x.hex() for x in s.qpos])
mujoco.mj_step(m, s, nstep=200)
times = []
for _ in range(9):
    t = time.perf_counter(); mujoco.mj_step(m, s, nstep=500); times.append((time.perf_counter() - t) / 500)
print(json.dumps({'rows': rows, 'step': min(times)}))
`

// The same library, model and controls give the same numbers from Python, to the last bit, and a step
// takes no longer here.
func TestAsPython(t *testing.T) {
	for name, p := range map[string]Package{
		pickFile: GymnasiumRobotics,
		"gym_aloha/assets/bimanual_viperx_transfer_cube.xml":          GymAloha,
		"metaworld/assets/sawyer_xyz/sawyer_button_press_topdown.xml": MetaWorld,
	} {
		t.Run(string(p), func(t *testing.T) {
			l := library(t)
			wheel, err := wheels[p].Get(t.Context(), Options{}.fetch())
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Rows [][]string
				Step float64
			}
			if err := json.Unmarshal(python(t, asPython, wheel, name), &want); err != nil {
				t.Fatal(err)
			}
			files, err := Scenes(t.Context(), p, Options{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := l.Load(files, name)
			if err != nil {
				t.Fatal(err)
			}
			d := data(t, m)
			for i, row := range want.Rows {
				drive(t, d, i)
				for k, got := range d.Qpos() {
					var w float64
					if _, err := fmt.Sscanf(row[k], "%g", &w); err != nil || math.Float64bits(got) != math.Float64bits(w) {
						t.Fatalf("step %d, qpos %d: %x, in Python %s (%v)", i, k, got, row[k], err)
					}
				}
			}
			best := time.Hour
			if err := d.Step(200); err != nil {
				t.Fatal(err)
			}
			for range 9 {
				t0 := time.Now()
				if err := d.Step(500); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(t0)/500)
			}
			t.Logf("200 steps of %d numbers, the same bits; a step takes %v, in Python's C loop %.1fµs", len(d.Qpos()), best, 1e6*want.Step)
		})
	}
}

// drive is the step that the Python code takes.
func drive(t *testing.T, d *Data, i int) {
	s := d.Model().Sizes()
	control := make([]float64, s.Ctrl)
	for k := range control {
		control[k] = 0.05 * (float64(i*37%101) / 101)
	}
	if err := d.SetCtrl(control); err != nil {
		t.Fatal(err)
	}
	for k := range s.Mocaps {
		if err := d.SetMocap(k, [3]float64{1.34, 0.75 + float64(0.1*float64(i))/200, 0.5}, [4]float64{1, 0, 1, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Step(1); err != nil {
		t.Fatal(err)
	}
}
