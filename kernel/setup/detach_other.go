//go:build !unix

package setup

import "os/exec"

func detach(*exec.Cmd) {}

func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
