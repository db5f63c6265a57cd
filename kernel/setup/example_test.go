package setup_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

// A second run finds the work of the first one done.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "cache-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	os.Setenv(cachedir.EnvVar, dir)
	defer os.Unsetenv(cachedir.EnvVar)

	built := false
	gonb := setup.Step{
		Name: "gonb", About: "GoNB, built from source",
		Done: func(context.Context) (string, bool) { return "v0.11.5", built },
		Do: func(context.Context, func(string)) (string, error) {
			built = true
			return "v0.11.5", nil
		},
	}
	for range 2 {
		rows, err := setup.Run(context.Background(), []setup.Step{gonb}, setup.Reporter{})
		fmt.Println(rows[0].Name, rows[0].State, rows[0].Note, err)
	}
	// Output:
	// gonb done v0.11.5 <nil>
	// gonb already there v0.11.5 <nil>
}
