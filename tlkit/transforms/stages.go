package transforms

// Stages divides [Preset.Eval] in two, for the use of a picture with several presets: square makes the
// square picture, and numbers the numbers of it. Presets with the same shape, which is 64 hex digits,
// make the same squares.
//
//	pic, err := square.Picture(photo, transforms.Rand{})
//	x, err := numbers.Apply(pic, transforms.Rand{})
func (p Preset) Stages() (square, numbers Pipeline, shape string) {
	if err := p.Validate(); err != nil {
		return Pipeline{err: err}, Pipeline{err: err}, ""
	}
	// Everything else of the preset belongs to the numbers.
	bare := p.WithStatistics(Preset{Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"})
	return Compose(p.square()...), Compose(p.tensor()...), bare.Digest()
}
