package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// A run's histories are found by its name, by its folder and by a file in it, also while the run is
// going on.
func TestHistories(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	folder := filepath.Join(Home, "bees")
	line := `{"run":"net on bees","axis":"epoch"}` + "\n" + `{"step":3,"epoch":1,"split":"valid","metric":"loss","value":0.5}` + "\n"
	testpictures.Write(t, filepath.Join(folder, "history.jsonl"), []byte(line+`{"step":4,"ep`)) // being written
	for _, name := range []string{"bees", folder, filepath.Join(folder, "history.jsonl"), filepath.Join(folder, "head.safetensors")} {
		h, err := Place{}.Stored(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		runs, end, err := h.Histories()
		if err != nil || h.Result != nil || h.Folder != folder || len(runs) != 1 || len(runs[0].Points) != 1 || runs[0].Name != "net on bees" || end.IsZero() {
			t.Errorf("%s: %+v, %+v, %v, %v", name, h, runs, end, err)
		}
	}
	if _, err := (Place{Folder: work}).Stored("bees"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	_, err := Place{}.Stored("bee")
	if err == nil || !strings.Contains(err.Error(), "did you mean bees?") {
		t.Errorf("a name like it: %v", err)
	}

	// Three seeds: the tenth comes after the ninth.
	for _, name := range []string{"history.seed10.jsonl", "history.seed9.jsonl", "history.seedx.jsonl"} {
		testpictures.Write(t, filepath.Join(folder, name), []byte(line))
	}
	h, err := Place{}.Stored("bees")
	if err != nil {
		t.Fatal(err)
	}
	runs, _, err := h.Histories()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range runs {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, "; "); got != "net on bees, seed 8; net on bees, seed 9; net on bees, seed 10" {
		t.Errorf("runs %s", got)
	}
	if err := h.WriteCSV("out/history.csv"); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("out/history.csv")
	if lines := strings.Count(string(table), "\n"); err != nil || lines != 4 || !strings.Contains(string(table), `"net on bees, seed 10",3,1,,valid,loss,0.5,`) {
		t.Errorf("%d lines, %v:\n%s", lines, err, table)
	}
	if err := h.WriteTensorBoard("board"); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("board/run[123]/valid/*tfevents*")
	if err != nil || len(found) != 3 {
		t.Errorf("event files %v, %v", found, err)
	}
	if err := h.WriteCSV(folder); err == nil {
		t.Error("a folder was overwritten")
	}
}
