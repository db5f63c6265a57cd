package robot

import (
	"fmt"
	"os"
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
