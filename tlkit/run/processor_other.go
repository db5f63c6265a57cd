//go:build !unix

package run

func processorTime() float64 { return 0 } // not known
