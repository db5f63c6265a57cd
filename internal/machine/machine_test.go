package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestProcessorTimeGrowsWithWork(t *testing.T) {
	before := ProcessorTime()
	if before == 0 {
		t.Skipf("%s does not tell", runtime.GOOS)
	}
	for end := time.Now().Add(10 * time.Second); ProcessorTime()-before < 20*time.Millisecond; {
		if time.Now().After(end) {
			t.Fatalf("10 s of work took %s of processor time", ProcessorTime()-before)
		}
	}
	idle := ProcessorTime()
	time.Sleep(50 * time.Millisecond)
	if used := ProcessorTime() - idle; used > 45*time.Millisecond {
		t.Errorf("50 ms of sleep took %s of processor time", used)
	}
}

func TestPeakMemoryHoldsWhatWasTouched(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	const large = 64 << 20
	b := make([]byte, large)
	for i := 0; i < large; i += 4096 {
		b[i] = 1
	}
	if peak := PeakMemory(); peak < large || peak > 1<<40 {
		t.Errorf("peak of %d bytes after %d bytes were written", peak, large)
	}
	runtime.KeepAlive(b)
}

func TestFreeSpace(t *testing.T) {
	if n, ok := FreeSpace(t.TempDir()); ok != (runtime.GOOS == "linux" || runtime.GOOS == "darwin") || ok && n <= 0 {
		t.Errorf("%d bytes, %v", n, ok)
	}
	if n, ok := FreeSpace(filepath.Join(os.TempDir(), "no such folder")); ok || n != 0 {
		t.Errorf("a folder that does not exist has %d bytes free", n)
	}
}

func TestPeakOfAChild(t *testing.T) {
	child := exec.Command("go", "version")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if peak := PeakOf(child.ProcessState); runtime.GOOS != "windows" && (peak < 1<<20 || peak > 1<<32) {
		t.Errorf("go version took %d bytes", peak)
	}
}
