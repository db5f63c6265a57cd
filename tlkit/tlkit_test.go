package tlkit_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/tlkit/transfer-learning/data/insects"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/tlkit"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The verbs end the program, so each test runs this binary as a separate program.
const programVar = "TLKIT_TEST_PROGRAM"

var few = tlkit.Learner{Name: "few", Data: "pictures"}

const onecycle = finetune.Fastai

// tuned is few with a plan that trains the last three stages.
func tuned(plan finetune.Recipe) tlkit.Learner {
	l := few
	l.Plan, l.From = plan, "features.16"
	return l
}

var programs = map[string]func(){
	"all": func() {
		few.ShowBatch(4)
		few.FitHead()
		few.ShowCurves()
		few.Evaluate()
		few.Export("few.head.safetensors")
		tlkit.Open("few.head.safetensors").Classify("pictures/ants/00.png", "words.txt")
	},
	"words": func() {
		few.ClassWeights = true
		few.FitHead()
		quick := few
		quick.From = "features.18"
		quick.Layers()
		fmt.Println("suggested", quick.FindRate().Suggested)
		for _, p := range few.Predict("pictures/ants/00.png", "pictures/bees", "words.txt") {
			fmt.Println("predicted", filepath.Base(p.Path), p.Label, p.Error != "")
		}
		few.ExportHistory("history.csv")
		few.ExportHistory("logs")
	},
	"look": func() {
		few.ShowMap()
		few.FitHead()
		few.ShowErrors()
		few.Why("pictures/ants/00.png")
		few.ShowMap()
		other := few
		other.Name, other.Head = "other", "ridge"
		other.FitHead()
		tlkit.Runs()
		tlkit.Runs("few", "other")
	},
	"again":      func() { few.Retrain = true; few.FitHead() },
	"other-seed": func() { few.Retrain, few.Seed = true, 7; few.FitHead() },
	"folds":      func() { few.Name, few.Folds = "folded", 3; few.FitHead() },
	"tune-folds": func() { few.Name, few.Folds = "folded", 3; few.FineTune(1) },
	"sgd-rate":   func() { few.Name, few.Head, few.Rate = "sgd", "sgd", 0.01; few.FitHead() },
	"bad-rate":   func() { few.Name, few.Rate = "rate", -1; few.FineTune(1) },
	"norms":      func() { few.ShowNorms(); fmt.Println("probe", few.Result().Probe != nil) },
	"fit":        func() { few.FitHead() },
	"story": func() { // a notebook run from top to bottom
		few.FitHead()
		few.FineTune(2)
		few.ShowCurves()
		few.Evaluate()
		few.Export("tuned.head.safetensors")
	},
	"tune":      func() { tuned(onecycle).FineTune(2) },
	"keras":     func() { tuned("keras_guide").FineTune(2) },
	"longer":    func() { tuned(onecycle).FineTune(3) },
	"quickly":   func() { tuned("quickly").FineTune(2) },
	"from":      func() { l := tuned(onecycle); l.From = "layer9"; l.FineTune(2) },
	"backwards": func() { few.FineTune(-1) },
	"evaluate":  func() { few.Evaluate() },
	"curves":    func() { few.ShowCurves() },
	"hundred": func() {
		for range 50 {
			few.ShowCurves()
			_ = few.Result().Value
		}
	},
	"export": func() { few.Export("few.head.safetensors") },
	"ship": func() {
		few.FitHead()
		few.Export("few.onnx")
		few.Export("few.html")
		few.ExportTorch("few_torch")
	},
	"within": func() {
		l := few
		l.Name, l.Backbone = "within", ""
		l.TrainWithin(time.Millisecond)
		l.Evaluate()
	},
	"nameless": func() { tlkit.Learner{Data: "pictures"}.FitHead() },
	"otherwise": func() {
		other := few
		other.Seed = 7
		other.FitHead()
	},
	"backbone": func() { tlkit.Learner{Name: "x", Data: "pictures", Backbone: "mobilnet"}.FitHead() },
	"nodata":   func() { tlkit.Learner{Name: "x", Data: "no/such/folder"}.FitHead() },
	"hostile": func() {
		l := tlkit.Learner{Name: "hostile", Data: "hostile.csv"}
		l.ShowBatch(4)
		l.FitHead()
		l.ShowCurves()
		l.Evaluate()
	},
	"models": tlkit.Models,
	"show": func() {
		tlkit.Show(few)
		tlkit.Show([]export.Prediction{{Label: "<b>", Probability: 0.5}})
		tlkit.Show(few.History())
		tlkit.Show(&finetune.RateFind{Rates: []float64{1e-4, 1e-3}, Losses: []float64{0.7, 0.6}, Suggested: 1e-3})
	},
	"stubborn": func() {
		tlkit.Show("before")
		tlkit.Show(stubborn{})
	},
	"panic": func() {
		tlkit.Show("before")
		tlkit.Show(bad{})
	},
}

