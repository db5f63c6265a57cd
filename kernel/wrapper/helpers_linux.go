package wrapper

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// endHelpers ends gonb, gopls and go of the kernel whose private folder is dir. They are known
// by two things together: the program's name and that folder in their environment.
func endHelpers(dir string) {
	mark := []byte("\x00TMPDIR=" + dir + "\x00")
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || !isHelper(strings.TrimSuffix(exe, " (deleted)")) {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, env...), mark) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended already
		}
	}
}
