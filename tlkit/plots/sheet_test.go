package plots

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	xdraw "golang.org/x/image/draw"
)

var sheet = flag.String("sheet", "", "draw every figure of the gallery on one sheet, on a light page and on a dark one, into this PNG file")

const (
	sheetColumns = 6
	sheetWide    = 300
	sheetGap     = 14
)

// Every figure on one picture, as a page of each theme shows it: look at it before a release.
//
//	go test ./tlkit/plots -run ContactSheet -sheet sheet.png
func TestContactSheet(t *testing.T) {
	if *sheet == "" {
		t.Skip("pass -sheet FILE to draw the contact sheet")
	}
	all := gallery()
	var tiles []image.Image
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.Contains(name, "hostile") && name != "map-hostile" {
			continue // nothing to see
		}
		img, err := all[name].Image(1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := img.Bounds()
		wide := min(sheetWide, b.Dx()*3/5) // small figures stay small
		small := image.NewRGBA(image.Rect(0, 0, wide, max(1, b.Dy()*wide/b.Dx())))
		xdraw.CatmullRom.Scale(small, small.Bounds(), img, b, draw.Src, nil)
		tiles = append(tiles, small)
	}
	light, dark := onPage(tiles, color.White), onPage(tiles, color.RGBA{0x11, 0x13, 0x17, 0xff})
	b := light.Bounds()
	both := image.NewRGBA(image.Rect(0, 0, b.Dx(), 2*b.Dy()))
	draw.Draw(both, b, light, image.Point{}, draw.Src)
	draw.Draw(both, b.Add(image.Pt(0, b.Dy())), dark, image.Point{}, draw.Src)
	w, err := os.Create(*sheet)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := png.Encode(w, both); err != nil {
		t.Fatal(err)
	}
}

// onPage lays tiles out in columns, each next one into the shortest.
func onPage(tiles []image.Image, page color.Color) *image.RGBA {
	var height [sheetColumns]int
	at := make([]image.Point, len(tiles))
	for i, tile := range tiles {
		shortest := 0
		for c, h := range height {
			if h < height[shortest] {
				shortest = c
			}
		}
		at[i] = image.Pt(sheetGap+shortest*(sheetWide+sheetGap), sheetGap+height[shortest])
		height[shortest] += tile.Bounds().Dy() + sheetGap
	}
	out := image.NewRGBA(image.Rect(0, 0, sheetGap+sheetColumns*(sheetWide+sheetGap), sheetGap+slices.Max(height[:])))
	draw.Draw(out, out.Bounds(), image.NewUniform(page), image.Point{}, draw.Src)
	for i, tile := range tiles {
		draw.Draw(out, tile.Bounds().Add(at[i]), tile, image.Point{}, draw.Src)
	}
	return out
}

// A chart is at most 150 kB, so that a notebook with dozens of them stays small. Photos need more: a tile
// of a grid has 336 x 336 pixels.
func TestChartsAreSmall(t *testing.T) {
	const most = 150_000
	for name, f := range gallery() {
		if fig, ok := f.(*figure); ok && (fig.photos || fig.err != nil) {
			continue
		}
		var b bytes.Buffer
		if err := f.PNG(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b.Len() > most {
			t.Errorf("%s is of %d bytes, want at most %d", name, b.Len(), most)
		}
	}
}
