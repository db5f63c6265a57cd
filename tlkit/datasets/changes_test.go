package datasets

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

func TestChanges(t *testing.T) {
	dir := testpictures.Shapes(t, []string{"bar", "disc"}, 10)
	plain, err := Open(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, last := plain.Items[0], plain.Items[len(plain.Items)-1]
	file := filepath.Join(t.TempDir(), "changes.csv")
	open := func(content string) (*Dataset, error) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return Open(context.Background(), dir, Options{Changes: file})
	}
	set, err := open("file,action,label,why\n" + first.Rel + ",relabel,disc,\"looks like disc, says the head\"\n" + last.Rel + ",drop,,copy\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Items) != len(plain.Items)-1 {
		t.Errorf("%d pictures, want one less than %d", len(set.Items), len(plain.Items))
	}
	for _, item := range set.Items {
		if item.Rel == last.Rel {
			t.Errorf("%s was not dropped", item.Rel)
		}
		if item.Rel == first.Rel && set.Labels[item.Class] != "disc" {
			t.Errorf("%s is %s, want disc", item.Rel, set.Labels[item.Class])
		}
	}
	if set.Fingerprint() == plain.Fingerprint() {
		t.Error("the changed set has the fingerprint of the other")
	}
	if !strings.Contains(set.Text(), "pictures dropped: 1, relabelled: 1") {
		t.Errorf("the report does not tell of the changes: %s", set.Text())
	}
	for content, want := range map[string]string{
		"":                                  "file, action and label",
		"name,what\n":                       "file, action and label",
		"file,action\nnobody.png,drop\n":    "nobody.png",
		"file,action\n" + first.Rel + ",rm": "drop or relabel",
		"file,action,label\n" + first.Rel + ",relabel,wasp":           "bar, disc",
		"file,action,label\n" + first.Rel + ",relabel":                "bar, disc",
		"file,action\n" + first.Rel + ",drop\n" + first.Rel + ",drop": "lines 2 and 3",
	} {
		if _, err := open(content); err == nil || !strings.HasPrefix(err.Error(), "datasets: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", content, err, want)
		}
	}
}
