package transforms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
)

// Measured is the result of [MeasureStatistics].
type Measured struct {
	Mean, Std [3]float64 // of red, green, blue, in [0, 1]
	Pictures  int        // how many were measured
	Pixels    int64      // number of their pixels
	Errors    []error    // one for each picture that could not be decoded
}

// Preset returns the measurement in the form that [Preset.WithStatistics] takes.
func (m Measured) Preset() Preset {
	p := Preset{Name: "measured", Range: [2]float32{0, 1}, Channels: "RGB"}
	for c := range 3 {
		p.Mean[c], p.Std[c] = float32(m.Mean[c]), float32(m.Std[c])
	}
	return p
}

// MeasureOptions says how [MeasureStatistics] reads pictures.
type MeasureOptions struct {
	Decode DecodeOptions
	// Prepare's steps before ToTensor run first, such as Compose(Resize(256), CenterCrop(224)).
	// The zero Pipeline measures pictures as they are.
	Prepare Pipeline
	Workers int // 0 = one per CPU
}

// MeasureStatistics returns the mean and standard deviation of each channel over the pictures in
// files and folders. Folders are searched recursively for names that end in .jpg, .jpeg, .png,
// .gif, .webp, .bmp, .tif, .tiff, .pbm, .pgm, .ppm or .pnm.
//
// Both are over all pixels of all pictures: a large picture counts more than a small one, and the
// deviation is that of single pixels around the common mean (divided by N), not the mean of the
// deviations of the pictures, which is smaller. The sums are exact integers, so the result does
// not depend on the order or on the workers.
//
// Pictures that cannot be decoded are left out and listed in Measured.Errors. It is an error if
// no picture is left.
func MeasureStatistics(ctx context.Context, paths []string, o MeasureOptions) (Measured, error) {
	if err := o.Prepare.Err(); err != nil {
		return Measured{}, err
	}
	files, err := listPictures(paths)
	if err != nil {
		return Measured{}, err
	}
	var m Measured
	var total sums
	err = Each(ctx, len(files), o.Workers, func(i int) (sums, error) {
		p, err := DecodeFile(files[i], o.Decode)
		if err == nil {
			p, err = o.Prepare.Picture(p, Rand{Picture: i})
		}
		if err != nil {
			return sums{}, err
		}
		return p.sums(), nil
	}, func(_ int, s sums, err error) error {
		if err != nil {
			m.Errors = append(m.Errors, err)
			return nil
		}
		m.Pictures++
		return total.add(s)
	})
	if err != nil {
		return Measured{}, err
	}
	if m.Pictures == 0 {
		return m, fmt.Errorf("transforms: MeasureStatistics: no picture could be read in %s (%d files tried): %w",
			strings.Join(paths, ", "), len(files), errors.Join(m.Errors[:min(len(m.Errors), 3)]...))
	}
	m.Pixels = int64(total.n)
	for c := range 3 {
		n := float64(total.n)
		mean := float64(total.sum[c]) / n
		m.Mean[c] = mean / 255
		m.Std[c] = math.Sqrt(max(0, float64(total.square[c])/n-mean*mean)) / 255
	}
	return m, nil
}

// sums are exact: 2^64 / 255^2 is 280 million million pixels.
type sums struct {
	n           uint64
	sum, square [3]uint64
}

func (s *sums) add(t sums) error {
	s.n += t.n
	for c := range 3 {
		s.sum[c] += t.sum[c]
		s.square[c] += t.square[c]
	}
	if s.n > math.MaxUint64/(255*255) {
		return errors.New("transforms: MeasureStatistics: more pixels than 64 bits can sum: measure a part of the pictures")
	}
	return nil
}

func (p *Picture) sums() sums {
	s := sums{n: uint64(p.Width) * uint64(p.Height)}
	for c := range 3 {
		var counts [256]uint64
		for i := c; i < len(p.Pix); i += 3 {
			counts[p.Pix[i]]++
		}
		for v, k := range counts {
			s.sum[c] += uint64(v) * k
			s.square[c] += uint64(v*v) * k
		}
	}
	return s
}

func listPictures(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return nil
			case name == path: // named by the caller, with any extension
				files = append(files, name)
			case d.Type().IsRegular():
				switch strings.ToLower(filepath.Ext(name)) {
				case ".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm":
					files = append(files, name)
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("transforms: MeasureStatistics: %w", err)
		}
	}
	return files, nil
}
