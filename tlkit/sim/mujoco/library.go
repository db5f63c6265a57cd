package mujoco

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/sharedlib"
)

// Version is that of the library, and of the structs that this package reads.
const Version = "3.3.0"

// headerVersion is what mj_version returns for it.
const headerVersion = 330

// PathVar names a file with the library, a build of your own; it must be of the same version.
const PathVar = "TLKIT_MUJOCO"

// A Library is an opened MuJoCo. It is safe for concurrent use.
type Library struct {
	Path   string // of the shared library
	SHA256 string // of the shared library, 64 hex digits
}

// String describes the library in one line.
func (l *Library) String() string { return fmt.Sprintf("MuJoCo %s, sha256 %.12s", Version, l.SHA256) }

// Options for [Open] and [Scenes]. The zero value downloads what is missing and reports nothing.
type Options struct {
	Offline bool // use only the cache and files put there by hand
	// Report gets the progress: what is being done, with the bytes done and in total (0 = unknown).
	// It may be nil.
	Report func(what string, done, total int64)
}

func (o Options) fetch() fetch.Options {
	return fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report)}
}

// A build is a pinned library, as it is in the Python wheels of Google DeepMind.
type build struct {
	system, arch string
	file         fetch.File
}

func builds() []build {
	wheel := func(platform, file, sha256 string, size int64, w fetch.Wheel) build {
		system, arch := filepath.Split(platform)
		w.Name, w.Version, w.File = "mujoco", Version, "mujoco/"+file
		return build{system[:len(system)-1], arch, fetch.File{Name: file, SHA256: sha256, Bytes: size, Sources: []fetch.Source{{Wheel: &w}}}}
	}
	const linux, darwin = "libmujoco.so." + Version, "libmujoco." + Version + ".dylib"
	return []build{
		wheel("linux/amd64", linux, "f37b05c836fd6e35ec799f144af65ff0b98eda29c3bbd049981ce8dbc29dd136", 4_753_080, fetch.Wheel{
			Tags: "cp311-cp311-manylinux2014_x86_64", Bytes: 6_565_173,
			SHA256: "1403630afb922ab2cb7aa7310b5cb596a5568ee4250f96e663c9f365353cab00",
		}),
		// These two have not been run.
		wheel("linux/arm64", linux, "7e92d3cf61e8e14e2428a334c818ee3b68ec95b89617bbc3f436a91eaebfac9c", 4_386_904, fetch.Wheel{
			Tags: "cp311-cp311-manylinux2014_aarch64", Bytes: 6_276_343,
			SHA256: "ff984aaec2006effe12fbb8bc29fbc0abb82b4332891307d99e637791067e912",
		}),
		wheel("darwin/arm64", darwin, "36023c3efeddd2d26e938e0ab2dd4058751a613fe7c7fbe62791ad925ab28eca", 7_761_448, fetch.Wheel{
			Tags: "cp311-cp311-macosx_11_0_arm64", Bytes: 6_524_031,
			SHA256: "60025a554e444a85d3183714115f48ea4582c5c654f120c5f7652e22260b0069",
		}),
	}
}

// kind is what every library is.
var kind = sharedlib.Kind{Name: "MuJoCo", Entry: "mj_version"}

var opened struct {
	sync.Mutex
	library *Library
}

