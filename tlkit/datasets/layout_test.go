package datasets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/picturefile"
)

// summary says how a folder was read: "train 4, test 2: ants bees".
func summary(d *Dataset) string {
	if d.Dealt {
		return fmt.Sprintf("%d dealt: %s", len(d.Items), strings.Join(d.Labels, " "))
	}
	var parts []string
	for _, s := range d.Splits() {
		parts = append(parts, fmt.Sprintf("%s %d", s, len(d.In(s))))
	}
	return strings.Join(parts, ", ") + ": " + strings.Join(d.Labels, " ")
}

// twoLabels makes ants and bees in each folder, n pictures of each label.
func twoLabels(n int, folders ...string) files {
	f := files{}
	for _, folder := range folders {
		f.many(folder+"/ants", n).many(folder+"/bees", n)
	}
	return f
}

func (f files) and(others ...files) files {
	for _, o := range others {
		for k, v := range o {
			f[k] = v
		}
	}
	return f
}

func text(names ...string) files {
	f := files{}
	for _, n := range names {
		f[n] = []byte("text")
	}
	return f
}

// How people's folders are read, and what is said about them. A want that begins with "stop"
// is an error with these words.
func TestLayouts(t *testing.T) {
	for name, c := range map[string]struct {
		files      files
		want, said string
	}{
		// splits by name
		"kaggle":             {twoLabels(3, "training_set").and(twoLabels(2, "test_set")), "train 6, test 4: ants bees", ""},
		"kaggle nested":      {twoLabels(3, "training_set/training_set").and(twoLabels(2, "test_set/test_set")), "train 6, test 4: ants bees", ""},
		"intel":              {twoLabels(3, "seg_train/seg_train").and(twoLabels(2, "seg_test/seg_test"), files{}.many("seg_pred/seg_pred", 3)), "train 6, test 4: ants bees", "3 file(s) named like pictures in seg_pred"},
		"testing":            {twoLabels(3, "Training").and(twoLabels(2, "Testing")), "train 6, test 4: ants bees", ""},
		"keras":              {twoLabels(3, "cats_filtered/train").and(twoLabels(2, "cats_filtered/validation"), text("cats_filtered/vectorize.py")), "train 6, valid 4: ants bees", "holds nothing else"},
		"dataset":            {twoLabels(3, "dataset/train").and(twoLabels(2, "dataset/val"), text("LICENSE.txt", "README.md")), "train 6, valid 4: ants bees", "dataset is read"},
		"two too high":       {twoLabels(3, "a/b/train").and(twoLabels(2, "a/b/dev")), "train 6, valid 4: ants bees", "is read"},
		"images":             {twoLabels(3, "images/train").and(twoLabels(2, "images/val"), text("labels/train/1.txt")), "train 6, valid 4: ants bees", ""},
		"upper case":         {twoLabels(3, "TRAIN").and(twoLabels(2, "TEST")), "train 6, test 4: ants bees", ""},
		"camel":              {twoLabels(3, "trainImages").and(twoLabels(2, "TestImages")), "train 6, test 4: ants bees", ""},
		"years":              {twoLabels(3, "train2017").and(twoLabels(2, "val2017")), "train 6, valid 4: ants bees", ""},
		"words":              {twoLabels(3, "Training Data").and(twoLabels(2, "Validation Data"), twoLabels(1, "hold-out")), "train 6, valid 4, test 2: ants bees", ""},
		"compound":           {twoLabels(3, "trainset").and(twoLabels(2, "testset")), "train 6, test 4: ants bees", ""},
		"x_train":            {twoLabels(3, "X_train").and(twoLabels(2, "X_test")), "train 6, test 4: ants bees", ""},
		"eval":               {twoLabels(3, "train").and(twoLabels(2, "eval")), "train 6, valid 4: ants bees", ""},
		"common words":       {twoLabels(3, "isic2019_train").and(twoLabels(2, "isic2019_valid"), twoLabels(1, "isic2019_test")), "train 6, valid 4, test 2: ants bees", ""},
		"one unwrapped":      {twoLabels(3, "train").and(twoLabels(2, "test/images")), "train 6, test 4: ants bees", ""},
		"chest x-ray":        {twoLabels(3, "train", "chest/train").and(twoLabels(2, "val", "chest/val")), "train 6, valid 4: ants bees", "10 file(s) named like pictures in chest"},
		"old one beside":     {twoLabels(3, "train", "train_old").and(twoLabels(2, "val")), "train 6, valid 4: ants bees", "in train_old"},
		"extra beside":       {twoLabels(3, "train", "extra").and(twoLabels(2, "val")), "train 6, valid 4: ants bees", "in extra"},
		"only train":         {twoLabels(5, "train"), "10 dealt: ants bees", "there is only train"},
		"figures beside":     {twoLabels(9, "train", "test").and(files{}.many("figures", 1)), "train 18, test 18: ants bees", "in figures"},
		"two that mean test": {twoLabels(3, "train", "test", "testing"), "stop: two folders that mean", ""},

		// splits by structure
		"train by elimination": {twoLabels(3, "public").and(twoLabels(2, "test")), "train 6, test 4: ants bees", `"public" holds the same folders`},
		"train around test":    {files{}.many("ants", 3).many("bees", 3).and(twoLabels(2, "test")), "train 6, test 4: ants bees", "taken for train"},
		"splits in labels":     {files{}.many("ants/train", 3).many("ants/test", 1).many("bees/train", 3).many("bees/test", 2), "train 6, test 3: ants bees", ""},
		"a label train":        {files{}.many("train/train", 3).many("train/test", 1).many("bus/train", 3).many("bus/test", 2), "train 6, test 3: bus train", ""},
		"unnamed":              {twoLabels(3, "one_part", "other_part"), "stop: look like splits", "--label-folders"},
		"unnamed three":        {twoLabels(3, "red", "green", "blue"), "stop: look like splits", "--label-folders"},
		"unnamed, wrapped":     {twoLabels(3, "red/red", "green/green"), "stop: look like splits", "--label-folders"},
		"train and what":       {twoLabels(3, "train", "more"), "stop: unclear which split", "--label-folders"},
		"folds":                {twoLabels(3, "fold1", "fold2", "fold3", "fold4"), "stop: folds", "--folds 4"},
		"number folds":         {twoLabels(3, "1", "2", "3", "4", "5"), "stop: folds", "--folds 5"},
		"many alike":           {twoLabels(3, "cats", "dogs", "elks", "yaks"), "24 dealt: cats dogs elks yaks", "outer ones are taken for labels"},
		"test among labels":    {files{}.many("ants", 3).many("bees", 3).many("test", 3), "stop: looks like a split", "--label-folders"},

		"two sets":           {twoLabels(3, "insects/train", "other/train").and(twoLabels(2, "insects/val", "other/val")), "stop: hold splits of their own", "/insects"},
		"numbered splits":    {twoLabels(3, "split1/train", "split2/train").and(twoLabels(2, "split1/test", "split2/test")), "stop: hold splits of their own", "/split1"},
		"a set and a figure": {twoLabels(20, "insects/train", "insects/val").and(files{}.many("figures", 1)), "train 40, valid 40: ants bees", "insects is read"},
		"split and label":    {files{}.many("train_ants", 3).many("train_bees", 3).many("test_ants", 2).many("test_bees", 2), "stop: both a split and a label", "train/ants"},
		"domains":            {twoLabels(3, "color", "grayscale", "segmented"), "stop: look like splits", "/color"},
		"apprentissage":      {twoLabels(3, "apprentissage").and(twoLabels(2, "validation"), twoLabels(1, "test")), "train 6, valid 4, test 2: ants bees", "taken for train"},
		"fruits":             {twoLabels(3, "fruits/Training").and(twoLabels(2, "fruits/Test"), files{}.many("fruits/test-multiple_fruits", 2)), "train 6, test 4: ants bees", "in test-multiple_fruits"},
		"fast.ai sample":     {twoLabels(3, "train", "sample/train").and(twoLabels(2, "valid", "sample/valid")), "train 6, valid 4: ants bees", "in sample"},
		"signs":              {twoLabels(5, "Train").and(files{}.many("Test", 3).many("Meta", 2), text("Test.csv")), "10 dealt: ants bees", "2 file(s) named like pictures in Meta"},

		// no labels
		"flat test":      {twoLabels(5, "train").and(files{}.many("test", 3)), "10 dealt: ants bees", "3 file(s) named like pictures in test"},
		"test/unknown":   {twoLabels(3, "train", "val").and(files{}.many("test/unknown", 3)), "train 6, valid 6: ants bees", "3 file(s) named like pictures in test"},
		"test/test":      {twoLabels(3, "train", "val").and(files{}.many("test/test", 3)), "train 6, valid 6: ants bees", "3 file(s) named like pictures in test"},
		"all flat":       {files{}.many("train", 3).many("test", 3), "stop: no label folder", "folder of its own"},
		"all flat, list": {files{}.many("train_images", 3).many("test_images", 3).and(text("train.csv")), "stop: no label folder", "train.csv"},

		// labels
		"vehicles":           {files{}.many("bus", 3).many("train", 3).many("plane", 3), "9 dealt: bus plane train", ""},
		"words that test":    {files{}.many("test_strips", 3).many("train_tickets", 3), "6 dealt: test_strips train_tickets", ""},
		"boards":             {files{}.many("dev_board/a", 3).many("dev_board/b", 3).many("cable/c", 3), "9 dealt: cable dev_board", ""},
		"deeper":             {files{}.many("cats/2020", 3).many("cats/2021", 3).many("dogs", 3), "9 dealt: cats dogs", ""},
		"kinds":              {files{}.many("animal/cat", 3).many("animal/dog", 3).many("plant/rose", 3).many("plant/fern", 3), "12 dealt: animal plant", "not told apart"},
		"digits":             {files{}.many("0", 3).many("1", 3).many("2", 3), "9 dealt: 0 1 2", ""},
		"one too high":       {files{}.many("photos/ants", 3).many("photos/bees", 3).and(text("LICENSE.txt")), "6 dealt: ants bees", "photos is read"},
		"three too high":     {files{}.many("a/b/c/ants", 3).many("a/b/c/bees", 3), "6 dealt: ants bees", "a/b/c is read"},
		"banner beside":      {twoLabels(15, "photos").and(files{"banner.png": pngOf(7)}), "30 dealt: ants bees", "photos is read"},
		"copy one deeper":    {twoLabels(3, "flowers").and(files{}.many("ants", 3).many("bees", 3)), "6 dealt: ants bees", "as a copy does"},
		"masks":              {files{}.many("covid/images", 3).many("covid/masks", 3).many("normal/images", 3).many("normal/masks", 3), "12 dealt: covid normal", "not told apart"},
		"images beside":      {files{}.many("images", 3).many("trimaps", 3), "6 dealt: images trimaps", `"images" is taken for a label`},
		"real and fake":      {files{}.many("training_real", 3).many("training_fake", 3), "6 dealt: training_fake training_real", ""},
		"one label":          {files{}.many("ants", 3), "3 dealt: ants", ""},
		"one label, deeper":  {files{}.many("ants/2020", 3), "3 dealt: ants", ""},
		"empty folder":       {files{"val/": nil}.many("ants", 3).many("bees", 3), "6 dealt: ants bees", "the folder val holds no pictures"},
		"names without dots": {files{"a/1": pngOf(1), "a/2": pngOf(2), "b/1": pngOf(3), "b/2": pngOf(4)}, "4 dealt: a b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.files.write(t)
			d, err := Open(context.Background(), dir, Options{})
			if stop, ok := strings.CutPrefix(c.want, "stop: "); ok {
				if err == nil {
					t.Fatalf("read as %s, want an error", summary(d))
				}
				if !strings.Contains(err.Error(), stop) || !strings.Contains(err.Error(), c.said) {
					t.Errorf("%v\ndoes not say %q and %q", err, stop, c.said)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(d); got != c.want {
				t.Errorf("read as %s, want %s", got, c.want)
			}
			warnings := strings.Join(d.Report.Warnings, "\n")
			if !strings.Contains(warnings, c.said) {
				t.Errorf("%q does not say %q", warnings, c.said)
			}
			if left := len(c.files) - len(d.Items) - len(d.Report.Skipped) - d.Report.Bad(); left > 1 {
				t.Errorf("%d files are neither used nor reported: %+v", left, d.Report)
			}
		})
	}
}

func TestLabelFolders(t *testing.T) {
	for _, f := range []files{twoLabels(3, "cats", "dogs"), twoLabels(3, "train", "cats"), twoLabels(3, "fold1", "fold2"), files{}.many("cats", 3).many("test", 3)} {
		dir := f.write(t)
		if d, err := Open(context.Background(), dir, Options{}); err == nil && !d.Dealt {
			t.Errorf("read as %s without a word", summary(d))
		}
		d := open(t, dir, Options{LabelFolders: true})
		if len(d.Labels) != 2 || len(d.Items) != len(f) || !d.Dealt {
			t.Errorf("read as %s", summary(d))
		}
	}
}

// A folder above is read as the folder with the pictures: with the same fingerprint.
func TestOneFolderTooHigh(t *testing.T) {
	dir := twoLabels(3, "set/train", "set/val").and(text("README.md", "set/notes.txt")).write(t)
	above, inside := open(t, dir, Options{}), open(t, filepath.Join(dir, "set"), Options{})
	if above.Fingerprint() != inside.Fingerprint() || above.Root != inside.Root {
		t.Errorf("%s and %s differ", above.Root, inside.Root)
	}
	for _, rel := range []string{"../README.md", "notes.txt"} {
		if reason(above.Report.Skipped, rel) == "" {
			t.Errorf("%s is not reported: %+v", rel, above.Report.Skipped)
		}
	}
}

// What systems and programs leave in folders is neither a picture nor a label, at any level.
func TestDebris(t *testing.T) {
	for _, name := range []string{
		"@eaDir/", "#recycle/", "$RECYCLE.BIN/", "System Volume Information/", "lost+found/", "__MACOSX/", ".git/", ".svn/", ".idea/", ".vscode/", ".ipynb_checkpoints/",
		".thumbnails/", ".Trash-1000/", "@Recycle/", ".@__thumb/", "@__thumb/", ".AppleDouble/", ".stversions/", "_vti_cnf/", "#snapshot/", "Previews.lrdata/",
		"x.png:Zone.Identifier", "Thumbs.db", "desktop.ini", "ehthumbs.db", ".DS_Store", "._1.png", "x.png~", ".x.png.swp", "x.png.bak", "x.png.crdownload", "x.png.part", "#x.png#", "~$x.png", "Icon\r",
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.ContainsAny(name, "\r") {
				t.Skip("no such names there")
			}
			f := twoLabels(2, "train", "val")
			folder := strings.HasSuffix(name, "/")
			for _, above := range []string{"", "train/", "train/ants/", "train/ants/deep/"} {
				if folder {
					f[above+name+"x.png"] = pngOf(900)
					f[above+name+"sub/SYNOPHOTO_THUMB_M.jpg"] = jpegOf(901)
				} else {
					f[above+name] = pngOf(900)
				}
			}
			d := open(t, f.write(t), Options{})
			if got := summary(d); got != "train 4, valid 4: ants bees" {
				t.Errorf("read as %s", got)
			}
			if len(d.Report.Skipped) != 4 || d.Report.Bad() != 0 {
				t.Errorf("%d skipped, %d bad, want 4 and 0: %+v", len(d.Report.Skipped), d.Report.Bad(), d.Report.Skipped)
			}
		})
	}
	// Ordinary names stay.
	for _, name := range []string{"#1", "@home", "$5", "tmp", "temp", "backup", "thumbs", "CVS"} {
		if why := picturefile.Debris(name); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	d := open(t, files{".hidden/a/1.png": pngOf(1)}.many("a", 3).many("b", 3).write(t), Options{})
	if why := reason(d.Report.Skipped, ".hidden"); !strings.Contains(why, "1 of its files") {
		t.Errorf("a hidden folder with a picture: %q", why)
	}
}

