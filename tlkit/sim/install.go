package sim

import (
	"context"
	"fmt"
)

// An Installer is a world that needs files from elsewhere before its first Reset, such as a physics
// engine or the meshes of a robot.
type Installer interface {
	World

	// Install fetches what is missing, or says that it is.
	Install(ctx context.Context, d Downloads) error
}

// Downloads are the wishes of [Install].
type Downloads struct {
	Offline bool // fetch nothing: what is missing is an error
	// Report gets the progress: what is being done, with the bytes done and in total (0 = unknown).
	// It may be nil.
	Report func(what string, done, total int64)
}

// Install fetches what a task needs; for most tasks that is nothing. Open itself never uses the network.
func Install(ctx context.Context, task string, d Downloads) error {
	open, err := find(task)
	if err != nil {
		return err
	}
	if i, ok := open().(Installer); ok {
		if err := i.Install(ctx, d); err != nil {
			return fmt.Errorf("sim: %s: %w", task, err)
		}
	}
	return nil
}
