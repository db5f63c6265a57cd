package zoo

import (
	"fmt"
	"sort"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
)

// sides tells which pictures an architecture takes, where it does not take all that are large enough.
type sides interface {
	// patches returns the side of the patches that pictures are cut into, which must fill them, and
	// whether pictures can have only one size.
	patches() (side int, one bool)
}

func (v visionTransformer) patches() (int, bool) { return v.patch, false }
func (v eva) patches() (int, bool)               { return v.patch, v.places == learntDistances }
func (s swin) patches() (int, bool)              { return 4, false }
func (s swinV2) patches() (int, bool)            { return 4, false }

// Fits returns an error if the network cannot take pictures of size x size pixels. It names the nearest
// size that fits. Position embeddings are brought to that size as in timm.
func (r Row) Fits(size int) error {
	if err := r.fits(size); err != nil {
		return &LoadError{Model: r.Name, Err: err}
	}
	return nil
}

func (r Row) fits(size int) error {
	const largest = 8192 // as of presets
	if size < 1 || size > largest {
		return fmt.Errorf("size %d, want 1 to %d pixels", size, largest)
	}
	switch r.arch.(type) {
	case nil, onnxFile, *onnx.Net:
		return nil // the file says so itself, when it is read
	}
	if size == r.Preset.Size {
		return nil
	}
	wrong := func(why string, nearest string) error {
		return advice.New(fmt.Errorf("it cannot take pictures of %d x %d pixels: %s", size, size, why), "try --size %s", nearest)
	}
	if a, ok := r.arch.(sides); ok {
		side, one := a.patches()
		below := size / side * side
		switch {
		case one:
			return wrong("its distances of patches are learnt for one size", fmt.Sprint(r.Preset.Size))
		case below == 0:
			return wrong(fmt.Sprintf("a patch has %d", side), fmt.Sprint(side))
		case below != size:
			return wrong(fmt.Sprintf("patches of %d do not fill them", side), fmt.Sprintf("%d or %d", below, below+side))
		}
	}
	if _, err := backbone.Declare(r.arch, size); err != nil {
		if size > r.Preset.Size {
			return wrong(err.Error(), fmt.Sprint(r.Preset.Size))
		}
		smallest := size + sort.Search(r.Preset.Size-size, func(more int) bool {
			_, err := backbone.Declare(r.arch, size+more)
			return err == nil
		})
		return wrong(err.Error(), fmt.Sprint(smallest))
	}
	return nil
}
