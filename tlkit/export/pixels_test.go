package export

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testbrowser"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// pixelTab opens a tab with the functions of page/pixels.js.
func pixelTab(t *testing.T) *testbrowser.Tab {
	t.Helper()
	script, err := pageFiles.ReadFile("page/pixels.js")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><script>%s</script>", script)
	}))
	t.Cleanup(s.Close)
	tab := testbrowser.Open(t, testbrowser.Options{})
	tab.Run(chromedp.Navigate(s.URL))
	return tab
}

// quoted is a value as JavaScript.
func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// The page's JavaScript prepares pictures of all shapes, for all kinds of presets, as this program does,
// byte for byte.
func TestPagePixels(t *testing.T) {
	tab := pixelTab(t)
	type job struct {
		Preset pagePreset `json:"preset"`
		Width  int        `json:"width"`
		Height int        `json:"height"`
		K      int        `json:"k"`
	}
	var jobs []job
	var want []uint32
	shapes := [][2]int{{1, 1}, {1, 50}, {60, 1}, {2, 3}, {17, 16}, {32, 32}, {33, 31}, {40, 30}, {64, 48}, {25, 61}, {200, 90}, {90, 301}, {641, 480}, {37, 900}, {1280, 853}}
	for _, filter := range []transforms.Interpolation{"", transforms.Nearest, transforms.Box, transforms.Bilinear, transforms.Hamming, transforms.Bicubic, transforms.Lanczos} {
		for _, p := range []transforms.Preset{
			{Size: 32, Resize: 37, Geometry: transforms.GeometryShort},
			{Size: 31, Resize: 31, Geometry: transforms.GeometryShort},
			{Size: 40, Resize: 33, Geometry: transforms.GeometryShort}, // a border
			{Size: 32, CropFraction: 0.875, Geometry: transforms.GeometryShort},
			{Size: 32, CropFraction: 0.875, Geometry: transforms.GeometryCrop},
			{Size: 48, Geometry: transforms.GeometryCrop},
			{Size: 32, Geometry: transforms.GeometrySquash},
			{Size: 224, Geometry: transforms.GeometrySquash},
		} {
			p.Interpolation, p.Range, p.Std, p.Channels = filter, [2]float32{0, 1}, [3]float32{1, 1, 1}, "RGB"
			for k, shape := range shapes {
				pic := &transforms.Picture{Width: shape[0], Height: shape[1], Pix: golden.Picture(shape[0], shape[1], k)}
				square, err := p.Square().Picture(pic, transforms.Rand{})
				if err != nil {
					t.Fatal(err)
				}
				jobs = append(jobs, job{presetOfPage(p), shape[0], shape[1], k})
				want = append(want, crc32.ChecksumIEEE(square.Pix))
			}
		}
	}
	got := testbrowser.Value[[]uint32](tab, quoted(jobs)+".map(j => crc32(square(formula(j.width, j.height, j.k), j.preset).data))")
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v: other bytes", jobs[i])
		}
	}
	t.Logf("%d pictures", len(want))
}

// readDifferently are the pictures of package transforms that Chromium reads with other colours, and by
// how much at most.
var readDifferently = map[string]int{
	"jpeg_cmyk.jpg": 1, "jpeg_cmyk_no_adobe.jpg": 1, "jpeg_ycck.jpg": 1,
	// outside the first frame, and where it is transparent
	"gif_offset.gif": 255, "gif_offset_transparent.gif": 255, "gif_transparent.gif": 255,
}

// Chromium reads files byte for byte as this program does, except those of the list, and except TIFF and
// PNM, which it does not read: all kinds of JPEG, turned ones, PNG and WebP with transparent pixels.
func TestPageReadsFiles(t *testing.T) {
	tab := pixelTab(t)
	files, err := filepath.Glob("../transforms/testdata/*_*.*")
	if err != nil {
		t.Fatal(err)
	}
	equal := 0
	for _, path := range files {
		name := filepath.Base(path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := transforms.Decode(data, transforms.DecodeOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := readInBrowser(tab, data)
		if ext := filepath.Ext(path); strings.HasPrefix(ext, ".p") && ext != ".png" || ext == ".tif" {
			if err == nil {
				t.Errorf("%s is read: change the documentation", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		allowed := readDifferently[name]
		if err := got.equal(want, allowed); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if allowed == 0 {
			equal++
		}
	}
	if equal < 75 {
		t.Errorf("%d files read equally", equal)
	}
	t.Logf("%d files read equally", equal)
}

type browserPicture struct {
	Width, Height int
	Pix           []byte
	Error         string
}

func readInBrowser(tab *testbrowser.Tab, data []byte) (*browserPicture, error) {
	got := testbrowser.Value[browserPicture](tab, fmt.Sprintf(`decode(Uint8Array.from(atob(%q), c => c.charCodeAt(0))).then(p => {
		let text = '';
		for (const b of p.data) text += String.fromCharCode(b);
		return {Width: p.width, Height: p.height, Pix: btoa(text)};
	}, e => ({Error: String(e)}))`, base64.StdEncoding.EncodeToString(data)))
	if got.Error != "" {
		return nil, errors.New(got.Error)
	}
	return &got, nil
}

// equal returns an error if a level differs by more than allowed.
func (p *browserPicture) equal(want *transforms.Picture, allowed int) error {
	if p.Width != want.Width || p.Height != want.Height {
		return fmt.Errorf("%d x %d pixels, want %d x %d", p.Width, p.Height, want.Width, want.Height)
	}
	for i, v := range want.Pix {
		if d := int(v) - int(p.Pix[i]); d > allowed || -d > allowed {
			return fmt.Errorf("number %d is %d, want %d", i, p.Pix[i], v)
		}
	}
	return nil
}
