package robot

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// write makes the folder of the job and lets do write into it.
func (l *Lab) write(do func() error) error {
	if err := os.MkdirAll(l.Folder(), 0o755); err != nil {
		return fmt.Errorf("robot: %w", err)
	}
	if err := do(); err != nil {
		return fmt.Errorf("robot: %w", err)
	}
	return nil
}

// file is a file of the job.
func (l *Lab) file(name string) string { return filepath.Join(l.Folder(), name) }

// Keep writes a figure or film into the folder of the job, and returns its path; "" without a name.
func (l *Lab) Keep(name string, f show.Figure) (string, error) {
	if l.Folder() == "" {
		return "", nil
	}
	return l.file(name), l.write(func() error { return writeFigure(l.file(name), f) })
}

func writeFigure(path string, f show.Figure) error { return atomicfile.Write(path, 0o644, f.PNG) }
