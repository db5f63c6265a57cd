//go:build !linux

package main

import "time"

// compiled returns 0: it is unknown on this system.
func compiled() time.Duration { return 0 }
