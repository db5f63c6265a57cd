package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/inventory"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

func (c *command) uninstall() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the kernel, its tools and the private JupyterLab",
		Long: `Remove the kernel from Jupyter, the copies of this program, GoNB and its helpers, and the
private JupyterLab. With --all also remove the whole cache: weights, XLA, ONNX Runtime,
features. What was trained, in .tlkit folders, is never touched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gone, err := uninstall(all)
			if gone == nil {
				gone = []string{}
			}
			c.result = map[string]any{"removed": gone}
			for _, g := range gone {
				c.say("removed  %s", g)
			}
			if len(gone) == 0 {
				c.say("nothing to remove: tlkit is not set up here")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also remove the whole cache: weights, plugin, features, compiled programs")
	return cmd
}

// unused returns an error if a process uses what is about to be removed.
func unused(all bool) error {
	l, err := inventory.Read(nil)
	if err != nil {
		return err
	}
	for _, e := range l.Entries {
		if e.InUse && (e.Kind == inventory.Kernel || all && e.Kind != inventory.Partial) {
			return advice.New(fmt.Errorf("%s in the cache is in use", e.Path), "close the notebooks and programs that work with it, then do it again")
		}
	}
	return nil
}

// uninstall removes as much as it can and returns what it removed.
func uninstall(all bool) (gone []string, err error) {
	var errs []error
	note := func(path string, err error) {
		if err != nil {
			errs = append(errs, err)
		} else if path != "" {
			gone = append(gone, path)
		}
	}
	note(unlinkCommand())
	note(kernelspec.Remove())
	kept, err := kernelspec.Forget("")
	gone = append(gone, kept...)
	note("", err)
	if home, err := kernelspec.HomeDir(); err == nil {
		os.Remove(filepath.Join(home, "bin")) // only when nothing else is in it
		os.Remove(home)
	}
	root, err := cachedir.Root()
	if err != nil {
		return gone, errors.Join(append(errs, err)...)
	}
	if !all {
		root = filepath.Join(root, "kernel")
	}
	if _, err := os.Lstat(root); err == nil {
		if err := unused(all); err != nil {
			note("", err)
		} else {
			note(root, os.RemoveAll(root))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return gone, fmt.Errorf("uninstall: %w", err)
	}
	return gone, nil
}
