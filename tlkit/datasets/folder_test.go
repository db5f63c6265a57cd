package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestSplitFolders(t *testing.T) {
	d := open(t, files{
		"train/bees/1.jpg": jpegOf(1), "train/ants/2.png": pngOf(2), "train/ants/deep/er/3.gif": gifOf(3),
		"Val/ants/4.png": pngOf(4), "test/bees/5.png": pngOf(5), "README.txt": []byte("hello"), "notes/x.png": pngOf(6),
	}.write(t), Options{})
	if got := fmt.Sprint(d.Labels); got != "[ants bees]" {
		t.Errorf("labels %s", got)
	}
	if got := rels(d, "train"); got != "train/ants/2.png=ants train/ants/deep/er/3.gif=ants train/bees/1.jpg=bees" {
		t.Errorf("train: %s", got)
	}
	if got := rels(d, "validation"); got != "Val/ants/4.png=ants" {
		t.Errorf("valid: %s", got)
	}
	if got := rels(d, "test"); got != "test/bees/5.png=bees" {
		t.Errorf("test: %s", got)
	}
	if d.Evaluation() != "valid" || !slices.Equal(d.Splits(), []Split{Train, Valid, Test}) || len(d.In("all")) != 5 || d.In("dev") != nil {
		t.Errorf("reported split %q of %v, %d pictures", d.Evaluation(), d.Splits(), len(d.In("all")))
	}
	for _, rel := range []string{"README.txt", "notes/x.png"} {
		if reason(d.Report.Skipped, rel) == "" {
			t.Errorf("%s is not reported as skipped: %+v", rel, d.Report)
		}
	}
	if len(d.Report.Warnings) != 3 { // a picture outside, no bees in valid, no ants in test
		t.Errorf("warnings: %q", d.Report.Warnings)
	}
	it := d.In("test")[0]
	sum := sha256.Sum256(pngOf(5))
	if it.SHA256 != hex.EncodeToString(sum[:]) || it.Path != filepath.Join(d.Root, "test", "bees", "5.png") || !filepath.IsAbs(it.Path) {
		t.Errorf("item %+v", it)
	}
}

func TestTestOnlyIsReported(t *testing.T) {
	d := open(t, files{}.many("train/a", 4).many("train/b", 4).many("test/a", 2).many("test/b", 2).write(t), Options{})
	if d.Evaluation() != "test" || d.Dealt || len(d.In("valid")) != 0 {
		t.Errorf("reported split %q, dealt %v, %d in valid; want test, false, 0", d.Evaluation(), d.Dealt, len(d.In("valid")))
	}
}

func TestLabelFoldersAreSplit(t *testing.T) {
	dir := files{}.many("cat", 20).many("dog", 10).many("elk", 2).many("yak", 1).write(t)
	d := open(t, dir, Options{Seed: 3})
	n := map[Count]bool{}
	for _, c := range d.Report.Counts {
		n[c] = true
	}
	for _, want := range []Count{{"cat", "train", 16}, {"cat", "valid", 4}, {"dog", "train", 8}, {"dog", "valid", 2}, {"elk", "train", 1}, {"elk", "valid", 1}, {"yak", "train", 1}} {
		if !n[want] {
			t.Errorf("no %+v in %+v", want, d.Report.Counts)
		}
	}
	if !d.Dealt {
		t.Error("Dealt is not set")
	}
	if again := open(t, dir, Options{Seed: 3}); again.Fingerprint() != d.Fingerprint() {
		t.Error("the same seed gives another split")
	}
	if other := open(t, dir, Options{Seed: 4}); other.Fingerprint() == d.Fingerprint() {
		t.Error("another seed gives the same split")
	}
	if half := open(t, dir, Options{ValidFraction: 0.5}); len(half.In("valid")) != 10+5+1 {
		t.Errorf("half of each label: %d in valid", len(half.In("valid")))
	}
	most := open(t, dir, Options{ValidFraction: 0.999})
	for _, c := range most.Report.Counts {
		if c.Split == "train" && c.N != 1 {
			t.Errorf("nearly all to valid: %+v", c)
		}
	}
	if len(most.In("train")) != 4 {
		t.Errorf("nearly all to valid: %d left in train, want one of each label", len(most.In("train")))
	}
	for _, f := range []float64{-0.1, 1, 2, math.NaN()} {
		if _, err := Open(context.Background(), dir, Options{ValidFraction: f}); err == nil {
			t.Errorf("ValidFraction %v is taken", f)
		}
	}
}

