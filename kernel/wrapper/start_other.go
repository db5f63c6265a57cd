//go:build !linux

package wrapper

import "os/exec"

// startBound starts cmd. It goes on when this process is killed.
func startBound(cmd *exec.Cmd) (<-chan error, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}
