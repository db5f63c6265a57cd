package settings_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/settings"
)

// A form is written in files and on command lines as one word.
func ExampleParseForm() {
	f, err := settings.ParseForm("onnxruntime,batch=2,side=2")
	fmt.Println(f.Batch, f.Bits(), err)
	fmt.Println(settings.Recipe("keras_guide").Epochs(), settings.LoRA{Rank: 8, Alpha: 16}.Factor())
	// Output:
	// 2 onnxruntime <nil>
	// 10 2
}
