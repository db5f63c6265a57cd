package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/sim/bench"
)

func TestRobotCheckAndConvert(t *testing.T) {
	t.Chdir(t.TempDir())
	w, err := bench.New(bench.Sort, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := episodes.Create("demos", w.Spec())
	if err != nil {
		t.Fatal(err)
	}
	for e := range 4 {
		if _, err := sim.Demonstrate(t.Context(), w, uint64(e), sim.Lesson{Side: 32}, func(f sim.Frame) error {
			if e == 2 {
				for i := range f.Pictures[0].Pix {
					if i%4 != 3 {
						f.Pictures[0].Pix[i] = 0
					}
				}
			}
			return out.Add(f)
		}); err != nil {
			t.Fatal(err)
		}
		if err := out.End("do it"); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string, string) {
		var o, e bytes.Buffer
		status := execute(context.Background(), append([]string{"robot"}, args...), &o, &e)
		return status, o.String(), e.String()
	}
	status, said, errs := run("check", "demos")
	if status != 1 || !strings.Contains(said, "✗ episode 2, camera top: black camera: every picture is black\n1 finding") || !strings.Contains(errs, "demos has faults") {
		t.Errorf("status %d, %q, %q", status, said, errs)
	}
	status, said, _ = run("check", "demos", "--json")
	if a := one[episodes.Audit](t, said); status != 1 || len(a.Findings) != 1 || a.Findings[0].Kind != episodes.Black || a.Findings[0].Episode != 2 || a.Episodes != 4 {
		t.Errorf("status %d, %+v", status, a)
	}
	status, said, errs = run("convert", "demos", "good", "--leave-out", "2")
	if status != 0 || !strings.Contains(said, "3 episodes") {
		t.Errorf("status %d, %q, %q", status, said, errs)
	}
	if status, said, _ = run("check", "good"); status != 0 || !strings.Contains(said, "✓ nothing found") {
		t.Errorf("status %d, %q", status, said)
	}
	status, said, _ = run("convert", "good", "again", "--json")
	if v := one[converted](t, said); status != 0 || v.Episodes != 3 || v.Frames == 0 || v.Dir != "again" {
		t.Errorf("status %d, %+v", status, v)
	}
	a, err := os.ReadFile(filepath.Join("good", "data/chunk-000/file-000.parquet"))
	b, err2 := os.ReadFile(filepath.Join("again", "data/chunk-000/file-000.parquet"))
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Error("converted twice, a set is another")
	}
	for want, args := range map[string][]string{
		"name one folder":           {"check"},
		"no such file":              {"check", "nothing"},
		"not a LeRobot data set":    {"check", "."},
		"1 folders, want two":       {"convert", "good"},
		"good is there already":     {"convert", "demos", "good"},
		"no episode 9 to leave out": {"convert", "demos", "x", "--leave-out", "9"},
		"nothing is left":           {"convert", "good", "x", "--leave-out", "0,1,2"},
	} {
		if status, _, errs := run(args...); status != 1 || !strings.Contains(errs, want) {
			t.Errorf("%q: status %d, %q, want %q", args, status, errs, want)
		}
	}
	if _, err := os.Stat("x.partial"); err == nil {
		t.Error("x.partial is left behind")
	}
}
