package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
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

// smokeCells show that cells compile, that they compile against this module, and that an
// engine opens in one.
func smokeCells() []string {
	return []string{
		"import \"fmt\"\n\n%%\nfmt.Println(\"cells compile and run\")",
		"import (\n\t\"context\"\n\t\"fmt\"\n\t\"" + kernelspec.ModulePath + "/tlkit/engine\"\n)\n\n%%\n" +
			"e, err := engine.Open(context.Background(), engine.Options{})\nif err != nil {\n\tpanic(err)\n}\ndefer e.Close()\nfmt.Println(\"engine in a cell:\", e.Name)",
	}
}

// offlineFlag is --offline of the commands that set things up: alone it allows only what is
// cached; with a folder, everything comes from the bundle in that folder.
type offlineFlag struct{ offline bool }

func (b *offlineFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&b.offline, "offline", false, "never touch the network; followed by a folder: take everything from the bundle there")
}

// bundle takes the bundle's folder out of the arguments that follow --offline.
func (b *offlineFlag) bundle(args []string) (setup.Bundle, []string, error) {
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
			f, err := install(ctx, plugin.Options{Offline: c.offline, Report: p.State})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s %s, sha256 %.12s…, %s", f.Platform, f.Version, f.SHA256, f.Source), nil
		},
	}
}

// runtimeName is the step of ONNX Runtime, without which a set-up is complete too.
const runtimeName = "onnx runtime"

// runtimeStep fetches ONNX Runtime, on a machine that there is a build for.
func (c *command) runtimeStep(p *progress) setup.Step {
	return setup.Step{
		Name: runtimeName, Optional: true,
		About: fmt.Sprintf("ONNX Runtime, which runs frozen networks faster than XLA: %.0f MB as a Python wheel, checked by sha256", float64(onnxruntime.Here()[0].Download)/1e6),
		Done: func(ctx context.Context) (string, bool) {
			l, err := onnxruntime.Find()
			if err != nil || l.Verify(ctx, false) != nil {
				return "", false
			}
			return l.Version, true
		},
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			l, err := onnxruntime.Install(ctx, onnxruntime.Options{Offline: c.offline, Report: p.State})
			if err != nil {
				return "", fmt.Errorf("%w. Networks run on XLA alone", err)
			}
			return fmt.Sprintf("%s, sha256 %.12s…, %s", l.Version, l.SHA256, l.Source), nil
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
			_, err := row.Fetch(ctx, zoo.Options{Offline: c.offline, Report: p.State})
			return row.Name + ", licence " + row.Licence, err
		},
	}
}

// wanted says what of the set-up a command needs.
type wanted struct {
	bundle    setup.Bundle // where downloads come from; zero = the network
	cuda      bool         // the XLA plugin for NVIDIA cards instead of the one for processors
	notebooks bool         // also GoNB, JupyterLab and the kernel
	terse     bool         // print nothing when there is nothing to do
}

// prepare does what is missing of the set-up and prints its table.
func (c *command) prepare(ctx context.Context, want wanted) ([]setup.Row, error) {
	p := c.progress()
	defer p.close()
	steps, err := c.steps(p, want)
	if err != nil {
		return nil, err
	}
	table := &stepTable{p: p, shown: !want.terse}
	if took := compiled(); took > time.Second {
		row := setup.Row{Name: "go tool", State: setup.StateDone, Seconds: took.Seconds(), Note: "Go compiled tlkit; it prints nothing while it does"}
		table.rows, table.printed = append(table.rows, row), 1
		if !want.terse || took > 10*time.Second {
			p.Say(row.String())
		}
	}
	_, err = setup.Run(ctx, steps, setup.Reporter{
		Begin: func(s setup.Step) {
			table.shown = true
			p.State(s.Name+": "+s.About, 0, 0)
		},
		Say: p.Say,
		End: table.add,
	})
	if err == nil && table.shown {
		p.Say(fmt.Sprintf("%-14s %6.1f s", "set-up", table.seconds()))
	}
	return table.rows, err
}

// steps are what training needs and, with notebooks, what cells need.
func (c *command) steps(p *progress, want wanted) ([]setup.Step, error) {
	steps := []setup.Step{c.pluginStep(p, want.cuda), c.weightsStep(p)}
	// Commands that set up what is missing on their way do not wait for what they can do without.
	if fresh := plugin.FindCPU() == nil; len(onnxruntime.Here()) > 0 && !want.cuda && (fresh || !want.terse) {
		steps = slices.Insert(steps, 1, c.runtimeStep(p))
	}
	if !want.notebooks {
		return steps, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	module, err := moduleHere()
	if err != nil {
		return nil, err
	}
	return setup.Steps(setup.Options{Self: self, Module: module, Bundle: want.bundle, Needs: steps, Warm: warmPackages(), Smoke: smokeCells()})
}

// stepTable prints the rows of a set-up as they come. Until shown is set it holds them back:
// a set-up with nothing to do then prints nothing.
type stepTable struct {
	p       *progress
	shown   bool
	rows    []setup.Row
	printed int
}

func (t *stepTable) add(r setup.Row) {
	t.rows = append(t.rows, r)
	for t.shown && t.printed < len(t.rows) {
		t.p.Say(t.rows[t.printed].String())
		t.printed++
	}
}

func (t *stepTable) seconds() (sum float64) {
	for _, r := range t.rows {
		sum += r.Seconds
	}
	return sum
}

// makeBundle fills a folder for machines without a network. What goes into it is fetched into
// this machine's cache first.
func (c *command) makeBundle(ctx context.Context, dir string) error {
	p := c.progress()
	defer p.close()
	files := map[string]string{}
	f, err := plugin.InstallCPU(ctx, plugin.Options{Offline: c.offline, Report: p.State})
	if err != nil {
		return err
	}
	files[filepath.Base(f.Path)] = f.Path
	if len(onnxruntime.Here()) > 0 {
		l, err := onnxruntime.Install(ctx, onnxruntime.Options{Offline: c.offline, Report: p.State})
		if err != nil {
			return err
		}
		files[filepath.Base(l.Path)] = l.Path
	}
	row := zoo.Rows()[0]
	if files[row.FileName()], err = row.Fetch(ctx, zoo.Options{Offline: c.offline, Report: p.State}); err != nil {
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

// moduleHere is the tlkit that cells of notebooks in the current folder compile against.
func moduleHere() (kernelspec.Module, error) {
	dir, err := os.Getwd()
	if err != nil {
		return kernelspec.Module{}, err
	}
	return kernelspec.FindModule(dir)
}
