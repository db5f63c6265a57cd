package engine

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tlkit/transfer-learning/tlkit/settings"
)

// Form is how a program is built and run; see [settings.Form].
type Form = settings.Form

// Runtime is a library that runs frozen networks.
type Runtime = settings.Runtime

// The runtimes.
const (
	XLA         = settings.XLA // or plain Go, where that is the engine
	ONNXRuntime = settings.ONNXRuntime
)

// Convolutions is the library to which XLA hands convolutions on a CPU.
type Convolutions = settings.Convolutions

// The libraries of convolutions.
const (
	YNNPACK = settings.YNNPACK // XLA's own choice
	Eigen   = settings.Eigen
)

// ParseForm reads a form: a runtime (xla or onnxruntime), then any of convolutions=eigen, batch=N
// and side=N, with commas between them.
func ParseForm(s string) (Form, error) { return settings.ParseForm(s) }

// Compile calls build, and gives the programs that it compiles on its goroutine the options of the
// form. It changes nothing on a card and in plain Go.
func (e *Engine) Compile(f Form, build func() error) error {
	if f.Convolutions == YNNPACK || !strings.HasPrefix(e.Name, "xla:cpu") {
		return build()
	}
	return withOptions(eigenOptions, build)
}

// eigenOptions is a serialised CompileOptionsProto that keeps XLA from handing convolutions and
// products to YNNPACK, and has it hand over sums alone, which XLA itself adds up slowly: without
// them a training step takes a tenth to a third longer. It is for one program: field 7, env_option_overrides, maps the name of a flag to a value, of
// which field 1 is a string.
var eigenOptions = func() []byte {
	const envOptionOverrides, key, value, stringField = 7, 1, 2, 1
	var option []byte
	option = protowire.AppendTag(option, stringField, protowire.BytesType)
	option = protowire.AppendString(option, "LIBRARY_FUSION_TYPE_REDUCE")
	var entry []byte
	entry = protowire.AppendTag(entry, key, protowire.BytesType)
	entry = protowire.AppendString(entry, "xla_cpu_experimental_ynn_fusion_type")
	entry = protowire.AppendTag(entry, value, protowire.BytesType)
	entry = protowire.AppendBytes(entry, option)
	return protowire.AppendBytes(protowire.AppendTag(nil, envOptionOverrides, protowire.BytesType), entry)
}()
