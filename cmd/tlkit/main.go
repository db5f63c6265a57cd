// Command tlkit is transfer learning from the command line: it sets the machine up, trains
// a head on a folder of pictures, measures it, and predicts with it.
//
//	tlkit train                        # drawn ants and bees: needs no data
//	tlkit train DIR -o my.head.safetensors
//	tlkit predict my.head.safetensors picture.jpg
//
// Results go to standard output, progress and messages to standard error. With --json standard
// output is exactly one JSON value.
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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/pixels"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func main() {
	beGoimports()
	engine.ProbeMain() // in a child of doctor: opens XLA and ends the process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is what the subcommands share: flags and streams.
type command struct {
	json          bool
	offline       bool
	noncommercial bool
	plainGo       bool
	out           io.Writer
	err           io.Writer
	result        any // printed at the end with --json
}

// execute runs one command line and returns its exit status: 0 done, 1 failed, 2 done except for a
// part of what was asked for (see partly), 3 faults in the pictures (see unfit), 130 interrupted.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	c := &command{out: out, err: errs}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	// A command line that cannot be parsed leaves its flags at their defaults.
	c.json = c.json || slices.Contains(args, "--json")
	if err == nil && c.json && c.result != nil {
		err = c.print(c.result)
	}
	if err == nil {
		return 0
	}
	interrupted := ctx.Err() != nil && errors.Is(err, context.Canceled)
	found := errors.As(err, new(*reported)) || errors.As(err, new(*partly)) || errors.As(err, new(*unfit))
	// ErrInterrupted says itself how to go on.
	if interrupted && !found && !errors.Is(err, finetune.ErrInterrupted) {
		err = advice.New(errors.New("interrupted"), "features computed so far are kept, the same command goes on from there")
	}
	text := invoke.Hints(err.Error())
	if c.json && !found {
		_ = c.print(map[string]string{"error": text})
	}
	fmt.Fprintln(errs, "tlkit:", words.Screen(text))
	if interrupted {
		return 130
	}
	if errors.As(err, new(*partly)) {
		return 2
	}
	if errors.As(err, new(*unfit)) {
		return 3
	}
	return 1
}

// reported is the error of a command that has printed its result all the same: verify, doctor,
// compare.
type reported struct{ error }

func (r *reported) Unwrap() error { return r.error }

// partly is the error of a command that has done and printed most of its work: predict, where some
// pictures cannot be read.
type partly struct{ error }

func (p *partly) Unwrap() error { return p.error }

func (c *command) print(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// say prints a result for a person: to standard output, or with --json to standard error.
func (c *command) say(format string, args ...any) {
	w := c.out
	if c.json {
		w = c.err
	}
	fmt.Fprintln(w, words.Screen(invoke.Hints(fmt.Sprintf(format, args...))))
}

// note prints a message on the way, to standard error.
func (c *command) note(format string, args ...any) {
	fmt.Fprintln(c.err, words.Screen(invoke.Hints(fmt.Sprintf(format, args...))))
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tlkit",
		Short:         "Transfer learning on images: a folder of pictures becomes a classifier",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(unknownFlag)
	root.CompletionOptions.HiddenDefaultCmd = true
	c.showVersion(root)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if c.json { // standard output is for the JSON value
			cmd.Root().SetOut(c.err)
			c.result = map[string]string{"help": cmd.UsageString()}
		}
		help(cmd, args)
	})
	f := root.PersistentFlags()
	f.BoolVar(&c.json, "json", false, "print exactly one JSON value on standard output")
	f.BoolVar(&c.offline, "offline", false, "never use the network, only what is cached")
	f.BoolVar(&c.noncommercial, "noncommercial", false, "my use is not commercial: also load weights whose licence demands that")
	most := f.Int("max-pixels", 0, "largest picture to decode, in pixels (default 178956970)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if f.Changed("max-pixels") && *most < 1 {
			return fmt.Errorf("%s: --max-pixels is %d, want 1 or more", cmd.Name(), *most)
		}
		pixels.Allow(*most)
		if c.plainGo { // processes that a measurement starts know it too
			os.Setenv(engine.PlainGoVar, "1")
		}
		return nil
	}
	f.BoolVar(&c.plainGo, "plain-go", false, "compute in plain Go where XLA is missing, which takes about a hundred times as long")
	root.AddCommand(c.setup(), c.doctor(), c.models(), c.audit(), c.train(), c.evaluate(), c.compare(), c.curve(), c.predict(), c.features(), c.parts(), c.extract(), c.gather(), c.neighbours(), c.why(), c.mapOf(), c.search(), c.guard(), c.export(), c.serveHeads(), c.history(), c.runs(), c.verify(), c.bench(), c.robot(),
		c.lab(), c.runNotebooks(), c.cache(), c.uninstall(), c.version(), c.kernel(), c.worker())
	return root
}

// place puts runs into the current folder.
func (c *command) place() run.Place {
	p := run.Place{}
	c.locate(&p)
	return p
}

// locate fills in what the common flags say of a place.
func (c *command) locate(p *run.Place) {
	p.Offline, p.NonCommercial, p.PlainGo = c.offline, c.noncommercial, c.plainGo
}
