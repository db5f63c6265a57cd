// Package cachedir finds the folder where tlkit keeps what it can make or fetch again:
// downloads, compiled graphs, features.
//
// The folder is $TLKIT_CACHE when that is set, else tlkit below the user's cache directory.
// Everything in it may be deleted at any time: that costs time, never results.
package cachedir

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// EnvVar moves every cache of tlkit to another folder when it is set.
const EnvVar = "TLKIT_CACHE"

// Dir returns the absolute path of the cache folder joined with elem, and
// creates it, readable by its owner only (0700), when it is not there yet.
//
// Elements must be local names: an element that is absolute, empty or climbs
// out with ".." is an error.
//
// A root folder that other users may write to is an error, because files in it are loaded as
// machine code.
func Dir(elem ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	for _, e := range elem {
		if !filepath.IsLocal(e) {
			return "", advice.New(fmt.Errorf("cachedir: element %q is not a local path", e), "want a plain name below %s", root)
		}
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", advice.New(fmt.Errorf("cachedir: cannot create the cache folder: %w", err), "set %s to a folder you can write to", EnvVar)
	}
	if err := private(root); err != nil {
		return "", err
	}
	dir := filepath.Join(append([]string{root}, elem...)...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", advice.New(fmt.Errorf("cachedir: cannot create a folder in the cache: %w", err), "set %s to a folder you can write to", EnvVar)
	}
	return dir, nil
}

// Root returns the absolute path of the cache folder without creating it.
func Root() (string, error) {
	root := os.Getenv(EnvVar)
	if root == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", advice.New(fmt.Errorf("cachedir: no cache directory for this user: %w", err), "set %s to a folder you can write to", EnvVar)
		}
		root = filepath.Join(base, "tlkit")
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("cachedir: %s=%q: %w", EnvVar, root, err)
	}
	return abs, nil
}