func TestTrainOnlyIsSplit(t *testing.T) {
	d := open(t, files{}.many("train/a", 10).many("train/b", 5).write(t), Options{})
	if len(d.In("valid")) != 3 || !d.Dealt || len(d.Report.Warnings) == 0 {
		t.Errorf("%d in valid, dealt %v, warnings %q", len(d.In("valid")), d.Dealt, d.Report.Warnings)
	}
}

func TestFlatFolderHasNoLabels(t *testing.T) {
	d := open(t, files{"1.png": pngOf(1), "2.jpg": jpegOf(2), "note.txt": []byte("x")}.write(t), Options{})
	if got := rels(d, "test"); got != "1.png=(no label) 2.jpg=(no label)" || len(d.Labels) != 0 {
		t.Errorf("%s, labels %q", got, d.Labels)
	}
	if err := d.CheckTraining(); !errors.Is(err, errOneLabel) {
		t.Errorf("CheckTraining: %v, want errOneLabel", err)
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	dir := files{
		"a/.DS_Store": {1}, ".git/x.png": pngOf(1), "__MACOSX/a/._1.png": pngOf(2), "a/Thumbs.db": {1}, "b/.hidden.png": pngOf(3),
		"a/really.txt": pngOf(4), // a picture, whatever it is called
		"loose.png":    pngOf(5),
		"empty/":       nil,
	}.many("a", 30).many("b", 30).write(t)
	d := open(t, dir, Options{})
	for _, rel := range []string{"a/.DS_Store", ".git", "__MACOSX", "a/Thumbs.db", "b/.hidden.png", "loose.png"} {
		if reason(d.Report.Skipped, rel) == "" {
			t.Errorf("%s is not reported as skipped", rel)
		}
	}
	if !strings.Contains(rels(d, "all"), "a/really.txt=a") {
		t.Error("a picture called .txt is not taken")
	}
	if len(d.Items) != 61 || len(d.Labels) != 2 || d.Report.Bad() != 0 {
		t.Errorf("%d pictures, labels %q, %d bad", len(d.Items), d.Labels, d.Report.Bad())
	}
	if !strings.Contains(strings.Join(d.Report.Warnings, "|"), "the folder empty holds no pictures") {
		t.Errorf("no word about the empty folder: %q", d.Report.Warnings)
	}
}

func TestBadFiles(t *testing.T) {
	bad := files{
		"a/text.jpg": []byte("not a picture at all"), "a/nothing.png": {}, "b/cut.png": pngOf(1)[:20], "b/cut.jpg": jpegOf(1)[:30],
		"b/photo.heic": []byte("\x00\x00\x00\x18ftypheic...."), "a/list.csv": []byte("1,2"),
	}
	few := files{}.many("a", 70).many("b", 70)
	for k, v := range bad {
		few[k] = v
	}
	d := open(t, few.write(t), Options{})
	for rel, want := range map[string]string{
		"a/text.jpg": "not a picture", "a/nothing.png": "empty", "b/cut.png": "header cannot be read", "b/cut.jpg": "header cannot be read",
		"b/photo.heic": "HEIC; convert it",
	} {
		if got := reason(d.Report.Unreadable, rel); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", rel, got, want)
		}
	}
	if reason(d.Report.NotPicture, "a/list.csv") == "" || d.Report.Bad() != len(bad) || len(d.Items) != 140 {
		t.Errorf("%d bad, %d pictures: %+v", d.Report.Bad(), len(d.Items), d.Report)
	}

	many := files{}.many("a", 50).many("b", 50)
	for k, v := range bad {
		many[k] = v
	}
	dir := many.write(t)
	_, err := Open(context.Background(), dir, Options{})
	if !errors.Is(err, ErrTooManyBad) {
		t.Fatalf("6 of 106 bad: %v, want ErrTooManyBad", err)
	}
	for rel := range bad {
		if !strings.Contains(err.Error(), rel) {
			t.Errorf("the error does not name %s:\n%v", rel, err)
		}
	}
	if _, err := Open(context.Background(), dir, Options{BadLimit: 0.1}); err != nil {
		t.Errorf("BadLimit 0.1: %v", err)
	}
}

func TestOddNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems refuse such names")
	}
	dir := files{"a/\x1b[31mred\n.png": pngOf(1), "a/bad\xff.png": pngOf(2), "b/ü ñ%.png": pngOf(3)}.many("a", 40).many("b", 40).write(t)
	d := open(t, dir, Options{})
	if len(d.Items) != 82 {
		t.Errorf("%d pictures, want 82", len(d.Items))
	}
	if len(d.Report.NotPicture) != 1 || !strings.Contains(d.Report.NotPicture[0].Why, "UTF-8") {
		t.Errorf("the name that is no text: %+v", d.Report.NotPicture)
	}
	if text := d.Report.Text(); strings.ContainsAny(text, "\x1b\xff") {
		t.Errorf("the report hands a file name's escape codes to the terminal: %q", text)
	}
}

func TestWrongFolder(t *testing.T) {
	ctx := context.Background()
	twice := files{}.many("train/a", 3).many("val/a", 3).many("valid/a", 3).write(t)
	if _, err := Open(ctx, twice, Options{}); err == nil || !strings.Contains(err.Error(), "keep one") {
		t.Errorf("val and valid: %v", err)
	}
	if _, err := Open(ctx, t.TempDir(), Options{}); !errors.Is(err, ErrNoPictures) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Open(ctx, files{"a/1.txt": []byte("x")}.write(t), Options{BadLimit: 1}); !errors.Is(err, ErrNoPictures) {
		t.Errorf("only text: %v", err)
	}
	for _, name := range []string{"", "nothing-of-this-name", "./nothing/there", "a\x00b"} {
		if _, err := Open(ctx, name, Options{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("Open(%q): %v, want ErrNotFound", name, err)
		}
	}
}

func TestCheckTraining(t *testing.T) {
	for name, c := range map[string]struct {
		files files
		want  error
		also  string
	}{
		"good":              {files{}.many("a", 4).many("b", 4), nil, ""},
		"one label":         {files{}.many("a", 4), errOneLabel, ""},
		"one picture":       {files{}.many("a", 4).many("b", 1), errTooFew, `"b" has 1 picture`},
		"two, one reserved": {files{}.many("a", 4).many("b", 2), errTooFew, `"b" has 1 picture`},
		"only in valid":     {files{}.many("train/a", 4).many("train/b", 4).many("valid/c", 1), errLabelNotInTrain, `"c" is in valid`},
		"empty in train":    {files{"train/c/": nil}.many("train/a", 4).many("train/b", 4).many("valid/c", 1), errLabelNotInTrain, ""},
		"no train":          {files{}.many("test/a", 4).many("test/b", 4), errLabelNotInTrain, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, c.files.write(t), Options{}).CheckTraining()
			if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), c.also) {
				t.Errorf("%v does not say %q", err, c.also)
			}
		})
	}
}

func TestDuplicates(t *testing.T) {
	f := files{}.many("train/a", 5).many("train/b", 5).many("valid/a", 2).many("valid/b", 2)
	f["train/a/copy.png"] = f["train/a/aa.png"]
	f["valid/a/leak.png"] = f["train/a/ab.png"]
	f["train/b/lie.png"] = f["train/a/ac.png"]
	d := open(t, f.write(t), Options{})
	got := map[string]string{}
	for _, dup := range d.Report.Duplicates {
		got[strings.Join(dup.Files, " ")] = fmt.Sprint(dup.Splits, dup.Labels)
	}
	for files, want := range map[string]string{
		"train/a/aa.png train/a/copy.png": "[train] [a]", "train/a/ab.png valid/a/leak.png": "[train valid] [a]", "train/a/ac.png train/b/lie.png": "[train] [a b]",
	} {
		if got[files] != want {
			t.Errorf("%s: %q, want %q", files, got[files], want)
		}
	}
	if len(got) != 3 || len(d.Report.Leaks()) != 1 || len(d.Report.Warnings) != 2 || len(d.Items) != 17 {
		t.Errorf("%d groups, %d leaks, warnings %q, %d pictures", len(got), len(d.Report.Leaks()), d.Report.Warnings, len(d.Items))
	}
	if text := d.Report.Text(); !strings.Contains(text, "train/a/ab.png = valid/a/leak.png") || !strings.Contains(text, "1 across splits") {
		t.Errorf("the text does not say it:\n%s", text)
	}
}

