package transforms

import (
	"cmp"
	"image"
)

// largestTile is the side of the largest tile of a grid of pictures, in pixels, at twice its nominal size.
const largestTile = 336

// Thumbnail returns the middle square of a picture file, side pixels wide (0 = enough for the tiles of a
// figure), or nil if it cannot be read: figures and pages then show an empty tile.
func (o DecodeOptions) Thumbnail(path string, side int) image.Image {
	side = cmp.Or(side, largestTile)
	picture, err := DecodeFile(path, o)
	if err != nil {
		return nil
	}
	small, err := Compose(Resize(side), CenterCrop(side)).Picture(picture, Rand{})
	if err != nil {
		return nil
	}
	return small
}
