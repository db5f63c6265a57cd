//go:build unix && !tlkit_worker

package tlkit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/tlkit/transfer-learning/internal/worker"
)

// binaryVar names the test binary that plays the cells, where it is not this one.
const binaryVar = "TLKIT_TEST_BINARY"

// kernel is the private folder of a kernel whose worker is this test binary.
func kernel(t *testing.T) (folder string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "tlk-") // a socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(worker.FolderVar, folder)
	t.Setenv(worker.ProgramVar, self)
	t.Cleanup(func() { os.RemoveAll(folder) }) // and its worker ends
	return folder
}

// cells builds this package's tests with the thin client, to play the cells of a kernel.
func cells(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cells.test")
	if out, err := exec.Command("go", "test", "-c", "-tags="+worker.Tag, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// The verbs do the same through a worker: the same tests hold.
func TestVerbsThroughTheWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the tests of this package again")
	}
	kernel(t)
	cmd := exec.Command(cells(t), "-test.v", "-test.run=^Test(Program|Shipping|Cards|HostileNamesInACell|PanicInACell|Interrupts|InterruptOfWhatCannotBeStopped|InterruptBetweenVerbs|ReaderGone|NilProgress.*)$")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "\n--- PASS") + strings.Count(string(out), "\n--- SKIP"); n < 9 {
		t.Errorf("%d tests were run\n%s", n, out)
	}
}

var changing = regexp.MustCompile(`\d+(\.\d+)? (s|ms)\b|\d+(\.\d+)?s\b`)

// shown is what stays in a notebook: of each place the last output, without times.
func shown(all []protocol.DisplayData) []string {
	var order []string
	last := map[string]string{}
	for i, d := range all {
		place := d.DisplayID
		if place == "" {
			place = fmt.Sprint(i)
		}
		if _, known := last[place]; !known {
			order = append(order, place)
		}
		text := ""
		for _, mime := range []protocol.MIMEType{protocol.MIMETextPlain, protocol.MIMETextHTML, protocol.MIMEImagePNG, "image/jpeg"} {
			text += changing.ReplaceAllString(fmt.Sprint(d.Data[mime]), "TIME") + "|"
		}
		last[place] = text + changing.ReplaceAllString(fmt.Sprint(d.Metadata), "TIME")
	}
	out := make([]string, len(order))
	for i, place := range order {
		out[i] = last[place]
	}
	return out
}

// What a cell shows is the same, byte by byte.
func TestDisplaysThroughTheWorkerAreTheSame(t *testing.T) {
	trains(t)
	var all [2][]string
	for i := range all {
		if i == 1 {
			kernel(t)
			t.Setenv(binaryVar, cells(t))
		}
		for _, names := range [][]string{{"all", "curves"}, {"words"}} {
			dir := t.TempDir()
			draw(t, dir, 12, 100)
			write(t, filepath.Join(dir, "words.txt"), "no picture")
			for _, name := range names {
				got, out, status := cell(t, dir, name, nil)
				if status != 0 {
					t.Fatalf("%s: status %d\n%s%s", name, status, out, shown(got))
				}
				for _, text := range append(shown(got), changing.ReplaceAllString(out, "TIME")) {
					all[i] = append(all[i], strings.ReplaceAll(text, dir, "DIR"))
				}
			}
		}
	}
	for k := range min(len(all[0]), len(all[1])) {
		if all[0][k] != all[1][k] {
			t.Errorf("output %d: in the cell's process %.600q, through the worker %.600q", k, all[0][k], all[1][k])
		}
	}
	if len(all[0]) != len(all[1]) || len(all[0]) < 12 {
		t.Errorf("%d outputs, and %d through the worker", len(all[0]), len(all[1]))
	}
}

// A worker that is killed in the middle of a fit costs nothing but the time: the card says so, and the
// next cell completes with the same bits.
func TestKilledWorker(t *testing.T) {
	trains(t)
	straight := t.TempDir()
	draw(t, straight, 20, 300)
	cache := "TLKIT_CACHE=" + cacheWithoutFeatures(t)
	if out, status := start(t, straight, "tune", cache); status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	folder := kernel(t)
	t.Setenv(binaryVar, cells(t))
	dir := t.TempDir()
	draw(t, dir, 20, 300)
	cache = "TLKIT_CACHE=" + cacheWithoutFeatures(t)
	kills, rounds := 0, 4
	for range rounds {
		killed := false
		got, out, status := cell(t, dir, "tune", func(_ *exec.Cmd, d protocol.DisplayData) {
			if strings.HasPrefix(words(d), "training") || strings.HasPrefix(words(d), "extracting") || strings.HasPrefix(words(d), "fine-tuning") {
				killed = killed || killWorker(folder)
			}
		}, cache)
		if !killed {
			continue
		}
		kills++
		last := words(got[len(got)-1])
		if status != 1 || !strings.Contains(last, "✗ FineTune of few could not be done") || !strings.Contains(last, "has ended") || !strings.Contains(last, "→ run the cell again") {
			t.Fatalf("status %d, %q\n%s", status, last, out)
		}
	}
	t.Logf("%d kills in %d rounds", kills, rounds)
	if out, status := start(t, dir, "tune", cache); status != 0 {
		t.Fatalf("after the kills: status %d\n%s", status, out)
	}
	for _, file := range []string{".tlkit/few/head.safetensors"} {
		a, errA := os.ReadFile(filepath.Join(straight, file))
		b, errB := os.ReadFile(filepath.Join(dir, file))
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s differs from the straight run: %v %v", file, errA, errB)
		}
	}
}

// killWorker kills the worker of a kernel's folder.
func killWorker(folder string) bool {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, e := range entries {
		line, _ := os.ReadFile(e)
		if strings.HasSuffix(string(line), "\x00worker\x00"+folder+"\x00") {
			var pid int
			_, _ = fmt.Sscanf(e, "/proc/%d/cmdline", &pid)
			return syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	return false
}

// A thousand verbs leave the worker's memory as it was.
func TestThousandVerbs(t *testing.T) {
	trains(t)
	folder := kernel(t)
	t.Setenv(binaryVar, cells(t))
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	if out, status := start(t, dir, "fit"); status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	var before int
	began := time.Now()
	for i := range 10 {
		if out, status := start(t, dir, "hundred"); status != 0 {
			t.Fatalf("status %d\n%s", status, out)
		}
		now := residentOf(folder)
		if i == 1 {
			before = now
		}
		if i == 9 {
			t.Logf("%d kB, then %d kB; %s", before, now, time.Since(began))
			if now > before+before/10+20_000 {
				t.Errorf("the worker grew from %d kB to %d kB", before, now)
			}
		}
	}
}

// residentOf returns the kilobytes of a kernel's worker that are in memory.
func residentOf(folder string) (kb int) {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, e := range entries {
		if line, _ := os.ReadFile(e); strings.HasSuffix(string(line), "\x00worker\x00"+folder+"\x00") {
			status, _ := os.ReadFile(filepath.Join(filepath.Dir(e), "status"))
			_, rest, _ := strings.Cut(string(status), "VmRSS:")
			_, _ = fmt.Sscan(rest, &kb)
		}
	}
	return kb
}