// stubborn ignores interrupts, as a compiler written in C does.
type stubborn struct{}

func (stubborn) Text() string { time.Sleep(time.Minute); return "at last" }

// bad panics when shown.
type bad struct{}

func (bad) Text() string { panic("a bug in a Text method") }

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "worker" { // of a kernel in a test
		if err := worker.Serve(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		return
	}
	if program := programs[os.Getenv(programVar)]; program != nil {
		program()
		return
	}
	os.Exit(ownhome.Run(m))
}

// program is one of the programs, in a folder, ready to start.
func program(t *testing.T, dir, name string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if other := os.Getenv("TLKIT_TEST_BINARY"); other != "" {
		self = other
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), programVar+"="+name, "TLKIT_OFFLINE=1", "TLKIT_QUICK=", "TLKIT_PICTURES=")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func start(t *testing.T, dir, name string, env ...string) (output string, status int) {
	t.Helper()
	cmd := program(t, dir, name, env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// trains skips a test where nothing can be trained.
func trains(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	if _, err := zoo.Load(context.Background(), "mobilenetv2", zoo.Options{Offline: true}); err != nil {
		t.Skipf("needs the weights of MobileNetV2 in the cache (tlkit setup): %v", err)
	}
	eng, err := engine.Open(context.Background(), engine.Options{})
	if err != nil || !strings.HasPrefix(eng.Name, "xla") {
		t.Skip("needs XLA (tlkit setup): on plain Go it takes minutes")
	}
	eng.Close()
}

// draw makes DIR/pictures with n drawn insects of each label, beginning with number first.
func draw(t *testing.T, dir string, n, first int) {
	t.Helper()
	for class, label := range insects.Classes {
		for i := range n {
			img, err := insects.Draw("easy", "train", class, first+i)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "pictures", label, fmt.Sprintf("%02d.png", i)), b.String())
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var accuracy = regexp.MustCompile(`(?m)^accuracy \d+\.\d % \(\d+ of \d+, 95 % \d+\.\d-\d+\.\d\)$`)

func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[len(lines)-1]
}

// Everything as a Go program: train, draw, evaluate, export, classify; then resume.
func TestProgram(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	write(t, filepath.Join(dir, "words.txt"), "no picture")
	out, status := start(t, dir, "all")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	if n := len(accuracy.FindAllString(out, -1)); n != 2 {
		t.Errorf("%d lines of accuracy, want FitHead's and Evaluate's:\n%s", n, out)
	}
	for _, words := range []string{"loss falls from", "recall %", "pictures/ants/00.png  ants", "words.txt", "cannot be read: ", "3 parity pictures"} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
	for _, file := range []string{"few.head.safetensors", ".tlkit/few/head.safetensors", ".tlkit/few/curves.png", ".tlkit/few/confusion.png", ".tlkit/few/top-losses.png", ".tlkit/few/history.jsonl"} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}

	out, status = start(t, dir, "fit")
	if status != 0 || !strings.Contains(out, "resumed .tlkit/few") || !accuracy.MatchString(lastLine(out)) {
		t.Errorf("again: status %d\n%s", status, out)
	}
	before, _ := os.ReadFile(filepath.Join(dir, ".tlkit/few/head.safetensors"))
	out, status = start(t, dir, "otherwise")
	if status != 1 || !strings.Contains(out, "✗ FitHead of few could not be done") || !strings.Contains(out, "seed: 1 there, 7 now") || !strings.Contains(out, "→ give this one another name") {
		t.Errorf("another seed under the old name: status %d\n%s", status, out)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, ".tlkit/few/head.safetensors")); len(before) == 0 || !bytes.Equal(before, after) {
		t.Error("the refused run touched the trained head")
	}
	if out, status = start(t, dir, "show"); status != 0 || !regexp.MustCompile(`Name +few\n`).MatchString(out) || !strings.Contains(out, "loss falls") || !strings.Contains(out, "Loss against learning rate") {
		t.Errorf("show: status %d\n%s", status, out)
	}

	// The whole folder may be moved.
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if out, status = start(t, moved, "evaluate"); status != 0 || !accuracy.MatchString(lastLine(out)) {
		t.Errorf("after the move: status %d\n%s", status, out)
	}
	// Other pictures are another data set.
	if err := os.Rename(filepath.Join(moved, "pictures/ants/00.png"), filepath.Join(moved, "pictures/bees/zz.png")); err != nil {
		t.Fatal(err)
	}
	if out, status = start(t, moved, "fit"); status != 1 || !strings.Contains(out, "changed since") {
		t.Errorf("after the pictures changed: status %d\n%s", status, out)
	}
	// An incomplete run is trained again.
	if err := os.WriteFile(filepath.Join(moved, ".tlkit/few/result.json"), []byte(`{"accu`), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, status = start(t, moved, "fit"); status != 0 || strings.Contains(out, "resumed") || !accuracy.MatchString(lastLine(out)) {
		t.Errorf("half a run: status %d\n%s", status, out)
	}
}

// A head is exported for other programs: files by the ending of their names, and a folder for PyTorch.
func TestShipping(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	out, status := start(t, dir, "ship")
	if status != 0 || !strings.Contains(out, "few.onnx: ") || !strings.Contains(out, "few_torch: mobilenet_v2 of torchvision") {
		t.Fatalf("status %d\n%s", status, out)
	}
	for _, file := range []string{"few.onnx", "few.card.md", "few.card.html", "few.html", "few_torch/model.safetensors", "few_torch/README.md"} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Within a time, a learner without a backbone is trained, and later verbs use what was trained.
func TestTrainWithin(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	out, status := start(t, dir, "within")
	if n := len(accuracy.FindAllString(out, -1)); status != 0 || n < 2 || !strings.Contains(out, "of 0.001 s: ") || !strings.Contains(out, "accuracy on folds") {
		t.Fatalf("status %d, %d lines of accuracy\n%s", status, n, out)
	}
	again, status := start(t, dir, "within")
	if status != 0 || !strings.Contains(again, "resumed .tlkit/within") || lastLine(again) != lastLine(out) {
		t.Errorf("again: status %d\n%s", status, again)
	}
}

// Each mistake ends with status 1 and a card: what, why, and what to type.
func TestCards(t *testing.T) {
	dir := t.TempDir()
	draw(t, dir, 1, 0)
	for name, want := range map[string][]string{
		"curves":   {"ShowCurves of few", "is not trained yet", "→ call its FitHead() first", "in .tlkit/few"},
		"evaluate": {"Evaluate of few", "→ call its FitHead() first"},
		"export":   {"Export of few", "→ call its FitHead() first"},
		"nameless": {"✗ FitHead could not be done", "→ write tlkit.Learner{Name:"},
		"backbone": {"FitHead of x", "mobilnet", "→ nearest are mobilenetv2"},
		"nodata":   {"FitHead of x", "no/such/folder"},
	} {
		out, status := start(t, dir, name)
		if status != 1 {
			t.Errorf("%s: status %d", name, status)
		}
		for _, words := range want {
			if !strings.Contains(out, words) {
				t.Errorf("%s: no %q in\n%s", name, words, out)
			}
		}
	}
	if out, status := start(t, dir, "models"); status != 0 || !strings.Contains(out, "mobilenetv2") {
		t.Errorf("models: status %d\n%s", status, out)
	}
	if out, status := start(t, dir, "panic"); status != 2 || !strings.Contains(out, "before") || !strings.Contains(out, "a bug in a Text method") || !strings.Contains(out, "tlkit_test.go:") {
		t.Errorf("panic: status %d\n%s", status, out)
	}
	write(t, filepath.Join(dir, "taken", ".tlkit"), "a file")
	draw(t, filepath.Join(dir, "taken"), 3, 0)
	if out, status := start(t, filepath.Join(dir, "taken"), "fit"); status != 1 || !strings.Contains(out, "cannot make the folder for runs") {
		t.Errorf("no place for the run: status %d\n%s", status, out)
	}
}

// cell runs a program as a cell of a notebook and returns what the kernel received. watch is called
// with each output.
func cell(t *testing.T, dir, name string, watch func(cmd *exec.Cmd, d protocol.DisplayData), env ...string) (got []protocol.DisplayData, output string, status int) {
	t.Helper()
	pipes := t.TempDir()
	there, back := filepath.Join(pipes, "there"), filepath.Join(pipes, "back")
	for _, p := range []string{there, back} {
		if err := syscall.Mkfifo(p, 0o600); err != nil {
			t.Skipf("no named pipes here: %v", err)
		}
	}
	// Opened for reading and writing, so that opening does not block.
	r, err := os.OpenFile(there, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(back, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gob.Register(map[string]any{})
	gob.Register([]any{})
	cmd := program(t, dir, name, protocol.GONB_PIPE_ENV+"="+there, protocol.GONB_PIPE_BACK_ENV+"="+back, "GONB_DIR="+dir)
	cmd.Env = append(cmd.Env, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	waitedFor := false
	go func() {
		dec, enc := gob.NewDecoder(r), gob.NewEncoder(w)
		for {
			var d protocol.DisplayData
			if dec.Decode(&d) != nil {
				return
			}
			// Sync: reply as GoNB does
			if c, ok := d.Data[protocol.MIMECommValue].(protocol.CommValue); ok {
				mu.Lock()
				waitedFor = true
				mu.Unlock()
				_ = enc.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: c.Value})
				continue
			}
			mu.Lock()
			got = append(got, d)
			mu.Unlock()
			if watch != nil {
				watch(cmd, d)
			}
		}
	}()
	_ = cmd.Wait()
	mu.Lock()
	defer mu.Unlock()
	if !waitedFor { // GoNB drops pending output when a program ends
		t.Errorf("%s ended without waiting until its outputs had arrived", name)
	}
	return got, out.String(), cmd.ProcessState.ExitCode()
}

func words(d protocol.DisplayData) string {
	s, _ := d.Data[protocol.MIMETextPlain].(string)
	return s
}

// Hostile names in a cell: none of them is interpreted, and none is lost.
func TestHostileNamesInACell(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 10, 200)
	nasty := "<script>alert(1)</script>\u202e'"
	table := "path,label\n"
	for i := range 10 {
		table += fmt.Sprintf("pictures/ants/%02d.png,%s\npictures/bees/%02d.png,bees 🐝 & <b>\n", i, nasty, i)
	}
	table += "pictures/" + strings.Repeat("x", 300) + ".png,bees 🐝 & <b>\n"
	write(t, filepath.Join(dir, "hostile.csv"), table)
	got, out, status := cell(t, dir, "hostile", nil)
	if status != 0 {
		t.Fatalf("status %d\n%s\n%+v", status, out, got)
	}
	pictures := 0
	for i, d := range got {
		for mime, v := range d.Data {
			if text, ok := v.(string); ok && (strings.ContainsAny(text, "\u202e\x1b") || mime == protocol.MIMETextHTML && strings.Contains(text, "<script")) {
				t.Errorf("output %d has %s %.300q", i, mime, text)
			}
			switch mime {
			case protocol.MIMETextPlain, protocol.MIMETextHTML:
			case protocol.MIMEImagePNG, "image/jpeg":
				pictures++
				if tag, _ := d.Metadata["tlkit"].(map[string]any); tag["pictures"] != "chart" && tag["pictures"] != "foreign" {
					t.Errorf("output %d has a picture of kind %v", i, tag)
				}
			default:
				t.Errorf("output %d has %s", i, mime)
			}
		}
		if d.Data[protocol.MIMETextPlain] == nil {
			t.Errorf("output %d has no words", i)
		}
	}
	if pictures < 5 { // batch, live curves, curves, confusion, top losses
		t.Errorf("%d pictures", pictures)
	}
	if last := words(got[len(got)-1]); !accuracy.MatchString(last) {
		t.Errorf("ends with %q", last)
	}
	if out != "" {
		t.Errorf("beside the display pipe: %q", out)
	}
}

func TestPanicInACell(t *testing.T) {
	got, out, status := cell(t, t.TempDir(), "panic", nil)
	if status != 2 || len(got) != 1 || words(got[0]) != "before" || !strings.Contains(out, "a bug in a Text method") {
		t.Errorf("status %d, %d outputs\n%s", status, len(got), out)
	}
}

// cacheWithoutFeatures returns a cache with everything that is slow to compute, but without
// features.
func cacheWithoutFeatures(t *testing.T) string {
	t.Helper()
	full, err := cachedir.Dir()
	if err != nil {
		t.Fatal(err)
	}
	parts, err := os.ReadDir(full)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, p := range parts {
		if p.Name() != "features" {
			if err := os.Symlink(filepath.Join(full, p.Name()), filepath.Join(dir, p.Name())); err != nil {
				t.Skipf("no links here: %v", err)
			}
		}
	}
	return dir
}

// An interrupt in any state gives a card and status 130, and the next run completes.
func TestInterrupts(t *testing.T) {
	trains(t)
	for _, state := range []string{"opening data", "compiling", "extracting features", "training"} {
		dir := t.TempDir()
		draw(t, dir, 20, 300)
		cache := "TLKIT_CACHE=" + cacheWithoutFeatures(t)
		var once sync.Once
		hit := false
		got, out, status := cell(t, dir, "fit", func(cmd *exec.Cmd, d protocol.DisplayData) {
			if strings.HasPrefix(words(d), state) {
				once.Do(func() { hit = true; _ = cmd.Process.Signal(os.Interrupt) })
			}
		}, cache)
		last := words(got[len(got)-1])
		switch {
		case !hit:
			t.Logf("%s: over before it could be interrupted", state)
		case status == 130 && strings.HasPrefix(last, "⏸ FitHead of few is paused") && strings.Contains(last, "→ run the cell again to go on"):
		case status == 130 && strings.HasPrefix(last, "paused: FitHead of few is done"): // it was faster than the interrupt
			t.Logf("%s: done before it could be stopped", state)
		case status == 0 && accuracy.MatchString(last): // it was faster than the interrupt
			t.Logf("%s: finished before the interrupt", state)
		default:
			t.Errorf("%s: status %d, %q\n%s", state, status, last, out)
		}
		if out, status := start(t, dir, "fit", cache); status != 0 || !accuracy.MatchString(lastLine(out)) {
			t.Errorf("after an interrupt while %s: status %d\n%s", state, status, out)
		}
	}
}

// Work that cannot be stopped is abandoned before GoNB kills the cell without a message.
func TestInterruptOfWhatCannotBeStopped(t *testing.T) {
	var interrupted time.Time
	got, out, status := cell(t, t.TempDir(), "stubborn", func(cmd *exec.Cmd, d protocol.DisplayData) {
		if words(d) == "before" {
			time.AfterFunc(500*time.Millisecond, func() { // while it is working
				interrupted = time.Now()
				_ = cmd.Process.Signal(os.Interrupt)
			})
		}
	})
	if took := time.Since(interrupted); status != 130 || took > 4900*time.Millisecond || !strings.Contains(words(got[len(got)-1]), "→ run the cell again") {
		t.Errorf("status %d after %v, %d outputs\n%s", status, took, len(got), out)
	}
}

// An interrupt while the first verb of a cell is ending ends the cell.
func TestInterruptBetweenVerbs(t *testing.T) {
	got, out, status := cell(t, t.TempDir(), "stubborn", func(cmd *exec.Cmd, d protocol.DisplayData) {
		if words(d) == "before" { // the verb waits for this output to arrive
			_ = cmd.Process.Signal(os.Interrupt)
			time.Sleep(300 * time.Millisecond)
		}
	})
	if last := words(got[len(got)-1]); status != 130 || last != "paused: Show is done, the rest of the cell is not; run the cell again to go on" {
		t.Errorf("status %d, %q\n%s", status, last, out)
	}
}

// The reader of standard output goes away, as a restarted kernel does: the training still
// completes.
func TestReaderGone(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := program(t, dir, "fit")
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Run()
	w.Close()
	if err != nil {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".tlkit/few/result.json")); err != nil {
		t.Errorf("the training is lost: %v", err)
	}
}
