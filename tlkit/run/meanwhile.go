package run

import "sync"

// meanwhile starts work on a goroutine of its own. The function that it returns waits for the result.
func meanwhile[T any](work func() (T, error)) func() (T, error) {
	wait := sync.OnceValues(work)
	go func() { _, _ = wait() }()
	return wait
}
