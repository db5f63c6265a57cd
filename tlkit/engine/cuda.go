package engine

import (
	"os"
	"regexp"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// prepareCUDA sets the environment variables that XLA reads, unless they are set already:
// where ptxas and libdevice are, and that NVIDIA's libraries do not round float32 to TF32.
func prepareCUDA(p *plugin.Plugin, options string) {
	if flags := os.Getenv("XLA_FLAGS"); p.DataDir != "" && !strings.Contains(flags, "xla_gpu_cuda_data_dir") {
		os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" --xla_gpu_cuda_data_dir="+p.DataDir))
	}
	if _, set := os.LookupEnv("NVIDIA_TF32_OVERRIDE"); !set && strings.Contains(options, "tf32=false") {
		os.Setenv("NVIDIA_TF32_OVERRIDE", "0")
	}
}

var cudaSentences = []struct {
	pattern  *regexp.Regexp
	sentence string
}{
	{regexp.MustCompile(`(?i)out of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|failed to allocate`),
		"its memory is taken; see who holds it with nvidia-smi (another notebook kernel?), end that and try again"},
	{regexp.MustCompile(`(?i)driver version is insufficient|INSUFFICIENT_DRIVER|SYSTEM_DRIVER_MISMATCH|UNSUPPORTED_PTX_VERSION|driver.*too old`),
		"its driver is too old for this CUDA; update the driver, or run: tlkit setup --cuda"},
	{regexp.MustCompile(`(?i)libcuda\.so|NO_DEVICE|no CUDA-capable device|no visible.*devices`),
		"no driver or no card is visible to this process; see what nvidia-smi says"},
	{regexp.MustCompile(`(?i)lib(cudnn|cublas|cufft|cusolver|cusparse|nvrtc|nvjitlink|cupti|nccl)[^ ]*\.so|DNN library|cuDNN`),
		"one of NVIDIA's libraries is missing or does not fit; run: tlkit setup --cuda"},
	{regexp.MustCompile(`(?i)ptxas|libdevice`),
		"NVIDIA's assembler (ptxas, libdevice) is missing; run: tlkit setup --cuda"},
}

// explainCUDA puts advice before the message of CUDA.
func explainCUDA(err error) string {
	text := oneLine(err)
	for _, s := range cudaSentences {
		if s.pattern.MatchString(text) {
			return s.sentence + " (" + text + ")"
		}
	}
	return text
}
