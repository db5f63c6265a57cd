package picturefile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Zip is a zip archive with pictures.
type Zip struct {
	r        *zip.ReadCloser
	name     string
	pictures []*zip.File
}

// OpenZip opens a zip archive. It reads the names of the files, and no pictures.
func OpenZip(name string) (*Zip, error) {
	r, err := zip.OpenReader(name)
	if err != nil {
		return nil, fmt.Errorf("picturefile: %s: %w", name, err)
	}
	z := &Zip{r: r, name: name}
	for _, f := range r.File {
		if Extensions[strings.ToLower(path.Ext(f.Name))] && !isDebris(f.Name) {
			z.pictures = append(z.pictures, f)
		}
	}
	slices.SortStableFunc(z.pictures, func(a, b *zip.File) int {
		return slices.Compare(strings.Split(a.Name, "/"), strings.Split(b.Name, "/"))
	})
	return z, nil
}

// maxFile is the largest file that is read, in bytes.
const maxFile = 256 << 20

// isDebris reports whether a file, or a folder on the way to it, is one that systems and editors leave.
func isDebris(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return Debris(part) != "" })
}

// Pictures returns the names, in the archive, of all files named like pictures, in order. Files
// that systems and editors leave behind are ignored.
func (z *Zip) Pictures() []string {
	names := make([]string, len(z.pictures))
	for i, f := range z.pictures {
		names[i] = f.Name
	}
	return names
}

// Read returns the content of picture i. It may be called from several goroutines.
func (z *Zip) Read(i int) ([]byte, error) {
	f := z.pictures[i]
	data, err := readEntry(f)
	if err != nil {
		return nil, fmt.Errorf("picturefile: %s/%s: %w", z.name, f.Name, err)
	}
	return data, nil
}

// readEntry reads a file of an archive. What the archive says of its length is not trusted.
func readEntry(f *zip.File) ([]byte, error) {
	const encrypted = 1
	if f.Flags&encrypted != 0 {
		return nil, advice.New(errors.New("it is encrypted"), "unpack the archive with its password")
	}
	if f.UncompressedSize64 > maxFile {
		return nil, fmt.Errorf("%d bytes, wanted at most %d", f.UncompressedSize64, maxFile)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	return data, err
}

// Close closes the archive.
func (z *Zip) Close() error { return z.r.Close() }
