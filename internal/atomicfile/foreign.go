package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Foreign is the error about a file in the way that is not what would replace it. Whoever owns it may
// say that it goes.
type Foreign struct {
	Path string
	Want string // what it is not: "a head file"
}

// Error names the file.
func (e *Foreign) Error() string {
	return fmt.Sprintf("%s exists and is not %s", e.Path, e.Want)
}

// Refusal is the error of a command about that file, with what to type.
func (e *Foreign) Refusal() error {
	return advice.New(e, "name another file, or pass --force to replace it")
}

// Replaceable returns an error unless there is no file at path, or one that may be replaced: one that
// is ours or, with force, any. The error is a [Foreign.Refusal] for a file that force would replace.
func Replaceable(path, want string, force bool, ours func() bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return advice.New(fmt.Errorf("%s is not an ordinary file", path), "name a file")
	case force || ours():
		return nil
	}
	return (&Foreign{Path: path, Want: want}).Refusal()
}
