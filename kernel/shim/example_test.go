package shim_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/shim"
)

// A new cell has a go.mod without requirements. The shim pins the release that the kernel
// was set up with.
func ExamplePrepare() {
	dir, err := os.MkdirTemp("", "cell-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "go.mod")
	if err := os.WriteFile(file, []byte("module gonb_cell\n\ngo 1.26.5\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	kernel := map[string]string{kernelspec.VersionVar: "v0.1.0"}
	pins := shim.Pins(func(name string) string { return kernel[name] })
	if err := shim.Prepare(dir, pins, false); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(file)
	fmt.Print(string(text), err)
	// Output:
	// module gonb_cell
	//
	// go 1.26.5
	//
	// require github.com/tlkit/transfer-learning v0.1.0
	// <nil>
}
