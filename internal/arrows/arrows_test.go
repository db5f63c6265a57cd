// Package arrows tests how the module is built: which package may import which, what packages
// export, and that the files which its documents name exist.
package arrows

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/tlkit/transfer-learning/"

// order is the direction of imports: a package may import packages of the lines above its own,
// never of its own line or of a line below.
var order = [][]string{
	{"internal/advice"},
	{"tlkit/weights/internal/budget", "internal/atomicfile", "internal/invoke", "internal/machine", "internal/words", "internal/pace", "internal/testpictures", "internal/testbrowser", "internal/hostile", "internal/bitrot", "internal/pixels", "internal/picturefile", "internal/dice", "internal/heatmap", "internal/quiet", "internal/worker", "tlkit/onnx/internal/proto"},
	{"internal/cachedir"},
	{"internal/ownhome", "internal/fetch", "internal/inventory", "data/insects", "tlkit/transforms/internal/jpeg", "tlkit/weights/internal/hdf5", "tlkit/serve/internal/rosbridge"},
	{"tlkit/metrics", "tlkit/settings", "tlkit/embed", "internal/sharedlib"},
	{"data", "tlkit/card", "tlkit/curves", "tlkit/transforms", "tlkit/weights", "tlkit/show", "tlkit/engine/plugin", "tlkit/engine/onnxruntime"},
	{"tlkit/engine", "internal/golden", "internal/testruntime", "internal/sealed"},
	{"tlkit/plots"},
	{"tlkit/datasets", "tlkit/backbone", "tlkit/sim", "tlkit/sim/raster"},
	{"internal/recorded"},
	{"tlkit/sim/bench", "tlkit/sim/mujoco", "tlkit/episodes"},
	{"tlkit/sim/mujoco/arms"},
	{"tlkit/onnx", "tlkit/onnx/write", "tlkit/onnx/quantise", "internal/formulanet"},
	{"tlkit/zoo"},
	{"tlkit/features", "tlkit/optim", "tlkit/clip", "tlkit/guard"},
	{"tlkit/head", "tlkit/keypoint", "tlkit/parts"},
	{"tlkit/policy", "tlkit/heads"},
	{"tlkit/results", "tlkit/confidence"},
	{"tlkit/task", "tlkit/cloning", "tlkit/explain"},
	{"tlkit/learner", "tlkit/answers"},
	{"tlkit/finetune"},
	{"tlkit/evaluate", "tlkit/rollout", "tlkit/audit"},
	{"tlkit/export"},
	{"tlkit/bridge"},
	{"tlkit/run"},
	{"tlkit/compare", "tlkit/robot", "tlkit/runs", "tlkit/look"},
	{"tlkit/serve"},
	{"tlkit/budget"},
	{"tlkit"},
	{"kernel/kernelspec", "kernel/doctor"},
	{"kernel/shim"},
	{"kernel/wrapper"},
	{"kernel/setup"},
	{"kernel/bench"},
	{"cmd/tlkit"},
	{"notebooks"},
}

