//go:build !linux

package wrapper

// adopt needs Linux. Elsewhere tlkit run kills the kernel's process group.
func adopt() {}

func descendants() []int { return nil }

func runsFrom(int, string) bool { return false }

func killAll(pids []int) int { return len(pids) }
