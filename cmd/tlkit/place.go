package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

// binFile, in tlkit's data folder, holds where the command was put.
const binFile = "command"

// noBin is the value of --bin for no folder.
const noBin = "-"

// commandStep puts this program where it can be typed from any folder: a link to the copy in
// tlkit's data folder, renewed with it. Another program of that name is never replaced.
func commandStep(dir, self string) setup.Step {
	name := filepath.Join(dir, "tlkit")
	return setup.Step{
		Name: "command", About: "tlkit in " + dir, Optional: true,
		Done: func(context.Context) (string, bool) {
			want, err := kernelspec.KeptPath(self)
			if err != nil {
				return "", false
			}
			to, err := os.Readlink(name)
			return onPath(dir), err == nil && to == want
		},
		Do: func(context.Context, func(string)) (string, error) {
			kept, err := kernelspec.Keep(self)
			if err != nil {
				return "", err
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return "", err
			}
			if _, err := os.Lstat(name); err == nil {
				if !ours(name) {
					return "", advice.New(fmt.Errorf("%s exists and was not put there by set-up", name), "remove it, or choose another folder: tlkit setup --bin DIR")
				}
				if err := os.Remove(name); err != nil {
					return "", err
				}
			}
			if err := os.Symlink(kept, name); err != nil {
				return "", err
			}
			home, err := kernelspec.HomeDir()
			if err != nil {
				return "", err
			}
			return onPath(dir), os.WriteFile(filepath.Join(home, binFile), []byte(name), 0o644)
		},
	}
}

// onPath describes where the command is, and what to do when a shell does not find it there.
func onPath(dir string) string {
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.Clean(d) == filepath.Clean(dir) {
			return filepath.Join(dir, "tlkit")
		}
	}
	return filepath.Join(dir, "tlkit") + " (put " + dir + " on your PATH)"
}

// ours reports whether a path is a link into tlkit's data folder.
func ours(path string) bool {
	home, err := kernelspec.HomeDir()
	if err != nil {
		return false
	}
	to, err := os.Readlink(path)
	return err == nil && strings.HasPrefix(to, filepath.Join(home, "bin")+string(filepath.Separator))
}

// placed returns the path at which set-up put the command; "" = nowhere.
func placed() string {
	home, err := kernelspec.HomeDir()
	if err != nil {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(home, binFile))
	if err != nil || !ours(string(text)) {
		return ""
	}
	return string(text)
}

// unlinkCommand removes the command that set-up put there and returns its path.
func unlinkCommand() (string, error) {
	path := placed()
	home, err := kernelspec.HomeDir()
	if err == nil {
		if err := os.Remove(filepath.Join(home, binFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if path == "" {
		return "", nil
	}
	return path, os.Remove(path)
}

// usualBin is the folder for a person's own programs: $GOBIN, else ~/.local/bin.
func usualBin() string {
	if dir := os.Getenv("GOBIN"); filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "bin")
}

// chooseBin returns the folder for the command: the flag's, that of the last set-up, or on a
// terminal the answer to a question; "" = nowhere.
func (c *command) chooseBin(flag string) string {
	switch {
	case flag == noBin:
		return ""
	case flag != "":
		if abs, err := filepath.Abs(flag); err == nil {
			return abs
		}
		return flag
	case placed() != "":
		return filepath.Dir(placed())
	}
	dir := usualBin()
	if dir == "" || c.json || !term.IsTerminal(int(os.Stdin.Fd())) {
		return ""
	}
	fmt.Fprintf(c.err, "Put tlkit into %s, so that it works from any folder? [Y/n] ", dir)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); err != nil || a != "" && !strings.HasPrefix(a, "y") {
		return ""
	}
	return dir
}

// placeCommand puts the command into a folder.
func (c *command) placeCommand(ctx context.Context, dir string) ([]setup.Row, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := c.progress()
	defer p.close()
	return setup.Run(ctx, []setup.Step{commandStep(dir, self)}, setup.Reporter{End: func(r setup.Row) { p.Say(r.String()) }})
}
