package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

func TestDidYouMean(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"trian", []string{`unknown command "trian"`, "tlkit train?"}},
		{"evalute", []string{"tlkit evaluate?"}},
		{"classify", []string{"tlkit predict?"}},
		{"modles", []string{"tlkit models?"}},
		{"fit insects", []string{"tlkit train?"}},
		{"hymenoptera", []string{"tlkit train hymenoptera"}},
		{"bananas", []string{`unknown command "bananas"`, "want one of", "compare"}},
		{"train --sed 1", []string{"unknown flag --sed", "--seed?"}},
		{"train --fine-tune 3", []string{"--finetune?"}},
		{"train --min_per_lable 3", []string{"--min-per-label?"}},
		{"predict --finetune 3 x y", []string{"--finetune", "it is a flag of train"}},
		{"train --lr 3", []string{"unknown flag --lr", "did you mean --rate?", "train --help"}},
		{"train --batch_size 3", []string{"--batch?"}},
		{"predict --lr 3 x y", []string{"unknown flag --lr", "see "}},
		{"train --rate 0 --finetune 1", []string{"--rate is 0"}},
		{"train --rate 1e-3", []string{"--finetune 5"}},
		{"train --head sgd --rate 1e-3", []string{"PyTorch's tutorial"}},
		{"train --batch 0 --finetune 1", []string{"--batch is 0"}},
		{"train --augment yes --finetune 1", []string{`"on" or "off"`}},
		{"train --views 3 --augment off --finetune 1", []string{"leave out --views or --augment"}},
		{"train --class-weights --head ridge", []string{"class weights for a ridge head"}},
		{"train --finetune 1 --folds 5", []string{"leave --folds out"}},
		{"train --retrain --resume", []string{"leave one of them out"}},
		{"train --mixup x --finetune 1", []string{`--mixup is "x", want a number`}},
		{"train -z", []string{"unknown flag -z"}},
		{"train --seed abc", []string{`--seed is "abc"`, "whole number"}},
		{"train --form tensorrt", []string{`--form is "tensorrt", want xla or onnxruntime`}},
		{"train --bad-limit x", []string{`--bad-limit is "x", want a number`}},
		{"train --seeds 0", []string{"--seeds is 0, want 1 or more"}},
		{"train --seeds -3", []string{"--seeds is -3"}},
		{"train --epochs 0 --head sgd", []string{"--epochs is 0"}},
		{"train --min-per-label -1", []string{"--min-per-label is -1"}},
		{"train --bad-limit 5", []string{"--bad-limit is 5", "0.05"}},
		{"train --finetune -1", []string{"-1 epochs of fine-tuning"}},
		{"train --plan fast", []string{"--finetune 5"}},
		{"train --finetune 2 --plan pytroch_tutorial", []string{"did you mean pytorch_tutorial?"}},
		{"train hymenoptra", []string{"did you mean hymenoptera?"}},
		{"train --model mobilnet", []string{"nearest are mobilenet"}},
		{"models resnt", []string{"nearest are resnet"}},
		{"predict", []string{"neither a head nor a picture", "predict HEAD PICTURE"}},
		{"predict mobilenetv2", []string{"is a network", "tlkit train DIR --model mobilenetv2"}},
		{"predict mobilenetv2 x.jpg", []string{"is a network"}},
		{"predict nowhere.safetensors x.jpg", []string{"no head file nowhere.safetensors"}},
		{"predict x.head.safetensors y.jpg --top 0", []string{"--top is 0"}},
		{"evaluate mobilenetv2", []string{"want two", "evaluate HEAD DIR"}},
	} {
		status, _, errs := tlkit(t, strings.Fields(c.line)...)
		for _, w := range c.want {
			if status == 0 || !strings.Contains(errs, w) {
				t.Errorf("tlkit %s: status %d, %q, want %q in it", c.line, status, errs, w)
			}
		}
		if strings.Contains(errs, "opening engine") || strings.Contains(errs, "loading weights") {
			t.Errorf("tlkit %s: weights or engine first: %q", c.line, errs)
		}
	}
}

func TestVersionCommand(t *testing.T) {
	_, flag, _ := tlkit(t, "--version")
	status, out, _ := tlkit(t, "version")
	if status != 0 || out != flag || !strings.HasPrefix(out, "tlkit version ") {
		t.Errorf("status %d, %q, want %q", status, out, flag)
	}
	_, out, _ = tlkit(t, "version", "--json")
	if v := one[map[string]string](t, out); v["version"] == "" {
		t.Errorf("%s", out)
	}
}

