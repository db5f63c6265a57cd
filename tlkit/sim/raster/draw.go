package raster

import (
	"fmt"
	"image"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Renderer draws scenes. It keeps its buffers from picture to picture; the zero Renderer is ready. It
// is not safe for concurrent use: take one for each goroutine.
type Renderer struct {
	Threads int // how many processors to use; 0 = all. It changes no pixel.

	placed   []placed // what the picture shows, or the sun
	corners  []corner // of all placed, as the camera sees them
	shaded   []corner // of all placed, as the sun sees them
	camera   view
	sun      view
	eye      eye
	light    light
	surround *Scene
	work     atomic.Int64 // samples that triangles were tried on
}

// samples is how many a pixel has along each side.
const samples = 2

// mostWork is how many samples triangles may be tried on: some seconds.
const mostWork = 4 << 30

// placed is an instance that can be seen, or that casts a shadow.
type placed struct {
	mesh         *Mesh
	material     *Material
	first        int   // of its corners
	base         int32 // of the numbers of its triangles
	seen, casts  bool
	endless      bool    // a plane without end, which fades into the horizon
	turn         mat3    // of the instance
	scale, place vec3    // place is relative to the camera
	lift         float32 // of the ends of a capsule
	inverse      vec3    // of the scale, for normals
	colour       vec3
	power        int     // of highlights
	texels       vec3    // how often a projected texture is repeated a metre
	reach        float32 // of an endless plane
	rotation     Mat
	middle, half Vec // of the box around it: its middle relative to the camera
}

// Draw returns what the camera sees, height pixels high (8 to 2048) and wide as its Aspect says. The
// picture is the caller's.
func (r *Renderer) Draw(scene *Scene, camera Camera, height int) (*image.NRGBA, error) {
	width, err := r.check(scene, &camera, height)
	if err != nil {
		return nil, err
	}
	r.look(camera, width, height)
	if err := r.place(scene); err != nil {
		return nil, err
	}
	r.aim(scene)
	r.transform()
	if err := r.fill(); err != nil {
		return nil, err
	}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	r.light = newLight(scene)
	r.surround = scene
	const rows = 8
	r.each((height+rows-1)/rows, func(i int) {
		for y := i * rows; y < min((i+1)*rows, height); y++ {
			r.shadeRow(y, img.Pix[y*img.Stride:][:4*width])
		}
	})
	r.surround = nil
	return img, nil
}

// check returns the picture's width, and the camera with its defaults.
func (r *Renderer) check(s *Scene, c *Camera, height int) (int, error) {
	if s == nil {
		return 0, fmt.Errorf("raster: no scene")
	}
	if err := c.check(); err != nil {
		return 0, err
	}
	if height < lowSide || height > highSide {
		return 0, fmt.Errorf("raster: a picture %d pixels high: want %d to %d", height, lowSide, highSide)
	}
	*c = c.filled()
	width := int(math.Floor(mul(float64(height), c.Aspect) + 0.5))
	if width < lowSide || width > highSide {
		return 0, fmt.Errorf("raster: a picture of %d x %d pixels: want %d to %d a side", width, height, lowSide, highSide)
	}
	return width, s.check()
}

// each calls f with 0 to n-1, on as many processors as the renderer may use.
func (r *Renderer) each(n int, f func(i int)) {
	threads := min(r.threads(), n)
	if threads < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range threads {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}

func (r *Renderer) threads() int {
	if r.Threads > 0 {
		return min(r.Threads, 64)
	}
	return min(runtime.GOMAXPROCS(0), 64)
}

// look prepares the camera's view.
func (r *Renderer) look(c Camera, width, height int) {
	f := mul(c.focal(), float64(height*samples))
	r.eye = eye{
		at: c.Position, turn: c.Rotation, narrow: narrowMat(&c.Rotation), focal: f, near: c.Near,
		midX: float64(width*samples) / 2, midY: float64(height*samples) / 2, far: 1,
	}
	r.camera.perspective = true
	r.camera.size(width*samples, height*samples)
	r.camera.near = float32(c.Near)
	r.camera.lens(f, r.eye.midX, r.eye.midY)
}

// eye is the camera of a picture.
type eye struct {
	at         Vec
	turn       Mat
	narrow     mat3
	focal      float64 // in samples
	near       float64
	midX, midY float64 // the picture's middle, in samples
	far        float64 // how far the things in the picture reach
}

// fill finds what each sample of the picture shows, and what the sun sees.
func (r *Renderer) fill() error {
	r.work.Store(0)
	bands := r.threads()
	views := []*view{&r.camera}
	if r.sun.width > 0 {
		views = append(views, &r.sun)
	}
	r.each(len(views)*bands, func(i int) {
		v := views[i%len(views)]
		k := i / len(views)
		b := band{view: v, y0: v.height * k / bands, y1: v.height * (k + 1) / bands}
		b.clear()
		for j := range r.placed {
			p := &r.placed[j]
			if v.perspective && p.seen {
				b.mesh(p.mesh, r.corners[p.first:][:len(p.mesh.points)], p.base)
			} else if !v.perspective && p.casts {
				b.mesh(p.mesh, r.shaded[p.first:][:len(p.mesh.points)], p.base)
			}
			if b.work > mostWork {
				break
			}
		}
		r.work.Add(b.work)
	})
	if r.work.Load() > mostWork {
		return fmt.Errorf("raster: the triangles of the scene cover the picture too many times; draw a smaller picture, or fewer triangles that hide each other")
	}
	return nil
}