// Open opens the library, once in a process, and fetches it first where it is not in the cache. Its
// sha256 is checked before, its version and the places of what is read in its structs afterwards.
//
// It is an error if this program was built without cgo, if there is no build for this machine, if the
// library is not there and cannot be fetched, and if it is damaged or of another version.
func Open(ctx context.Context, o Options) (*Library, error) {
	opened.Lock()
	defer opened.Unlock()
	if opened.library != nil {
		return opened.library, nil
	}
	if !built {
		return nil, advice.New(errors.New("mujoco: this program was built without cgo, which opening MuJoCo needs"), "build it with CGO_ENABLED=1 and a C compiler, on Linux or macOS")
	}
	l, err := find(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	opened.library = l
	return l, nil
}

// find returns the checked library that is to be opened.
func find(ctx context.Context, o Options) (*Library, error) {
	if path := os.Getenv(PathVar); path != "" {
		if !filepath.IsAbs(path) {
			return nil, advice.New(fmt.Errorf("mujoco: %s=%s is not an absolute path", PathVar, path), "name the file libmujoco.so.%s by its full path", Version)
		}
		if err := kind.Sound(path); err != nil {
			return nil, fmt.Errorf("mujoco: %s: %w", PathVar, err)
		}
		sum, err := fetch.Sum(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("mujoco: %w", err)
		}
		return &Library{Path: path, SHA256: sum}, nil
	}
	var here sharedlib.Pinned
	for _, b := range builds() {
		if b.system == runtime.GOOS && b.arch == runtime.GOARCH {
			here = append(here, b.file)
		}
	}
	if len(here) == 0 {
		return nil, advice.New(fmt.Errorf("mujoco: there is no pinned build of MuJoCo %s for %s/%s (there are: linux/amd64, linux/arm64, darwin/arm64)", Version, runtime.GOOS, runtime.GOARCH), "to use one of your own, set %s to its path", PathVar)
	}
	i, path, err := here.Install(ctx, o.fetch())
	if err != nil {
		return nil, fmt.Errorf("mujoco: the library could not be installed: %w", err)
	}
	return &Library{Path: path, SHA256: here[i].SHA256}, nil
}

// open loads the library and checks that it is the one that this package reads.
func (l *Library) open() error {
	version, err := nativeOpen(l.Path, headerVersion)
	if err != nil {
		return fmt.Errorf("mujoco: %s does not open: %w", l.Path, err)
	}
	if version != headerVersion {
		return advice.New(fmt.Errorf("mujoco: %s is MuJoCo %s, want %s, whose structs this package reads", l.Path, dotted(version), Version), "unset %s, or set it to a library of that version", PathVar)
	}
	if err := l.probe(); err != nil {
		return fmt.Errorf("mujoco: %s does not work: %w", l.Path, err)
	}
	return nil
}

// dotted writes mj_version's number: 330 is 3.3.0.
func dotted(v int) string { return fmt.Sprintf("%d.%d.%d", v/100, v/10%10, v%10) }

// probed is a model whose numbers are known.
const probed = `<mujoco><option timestep="0.0035"/><worldbody>
<body name="a" mocap="true" pos="1 2 3"><site name="s" pos="0 0 1"/></body>
<body name="b" pos="0 0 5"><freejoint name="f"/><geom name="g" type="box" size=".1 .2 .3" rgba=".25 .5 .75 1" group="2"/></body>
<body pos="4 0 0"><joint name="h" type="hinge" axis="0 0 1"/><geom type="sphere" size=".5"/><camera fovy="33"/></body>
</worldbody><actuator><motor joint="h"/></actuator></mujoco>`

// probe loads a model and compares what is read with what is known.
func (l *Library) probe() error {
	m, err := compile("probe.xml", []file{{"probe.xml", []byte(probed)}})
	if err != nil {
		return err
	}
	d, err := m.NewData()
	if err != nil {
		return err
	}
	if err := d.Forward(); err != nil {
		return err
	}
	s := m.Sizes()
	geom, site := m.find(Geom, "g"), m.find(Site, "s")
	got := fmt.Sprint(s, m.Timestep(), geom, site)
	if want := fmt.Sprint(Sizes{Qpos: 8, Qvel: 7, Ctrl: 1, Bodies: 4, Joints: 2, Geoms: 2, Sites: 1, Cameras: 1, Mocaps: 1}, 0.0035, 0, 0); got != want {
		return fmt.Errorf("a model has %s, want %s", got, want)
	}
	at, _ := d.SitePose(site)
	box, _ := d.GeomPose(geom)
	got = fmt.Sprint(at, box, array[float32](m.c, modelGeomRgba, 4), array[float64](m.c, modelGeomSize, 3), d.Qpos()[:3], array[int32](m.c, modelGeomGroup, 1), array[float64](m.c, modelCamFovy, 1))
	if want := fmt.Sprint([3]float64{1, 2, 4}, [3]float64{0, 0, 5}, []float32{.25, .5, .75, 1}, []float64{.1, .2, .3}, []float64{0, 0, 5}, []int32{2}, []float64{33}); got != want {
		return fmt.Errorf("a model has %s, want %s", got, want)
	}
	return nil
}
