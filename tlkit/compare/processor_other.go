//go:build !unix

package compare

func processorTime() float64 { return 0 } // not known
