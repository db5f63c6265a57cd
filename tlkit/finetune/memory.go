package finetune

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// MemoryError says that a training step does not fit into the memory of the device.
type MemoryError struct {
	Batch int  // pictures whose gradients were to be taken at once
	Fits  int  // about the most that do fit; 0 = not known here
	Whole bool // norms follow the batch, so it cannot be taken in micro-batches
	Cause error
}

func (e *MemoryError) Error() string {
	next, fewer := "take half as many", e.Batch/2
	if e.Fits > 0 {
		next, fewer = fmt.Sprintf("a batch of %d fits into what is free", e.Fits), e.Fits
	}
	if !e.Whole && fewer > 0 {
		next += fmt.Sprintf(", or the same batch with Microbatch %d in the plan", fewer)
	}
	next += ", or let fewer stages move"
	return fmt.Sprintf("finetune: a training step of %d pictures does not fit into memory (%v); %s", e.Batch, e.Cause, next)
}

func (e *MemoryError) Unwrap() error { return e.Cause }

// Words of XLA and of CUDA for it; PJRT's code 8 is RESOURCE_EXHAUSTED. XLA asks for the intermediate results of a step
// in one piece, whose size is in proportion to the batch.
var (
	exhausted = regexp.MustCompile(`(?i)out of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|PJRT error \(code=8\)`)
	wanted    = regexp.MustCompile(`(?i)allocat\w* (\d+) ?bytes`)
)

// outOfMemory is err as a MemoryError when it is one, with the batch that fits into so many free bytes; 0 = not known.
func outOfMemory(err error, batch int, free float64) (*MemoryError, bool) {
	if err == nil || !exhausted.MatchString(err.Error()) {
		return nil, false
	}
	m := &MemoryError{Batch: batch, Cause: err}
	found := wanted.FindStringSubmatch(err.Error())
	if found == nil || free == 0 {
		return m, true
	}
	bytes, _ := strconv.ParseFloat(found[1], 64)
	const room = 0.8 // weights, gradients and pictures want some as well
	if fits := room * free / bytes * float64(batch); fits >= 1 && fits < float64(batch) {
		m.Fits = int(fits)
	}
	return m, true
}

// freeMemory is what this machine has left for programs, in bytes; 0 where that cannot be told, and for graphics cards.
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
