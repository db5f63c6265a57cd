//go:build !unix

package main

import (
	"os"
	"os/exec"
)

var endSignal = os.Kill

func ownGroup(*exec.Cmd) {}

var openers = [][]string{{"rundll32", "url.dll,FileProtocolHandler"}}

// processorTime is not known here.
func processorTime() float64 { return 0 }
