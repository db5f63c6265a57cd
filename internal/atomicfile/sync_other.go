//go:build !unix

package atomicfile

// SyncDir does nothing here: folders cannot be opened for syncing, and the
// rename itself is journaled.
func SyncDir(string) error { return nil }
