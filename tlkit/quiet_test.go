package tlkit_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

func init() {
	programs["nil progress"] = func() {
		_, err := run.Train(context.Background(), run.Spec{Data: "pictures", Model: "mobilenetv2", Seed: 1}, run.Place{}, nil)
		if err != nil {
			show.Default.Text(err.Error())
		}
		show.Default.Flush()
	}
}

// A cell that gives no Progress shows what is going on all the same, with the fits of the head too.
func TestNilProgressIsSeenInACell(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 10, 300)
	got, out, status := cell(t, dir, "nil progress", nil)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	var all strings.Builder
	for _, d := range got {
		all.WriteString(words(d) + "\n")
	}
	for _, want := range []string{"opening", "with mobilenetv2", "out-of-fold"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in\n%s", want, all.String())
		}
	}
	if last := words(got[len(got)-1]); strings.Contains(last, " of ") && strings.Contains(last, "left") {
		t.Errorf("a bar stays behind: %q", last)
	}
}
