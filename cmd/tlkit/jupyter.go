package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// warmPackages are what the tutorials' cells import.
func warmPackages() []string {
	var all []string
	for _, p := range []string{"engine", "transforms", "metrics", "curves", "plots", "zoo", "features", "head", "run", "show"} {
		all = append(all, kernelspec.ModulePath+"/tlkit/"+p)
	}
	all = append(all, kernelspec.ModulePath+"/tlkit")
	return all
}

// smokeCells prove that cells compile, that they compile against our module, and that a
// network can run in one.
func smokeCells() []string {
	return []string{
		"import \"fmt\"\n\n%%\nfmt.Println(\"cells compile and run\")",
		"import (\n\t\"context\"\n\t\"fmt\"\n\t\"" + kernelspec.ModulePath + "/tlkit/engine\"\n)\n\n%%\n" +
			"e, err := engine.Open(context.Background(), engine.Options{})\nif err != nil {\n\tpanic(err)\n}\ndefer e.Close()\nfmt.Println(\"engine in a cell:\", e.Name)",
	}
}

// bundle is --offline of the commands that set things up: a switch (nothing but what is
// cached), or with a folder a bundle.
type bundle struct{ offline bool }

func (b *bundle) flag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&b.offline, "offline", false, "never touch the network; followed by a folder: take everything from the bundle there")
}

// take finds the bundle among the arguments that follow --offline.
func (b *bundle) take(args []string) (setup.Bundle, []string, error) {
	if b.offline {
		for i, a := range args {
			if info, err := os.Stat(a); err == nil && info.IsDir() {
				found, err := setup.OpenBundle(a)
				return found, append(append([]string{}, args[:i]...), args[i+1:]...), err
			}
		}
	}
	return setup.Bundle{}, args, nil
}

// pluginStep and weightsStep are what cells need besides the kernel.
func (c *command) pluginStep(p *progress, cuda bool) setup.Step {
	return setup.Step{
		Name: "xla plugin", About: "XLA, which runs networks: 63 MB as a Python wheel, checked by sha256", Optional: true,
		Done: func(ctx context.Context) (string, bool) {
			gpu, cpu, _ := plugin.Find(ctx)
			f := cpu
			if cuda {
				f = gpu
			}
			if f == nil || f.Verify(ctx, false) != nil {
				return "", false
			}
			return fmt.Sprintf("%s %s", f.Platform, f.Version), true
		},
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			install := plugin.InstallCPU
			if cuda {
				install = plugin.InstallCUDA
			}
			f, err := install(ctx, fetch.Options{Offline: c.offline, Report: fetching(p)})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s %s, sha256 %.12s…, %s", f.Platform, f.Version, f.SHA256, f.Source), nil
		},
	}
}

func (c *command) weightsStep(p *progress) setup.Step {
	row := zoo.Rows()[0]
	return setup.Step{
		Name: "weights", About: "of the default network, " + row.Name + ", checked by sha256", Optional: true,
		Done: func(context.Context) (string, bool) {
			_, ok := row.Here()
			return row.Name + ", licence " + row.Licence, ok
		},
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			_, err := row.Fetch(ctx, zoo.Options{Offline: c.offline, Report: fetching(p)})
			return row.Name + ", licence " + row.Licence, err
		},
	}
}

// prepare does what is missing of the set-up and prints its table; with terse, nothing when
// there was nothing to do.
func (c *command) prepare(ctx context.Context, b setup.Bundle, cuda, notebooks, terse bool) ([]setup.Row, error) {
	p := c.progress()
	defer p.close()
	steps := []setup.Step{c.pluginStep(p, cuda), c.weightsStep(p)}
	if notebooks {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		module, err := moduleHere()
		if err != nil {
			return nil, err
		}
		steps, err = setup.Steps(setup.Options{Self: self, Module: module, Bundle: b, Needs: steps, Warm: warmPackages(), Smoke: smokeCells()})
		if err != nil {
			return nil, err
		}
	}
	var first []setup.Row
	if took := compiled(); took > time.Second {
		first = append(first, setup.Row{Name: "go tool", State: setup.StateDone, Seconds: took.Seconds(), Note: "Go compiled tlkit; it prints nothing meanwhile"})
		if !terse || took > 10*time.Second {
			p.Say(first[0].String())
		}
	}
	var held []string // rows of what was there already
	busy := !terse
	say := func(s string) {
		if held = append(held, s); busy {
			for _, h := range held {
				p.Say(h)
			}
			held = nil
		}
	}
	rows, err := setup.Run(ctx, steps, setup.Reporter{
		Begin: func(s setup.Step) {
			busy = true
			p.State(s.Name+": "+s.About, 0, 0)
		},
		Say: p.Say,
		End: func(r setup.Row) { say(r.String()) },
	})
	rows = append(first, rows...)
	sum := 0.0
	for _, r := range rows {
		sum += r.Seconds
	}
	if err == nil && busy {
		p.Say(fmt.Sprintf("%-14s %6.1f s", "set-up", sum))
	}
	return rows, err
}

// makeBundle fills a folder for machines without a network, and first this machine's cache
// with what goes into it.
func (c *command) makeBundle(ctx context.Context, dir string) error {
	p := c.progress()
	defer p.close()
	o := fetch.Options{Offline: c.offline, Report: fetching(p)}
	files := map[string]string{}
	f, err := plugin.InstallCPU(ctx, o)
	if err != nil {
		return err
	}
	files[filepath.Base(f.Path)] = f.Path
	row := zoo.Rows()[0]
	if files[row.FileName()], err = row.Fetch(ctx, zoo.Options{Offline: c.offline, Report: fetching(p)}); err != nil {
		return err
	}
	module, err := moduleHere()
	if err != nil {
		return err
	}
	b, err := setup.MakeBundle(ctx, dir, module.Root, files, p.Say)
	p.close()
	if err != nil {
		return err
	}
	c.result = b
	c.say("%s is for %s/%s with Python %s. On such a machine: tlkit setup --offline %s", dir, b.OS, b.Arch, b.Python, dir)
	return nil
}

// moduleHere is the tlkit that cells of a person in this folder compile against.
func moduleHere() (kernelspec.Module, error) {
	dir, err := os.Getwd()
	if err != nil {
		return kernelspec.Module{}, err
	}
	return kernelspec.FindModule(dir)
}
