package data_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/data"
)

func TestLabels(t *testing.T) {
	imagenet, err := data.Labels("imagenet1k")
	if err != nil {
		t.Fatal(err)
	}
	for class, want := range map[int]string{0: "tench", 309: "bee", 310: "ant", 281: "tabby", 999: "toilet tissue"} {
		if imagenet[class] != want {
			t.Errorf("class %d is %q, want %q", class, imagenet[class], want)
		}
	}
	seen := map[string]bool{}
	for i, l := range imagenet {
		if l == "" || strings.TrimSpace(l) != l || seen[l] {
			t.Errorf("class %d: label %q is empty, padded or used twice", i, l)
		}
		seen[l] = true
	}
	cifar, err := data.Labels("cifar10")
	if err != nil {
		t.Fatal(err)
	}
	if len(cifar) != 10 || cifar[0] != "airplane" || cifar[9] != "truck" || !slices.IsSorted(cifar[:9]) {
		t.Errorf("cifar10 is %q", cifar)
	}
	cifar[0] = "changed"
	if again, _ := data.Labels("cifar10"); again[0] != "airplane" {
		t.Error("the caller's change reached the next caller")
	}
	if _, err := data.Labels("../sets"); err == nil || !strings.Contains(err.Error(), "imagenet1k") {
		t.Errorf("an unknown list: error %v, want one that names the known lists", err)
	}
}

// Every row must say what it is, what may be done with it and where it comes
// from, and must be either drawn, or checked, or marked as unverified.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, s := range data.Sets() {
		t.Run(s.Name, func(t *testing.T) {
			if names[s.Name] || s.Name == "" || filepath.Base(s.Name) != s.Name {
				t.Errorf("name %q is taken, empty or no plain name", s.Name)
			}
			names[s.Name] = true
			if got, ok := data.FindSet(s.Name); !ok || got.Title != s.Title {
				t.Errorf("FindSet does not find it")
			}
			if s.Title == "" || s.Licence == "" || s.Origin == "" || len(s.Labels) < 2 || !slices.IsSorted(s.Labels) {
				t.Errorf("title, licence, origin or labels are missing, or the labels are unsorted: %+v", s)
			}
			files, err := s.Files()
			if err != nil {
				t.Fatal(err)
			}
			sources := 0
			if s.URL != "" {
				sources++
				if u, err := url.Parse(s.URL); err != nil || u.Scheme != "https" {
					t.Errorf("URL %q, want https", s.URL)
				}
			}
			if s.Package != nil {
				sources++
			}
			if s.Drawing != nil {
				sources++
			}
			if sources != 1 {
				t.Errorf("%d of URL, package and drawing are given, want one", sources)
			}
			hashed := s.Package != nil && len(s.Package.SHA256) == 64
			if s.Drawing == nil && !hashed && s.Unverified == "" {
				t.Error("nothing says what of it was not checked")
			}
			used := map[string]bool{}
			for _, f := range files {
				if !slices.Contains(s.Labels, f.Class) {
					t.Errorf("%s has the label %q", f.Path(), f.Class)
				}
				if used[f.SHA256] {
					t.Errorf("%s is a duplicate", f.Path())
				}
				used[f.SHA256] = true
			}
		})
	}
	if _, ok := data.FindSet("imagenet"); ok {
		t.Error("found a set that is not there")
	}
}

func TestLists(t *testing.T) {
	count := func(name string) map[string]int {
		set, ok := data.FindSet(name)
		if !ok {
			t.Fatalf("no set %s", name)
		}
		files, err := set.Files()
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for _, f := range files {
			n[string(f.Split)+"/"+f.Class]++
			if f.Name == "imageNotFound.gif" {
				t.Error("the placeholder is on the list")
			}
		}
		return n
	}
	if n := count("hymenoptera"); fmt.Sprint(n) != "map[train/ants:123 train/bees:121 valid/ants:70 valid/bees:83]" {
		t.Errorf("hymenoptera: %v", n)
	}
	if n := count("food5"); fmt.Sprint(n) != "map[/fish:92 /fruit:68 /grain-and-pulse:49 /leafy:34 /vegetable:77]" {
		t.Errorf("food5: %v", n)
	}
}

// The names of hymenoptera's files are those of the real folder.
func TestListAgainstFolder(t *testing.T) {
	base := os.Getenv("TLKIT_DATA")
	if base == "" {
		t.Skip("TLKIT_DATA is not set: no copy of the ants and bees to compare with")
	}
	set, _ := data.FindSet("hymenoptera")
	files, err := set.Files()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(base, "hymenoptera")); err != nil {
		t.Skip("no folder hymenoptera in TLKIT_DATA")
	}
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(base, "hymenoptera", filepath.FromSlash(f.Path()))); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestSheets(t *testing.T) {
	for _, name := range []string{"insects", "insects-medium", "insects-hard", "insects-few", "insects-labels", "insects-values"} {
		set, ok := data.FindSet(name)
		if !ok || set.Drawing == nil {
			t.Fatalf("%s is not there or not drawn", name)
		}
		n := map[string]int{}
		paths := map[string]bool{}
		sheets := set.Drawing.Sheets()
		for _, s := range sheets {
			n[s.Folder]++
			paths[s.Folder+"/"+s.Name] = true
		}
		want := "map[test/ants:500 test/bees:500 train/ants:122 train/bees:122]"
		if name == "insects-few" {
			want = "map[test/ants:100 test/bees:100 train/ants:48 train/bees:48]"
		}
		if fmt.Sprint(n) != want || len(paths) != len(sheets) {
			t.Errorf("%s: %v, %d paths of %d sheets", name, n, len(paths), len(sheets))
		}
		img, err := sheets[len(sheets)-1].Draw()
		if err != nil || img.Bounds().Empty() {
			t.Errorf("%s: drawing gives %v, %v", name, img, err)
		}
	}
}

func ExampleFindSet() {
	set, ok := data.FindSet("hymenoptera")
	files, err := set.Files()
	fmt.Println(ok, err, set.Labels, len(files))
	fmt.Println(files[0].Split, files[0].Class, files[0].Path())
	// Output:
	// true <nil> [ants bees] 397
	// train ants train/ants/0013035.jpg
}

func ExampleLabels() {
	labels, err := data.Labels("imagenet1k")
	fmt.Println(len(labels), labels[310], err)
	// Output: 1000 ant <nil>
}
