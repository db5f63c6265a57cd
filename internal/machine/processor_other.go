//go:build !unix

package machine

import "time"

// ProcessorTime returns 0: it is unknown on this system.
func ProcessorTime() time.Duration { return 0 }
