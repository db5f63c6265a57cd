package doctor

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asStranger calls do as somebody whom files of the test's user do not belong to. Root may
// read everything, and tests often run as root.
func asStranger(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread is another user from here on and ends with the goroutine
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}

// A cache that is there and may not be read is not "not installed": fetching it all again
// would fail too.
func TestCacheOfSomebodyElse(t *testing.T) {
	for what, deny := range map[string]func(root string) error{
		"the folder": func(root string) error { return os.Chmod(root, 0) },
		"a file in it": func(root string) error {
			if os.Getuid() == 0 { // the folder itself is the stranger's
				if err := os.Chown(root, 65534, -1); err != nil {
					return err
				}
			}
			return os.Chmod(filepath.Join(root, "files", "plugin.so"), 0)
		},
	} {
		t.Run(what, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "cache")
			file := filepath.Join(root, "files", "plugin.so")
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			for dir := filepath.Dir(root); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				_ = os.Chmod(dir, 0o755) // a stranger gets as far as the cache
			}
			if err := deny(root); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(root, 0o700) })
			t.Setenv("TLKIT_CACHE", root)
			asStranger(t, func() {
				c := cache()
				if c.OK || !strings.Contains(c.Value, "permission denied") || !strings.Contains(c.Repair, "chown") {
					t.Errorf("the cache: %+v", c)
				}
				if file := xla(context.Background(), Probes{Engine: "/does/not/exist"}, c.OK)[0]; file.OK || strings.Contains(file.Value, "not installed") {
					t.Errorf("the plugin: %+v", file)
				}
			})
		})
	}
}
