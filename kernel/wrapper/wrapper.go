// Package wrapper is the kernel's own process: it checks the machine, sets the environment, starts
// GoNB, passes signals on, and cleans up, also after kernels that were killed.
//
// When GoNB cannot run, it answers in GoNB's place ([Main]), so that the notebook shows the reason.
// It needs neither GoMLX nor XLA nor a ZeroMQ library.
package wrapper

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/shim"
)

// shims is the folder, inside the kernel's private one, of programs we stand in for.
const shims = "bin"

// early is how soon GoNB must end to count as not started.
const early = 15 * time.Second

// Main runs the kernel that Jupyter asks for with a connection file, until Jupyter ends it.
// The result is the exit status.
func Main(ctx context.Context, connectionFile string) int {
	say := func(err error) int {
		fmt.Fprintln(os.Stderr, "tlkit kernel:", err)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		return say(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return say(fmt.Errorf("the notebook's folder is gone: %w", err))
	}
	defer kernelspec.Use(self)()
	look := func() (Place, []Problem) { return Look(ctx, dir, self, os.Getenv) }
	place, problems := look()
	if len(problems) == 0 {
		var status int
		if status, problems = run(connectionFile, place); len(problems) == 0 {
			return status
		}
		// What GoNB printed holds until the kernel is restarted.
		first := problems
		look = func() (Place, []Problem) { return place, first }
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, "tlkit kernel:", strings.ReplaceAll(p.Error(), "\n", "\n    "))
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(os.Interrupt)
	if isBound() {
		go whenOrphaned(ctx, stop)
	}
	err = explain(ctx, connectionFile, func() []Problem {
		_, now := look()
		return now
	})
	if err != nil {
		return say(err)
	}
	return 0
}

// run runs GoNB until it ends. problems are set when it ended before it could run a cell.
func run(connectionFile string, place Place) (status int, problems []Problem) {
	defer kernelspec.Use(filepath.Join(place.Tools, "gonb"))()
	room, err := newRoom()
	if err != nil {
		return 1, []Problem{{What: "The kernel's temporary folder cannot be made", Detail: err.Error(), Repair: "free some space, or set TMPDIR to another folder before starting Jupyter"}}
	}
	defer room.leave()
	if err := link(place.Self, filepath.Join(room.dir, shims, shim.Name)); err != nil {
		return 1, []Problem{{What: "The kernel's temporary folder allows no links", Detail: err.Error(), Repair: "set TMPDIR to another folder before starting Jupyter"}}
	}
	log := filepath.Join(room.dir, "gonb.log")
	args := []string{"-kernel", connectionFile, "-raw_error=true",
		// Its log would go to Jupyter's console, some lines for each cell.
		"-logtostderr=false", "-alsologtostderr=false", "-stderrthreshold=FATAL", "-log_file=" + log}
	if place.Module.Root != "" {
		args = append(args, "-go_work="+place.Module.Root)
	}
	cmd := exec.Command(filepath.Join(place.Tools, "gonb"), args...)
	cmd.Env = Environ(os.Environ(), place, room.dir)
	var tail tailWriter
	cmd.Stdout, cmd.Stderr = os.Stdout, &tail
	if isBound() {
		adopt()
		defer endOthers(room.dir)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	started := time.Now()
	ended, err := startBound(cmd)
	if err != nil {
		return 1, []Problem{{What: "GoNB does not start", Detail: err.Error(), Repair: setupLine}}
	}
	if isBound() {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		go whenOrphaned(ctx, func() {
			signals <- syscall.SIGTERM
			time.Sleep(saving)
			killAll(descendants())
		})
	}
	told := false // to end
	for {
		select {
		case s := <-signals:
			told = told || s != os.Interrupt
			cmd.Process.Signal(s)
			continue
		case err = <-ended:
		}
		break
	}
	if err == nil {
		return 0, nil
	}
	if !told && time.Since(started) < early && !served(room.dir) {
		return 1, []Problem{{What: "GoNB ended while it was starting", Detail: tail.String(), Repair: setupLine}}
	}
	fmt.Fprintln(os.Stderr, "tlkit kernel: gonb:", err)
	return 1, nil
}

// served reports whether a cell was compiled in the kernel's folder: GoNB had started then.
func served(dir string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, "gonb_*", "main*.go"))
	return len(found) > 0
}

// link makes name another name of this program.
func link(self, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if err := os.Symlink(self, name); err == nil {
		return nil
	}
	return os.Link(self, name)
}

// tailWriter writes to standard error and keeps the end of it.
type tailWriter struct{ last bytes.Buffer }

func (w *tailWriter) Write(p []byte) (int, error) {
	w.last.Write(p)
	if over := w.last.Len() - 4000; over > 0 {
		w.last.Next(over)
	}
	return os.Stderr.Write(p)
}

// String returns the last lines, without colours.
func (w *tailWriter) String() string {
	lines := strings.Split(strings.TrimSpace(w.last.String()), "\n")
	if len(lines) > 12 {
		lines = lines[len(lines)-12:]
	}
	for i, l := range lines {
		lines[i] = plain(l)
	}
	return strings.Join(lines, "\n")
}

// plain drops control characters and colour codes.
func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == 0x1b {
			for i < len(s) && !(s[i] >= '@' && s[i] <= '~' && s[i] != '[') {
				i++
			}
			continue
		}
		if s[i] >= ' ' || s[i] == '\t' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
