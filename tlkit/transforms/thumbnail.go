package transforms

import "image"

// TileSide is the side of the largest tile of a grid of pictures, in pixels, at twice its nominal size.
const TileSide = 336

// Thumbnail returns the middle square of a picture file, side pixels wide, or nil if it cannot be read:
// figures and pages then show an empty tile.
func Thumbnail(path string, side int) image.Image {
	picture, err := DecodeFile(path, DecodeOptions{})
	if err != nil {
		return nil
	}
	small, err := Compose(Resize(side), CenterCrop(side)).Picture(picture, Rand{})
	if err != nil {
		return nil
	}
	return small
}
