//go:build !darwin

package engine

import "runtime"

func otherProcessor() cpu { return cpu{name: runtime.GOARCH + " processor"} }