func TestModelsByWord(t *testing.T) {
	status, out, _ := tlkit(t, "models", "resnet50", "--json")
	rows := one[[]modelRow](t, out)
	if status != 0 || len(rows) < 2 {
		t.Fatalf("status %d, %d networks", status, len(rows))
	}
	for _, r := range rows {
		if !strings.Contains(r.Name, "resnet50") {
			t.Errorf("%s has no resnet50 in its name", r.Name)
		}
	}
	_, out, _ = tlkit(t, "models", "ResNet50", "apache", "--json")
	if fewer := one[[]modelRow](t, out); len(fewer) == 0 || len(fewer) >= len(rows) {
		t.Errorf("%d of %d are left with two words", len(fewer), len(rows))
	}
}

// predict takes a run, folders, patterns and standard input.
func TestPredictTakesWhatPeopleGive(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	work := t.TempDir()
	t.Chdir(work)
	run := func(args ...string) (out, errs string) {
		t.Helper()
		var o, e strings.Builder
		if status := execute(t.Context(), args, &o, &e); status != 0 {
			t.Fatalf("%v: status %d\n%s", args, status, e.String())
		}
		return o.String(), e.String()
	}
	out, _ := run("train", folder, "--name", "shapes", "-o", "my shapes.head.safetensors")
	if want := `predict 'my shapes.head.safetensors' PICTURE`; !strings.Contains(out, want) {
		t.Errorf("no %q in\n%s", want, out)
	}
	testpictures.Write(t, filepath.Join(folder, "discs", "note.txt"), []byte("x"))
	disc := func(n string) string { return filepath.Join(folder, "discs", n) }
	for name, c := range map[string]struct {
		args  []string
		stdin string
		want  int
	}{
		"a run":        {[]string{"shapes", disc("00.png"), disc("01.png")}, "", 2},
		"its folder":   {[]string{".tlkit/shapes", disc("00.png")}, "", 1},
		"a folder":     {[]string{"my shapes.head.safetensors", folder}, "", 16},
		"two folders":  {[]string{"shapes", filepath.Join(folder, "discs"), filepath.Join(folder, "bars")}, "", 16},
		"a pattern":    {[]string{"shapes", disc("0[0-3].png")}, "", 4},
		"folders by *": {[]string{"shapes", filepath.Join(folder, "*")}, "", 16},
		"lines":        {[]string{"shapes", "-"}, disc("00.png") + "\n\n" + disc("01.png") + "\r\n", 2},
		"zero bytes":   {[]string{"shapes", "-"}, disc("00.png") + "\x00" + disc("01.png") + "\x00", 2},
	} {
		stdin = strings.NewReader(c.stdin)
		out, _ := run(append([]string{"predict"}, c.args...)...)
		rows := strings.Split(strings.TrimSpace(out), "\n")
		if len(rows) != c.want || strings.Count(out, " %") != c.want {
			t.Errorf("%s: %d lines, want %d:\n%s", name, len(rows), c.want, out)
		}
		for _, r := range rows[1:] {
			if strings.LastIndex(r, "  ") < 0 || len(r) != len(rows[0]) {
				t.Errorf("%s: the columns are not aligned:\n%s", name, out)
			}
		}
	}
	stdin = os.Stdin
	out, _ = run("predict", "shapes", disc("02.png"), "--top", "5")
	if a, b := strings.Index(out, "discs "), strings.Index(out, "bars "); strings.Count(out, " %") != 2 || a < 0 || b < strings.LastIndex(out, "discs ") {
		t.Errorf("both labels, the better first: %d, %d\n%s", a, b, out)
	}
	var o, e strings.Builder
	if status := execute(t.Context(), []string{"predict", "shape", disc("02.png")}, &o, &e); status == 0 || !strings.Contains(e.String(), "did you mean .tlkit/shapes/head.safetensors?") {
		t.Errorf("status %d, %s", status, e.String())
	}
	if status := execute(t.Context(), []string{"predict", "shapes", "*.gif"}, &o, &e); status == 0 || !strings.Contains(e.String(), "no file matches *.gif") {
		t.Errorf("status %d, %s", status, e.String())
	}
}
