package parts

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
)

// childVar makes this test binary compute the parts of a manifest and end: "MANIFEST SHARDS POISON".
const childVar = "PARTS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		os.Exit(child(os.Args[1:]))
	}
	os.Exit(ownhome.Run(m))
}

// child computes parts, one after the other. A picture that begins with poison ends it.
func child(args []string) int {
	m, err := Open(args[0])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	pause, _ := strconv.Atoi(args[3])
	job := slow(m, args[1], pause)
	if args[2] != "" {
		job = poisoned(job, args[2])
	}
	for k := range m.Parts {
		if _, err := job.Extract(context.Background(), k); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}
