//go:build !(linux || darwin)

package doctor

// freeSpace is not asked for on other systems.
func freeSpace(string) (int64, bool) { return 0, false }
