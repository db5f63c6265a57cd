package transforms

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
)

// Geometry says how a [Preset] turns a picture of any shape into a square.
type Geometry string

// The geometries, with the libraries that use them.
const (
	// GeometryShort resizes the short side to Preset.Resize and takes the middle
	// Size x Size: torchvision, timm.
	GeometryShort Geometry = "short"
	// GeometryCrop takes the middle square of CropFraction of the short side and resizes
	// it to Size x Size: TensorFlow's EfficientNets.
	GeometryCrop Geometry = "crop"
	// GeometrySquash resizes to Size x Size, whatever the shape was: Keras' load_img.
	GeometrySquash Geometry = "squash"
)

// Preset describes the pixels that a checkpoint expects: how its training code prepared pictures
// for evaluation. With another preset, the same weights give worse results without any error.
type Preset struct {
	Name string `json:"name,omitempty"`
	// Size is the side of the square that the network sees, in pixels.
	Size int `json:"size"`
	// Resize is the short side before the crop, for GeometryShort; 0 means Size/CropFraction.
	Resize   int      `json:"resize,omitempty"`
	Geometry Geometry `json:"geometry"`
	// CropFraction is Size/Resize; 0 means 1.
	CropFraction  float64       `json:"crop_fraction,omitempty"`
	Interpolation Interpolation `json:"interpolation"` // "" means Bilinear
	// Range is what bytes 0 and 255 become, before Mean is subtracted and Std divided by.
	Range [2]float32 `json:"range"`
	// Mean and Std are in the units of Range and in the order of Channels.
	Mean [3]float32 `json:"mean"`
	Std  [3]float32 `json:"std"`
	// Channels is "RGB", "BGR", or "grey": then all three channels are the brightness.
	Channels string `json:"channels"`
}

// Validate returns an error if the preset is invalid. Presets may come from untrusted files.
func (p Preset) Validate() error {
	bad := func(what string, a ...any) error {
		return fmt.Errorf("transforms: preset %q: %s", p.Name, fmt.Sprintf(what, a...))
	}
	const largest = 8192 // far above any network, far below an overflow
	if p.Size < 1 || p.Size > largest {
		return bad("size %d, wanted 1 to %d pixels", p.Size, largest)
	}
	if p.Resize < 0 || p.Resize > largest {
		return bad("resize %d, wanted 0 (by crop_fraction) to %d pixels", p.Resize, largest)
	}
	if !(p.CropFraction >= 0.01 && p.CropFraction <= 1) && p.CropFraction != 0 {
		return bad("crop_fraction %g, wanted 0 (whole) or 0.01 to 1", p.CropFraction)
	}
	switch p.Geometry {
	case GeometryShort, GeometryCrop, GeometrySquash:
	default:
		return bad("geometry %q, wanted %s, %s or %s", p.Geometry, GeometryShort, GeometryCrop, GeometrySquash)
	}
	if p.ShortSide() > largest {
		return bad("size %d at crop_fraction %g makes a short side of %d, wanted at most %d", p.Size, p.CropFraction, p.ShortSide(), largest)
	}
	if _, err := p.Interpolation.orDefault(); err != nil {
		return bad("%v", err)
	}
	if p.Channels != "RGB" && p.Channels != "BGR" && p.Channels != "grey" {
		return bad("channels %q, wanted RGB, BGR or grey", p.Channels)
	}
	if !finite(p.Range[0]) || !finite(p.Range[1]) || p.Range[0] == p.Range[1] {
		return bad("range %v, wanted two different numbers such as [0 1] or [0 255]", p.Range)
	}
	for c := range 3 {
		if !finite(p.Mean[c]) || !finite(p.Std[c]) || p.Std[c] <= 0 {
			return bad("mean %v, std %v, wanted finite means and deviations above zero", p.Mean, p.Std)
		}
	}
	return nil
}

// ShortSide returns Resize, or what it stands for if it is 0: the short side before the crop, for
// GeometryShort.
func (p Preset) ShortSide() int {
	switch {
	case p.Resize > 0:
		return p.Resize
	case p.CropFraction > 0:
		return int(math.Floor(float64(p.Size) / p.CropFraction))
	}
	return p.Size
}

// tensor returns the steps from bytes to numbers.
func (p Preset) tensor() []Step {
	steps := []Step{ToTensor()}
	if p.Range != [2]float32{0, 1} {
		steps[0] = scale(p.Range[0], p.Range[1], fmt.Sprintf("ToTensor(%g to %g)", p.Range[0], p.Range[1]))
	}
	switch p.Channels {
	case "grey":
		steps = append([]Step{Grayscale()}, steps...)
	case "BGR":
		steps = append(steps, tensorStep{"BGR", func(t *table) { t.source = [3]int{2, 1, 0} }})
	}
	if p.Mean != [3]float32{} || p.Std != [3]float32{1, 1, 1} {
		steps = append(steps, Normalize(p.Mean, p.Std))
	}
	return steps
}

// Eval returns the pipeline for evaluation and prediction. Nothing in it is random.
func (p Preset) Eval() Pipeline {
	if err := p.Validate(); err != nil {
		return Pipeline{err: err}
	}
	return Compose(append(p.square(), p.tensor()...)...)
}

