// Command tlkit is transfer learning from the command line: it sets the machine up, trains
// a head on a folder of pictures, measures it, and predicts with it.
//
//	tlkit train                        # drawn ants and bees: needs no data
//	tlkit train DIR -o my.head.safetensors
//	tlkit predict my.head.safetensors picture.jpg
//
// Everything a command finds goes to standard output, everything it says on the way to
// standard error. With --json standard output is exactly one JSON value.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func main() {
	hats()
	engine.ProbeMain() // a child of doctor: opens XLA and ends here, come what may
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is what the subcommands share: flags and streams.
type command struct {
	json          bool
	offline       bool
	noncommercial bool
	out           io.Writer
	err           io.Writer
	result        any // printed at the end when json is asked for
}

// execute runs one command line and gives its exit status: 0 done, 1 failed, 130 interrupted.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	c := &command{out: out, err: errs}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	// A command line that cannot be parsed leaves its flags unset.
	c.json = c.json || slices.Contains(args, "--json")
	if err == nil && c.json && c.result != nil {
		err = c.print(c.result)
	}
	if err == nil {
		return 0
	}
	interrupted := ctx.Err() != nil && errors.Is(err, context.Canceled)
	found := errors.As(err, new(*reported))
	if interrupted && !found && !errors.Is(err, finetune.ErrInterrupted) { // which says itself how to go on
		err = errors.New("interrupted; features computed so far are kept, the same command goes on from there")
	}
	said := invoke.Hints(err.Error())
	if c.json && !found {
		_ = c.print(map[string]string{"error": said})
	}
	fmt.Fprintln(errs, "tlkit:", said)
	if interrupted {
		return 130
	}
	return 1
}

// reported is the error of a command whose findings are its result: verify, doctor.
type reported struct{ error }

func (r *reported) Unwrap() error { return r.error }

func (c *command) print(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// say prints for a person: to standard output, unless that belongs to JSON.
func (c *command) say(format string, args ...any) {
	to := c.out
	if c.json {
		to = c.err
	}
	fmt.Fprintln(to, invoke.Hints(fmt.Sprintf(format, args...)))
}

// note is for what is said on the way: standard error.
func (c *command) note(format string, args ...any) {
	fmt.Fprintln(c.err, invoke.Hints(fmt.Sprintf(format, args...)))
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tlkit",
		Short:         "Transfer learning on images: a folder of pictures becomes a classifier",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	c.showVersion(root)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if c.json { // standard output belongs to the value
			cmd.Root().SetOut(c.err)
			c.result = map[string]string{"help": cmd.UsageString()}
		}
		help(cmd, args)
	})
	f := root.PersistentFlags()
	f.BoolVar(&c.json, "json", false, "print exactly one JSON value on standard output")
	f.BoolVar(&c.offline, "offline", false, "never touch the network: use what is cached")
	f.BoolVar(&c.noncommercial, "noncommercial", false, "my use is not commercial: weights whose licence asks for that may be loaded")
	root.AddCommand(c.setup(), c.doctor(), c.models(), c.train(), c.evaluate(), c.compare(), c.predict(), c.verify(), c.bench(),
		c.lab(), c.runNotebooks(), c.uninstall(), c.kernel())
	return root
}

// place is where runs go: the current folder.
func (c *command) place() run.Place {
	return run.Place{Offline: c.offline, NonCommercial: c.noncommercial}
}
