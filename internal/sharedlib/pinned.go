// Package sharedlib finds, fetches and checks shared libraries that a program opens while it runs:
// the builds that are pinned by sha256, and files that a person names. It loads nothing.
package sharedlib

import (
	"context"
	"errors"

	"github.com/tlkit/transfer-learning/internal/fetch"
)

// Pinned are the builds of one library that fit this machine, best first.
type Pinned []fetch.File

// Find returns the first build that is in the cache, going by the size and times of the file that was
// verified when it arrived; false if there is none.
func (p Pinned) Find() (build int, path string, ok bool) {
	for i, f := range p {
		if path, ok := f.Cached(); ok {
			return i, path, true
		}
	}
	return 0, "", false
}

// Damaged returns the first build in the cache whose content is not what it should be.
func (p Pinned) Damaged() (build int, path string, ok bool) {
	for i, f := range p {
		if path, damaged := f.Damaged(); damaged {
			return i, path, true
		}
	}
	return 0, "", false
}

// Install returns the build that is in the cache, after reading it, or fetches one. A damaged file is
// set aside and fetched anew; the next build is a replacement where one cannot be had.
func (p Pinned) Install(ctx context.Context, o fetch.Options) (build int, path string, err error) {
	if i, path, ok := p.Find(); ok {
		err := fetch.Verify(ctx, path, p[i].SHA256)
		if err == nil || !errors.Is(err, fetch.ErrHash) {
			return i, path, err
		}
		// Damaged: Get sets it aside and fetches it anew.
	}
	var causes []error
	for i, f := range p {
		path, err := f.Get(ctx, o)
		if err == nil {
			return i, path, nil
		}
		if ctx.Err() != nil {
			return 0, "", err
		}
		causes = append(causes, err)
	}
	return 0, "", errors.Join(causes...)
}

// Verify reads the file and checks that its sha256 is the wanted one; the error wraps fetch.ErrHash if
// it is not. With full, the sha256 is computed and the structure of the file checked; without, a faster
// checksum is enough that was noted together with the sha256.
func (k Kind) Verify(ctx context.Context, path, sha256 string, full bool) error {
	if full {
		if _, err := fetch.Rehash(ctx, path); err != nil {
			return err
		}
	}
	if err := fetch.Verify(ctx, path, sha256); err != nil || !full {
		return err
	}
	return k.Sound(path)
}