func TestDrop(t *testing.T) {
	d := open(t, files{}.many("a", 50).many("b", 50).write(t), Options{})
	before := d.Fingerprint()
	if err := d.Drop(Bad{"a/aa.png", "cut short"}, Bad{"a/nothing.png", "unknown"}); err != nil {
		t.Fatal(err)
	}
	if len(d.Items) != 99 || d.Report.Pictures() != 99 || reason(d.Report.Unreadable, "a/aa.png") != "cut short" || len(d.Report.Unreadable) != 1 || d.Fingerprint() == before {
		t.Errorf("%d pictures, %d counted, %+v", len(d.Items), d.Report.Pictures(), d.Report.Unreadable)
	}
	var bad []Bad
	for _, it := range d.Items[:9] {
		bad = append(bad, Bad{it.Rel, "cut short"})
	}
	if err := d.Drop(bad...); !errors.Is(err, ErrTooManyBad) {
		t.Errorf("10 of 100 dropped: %v, want ErrTooManyBad", err)
	}
}

func TestFingerprint(t *testing.T) {
	f := files{}.many("train/a", 3).many("train/b", 3).many("test/a", 1).many("test/b", 1)
	one, two := open(t, f.write(t), Options{}), open(t, f.write(t), Options{})
	if one.Root == two.Root || one.Fingerprint() != two.Fingerprint() {
		t.Error("it depends on where the folder lies")
	}
	slices.Reverse(two.Items)
	if one.Fingerprint() != two.Fingerprint() {
		t.Error("it depends on the order of the items")
	}
	for what, change := range map[string]func(d *Dataset){
		"label":   func(d *Dataset) { d.Labels[0] = "c" },
		"class":   func(d *Dataset) { d.Items[0].Class = 1 },
		"split":   func(d *Dataset) { d.Items[0].Split = "valid" },
		"path":    func(d *Dataset) { d.Items[0].Rel += "x" },
		"content": func(d *Dataset) { d.Items[0].SHA256 = d.Items[1].SHA256 },
		"number":  func(d *Dataset) { d.Items = d.Items[1:] },
	} {
		d := open(t, one.Root, Options{})
		change(d)
		if d.Fingerprint() == one.Fingerprint() {
			t.Errorf("a change of %s does not change it", what)
		}
	}
}

// A folder of the user's is only ever read.
func TestNothingIsWritten(t *testing.T) {
	dir := files{"a/x.txt": []byte("x")}.many("a", 30).many("b", 30).write(t)
	look := func() string {
		var s strings.Builder
		filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			info, _ := d.Info()
			fmt.Fprintln(&s, p, info.Mode(), info.ModTime(), info.Size())
			return err
		})
		return s.String()
	}
	before := look()
	open(t, dir, Options{})
	if after := look(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestOpenStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, files{}.many("a", 3).many("b", 3).write(t), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A folder that cannot be listed ends it with a sentence that names it: without its pictures, a label could be
// missing. Paths that are too long for the system cannot be listed even by root.
func TestClosedFolder(t *testing.T) {
	dir := files{}.many("ants", 4).many("bees", 4).write(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	deep := "bees"
	for range 20 {
		deep += "/" + strings.Repeat("x", 240)
		if err := root.Mkdir(deep, 0o755); err != nil {
			t.Skipf("this system makes no such folder: %v", err)
		}
	}
	for what, err := range map[string]error{
		"Open":     func() error { _, err := Open(context.Background(), dir, Options{}); return err }(),
		"Pictures": func() error { _, err := Pictures(context.Background(), dir); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "the folder bees/xxx") || !strings.Contains(err.Error(), "move that folder elsewhere") || strings.Count(err.Error(), "xxx/xxx") > 20 {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := closed("scans/7", &fs.PathError{Op: "open", Path: "/data/scans/7", Err: fs.ErrPermission}); err.Error() != "the folder scans/7 in it cannot be read: permission denied; to allow it: chmod u+rx; or move that folder elsewhere, if its pictures do not belong here" {
		t.Error(err)
	}
}
