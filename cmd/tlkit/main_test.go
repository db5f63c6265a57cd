package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// TestMain lets this test binary be the child in which doctor opens XLA.
func TestMain(m *testing.M) {
	asCommand()
	engine.ProbeMain()
	os.Exit(ownhome.Run(m))
}

// tlkit runs a command line in a folder of its own and gives what it printed.
func tlkit(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var o, e bytes.Buffer
	status = execute(context.Background(), args, &o, &e)
	return status, o.String(), e.String()
}

// one decodes standard output, which must be exactly one JSON value.
func one[T any](t *testing.T, out string) T {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(out))
	var v T
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("standard output is not JSON: %v\n%.500s", err, out)
	}
	if dec.More() {
		t.Fatalf("more than one JSON value on standard output:\n%.500s", out)
	}
	return v
}

func TestWithJSONStandardOutputIsOneValue(t *testing.T) {
	for name, args := range map[string][]string{
		"models":          {"models", "--json"},
		"help":            {"train", "--json", "--help"},
		"version":         {"--version", "--json"},
		"doctor":          {"doctor", "--json"},
		"unknown model":   {"train", "insects", "--model", "resnet19", "--json"},
		"unknown data":    {"train", "./nowhere", "--json"},
		"no such head":    {"predict", "nowhere.safetensors", "x.jpg", "--json"},
		"unknown command": {"trian", "--json"},
		"unknown flag":    {"train", "--json", "--sed", "1"},
	} {
		status, out, errs := tlkit(t, args...)
		one[any](t, out)
		if failed := strings.Contains(out, `"error"`); failed != (status != 0) {
			t.Errorf("%s: status %d with %.200s", name, status, out)
		}
		if status != 0 && !strings.HasPrefix(errs, "tlkit:") && !strings.Contains(errs, "\ntlkit:") {
			t.Errorf("%s: standard error does not say what went wrong: %q", name, errs)
		}
	}
}

// What could not be compared is the command's finding: a list, and a status.
func TestCompareSaysWhatItSkipped(t *testing.T) {
	status, out, errs := tlkit(t, "compare", "insects", "--models", "resnet18.fb_swsl_ig1b_ft_in1k", "--offline", "--json")
	list := one[[]map[string]any](t, out)
	if status != 1 || len(list) != 1 || list[0]["accuracy"] != nil || !strings.Contains(list[0]["skipped"].(string), "--noncommercial") {
		t.Errorf("status %d: %s", status, out)
	}
	if !strings.Contains(errs, "none of the networks") {
		t.Errorf("standard error %q", errs)
	}
	_, out, _ = tlkit(t, "compare", "insects", "--models", "resnet18.fb_swsl_ig1b_ft_in1k", "--offline", "--noncommercial", "--json")
	if list = one[[]map[string]any](t, out); !strings.Contains(list[0]["skipped"].(string), "offline") {
		t.Errorf("with the word: %s", out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var o, e bytes.Buffer
	if status := execute(ctx, []string{"compare", "insects", "--json"}, &o, &e); status != 130 {
		t.Errorf("status %d after an interrupt, want 130: %s", status, e.String())
	}
	one[any](t, o.String())
}

func TestDoctorNamesValuesAndRepairs(t *testing.T) {
	status, out, _ := tlkit(t, "doctor", "--json")
	report := one[struct {
		OK     bool
		Checks []struct {
			Name, Value, Repair, Level string
			OK                         bool
		}
	}](t, out)
	if (status == 0) != report.OK || len(report.Checks) < 5 {
		t.Fatalf("status %d, ok %v, %d checks", status, report.OK, len(report.Checks))
	}
	for _, c := range report.Checks {
		if c.Value == "" || c.Level == "" || !c.OK && c.Repair == "" {
			t.Errorf("check %+v has no value, level or repair", c)
		}
	}
}

func TestDoctorOnABackendThatDoesNotExist(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "nonsense")
	status, out, _ := tlkit(t, "doctor")
	if status == 0 || !strings.Contains(out, "unset GOMLX_BACKEND") {
		t.Errorf("status %d\n%s", status, out)
	}
}

func TestErrorsSayWhatToTypeNext(t *testing.T) {
	for _, c := range []struct {
		args []string
		word string
	}{
		{[]string{"train", "insects", "--model", "mobilenet"}, "tlkit models"},
		{[]string{"train", "./nowhere"}, "insects"},
		{[]string{"evaluate", "mobilenetv2", "insects"}, "tlkit train --model mobilenetv2"},
		{[]string{"predict", "x.safetensors"}, "no head file x.safetensors"},
	} {
		status, _, errs := tlkit(t, c.args...)
		if status == 0 || !strings.Contains(errs, c.word) {
			t.Errorf("%v: status %d, %q, want %q in it", c.args, status, errs, c.word)
		}
	}
}

// What messages say is to be typed works where it is read: here, in a checkout (its go.mod is enough).
func TestHintsNameEveryCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	checkout := t.TempDir()
	if err := os.WriteFile(filepath.Join(checkout, "go.mod"), []byte("module "+invoke.ModulePath+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(checkout)
	for _, sub := range (&command{}).root().Commands() {
		if !sub.Hidden && !slices.Contains(invoke.Verbs, sub.Name()) {
			t.Errorf("messages that say tlkit %s are not made to fit: it is missing in invoke.Verbs", sub.Name())
		}
	}
	var o, e bytes.Buffer
	if execute(context.Background(), []string{"train", "insects", "--model", "mobilenet"}, &o, &e); !strings.Contains(e.String(), invoke.Name()+" models") {
		t.Errorf("%s is not in %q", invoke.Name()+" models", e.String())
	}
}

func TestInterruptIsSaidPlainly(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var o, e bytes.Buffer
	if status := execute(ctx, []string{"train", "insects", "--json"}, &o, &e); status != 130 {
		t.Errorf("status %d after an interrupt, want 130: %s", status, e.String())
	}
	one[any](t, o.String())
}
