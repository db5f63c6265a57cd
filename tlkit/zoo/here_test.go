package zoo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A file that is not fetched is found beside the data sets, by the row's name or alias. Here and
// Handy list nothing that is not on this machine.
func TestFilesOfYoursAreFound(t *testing.T) {
	for _, v := range []string{"TLKIT_CACHE", "HF_HOME", "TORCH_HOME", "KERAS_HOME"} {
		t.Setenv(v, t.TempDir())
	}
	data := t.TempDir()
	t.Setenv("TLKIT_DATA", data)
	row, err := Find("teachable_machine")
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := row.Here(); ok {
		t.Errorf("%s is here, in an empty folder", p)
	}
	if _, err := Load(t.Context(), row.Name, Options{}); err == nil || !strings.Contains(err.Error(), "--weights") {
		t.Errorf("err = %v, want one that says how to pass the file", err)
	}
	want := filepath.Join(data, "teachable_machine", "model.json")
	os.MkdirAll(filepath.Dir(want), 0o755)
	os.WriteFile(want, []byte("{}"), 0o644)
	if p, ok := row.Here(); !ok || p != want {
		t.Errorf("Here is %s, %v; want %s", p, ok, want)
	}
	if _, err := Load(t.Context(), row.Name, Options{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("err = %v, want one about what is in that file", err)
	}
	var names []string
	for _, r := range Handy(true) {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{row.Name}) {
		t.Errorf("handy without a network: %v", names)
	}
	names = nil
	for _, r := range Handy(false) {
		names = append(names, r.Name)
	}
	if !slices.Contains(names, "mobilenetv2") || !slices.Contains(names, "vgg16.hed_bsds500") || slices.Contains(names, "resnet18.a1_in1k") || slices.Contains(names, "resnet50") {
		t.Errorf("handy with a network: %v", names)
	}
}
