package finetune

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// memoryError reports a training step that does not fit into the memory of the device.
type memoryError struct {
	Batch int  // pictures whose gradients are computed at once
	Fits  int  // about how many fit; 0 = unknown
	Whole bool // norms follow the batch, so micro-batches are not possible
	Cause error
}

func (e *memoryError) Error() string {
	return fmt.Sprintf("finetune: a training step of %d pictures does not fit into memory (%v)", e.Batch, e.Cause) + advice.Join(e.Advice())
}

// Advice says which batch fits.
func (e *memoryError) Advice() string {
	next, fewer := "use half as many", e.Batch/2
	if e.Fits > 0 {
		next, fewer = fmt.Sprintf("use a batch of %d, which fits into the free memory", e.Fits), e.Fits
	}
	if !e.Whole && fewer > 0 {
		next += fmt.Sprintf(", or set Microbatch to %d in the plan", fewer)
	}
	return next + ", or train fewer stages"
}

func (e *memoryError) Unwrap() error { return e.Cause }

// exhausted matches the out-of-memory errors of XLA and CUDA; PJRT's code 8 is RESOURCE_EXHAUSTED.
// XLA allocates the intermediate results of a step in one piece, proportional to the batch.
var (
	exhausted = regexp.MustCompile(`(?i)out of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|PJRT error \(code=8\)`)
	wanted    = regexp.MustCompile(`(?i)allocat\w* (\d+) ?bytes`)
)

// outOfMemory returns err as a MemoryError if it is one, with the batch that fits into free bytes;
// free 0 stands for unknown.
func outOfMemory(err error, batch int, free float64) (*memoryError, bool) {
	if err == nil || !exhausted.MatchString(err.Error()) {
		return nil, false
	}
	m := &memoryError{Batch: batch, Cause: err}
	found := wanted.FindStringSubmatch(err.Error())
	if found == nil || free == 0 {
		return m, true
	}
	bytes, _ := strconv.ParseFloat(found[1], 64)
	const room = 0.8 // the rest is for weights, gradients and pictures
	if fits := room * free / bytes * float64(batch); fits >= 1 && fits < float64(batch) {
		m.Fits = int(fits)
	}
	return m, true
}

// freeMemory returns the memory available to programs on this machine, in bytes; 0 if unknown, and
// for graphics cards.
func freeMemory(engine string) float64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil || engine != "xla:cpu" {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %f kB", &kib); n == 1 {
			return 1024 * kib
		}
	}
	return 0
}
