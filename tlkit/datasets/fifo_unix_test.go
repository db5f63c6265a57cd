//go:build unix

package datasets

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Opening a pipe blocks until another process writes to it, so it must not be opened.
func TestPipesAreNotOpened(t *testing.T) {
	dir := files{}.many("a", 3).many("b", 3).write(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "a", "pipe.jpg"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	d := open(t, dir, Options{})
	if got := reason(d.Report.Skipped, "a/pipe.jpg"); !strings.Contains(got, "regular") || len(d.Items) != 6 {
		t.Errorf("the pipe: %q, %d pictures", got, len(d.Items))
	}
	list := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(list, []byte("a/aa.png,x\nb/aa.png,y\na/pipe.jpg,x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = open(t, list, Options{BadLimit: 1})
	if got := reason(d.Report.Unreadable, "a/pipe.jpg"); !strings.Contains(got, "regular") {
		t.Errorf("the pipe in a CSV file: %q", got)
	}
}
