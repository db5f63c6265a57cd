package fetch

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/machine"
)

// enoughSpace refuses a download that would fill the disk: 10 % above its size must be free.
// Where the free space is unknown, it is left to the write to fail.
func enoughSpace(dir string, need int64) error {
	free, ok := machine.FreeSpace(dir)
	if !ok || need <= 0 || float64(need)*1.1 <= float64(free) {
		return nil
	}
	return advice.New(fmt.Errorf("%s has %s free, need %s", dir, humanBytes(free), humanBytes(need)), "free some space or set TLKIT_CACHE to another disk")
}
