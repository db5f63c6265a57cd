package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// canAsk reports whether a person sits in front of this program.
func (c *command) canAsk() bool {
	f, ok := stdin.(*os.File)
	return !c.json && ok && term.IsTerminal(int(f.Fd()))
}

// ask asks a question on the terminal and reports whether the answer is yes.
func (c *command) ask(question string) bool {
	fmt.Fprintf(c.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	a := strings.ToLower(strings.TrimSpace(answer))
	return err == nil && (a == "y" || a == "yes")
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
