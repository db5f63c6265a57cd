package features

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// sharing are jobs on the same pictures, PNG, JPEG and a file that is neither, by four presets of three
// shapes.
func sharing(t *testing.T) []Job {
	items := pictures(t, t.TempDir(), 9)
	for _, side := range []int{40, 71} {
		img := image.NewYCbCr(image.Rect(0, 0, side, 55), image.YCbCrSubsampleRatio420)
		for i := range img.Y {
			img.Y[i] = uint8(i * i)
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = uint8(3*i), uint8(i/7)
		}
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, img, nil); err != nil {
			t.Fatal(err)
		}
		items = append(items, item(t, filepath.Dir(items[0].Path), string(rune('a'+side%26))+".jpg", buf.Bytes()))
	}
	items = append(items, item(t, filepath.Dir(items[0].Path), "text.png", []byte("no picture")), items[2])
	var calls atomic.Int32
	jobs := make([]Job, 4)
	for i := range jobs {
		jobs[i] = job(items, &calls)
		jobs[i].BadLimit = 1
	}
	jobs[1].Preset.Mean, jobs[1].Preset.Channels = [3]float32{0.4, 0.5, 0.6}, "BGR"
	jobs[2].Preset = transforms.Preset{Size: 16, Geometry: transforms.GeometryCrop, CropFraction: 0.8, Interpolation: transforms.Bicubic, Range: [2]float32{0, 255}, Std: [3]float32{1, 2, 3}, Channels: "grey"}
	jobs[3].Preset = jobs[0].Preset
	jobs[3].Preset.Geometry = transforms.GeometrySquash
	return jobs
}

// inOrder runs jobs one after the other in a cache of their own.
func inOrder(t *testing.T, jobs []Job, d *Decoded, between func(next int)) []*Matrix {
	t.Helper()
	t.Setenv("TLKIT_CACHE", t.TempDir())
	var out []*Matrix
	for i, j := range jobs {
		if d != nil {
			d.Begin(j.Preset)
		}
		j.Decoded = d
		m := extract(t, j)
		for k := range m.Bad {
			m.Bad[k].Err = errText(m.Bad[k].Err.Error())
		}
		out = append(out, m)
		if between != nil {
			between(i + 1)
		}
	}
	return out
}

type errText string

func (e errText) Error() string { return string(e) }

func presets(jobs []Job) (out []transforms.Preset) {
	for _, j := range jobs {
		out = append(out, j.Preset)
	}
	return out
}

// Jobs that share pictures get the bits of jobs alone, with and without room for the squares, also
// when the file of squares is damaged.
func TestSharedPicturesGiveTheSameBits(t *testing.T) {
	jobs := sharing(t)
	want := inOrder(t, jobs, nil, nil)
	if len(want[0].Bad) != 1 || want[0].Rows() != 12 {
		t.Fatalf("%d bad pictures, %d rows: want 1 and 12", len(want[0].Bad), want[0].Rows())
	}
	for name, change := range map[string]func(d *Decoded, next int){
		"room for all": nil,
		"no room":      func(d *Decoded, _ int) { d.limit = 0 },
		"damaged":      func(d *Decoded, _ int) { d.file.WriteAt([]byte{1, 2, 3, 250}, d.end/2) },
		"closed early": func(d *Decoded, next int) { d.Close() },
	} {
		d := Share(presets(jobs))
		got := inOrder(t, jobs, d, func(next int) {
			if change != nil {
				change(d, next)
			}
		})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: other features than alone", name)
		}
		d.Close()
	}
}

// Each picture is read once: later jobs do not need the files.
func TestSharedPicturesAreDecodedOnce(t *testing.T) {
	jobs := sharing(t)
	for i := range jobs {
		jobs[i].Items = append(jobs[i].Items[:11:11], jobs[i].Items[12]) // without the text
	}
	want := inOrder(t, jobs, nil, nil)
	d := Share(presets(jobs))
	defer d.Close()
	got := inOrder(t, jobs, d, func(next int) {
		if next > 1 {
			return
		}
		for _, it := range jobs[0].Items {
			os.Remove(it.Path)
		}
	})
	if !reflect.DeepEqual(got, want) {
		t.Error("other features than alone")
	}
	// 11 pictures in three shapes, the first of which two jobs have.
	if n := int64(11 * 3 * (8*8 + 16*16 + 8*8)); d.end != n {
		t.Errorf("%d bytes were kept, want %d", d.end, n)
	}
	if files, err := os.ReadDir(filepath.Join(os.Getenv("TLKIT_CACHE"), "tmp")); err != nil || len(files) > 0 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
}

// Nothing is kept for the last job, nor for jobs that were left out.
func TestNothingIsKeptForNoOne(t *testing.T) {
	jobs := sharing(t)
	d := Share(presets(jobs))
	defer d.Close()
	for _, j := range jobs[1:] {
		d.Begin(j.Preset)
	}
	inOrder(t, jobs[:1], d, nil)
	if d.end != 0 || d.file != nil {
		t.Errorf("%d bytes were kept", d.end)
	}
}
