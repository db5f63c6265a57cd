package datasets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the headers DecodeConfig knows
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	"github.com/tlkit/transfer-learning/internal/picturefile"
	_ "github.com/tlkit/transfer-learning/tlkit/transforms" // PNM
)

// maxFile is the largest file that is accepted as a picture, in bytes. Cameras make much smaller
// ones; a disk image named .jpg may be larger.
const maxFile = 256 << 20

// headBytes is how much is read to recognise a picture. Large headers of photographs (EXIF
// thumbnails, colour profiles) take about 100 KB.
const headBytes = 1 << 18

// A kind says whether a file is a picture.
type kind int

const (
	notPicture kind = iota // neither its content nor its name says picture
	broken                 // its name or first bytes say picture, but it cannot be read
	picture
)

// A finding is the result of inspecting one file.
type finding struct {
	kind kind
	why  string // for notPicture and broken
	sum  string // sha256 in hex, for pictures

	absent bool // there is no such file
}

// pictureNames are the extensions of picture files. They only decide how an unusable file is
// reported: as broken, or as not a picture.
var pictureNames = picturefile.Extensions

// signatures are the first bytes of formats. Those that cannot be decoded are listed so that the
// report can say what to do.
var signatures = []struct {
	magic  string // '?' stands for any byte
	format string
	ours   bool
}{
	{"\xff\xd8\xff", "JPEG", true},
	{"\x89PNG\r\n\x1a\n", "PNG", true},
	{"GIF87a", "GIF", true},
	{"GIF89a", "GIF", true},
	{"RIFF????WEBP", "WebP", true},
	{"BM????\x00\x00\x00\x00??\x00\x00?\x00\x00\x00", "BMP", true},
	{"BM", "BMP", false}, // begins many texts
	{"II*\x00", "TIFF", true},
	{"MM\x00*", "TIFF", true},
	{"????ftypheic", "HEIC", false},
	{"????ftypmif1", "HEIF", false},
	{"????ftypavif", "AVIF", false},
}

// pnm is the header of a PBM, PGM or PPM; its first bytes alone begin many texts.
var pnm = regexp.MustCompile(`^P[1-6](?:\s|#[^\r\n]*[\r\n])+\d+(?:\s|#[^\r\n]*[\r\n])+\d+\s`)

func sniff(head []byte) (format string, ours bool) {
	if pnm.Match(head) {
		return "PNM", true
	}
	for _, s := range signatures {
		if matches(head, s.magic) {
			return s.format, s.ours
		}
	}
	return "", false
}

func matches(head []byte, magic string) bool {
	if len(head) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != head[i] {
			return false
		}
	}
	return true
}

// An opener opens files below a folder: *os.Root, which does not follow links out of it, or tree,
// which does.
type opener interface {
	Name() string
	Stat(name string) (fs.FileInfo, error)
	Open(name string) (*os.File, error)
}

// inspect reads one file below root: whether it is a picture, whether its header can be read, and
// the hash of its content. It ignores the extension of the name.
func inspect(root opener, rel string) finding {
	claims := pictureNames[strings.ToLower(filepath.Ext(rel))]
	bad := func(format string, args ...any) finding {
		f := finding{kind: notPicture, why: fmt.Sprintf(format, args...)}
		if claims {
			f.kind = broken
		}
		return f
	}
	name := filepath.FromSlash(rel)
	info, err := root.Stat(name)
	if err != nil {
		f := bad("cannot be opened: %v", cause(err))
		f.absent = errors.Is(err, os.ErrNotExist)
		return f
	}
	if !info.Mode().IsRegular() { // opening a pipe would block forever
		return finding{kind: notPicture, why: "not a regular file"}
	}
	f, err := root.Open(name)
	if err != nil {
		return bad("cannot be opened: %v", cause(err))
	}
	defer f.Close()
	switch size := info.Size(); {
	case size == 0:
		return bad("empty file")
	case size > maxFile:
		return bad("%d bytes; the largest file taken for a picture has %d", size, maxFile)
	}
	buf := headBuffers.Get().(*[headBytes]byte)
	defer headBuffers.Put(buf)
	n, err := io.ReadFull(f, buf[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return bad("cannot be read: %v", cause(err))
	}
	head := buf[:n]
	format, ours := sniff(head)
	switch {
	case format == "" && claims && foreignFile(head, "").what != "":
		what := foreignFile(head, "")
		if what.what == "a Git LFS pointer" {
			return bad("%s; %s", what.what, what.fix)
		}
		return bad("its content is %s, not a picture", what.what)
	case format == "" && claims:
		return bad("its content is not a picture (neither JPEG, PNG, GIF, WebP, BMP, TIFF nor PNM)")
	case format == "":
		return bad("not a picture")
	case !ours && !claims:
		return bad("not a picture") // "BM" begins many texts
	case !ours:
		return bad("%s; convert it to JPEG or PNG", format)
	}
	// By its content, it is a picture from here on.
	hash := sha256.New()
	hash.Write(head)
	rest := io.TeeReader(f, hash)
	if err := checkHeader(io.MultiReader(bytes.NewReader(head), rest)); err != nil {
		return finding{kind: broken, why: fmt.Sprintf("%s whose header cannot be read: %v", format, cause(err))}
	}
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return finding{kind: broken, why: fmt.Sprintf("cannot be read to its end: %v", cause(err))}
	}
	return finding{kind: picture, sum: hex.EncodeToString(hash.Sum(nil))}
}

// checkHeader reads a picture's header. A panic of a third-party decoder becomes an error of the
// file.
func checkHeader(r io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the decoder failed: %v", p)
		}
	}()
	config, _, err := image.DecodeConfig(r)
	if err == nil && (config.Width < 1 || config.Height < 1) {
		err = fmt.Errorf("%d x %d pixels", config.Width, config.Height)
	}
	return err
}

var headBuffers = sync.Pool{New: func() any { return new([headBytes]byte) }}

// cause removes the path from an error: the report already names the file.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// inspectAll inspects files on all cores. The findings are in the order of rels.
func inspectAll(ctx context.Context, root opener, rels []string) ([]finding, error) {
	out := make([]finding, len(rels))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0)*2, max(len(rels), 1)) {
		wg.Go(func() {
			for i := range next {
				out[i] = inspect(root, rels[i])
			}
		})
	}
	var err error
	for i := range rels {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
			err = ctx.Err()
		}
		break
	}
	close(next)
	wg.Wait()
	if err != nil {
		return nil, fmt.Errorf("datasets: reading %s: %w", root.Name(), err)
	}
	return out, nil
}
