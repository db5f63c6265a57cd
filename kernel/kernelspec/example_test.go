package kernelspec_test

import (
	"encoding/json"
	"fmt"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// What Jupyter reads: the program, and the environment it runs in.
func ExampleNew() {
	spec := kernelspec.New("/opt/tlkit/tlkit", map[string]string{kernelspec.VersionVar: "v0.1.0"})
	text, err := json.MarshalIndent(spec, "", " ")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))
	// Output:
	// {
	//  "argv": [
	//   "/opt/tlkit/tlkit",
	//   "kernel",
	//   "{connection_file}"
	//  ],
	//  "display_name": "Go (tlkit)",
	//  "language": "go",
	//  "interrupt_mode": "message",
	//  "env": {
	//   "TLKIT_KERNEL_VERSION": "v0.1.0"
	//  }
	// }
}
