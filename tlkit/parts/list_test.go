package parts

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// tree makes empty files.
func tree(t *testing.T, paths ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range paths {
		path := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pictures(t *testing.T, source string) (list []Picture) {
	t.Helper()
	if err := List(context.Background(), source, func(p Picture) error { list = append(list, p); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFolders(t *testing.T) {
	dir := tree(t, "train/bees/b.jpg", "train/bees/a.PNG", "val/ants/c.jpg", "loose.jpg", "notes.txt", ".git/x.jpg", "train/bees/deep/d.jpg")
	if err := os.Symlink(dir, filepath.Join(dir, "train", "circle")); err != nil {
		t.Fatal(err)
	}
	want := []Picture{
		{"loose.jpg", "", ""},
		{"train/bees/a.PNG", "bees", datasets.Train}, {"train/bees/b.jpg", "bees", datasets.Train},
		{"train/bees/deep/d.jpg", "bees", datasets.Train},
		{"val/ants/c.jpg", "ants", datasets.Valid},
	}
	if got := pictures(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTables(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list.csv")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\ufeffPath,label,Split\n./a/1.jpg,ant,train\nb.jpg,bee,validation\n")
	if got, want := pictures(t, path), []Picture{{"a/1.jpg", "ant", datasets.Train}, {"b.jpg", "bee", datasets.Valid}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for text, want := range map[string]string{
		"file,label\na.jpg,x\n":                 "want path",
		"path,label\n../a.jpg,x\n":              "line 2",
		"path,label\n/etc/a.jpg,x\n":            "not below",
		"path,split\na.jpg,train\nb.jpg,mine\n": `line 3`,
		"path,label\na.jpg\n":                   "wrong number of fields",
	} {
		write(text)
		if err := List(context.Background(), path, func(Picture) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestLines(t *testing.T) {
	var got []Picture
	add := func(p Picture) error { got = append(got, p); return nil }
	err := fromLines(context.Background(), strings.NewReader("./ants/1.jpg\r\n\ntest/bees/2.jpg\n"), add)
	if want := []Picture{{"ants/1.jpg", "ants", ""}, {"test/bees/2.jpg", "bees", datasets.Test}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if err := fromLines(context.Background(), strings.NewReader("../x.jpg\n"), add); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a path outside: %v", err)
	}
}

func TestManifestsAreChecked(t *testing.T) {
	m := listed(t, photos(t, 3), 4)
	spoil := func(name, old, new string) func() {
		path := filepath.Join(m.dir, name)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return func() { _ = os.WriteFile(path, text, 0o600) }
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"manifest.json", `"version": 1`, `"version": 7`, "version 7"},
		{"manifest.json", "{", "", "damaged"},
		{"part-000001.jsonl", `"path":"`, `"path":"../`, "not below"},
		{"part-000001.jsonl", "\n", "", "damaged"},
		{"part-000000.jsonl", "{", "\n{", "damaged"},
	} {
		mend := spoil(c.name, c.old, c.new)
		again, err := Open(m.dir)
		for k := 0; err == nil && k < 2; k++ {
			_, err = again.Part(k)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s without %q: %v, want %q", c.name, c.old, err, c.want)
		}
		mend()
	}
	if _, err := m.Part(2); err == nil || !strings.Contains(err.Error(), "part 2 of 2") {
		t.Error(err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "tlkit parts") {
		t.Error(err)
	}
	if _, err := Write(context.Background(), t.TempDir(), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "no picture") {
		t.Error(err)
	}
}