// links makes symbolic links: slash path -> target.
func links(t *testing.T, dir string, all map[string]string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("making links takes rights there")
	}
	for link, target := range all {
		name := filepath.Join(dir, filepath.FromSlash(link))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinksAreFollowed(t *testing.T) {
	elsewhere := twoLabels(4, "pictures").and(twoLabels(2, "other")).write(t)
	at := func(rel string) string { return filepath.Join(elsewhere, filepath.FromSlash(rel)) }
	local := func() string { return twoLabels(4, "train").write(t) }
	for name, c := range map[string]struct {
		dir        string
		links      map[string]string
		want, said string
	}{
		"every picture":     {t.TempDir(), pictureLinks(t, elsewhere, "pictures"), "8 dealt: ants bees", "8 file(s) are links"},
		"a split":           {local(), map[string]string{"valid": at("other")}, "train 8, valid 4: ants bees", "valid → "},
		"a label":           {files{}.many("ants", 4).write(t), map[string]string{"bees": at("pictures/bees")}, "8 dealt: ants bees", "bees → "},
		"both splits":       {t.TempDir(), map[string]string{"train": at("pictures"), "test": at("other")}, "train 8, test 4: ants bees", "test → "},
		"link to a link":    {local(), map[string]string{"valid": "hop", "hop": at("other")}, "train 8, valid 4: ants bees", "valid → "},
		"valid is train":    {local(), map[string]string{"valid": "train"}, "8 dealt: ants bees", "count once"},
		"test is valid":     {twoLabels(4, "train").and(twoLabels(2, "valid")).write(t), map[string]string{"test": "valid"}, "train 8, valid 4: ants bees", "test/ants leads through a link"},
		"pool":              {twoLabels(4, "pool").and(files{}.many("pool/more", 1)).write(t), map[string]string{"train/ants": "../pool/ants", "train/bees": "../pool/bees", "val/ants": at("other/ants"), "val/bees": at("other/bees")}, "train 8, valid 4: ants bees", "in pool"},
		"to itself":         {local(), map[string]string{"train/ants/up": "..", "train/bees/self": "."}, "8 dealt: ants bees", ""},
		"to the top":        {local(), map[string]string{"train/ants/root": "/"}, "8 dealt: ants bees", ""},
		"two in a circle":   {local(), map[string]string{"train/ants/x": "../bees", "train/bees/x": "../ants"}, "8 dealt: ants bees", ""},
		"a link as the set": {linkTo(t, local()), nil, "8 dealt: ants bees", ""},
	} {
		t.Run(name, func(t *testing.T) {
			links(t, c.dir, c.links)
			d := open(t, c.dir, Options{BadLimit: 1})
			if got := summary(d); got != c.want {
				t.Errorf("read as %s, want %s: %+v", got, c.want, d.Report)
			}
			if w := strings.Join(d.Report.Warnings, "\n"); !strings.Contains(w, c.said) {
				t.Errorf("%q does not say %q", w, c.said)
			}
			for _, it := range d.Items {
				if _, err := os.ReadFile(it.Path); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// pictureLinks are links to every picture of a folder elsewhere.
func pictureLinks(t *testing.T, elsewhere, folder string) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(elsewhere, folder, "*", "*.png"))
	if err != nil || len(found) == 0 {
		t.Fatal(err, len(found))
	}
	all := map[string]string{}
	for _, f := range found {
		all[filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f)] = f
	}
	return all
}

func linkTo(t *testing.T, dir string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	return link
}

// Links that multiply, lead in circles or nowhere end, and are named.
func TestLinkBounds(t *testing.T) {
	dir := files{}.many("a", 30).many("b", 30).write(t)
	all := map[string]string{"a/lost.png": "nowhere.png", "a/round.png": "round.png", "a/up": "../.."}
	for i := range 30 { // 2^30 ways to the last
		all[fmt.Sprintf("a/d%d/left", i)] = fmt.Sprintf("../d%d", i+1)
		all[fmt.Sprintf("a/d%d/right", i)] = fmt.Sprintf("../d%d", i+1)
	}
	links(t, dir, all)
	if err := os.MkdirAll(filepath.Join(dir, "a", "d30"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "d30", "x.png"), pngOf(901), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir, Options{BadLimit: 0.1})
	if len(d.Items) != 61 {
		t.Errorf("%d pictures, want 61", len(d.Items))
	}
	for _, rel := range []string{"a/lost.png", "a/round.png"} {
		if !strings.Contains(reason(d.Report.Unreadable, rel), "leads nowhere") {
			t.Errorf("%s: %+v", rel, d.Report.Unreadable)
		}
	}
	if !strings.Contains(reason(d.Report.Skipped, "a/up"), "not followed") {
		t.Errorf("a/up: %+v", d.Report.Skipped)
	}
	if !slices.ContainsFunc(d.Report.Skipped, func(b Bad) bool { return strings.Contains(b.Why, "other links lead to") }) {
		t.Errorf("links that multiply are not named: %d skipped", len(d.Report.Skipped))
	}
	if _, err := Open(context.Background(), dir, Options{}); err != nil && !errors.Is(err, ErrTooManyBad) {
		t.Error(err)
	}
}

// A link to one picture is a picture; what else links lead to is named.
func TestFileLinks(t *testing.T) {
	outside := files{"secret.png": pngOf(900), "note.txt": []byte("x")}.write(t)
	dir := files{}.many("a", 50).many("b", 50).write(t)
	links(t, dir, map[string]string{"a/out.png": filepath.Join(outside, "secret.png"), "a/inside.png": "../b/ab.png", "a/null.png": os.DevNull, "b/note.txt": filepath.Join(outside, "note.txt"), "none": "missing"})
	d := open(t, dir, Options{})
	if len(d.Items) != 102 || !strings.Contains(rels(d, "all"), "a/inside.png=a") {
		t.Errorf("%d pictures, want 102 with the link to a neighbour", len(d.Items))
	}
	if len(d.Report.Duplicates) != 1 || len(d.Report.Duplicates[0].Labels) != 2 {
		t.Errorf("the link makes a contradiction; duplicates: %+v", d.Report.Duplicates)
	}
	if reason(d.Report.NotPicture, "b/note.txt") == "" || reason(d.Report.Skipped, "none") == "" || reason(d.Report.Skipped, "a/null.png") == "" {
		t.Errorf("not everything is reported: %+v", d.Report)
	}
}

// Notes that lie beside each picture are no unusable pictures.
func TestNotesBesidePictures(t *testing.T) {
	f := files{}.many("a", 10).many("b", 10)
	pictures := len(f)
	for _, rel := range slices.Collect(maps.Keys(f)) {
		stem := strings.TrimSuffix(rel, ".png")
		for _, notes := range []string{stem + ".json", stem + ".xml", stem + ".txt", rel + ".xmp", rel + ".supplemental-metadata.json"} {
			f[notes] = []byte("notes")
		}
	}
	f["a/list.csv"] = []byte("x")
	d := open(t, f.write(t), Options{})
	if len(d.Items) != pictures || len(d.Report.Skipped) != 5*pictures || len(d.Report.NotPicture) != 1 {
		t.Errorf("%d pictures, %d skipped, not pictures: %+v", len(d.Items), len(d.Report.Skipped), d.Report.NotPicture)
	}
}