// Square returns the part of Eval that makes the square picture, Size x Size pixels of RGB bytes. Its
// result has to be read with [Pipeline.Picture].
func (p Preset) Square() Pipeline {
	if err := p.Validate(); err != nil {
		return Pipeline{err: err}
	}
	return Compose(p.square()...)
}

// SquareWords says what Square does to a picture: "with its short side resized to 256 pixels and the
// middle 224 x 224 cut out (bilinear)".
func (p Preset) SquareWords() string {
	filter, err := p.Interpolation.orDefault()
	if err != nil {
		filter = p.Interpolation
	}
	square := fmt.Sprintf("%d x %d", p.Size, p.Size)
	switch p.Geometry {
	case GeometryShort:
		return fmt.Sprintf("with its short side resized to %d pixels and the middle %s cut out (%s)", p.ShortSide(), square, filter)
	case GeometryCrop:
		if p.CropFraction > 0 && p.CropFraction < 1 {
			return fmt.Sprintf("cut to the middle square of %.4g %% of its short side and resized to %s (%s)", 100*p.CropFraction, square, filter)
		}
		return fmt.Sprintf("cut to its middle square and resized to %s (%s)", square, filter)
	}
	return fmt.Sprintf("resized to %s, whatever its shape (%s)", square, filter)
}

// square returns the steps of Eval that make the square picture.
func (p Preset) square() (steps []Step) {
	switch p.Geometry {
	case GeometryShort:
		steps = []Step{Resize(p.ShortSide(), p.Interpolation), CenterCrop(p.Size)}
	case GeometryCrop:
		filter, _ := p.Interpolation.orDefault()
		fraction := p.CropFraction
		if fraction == 0 {
			fraction = 1
		}
		steps = []Step{cropResize{fraction, p.Size, filter}}
	case GeometrySquash:
		steps = []Step{ResizeTo(p.Size, p.Size, p.Interpolation)}
	}
	return steps
}

// Train returns the usual pipeline for training: a random resized crop and a random flip, then
// the same numbers as Eval. The random steps depend on seed and on [Rand]. Options such as [Scale]
// are those of the crop.
func (p Preset) Train(seed uint64, crop ...Option) Pipeline {
	if err := p.Validate(); err != nil {
		return Pipeline{err: err}
	}
	steps := []Step{RandomResizedCrop(p.Size, append([]Option{p.Interpolation}, crop...)...), RandomHorizontalFlip()}
	out := Compose(append(steps, p.tensor()...)...)
	out.seed = seed
	return out
}

// Picture turns a prepared tensor back into a picture, to show what the network saw.
func (p Preset) Picture(t Tensor) (*Picture, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	out := Tensor{t.Height, t.Width, 3, make([]float32, len(t.Data))}
	span := p.Range[1] - p.Range[0]
	for i, v := range t.Data {
		c := i % 3
		v = (float32(v*p.Std[c]) + p.Mean[c] - p.Range[0]) / span
		if p.Channels == "BGR" {
			i += 2 - 2*c
		}
		out.Data[i] = v
	}
	return out.Picture()
}

// At returns the preset for another Size. It keeps the share of the picture that is seen.
func (p Preset) At(size int) Preset {
	if p.Resize > 0 && p.Size > 0 {
		p.Resize = int(math.Floor(float64(size) / p.share()))
	}
	p.Size = size
	return p
}

// share is the roundest fraction of the short side that Size can be when the short side is Resize:
// publishers state fractions such as 0.9 and 0.965, and round the short side.
func (p Preset) share() float64 {
	for _, parts := range []float64{20, 40, 100, 1000} {
		share := math.Round(float64(p.Size)/float64(p.Resize)*parts) / parts
		if share > 0 && int(math.Floor(float64(p.Size)/share)) == p.Resize {
			return share
		}
	}
	return float64(p.Size) / float64(p.Resize)
}

// WithStatistics returns the preset with the range, mean, deviation and channels of q.
func (p Preset) WithStatistics(q Preset) Preset {
	p.Range, p.Mean, p.Std, p.Channels = q.Range, q.Mean, q.Std, q.Channels
	return p
}

// pixelVersion changes when the same preset gives other pixels than before, so that older caches
// are not used.
const pixelVersion = 1

// Whole returns the preset without a crop: the whole picture, squashed to size x size pixels, so that
// places in the picture are places in a feature map.
func (p Preset) Whole(size int) Preset {
	p.Size, p.Resize, p.CropFraction, p.Geometry = size, 0, 0, GeometrySquash
	return p
}

// Digest returns 64 hex digits that are equal for two presets if and only if they prepare pictures
// in the same way. It does not depend on the name.
func (p Preset) Digest() string {
	p.Name = ""
	if filter, err := p.Interpolation.orDefault(); err == nil {
		p.Interpolation = filter
	}
	switch p.Geometry { // fields without influence, or with a default
	case GeometryShort:
		p.Resize, p.CropFraction = p.ShortSide(), 0
	case GeometryCrop:
		p.Resize = 0
		if p.CropFraction == 0 {
			p.CropFraction = 1
		}
	case GeometrySquash:
		p.Resize, p.CropFraction = 0, 0
	}
	text, err := json.Marshal(p)
	if err != nil { // NaN or infinity: invalid, but still different from other presets
		text = fmt.Appendf(nil, "%#v", p)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "tlkit pixels %d\n%s", pixelVersion, text))
	return hex.EncodeToString(sum[:])
}
