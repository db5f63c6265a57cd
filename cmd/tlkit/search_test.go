package main

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// What cannot be meant is said before weights are fetched.
func TestSearchRefuses(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs"}, 2)
	t.Chdir(t.TempDir())
	for want, args := range map[string][]string{
		`tlkit search DIR "a bee on a flower"`:     {"search", folder},
		"mobilenetv2 was not trained on words":     {"search", folder, "a disc", "--model", "mobilenetv2"},
		"--k is 0, want 1 or more":                 {"search", folder, "a disc", "--k", "0"},
		"nowhere":                                  {"search", "nowhere", "a disc"},
		"neighbours: the picture cannot be opened": {"similar", "nowhere.jpg", folder},
	} {
		var out, errs strings.Builder
		if status := execute(t.Context(), args, &out, &errs); status != 1 || !strings.Contains(errs.String(), want) {
			t.Errorf("%q: status %d, %s%s", args, status, out.String(), errs.String())
		}
	}
}
