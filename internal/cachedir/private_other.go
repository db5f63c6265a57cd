//go:build !unix

package cachedir

// private has nothing to check where folders carry no mode bits; the user's
// own cache directory is private by its access list there.
func private(string) error { return nil }
