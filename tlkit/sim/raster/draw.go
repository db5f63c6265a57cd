package raster

import (
	"errors"
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
	glass    view // the camera's, of what lets through what is behind; no width = nothing does
	sun      view
	eye      eye
	light    light
	surround *Scene
	work     atomic.Int64 // samples that triangles were tried on
}

// samples is how many a pixel has along each side.
const samples = 2

// mostWork is how many samples triangles may be tried on, about a second of work: the largest picture
// may be covered 32 times.
const mostWork = 1 << 29

// placed is an instance that can be seen, or that casts a shadow.
type placed struct {
	mesh         *Mesh
	material     *Material
	first        int   // of its corners
	base         int32 // of the numbers of its triangles
	seen, casts  bool
	glass        bool    // lets through what is behind
	endless      bool    // a plane without end, which fades into the horizon
	turn         mat3    // of the instance
	scale, place vec3    // place is relative to the camera
	origin       vec3    // of the texture: place, but of a plane without end
	lift         float32 // of the ends of a capsule
	inverse      vec3    // of the scale, for normals
	colour       vec3
	power        int     // of highlights
	texels       vec3    // how often a projected texture is repeated a metre
	reach        float32 // of an endless plane
	rotation     Mat
	half32       vec3
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
	r.glaze()
	r.work.Store(0)
	r.transform(&r.camera)
	r.fill(&r.camera)
	if r.aim(scene) { // at what the camera sees
		r.transform(&r.sun)
		r.fill(&r.sun)
	}
	if r.work.Load() > mostWork {
		return nil, errors.New("raster: the triangles of the scene cover the picture too many times; draw a smaller picture, or fewer triangles that hide each other")
	}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	r.light = newLight(scene)
	r.surround = scene
	const rows = 8
	r.each((height+rows-1)/rows, func(i int) {
		b := brush{Renderer: r, number: -1}
		for y := i * rows; y < min((i+1)*rows, height); y++ {
			b.row(y, img.Pix[y*img.Stride:][:4*width])
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
		midX: float64(width*samples) / 2, midY: float64(height*samples) / 2,
		perSample: 1 / f, pixel: float32(samples / f),
	}
	r.camera.perspective = true
	r.camera.size(width*samples, height*samples)
	r.camera.near = float32(c.Near)
	r.camera.lens(f, r.eye.midX, r.eye.midY)
}

// glaze prepares the view of what lets through what is behind, if there is any.
func (r *Renderer) glaze() {
	r.glass.width = 0
	for i := range r.placed {
		if p := &r.placed[i]; p.seen && p.glass {
			depth, faces := r.glass.depth, r.glass.faces
			r.glass = r.camera
			r.glass.depth, r.glass.faces = depth, faces
			r.glass.size(r.camera.width, r.camera.height)
			return
		}
	}
}

// eye is the camera of a picture.
type eye struct {
	at         Vec
	turn       Mat
	narrow     mat3
	focal      float64 // in samples
	near       float64
	midX, midY float64 // the picture's middle, in samples
	perSample  float64 // 1/focal
	pixel      float32 // how wide a pixel is at a distance of 1
}

// fill finds what each sample of a view shows.
func (r *Renderer) fill(v *view) {
	bands := r.threads()
	r.each(bands, func(k int) {
		b := band{view: v, y0: v.height * k / bands, y1: v.height * (k + 1) / bands}
		b.clear()
		for j := range r.placed {
			p := &r.placed[j]
			if v.perspective && p.seen && !p.glass {
				b.mesh(p.mesh, r.corners[p.first:][:len(p.mesh.points)], p.base)
			} else if !v.perspective && p.casts {
				b.mesh(p.mesh, r.shaded[p.first:][:len(p.mesh.points)], p.base)
			}
			if b.work > mostWork {
				break
			}
		}
		if v.perspective && r.glass.width > 0 {
			r.panes(&b)
		}
		r.work.Add(b.work)
	})
}

// panes finds the nearest things in front of all others that let through what is behind.
func (r *Renderer) panes(opaque *band) {
	b := band{view: &r.glass, y0: opaque.y0, y1: opaque.y1, work: opaque.work}
	b.clear()
	copy(b.depth[b.y0*b.width:b.y1*b.width], opaque.depth[b.y0*b.width:])
	for j := range r.placed {
		if p := &r.placed[j]; p.seen && p.glass && b.work <= mostWork {
			b.mesh(p.mesh, r.corners[p.first:][:len(p.mesh.points)], p.base)
		}
	}
	opaque.work = b.work
}
