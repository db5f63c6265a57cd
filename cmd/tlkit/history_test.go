package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

const someHistory = `{"run":"net on bees","axis":"iteration"}
{"step":1,"epoch":1,"phase":"head","split":"valid","metric":"loss","value":0.5}
{"step":2,"epoch":2,"phase":"head","split":"valid","metric":"loss","value":0.25}
{"step":3,"epoch":3,"phase":"head","split":"valid","metric":"loss","value":"+Inf"}
{"step":4,"epoch":4,"phase":"finetune","split":"valid","metric":"loss","value":0.125}
{"step":4,"epoch":4,"phase":"finetune","metric":"rate","value":0.001}
`

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	testpictures.Write(t, filepath.Join(dir, ".tlkit", "bees", "history.jsonl"), []byte(someHistory))
	history := func(args ...string) (int, string, string) {
		t.Helper()
		t.Chdir(dir)
		var o, e bytes.Buffer
		status := execute(context.Background(), append([]string{"history"}, args...), &o, &e)
		return status, o.String(), e.String()
	}
	status, out, errs := history("bees")
	if status != 0 || !strings.Contains(errs, "not finished") || !strings.Contains(out, "not finite   0.25") || !strings.Contains(out, "finetune") {
		t.Errorf("status %d, %q\n%s", status, errs, out)
	}
	_, out, _ = history("bees", "--json")
	lines := one[[]struct {
		Phase     string
		Last      *float64
		BestEpoch float64 `json:"best_epoch"`
	}](t, out)
	if len(lines) != 2 || lines[0].Last != nil || lines[0].BestEpoch != 2 || *lines[1].Last != 0.125 {
		t.Errorf("%+v", lines)
	}
	status, out, _ = history("bees", "--csv", "-")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if status != 0 || err != nil || len(rows) != 6 {
		t.Errorf("status %d, %v, %q", status, err, rows)
	}
	status, _, errs = history(".tlkit/bees", "--csv", "a/b.csv", "--tensorboard", "my logs")
	found, _ := filepath.Glob("my logs/*/*tfevents*")
	table, _ := filepath.Glob("a/b.csv")
	if status != 0 || len(found) != 2 || len(table) != 1 || !strings.Contains(errs, "tensorboard --logdir 'my logs'") {
		t.Errorf("status %d, %q, files %v %v", status, errs, found, table)
	}
	for _, c := range [][]string{
		{"nothing", "the runs here are bees"},
		{"", "want one run"},
		{"bees --csv - --json", "want one of them"},
		{"bees --csv=", "empty name"},
	} {
		if status, _, errs := history(strings.Fields(c[0])...); status == 0 || !strings.Contains(errs, c[1]) {
			t.Errorf("history %s: status %d, %q, want %q", c[0], status, errs, c[1])
		}
	}
}
