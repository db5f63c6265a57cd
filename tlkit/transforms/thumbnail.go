package transforms

import "image"

// largestTile is the side of the largest tile of a grid of pictures, in pixels, at twice its nominal size.
const largestTile = 336

// Thumbnail returns the middle square of a picture file, side pixels wide, or nil if it cannot be read: figures and pages then show an empty tile.
func (o DecodeOptions) Thumbnail(path string, side int) image.Image {
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

// Tile is Thumbnail for the tiles of figures.
func (o DecodeOptions) Tile(path string) image.Image { return o.Thumbnail(path, largestTile) }
