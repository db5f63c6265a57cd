package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/finetune"
)

// The fields that programs read.
func TestFigureAsJSON(t *testing.T) {
	s := &session{Options: Options{Progress: &sayings{}}, now: training}
	s.add(Figure{Name: "step x", Model: "resnet18", Batch: 8, Norms: finetune.FrozenNorms, Ours: 12, Unit: picturesPerSecond}.against(torch, "torch 2", 10))
	text, err := json.Marshal(s.figures)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"what":"step","name":"step x","model":"resnet18","batch":8,"norms":"frozen","ours":12,"unit":"pictures/s","rate":12,"peers":{"torch":10},"by":{"torch":"torch 2"}}]`
	if string(text) != want {
		t.Errorf("%s, want\n%s", text, want)
	}
}

func TestMarkdown(t *testing.T) {
	m := Machine{Processor: "P 1", Instructions: "AVX2", Cores: 2, System: "linux/amd64", Versions: []string{"go1"}}
	forward := Figure{What: "forward", Name: "forward resnet18", Ours: 50, Unit: picturesPerSecond}.
		against(torch, "torch 2", 25).against(torchJIT, "torch jit 2", 40).against(onnxRuntime, "onnxruntime 1", 100)
	job := Figure{What: "job", Name: "job a|b", Ours: 1.234, Unit: "s"}
	got := m.Markdown([]Figure{forward, job, {What: jobPart, Name: "figures", Ours: 1, Unit: "s"}})
	const want = "P 1 with AVX2, 2 cores, linux/amd64; go1, torch 2, onnxruntime 1\n\n" +
		"| what | tlkit | PyTorch | PyTorch, frozen jit | ONNX Runtime | command |\n" +
		"| --- | --- | --- | --- | --- | --- |\n" +
		"| forward resnet18 | 50.0 pictures/s | 25.0: 2.00× | 40.0: 1.25× | 100: 0.50× | `tlkit bench forward --python PY` |\n" +
		"| job a/b | 1.23 s |  |  |  | `tlkit bench job` |\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if here := ThisMachine(nil); here.Processor == "" || here.Instructions == "" || here.Cores < 1 || len(here.Versions) < 2 {
		t.Errorf("this machine is %+v", here)
	}
}

// A peer is tried at each batch size once, and then at its best; one that is missing is left out and
// said.
func TestForwardPeers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the peer here is a shell script")
	}
	dir := t.TempDir()
	write := func(name, script string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	asked := filepath.Join(dir, "asked")
	python := write("python", `echo '{"by": {"torch": "torch 2", "torch_jit": "torch jit 2"}, "missing": {"onnxruntime": "No module named onnx"}}'
while read line; do
	echo "$line" >> '`+asked+`'
	case "$line" in
	*'"batch":8,'*torch_jit*) echo '{"rate": 40}';;
	*torch_jit*) echo '{"rate": 30}';;
	*'"batch":32,'*) echo '{"rate": 21}';;
	*) echo '{"rate": 20}';;
	esac
done
`)
	said := &sayings{}
	s := &session{Options: Options{Python: python, Progress: said}}
	p, err := s.forwardPeers(context.Background(), "resnet18", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for range 3 {
		if err := p.round(0.1); err != nil {
			t.Fatal(err)
		}
	}
	f := p.beside(Figure{Ours: 40, Unit: picturesPerSecond, Note: "xla"})
	if f.Peers[torch] != 21 || f.Peers[torchJIT] != 40 || len(f.Peers) != 2 || f.Note != "xla; the peers' best batches: torch 32, torch_jit 8" {
		t.Errorf("%+v", f)
	}
	if len(said.sentences) != 1 || said.sentences[0] != "onnxruntime is left out: No module named onnx" {
		t.Errorf("said %q", said.sentences)
	}
	text, err := os.ReadFile(asked)
	if n := strings.Count(string(text), "\n"); err != nil || n != 2*(3+2) {
		t.Errorf("%d questions, %v: want 3 of each of two peers in the first round and 1 in two others\n%s", n, err, text)
	}
	s.Python = filepath.Join(dir, "gone")
	if _, err := s.forwardPeers(context.Background(), "resnet18", 2); err == nil {
		t.Error("a Python that does not exist is no error")
	}
	s.Python = write("broken", "echo 'No module named torch' >&2\nexit 1\n")
	if _, err := s.forwardPeers(context.Background(), "resnet18", 2); err == nil || !strings.Contains(err.Error(), "No module named torch") {
		t.Errorf("a Python without torch: %v", err)
	}
	none, err := (&session{}).forwardPeers(context.Background(), "resnet18", 2)
	if err != nil || none.round(1) != nil || none.beside(Figure{}).Peers != nil {
		t.Errorf("without a Python: %v", err)
	}
}
