package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// canAsk reports whether a person sits in front of this program.
func (c *command) canAsk() bool { return !c.json && atTerminal() }

// atTerminal reports whether standard input is a terminal; tests replace it.
var atTerminal = func() bool {
	f, ok := stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks a question on the terminal and reports whether the answer is yes.
func (c *command) ask(question string) bool {
	fmt.Fprintf(c.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	a := strings.ToLower(strings.TrimSpace(answer))
	return err == nil && (a == "y" || a == "yes")
}

// replacing does what writes files. Where one is in the way that is not such a file, it asks a person
// first, and does it again with force.
func (c *command) replacing(force *bool, do func() error) error {
	err := do()
	var foreign *atomicfile.Foreign
	if !errors.As(err, &foreign) || !c.canAsk() || !c.ask(foreign.Error()+". Replace it?") {
		return err
	}
	*force = true
	return do()
}

// forceFlag adds the flag --force of commands that write files.
func forceFlag(cmd *cobra.Command, force *bool) {
	cmd.Flags().BoolVar(force, "force", false, "replace existing files, whatever they are (default: only those that tlkit wrote)")
}

// agreed does what takes long. Where that would be in plain Go, for want of XLA, it asks a person
// first, and does it again with their consent.
func agreed[T any](c *command, do func() (T, error)) (T, error) {
	v, err := do()
	if !errors.Is(err, engine.ErrPlainGo) || !c.canAsk() {
		return v, err
	}
	why, _ := advice.Split(err)
	c.note("%s", why)
	if !c.ask("Go on in plain Go?") {
		return v, err
	}
	c.plainGo = true
	return do()
}
