//go:build !linux

package wrapper

func beBound() {}
