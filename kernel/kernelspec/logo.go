package kernelspec

import (
	"embed"
	"fmt"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// Jupyter's launchers show these files of the kernel's folder. The drawing is the SVG; the PNGs are made
// from it: cairosvg logo-svg.svg --output-width 32 -o logo-32x32.png.
//
//go:embed logo
var logos embed.FS

// writeLogos puts the kernel's pictures beside kernel.json.
func writeLogos(dir string) error {
	files, err := logos.ReadDir("logo")
	if err != nil {
		return err
	}
	for _, f := range files {
		picture, err := logos.ReadFile("logo/" + f.Name())
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(dir, f.Name()), picture, 0o644); err != nil {
			return fmt.Errorf("kernelspec: %w", err)
		}
	}
	return nil
}
