package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

//go:embed bench_cells.py
var cellsScript string

// plainGonb is the kernel measured beside ours: GoNB as it comes, without our environment.
const plainGonb = "gonb-plain"

// timedCells are what is measured, with the most it may take on a quiet machine.
var timedCells = []struct {
	what, code string
	most       float64
}{
	{"start", "", 1.5},
	{"cell with transforms, curves, plots", "import (\n\t\"fmt\"\n\t\"" + kernelspec.ModulePath + "/tlkit/curves\"\n\t\"" + kernelspec.ModulePath + "/tlkit/plots\"\n\t\"" + kernelspec.ModulePath + "/tlkit/transforms\"\n)\n\n%%\n" +
		"fmt.Println(NUMBER, transforms.Compose(transforms.ToTensor()), plots.Curves(curves.Run{Name: \"x\"}).Text())", 0.8},
	{"cell with the facade, XLA opened", "import (\n\t\"context\"\n\t\"fmt\"\n\t\"" + kernelspec.ModulePath + "/tlkit\"\n\t\"" + kernelspec.ModulePath + "/tlkit/engine\"\n)\n\n%%\n" +
		"e := tlkit.Must(engine.Open(context.Background(), engine.Options{}))\nfmt.Println(NUMBER, e.Name)\ne.Close()", 1.1},
}

// plainLines are what a notebook of plain GoNB begins with, as the README says it, less the
// two settings that make cells fast: they are what is measured.
func plainLines(m kernelspec.Module) string {
	if m.Root == "" {
		return "!*go get " + kernelspec.ModulePath + "@" + m.Version
	}
	return "!*go mod edit -replace '" + kernelspec.ModulePath + "=" + m.Root + "' -require " + kernelspec.ModulePath + "@v0.0.0\n!*cp '" + m.Root + "/go.sum' ."
}

// cells times the start of the kernel and warm cells through it, in turn with plain GoNB.
func (b *benchRun) cells(ctx context.Context) error {
	if _, err := b.c.prepare(ctx, setup.Bundle{}, false, true, true); err != nil {
		return err
	}
	j, err := setup.FindJupyter(ctx)
	if err != nil {
		return err
	}
	module, err := moduleHere()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tlk-cells-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := plainSpec(filepath.Join(dir, "kernels", plainGonb)); err != nil {
		return err
	}
	const rounds = 7
	job := map[string]any{"rounds": rounds, "kernels": map[string]string{kernelspec.Name: "", plainGonb: plainLines(module)}}
	code := map[string]string{}
	for _, t := range timedCells {
		if t.code != "" {
			code[t.what] = t.code
		}
	}
	job["cells"] = code
	took, cpu, err := timeCells(ctx, j, dir, job, func(what string) { b.p.State("timing: "+what, 0, 0) })
	if err != nil {
		return err
	}
	for _, t := range timedCells {
		mine, theirs := t.what+" "+kernelspec.Name, t.what+" "+plainGonb
		ours, plain := took[mine], took[theirs]
		if len(ours) != rounds || len(plain) != rounds {
			return fmt.Errorf("%s: %d and %d measurements, want %d", t.what, len(ours), len(plain), rounds)
		}
		what := "warm " + t.what
		if t.code == "" {
			what = "kernel start"
		}
		f := figure{What: what, Ours: median(ours), Unit: "s", Peer: median(plain), By: "plain GoNB"}
		f.Ratio = f.Peer / f.Ours
		f.Note = fmt.Sprintf("(at most %.1f s wanted on a quiet machine; of processor time %.2f and %.2f s)", t.most, median(cpu[mine]), median(cpu[theirs]))
		b.add(f)
	}
	return nil
}

// plainSpec writes a kernelspec that starts GoNB and nothing of ours.
func plainSpec(dir string) error {
	bin, err := setup.Bin()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(kernelspec.Spec{
		Argv:        []string{filepath.Join(bin, "gonb"), "-kernel", "{connection_file}"},
		DisplayName: "Go (gonb)", Language: "go", InterruptMode: "message",
		Env: map[string]string{"PATH": bin + string(os.PathListSeparator) + os.Getenv("PATH")},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "kernel.json"), text, 0o600)
}

// timeCells runs cells.py and collects what it measured, seconds and seconds of processor, by "cell kernel".
func timeCells(ctx context.Context, j setup.Jupyter, dir string, job map[string]any, doing func(what string)) (took, cpu map[string][]float64, err error) {
	request, err := json.Marshal(job)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, j.Python, "-c", cellsScript)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(request)
	cmd.Env = append(os.Environ(), "JUPYTER_PATH="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its kernels
	cmd.WaitDelay = 15 * time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	took, cpu = map[string][]float64{}, map[string][]float64{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e struct {
			Cell, Kernel string
			Seconds, CPU float64
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			key := e.Cell + " " + e.Kernel
			took[key] = append(took[key], e.Seconds)
			cpu[key] = append(cpu[key], e.CPU)
			doing(e.Cell)
		}
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, fmt.Errorf("%w: %s", err, lastLine(strings.TrimSpace(errs.String())))
	}
	return took, cpu, nil
}
