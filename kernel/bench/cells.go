package bench

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
	"time"

	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

//go:embed cells.py
var cellsScript string

// plainGonb is the kernel measured beside ours: GoNB as it comes, without our environment.
const plainGonb = "gonb-plain"

// cellRounds is how often each cell is timed in each kernel.
const cellRounds = 7

// learnerCell begins the cells with verbs.
const learnerCell = `import "` + kernelspec.ModulePath + `/tlkit"

var bees = tlkit.Learner{Name: "timed", Data: "insects-few"}

%%
`

// timedCells are the cells, with the most seconds that each may take on a quiet machine. The
// first one stands for the start of the kernel and has no code. key is the name of ours in the JSON.
var timedCells = []struct {
	what, code string
	most       float64
	key        string
}{
	{"start", "", 0.5, "kernel_start_s"},
	{"cell with fmt alone", "import \"fmt\"\n\n%%\nfmt.Println(NUMBER)", 0.4, "empty_warm_s"},
	// The first verb of a kernel trains; the measured ones find what it trained.
	{"cell with a verb", learnerCell + "bees.FitHead()\nprintln(NUMBER)", 0.8, "facade_warm_s"},
	{"cell with curves", learnerCell + "bees.ShowCurves()\nprintln(NUMBER)", 0.7, "curves_warm_s"},
	{"cell that fits a head", learnerCell + "again := bees\nagain.Retrain = true\nagain.FitHead()\nprintln(NUMBER)", 0.9, "fithead_cached_s"},
	{"cell with transforms, curves, plots", `import (
	"fmt"
	"` + kernelspec.ModulePath + `/tlkit/curves"
	"` + kernelspec.ModulePath + `/tlkit/plots"
	"` + kernelspec.ModulePath + `/tlkit/transforms"
)

%%
fmt.Println(NUMBER, transforms.Compose(transforms.ToTensor()), plots.Curves(curves.Run{Name: "x"}).Text())`, 0.8, "plots_warm_s"},
	{"cell with the facade, XLA opened", `import (
	"context"
	"fmt"
	"` + kernelspec.ModulePath + `/tlkit"
	"` + kernelspec.ModulePath + `/tlkit/engine"
)

%%
e := tlkit.Must(engine.Open(context.Background(), engine.Options{}))
fmt.Println(NUMBER, e.Name)
e.Close()`, 1.1, "engine_warm_s"},
}

// cells times the start of the kernel and warm cells through it, in turn with plain GoNB.
func (s *session) cells(ctx context.Context) error {
	if s.SetUp != nil {
		if err := s.SetUp(ctx); err != nil {
			return err
		}
	}
	j, err := setup.FindJupyter(ctx)
	if err != nil {
		return err
	}
	job, err := newCellJob()
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
	took, err := job.run(ctx, j, dir, func(cell string) { s.doing("timing: " + cell) })
	if err != nil {
		return err
	}
	for _, cell := range timedCells {
		ours, plain := took[cellIn{cell.what, kernelspec.Name}], took[cellIn{cell.what, plainGonb}]
		if len(ours.seconds) != cellRounds || len(plain.seconds) != cellRounds {
			return fmt.Errorf("%s: %d and %d measurements, want %d", cell.what, len(ours.seconds), len(plain.seconds), cellRounds)
		}
		f := Figure{Name: "warm " + cell.what, Ours: median(ours.seconds), Unit: "s"}.against(plainGoNB, "plain GoNB", median(plain.seconds))
		if cell.code == "" {
			f.Name = "kernel start"
		}
		f.Key = cell.key
		f.Note = fmt.Sprintf("(at most %.1f s wanted on a quiet machine; of processor time %.2f and %.2f s)", cell.most, median(ours.cpu), median(plain.cpu))
		s.add(f)
	}
	return s.workerStart(ctx)
}

// workerStart times the start of a worker, from nothing to its first answer.
func (s *session) workerStart(ctx context.Context) error {
	var seconds []float64
	for range cellRounds {
		took, err := s.startWorker(ctx)
		if err != nil {
			return err
		}
		seconds = append(seconds, took.Seconds())
	}
	s.add(Figure{Key: "worker_start_s", Name: "start of the worker", Ours: median(seconds), Unit: "s", Note: "(at most 1.0 s wanted; XLA opens with the first verb that needs it)"})
	return nil
}

func (s *session) startWorker(ctx context.Context) (took time.Duration, err error) {
	folder, err := os.MkdirTemp("", "tlk-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	program := s.Program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return 0, err
		}
	}
	for name, value := range map[string]string{worker.FolderVar: folder, worker.ProgramVar: program} {
		defer os.Setenv(name, os.Getenv(name))
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	c, err := worker.Connect(ctx, worker.API)
	if err != nil {
		return 0, err
	}
	took = time.Since(began)
	c.Quit()
	return took, nil
}

// Seconds are the figures of a measurement that have names for comparison, as JSON has them.
func (Measurement) Seconds(figures []Figure) map[string]float64 {
	all := map[string]float64{}
	for _, f := range figures {
		if f.Key == "" {
			continue
		}
		all[f.Key] = f.Ours
		if plain, ok := f.Peers[plainGoNB]; ok && f.Key == "facade_warm_s" {
			all["gonb_warm_s"] = plain
		}
	}
	return all
}

// cellJob is what cells.py reads.
type cellJob struct {
	Rounds  int               `json:"rounds"`
	Kernels map[string]string `json:"kernels"` // name: what its first cell runs
	Cells   map[string]string `json:"cells"`   // name: code
}

func newCellJob() (cellJob, error) {
	dir, err := os.Getwd()
	if err != nil {
		return cellJob{}, err
	}
	module, err := kernelspec.FindModule(dir)
	if err != nil {
		return cellJob{}, err
	}
	job := cellJob{Rounds: cellRounds, Cells: map[string]string{},
		Kernels: map[string]string{kernelspec.Name: "", plainGonb: plainLines(module)}}
	for _, cell := range timedCells {
		if cell.code != "" {
			job.Cells[cell.what] = cell.code
		}
	}
	return job, nil
}

// plainLines are what a notebook of plain GoNB begins with, as the README says it, without the
// two settings that make cells fast: those are what is measured.
func plainLines(m kernelspec.Module) string {
	if m.Root == "" {
		return "!*go get " + kernelspec.ModulePath + "@" + m.Version
	}
	return "!*go mod edit -replace '" + kernelspec.ModulePath + "=" + m.Root + "' -require " + kernelspec.ModulePath + "@v0.0.0\n!*cp '" + m.Root + "/go.sum' ."
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

// cellIn is a cell in a kernel, and cellTimes what it took, round by round.
type (
	cellIn    struct{ cell, kernel string }
	cellTimes struct{ seconds, cpu []float64 } // wall clock and processor time
)

// run runs cells.py and collects what it measured.
func (job cellJob) run(ctx context.Context, j setup.Jupyter, dir string, doing func(cell string)) (map[cellIn]cellTimes, error) {
	request, err := json.Marshal(job)
	if err != nil {
		return nil, err
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
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	took := map[cellIn]cellTimes{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e struct {
			Cell, Kernel string
			Seconds, CPU float64
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			key := cellIn{e.Cell, e.Kernel}
			t := took[key]
			took[key] = cellTimes{append(t.seconds, e.Seconds), append(t.cpu, e.CPU)}
			doing(e.Cell)
		}
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s", err, lastLine(errs.String()))
	}
	return took, nil
}