// forbidden are the rules beyond the order.
var forbidden = []struct {
	who, never, why string
	direct          bool // the import itself, not its dependencies
}{
	{who: "tlkit/transforms", never: "github.com/gomlx/", why: "a cell that only prepares pictures compiles in half a second"},
	{who: "tlkit/metrics", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/curves", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/plots", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/show", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/settings", never: "github.com/gomlx/", why: "cells whose verbs run in a worker link no GoMLX"},
	{who: "tlkit/results", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/results", never: "net/http", why: "the same, and nothing else that is large"},
	{who: "tlkit/sim", never: "github.com/gomlx/", why: "a cell that only looks at a world compiles in half a second"},
	{who: "tlkit/sim", never: "github.com/parquet-go/", why: "the same"},
	{who: "tlkit/episodes", never: "github.com/gomlx/", why: "data sets are checked without a backend"},
	{who: "", never: "github.com/parquet-go/", why: "it takes most of a minute to compile", direct: true},
	{who: "tlkit/robot", never: "github.com/parquet-go/", why: "every cell of a notebook would link it; see internal/recorded"},
	{who: "", never: "github.com/coder/websocket", why: "one package speaks to robots", direct: true},
	{who: "tlkit/head", never: "github.com/gomlx/", why: "a head is plain arithmetic; it must work without a backend"},
	{who: "tlkit/heads", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/confidence", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/keypoint", never: "github.com/gomlx/", why: "the same"},
	{who: "tlkit/policy", never: "github.com/gomlx/", why: "a policy is plain arithmetic; it must work without a backend"},
	{who: "tlkit/plots", never: module + "tlkit/", why: "plots knows metrics and curves only", direct: true},
	{who: "tlkit/show", never: module, why: "it takes interfaces: anything with PNG() can be shown"},
	{who: "tlkit/engine/plugin", never: "github.com/gomlx/", why: "set-up and doctor use it when XLA is broken"},
	{who: "tlkit/engine/onnxruntime", never: "github.com/gomlx/", why: "it needs no GoMLX"},
	{who: "kernel/doctor", never: "github.com/gomlx/", why: "the doctor runs when GoMLX does not"},
	{who: "kernel/kernelspec", never: "github.com/gomlx/", why: "the same"},
	{who: "kernel/shim", never: "github.com/gomlx/", why: "the same"},
	{who: "kernel/wrapper", never: "github.com/gomlx/", why: "a kernel that explains what is broken must not need it"},
	{who: "kernel/setup", never: "github.com/gomlx/", why: "it repairs what is broken"},
	{who: "", never: "github.com/gomlx/gomlx/backends/default", why: "it downloads an unchecked plugin during New()"},
	{who: "", never: "github.com/gomlx/go-xla/compute/xla/autoinstall", why: "the same"},
	{who: "tlkit", never: module + "kernel", why: "the library never needs Jupyter"},
}

// allowed are the exceptions to the rules above.
var allowed = map[string]bool{
	// Time left: plain arithmetic, which the command line shares.
	"tlkit/show " + module + "internal/pace":  true,
	"tlkit/plots " + module + "tlkit/metrics": true,
	"tlkit/plots " + module + "tlkit/curves":  true,

	"tlkit/episodes github.com/parquet-go/parquet-go": true, // the format of its files

	"tlkit/serve/internal/rosbridge github.com/coder/websocket": true,
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestImportsRunOneWay(t *testing.T) {
	raw, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	line := make(map[string]int)
	for i, names := range order {
		for _, n := range names {
			line[n] = i
		}
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	seen := 0
	for dec.More() {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "internal/arrows" {
			continue
		}
		seen++
		at, known := line[name]
		if !known {
			t.Errorf("%s has no place in the order: add it to arrows_test.go where a newcomer would look for it", name)
			continue
		}
		for _, i := range p.Imports {
			below := strings.TrimPrefix(i, module)
			if below == i {
				continue
			}
			if l, ok := line[below]; ok && l >= at {
				t.Errorf("%s imports %s, which is on its own line or below", name, below)
			}
		}
		for _, f := range forbidden {
			if f.who != "" && name != f.who && !strings.HasPrefix(name, f.who+"/") {
				continue
			}
			imports := p.Deps
			if f.direct {
				imports = p.Imports
			}
			for _, i := range imports {
				if strings.HasPrefix(i, f.never) && !allowed[name+" "+i] && i != p.ImportPath {
					t.Errorf("%s depends on %s and must not: %s", name, i, f.why)
				}
			}
		}
	}
	if seen < 3 {
		t.Fatalf("only %d packages seen: go list does not see the module", seen)
	}
}

// A test that reaches the cache or Jupyter's folders does so in a home of its own: see
// internal/ownhome.
func TestNoTestReadsThePersonsHome(t *testing.T) {
	const format = `{{if .ForTest}}{{.ForTest}}{{range .Deps}} {{.}}{{end}}{{end}}`
	raw, err := exec.Command("go", "list", "-test", "-f", format, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	reaches, moves := map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(string(raw), "\n") {
		of, deps, _ := strings.Cut(line, " ")
		if name := strings.TrimPrefix(of, module); name != "internal/cachedir" && name != "internal/ownhome" {
			deps = " " + deps + " "
			reaches[name] = reaches[name] || strings.Contains(deps, " "+module+"internal/cachedir ") || strings.Contains(deps, " "+module+"kernel/kernelspec ")
			moves[name] = moves[name] || strings.Contains(deps, " "+module+"internal/ownhome ")
		}
	}
	seen := 0
	for name, yes := range reaches {
		if yes {
			seen++
		}
		if yes && !moves[name] {
			t.Errorf("the tests of %s reach the home folder: give them a TestMain that calls ownhome.Run", name)
		}
	}
	if seen < 10 {
		t.Fatalf("only %d packages seen whose tests reach the cache", seen)
	}
}
