package datasets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/data"
)

// written puts down pictures img/aa.png ... and a CSV file beside them.
func written(t testing.TB, n int, text string) string {
	t.Helper()
	f := files{}.many("img", n)
	f["list.csv"] = []byte(text)
	return filepath.Join(f.write(t), "list.csv")
}

func TestCSVOfSeveralLabels(t *testing.T) {
	for name, text := range map[string]string{
		"comma":     "path,labels\nimg/aa.png,wings;ant\nimg/ab.png, ant ; ant;\nimg/ac.png,\nimg/ad.png,bee;wings\nimg/ad.png,wings;bee;wings\n",
		"semicolon": "file;tags\nimg/aa.png;\"ant;wings\"\nimg/ab.png;ant\nimg/ac.png;\nimg/ad.png;\"bee;wings\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, written(t, 4, text), Options{})
			if d.Task != Labels || !slices.Equal(d.Labels, []string{"ant", "bee", "wings"}) {
				t.Fatalf("task %q, labels %q", d.Task, d.Labels)
			}
			if got := rels(d, "all"); got != "img/aa.png=ant;wings img/ab.png=ant img/ac.png=(none of the labels) img/ad.png=bee;wings" {
				t.Error(got)
			}
			for i, want := range [][]float64{{1, 0, 1}, {1, 0, 0}, {0, 0, 0}, {0, 1, 1}} {
				if it := d.Items[i]; !slices.Equal(it.Targets, want) || it.Class != Unlabelled {
					t.Errorf("%s: class %d, targets %v, want %v", it.Rel, it.Class, it.Targets, want)
				}
			}
			if d.Report.Pictures() != 4 || !strings.Contains(d.Text(), "4 pictures, 3 labels, any number of them a picture") {
				t.Errorf("%d pictures\n%s", d.Report.Pictures(), d.Text())
			}
		})
	}
	text := "path,labels\nimg/aa.png,ant\nimg/ab.png,bee\nimg/ac.png,ant\n"
	one := open(t, written(t, 3, text), Options{})
	if one.Task != Classes || !strings.Contains(one.Report.Table, "one on each line") {
		t.Errorf("task %q, %q", one.Task, one.Report.Table)
	}
	declared := open(t, written(t, 3, text), Options{Columns: "labels=labels"})
	if declared.Task != Labels || !strings.Contains(strings.Join(declared.Report.Warnings, "\n"), "--column NAME=label") {
		t.Errorf("declared: task %q, warnings %q", declared.Task, declared.Report.Warnings)
	}
}

func TestCSVOfValues(t *testing.T) {
	d := open(t, written(t, 3, "\xef\xbb\xbfangle,split,Path,reach mm\n-12.5,train,img/aa.png,1e2\n 0.25,test,img/ab.png,-3\n7,train,img/ac.png,0\n"), Options{})
	if d.Task != Values || !slices.Equal(d.Labels, []string{"angle", "reach mm"}) || d.Dealt {
		t.Fatalf("task %q, names %q, dealt %v", d.Task, d.Labels, d.Dealt)
	}
	if got := rels(d, "train"); got != "img/aa.png=angle -12.5, reach mm 100 img/ac.png=angle 7, reach mm 0" {
		t.Error(got)
	}
	want := []Range{{"angle", -12.5, -1.75, 7}, {"reach mm", -3, 97. / 3, 100}}
	for k, r := range d.Report.Ranges {
		if r.Name != want[k].Name || r.Min != want[k].Min || r.Max != want[k].Max || r.Mean < want[k].Mean-1e-9 || r.Mean > want[k].Mean+1e-9 {
			t.Errorf("range %+v, want %+v", r, want[k])
		}
	}
	if d.Report.Pictures() != 3 || !strings.Contains(d.Text(), "2 value(s) (angle, reach mm)") {
		t.Errorf("%d pictures\n%s", d.Report.Pictures(), d.Text())
	}
	// The numbers are what is learnt: another number is another data set.
	other := open(t, written(t, 3, "angle,split,path,reach mm\n-12.5,train,img/aa.png,1e2\n0.26,test,img/ab.png,-3\n7,train,img/ac.png,0\n"), Options{})
	if other.Fingerprint() == d.Fingerprint() {
		t.Error("a changed value leaves the fingerprint as it is")
	}
	for factor, task := range map[float64]Task{1: Classes, 0.5: Values} {
		var b strings.Builder
		for i := range 12 {
			fmt.Fprintf(&b, "img/a%c.png,%g\n", 'a'+i, factor*float64(i*i))
		}
		numbers := open(t, written(t, 12, "path,label\n"+b.String()), Options{})
		if numbers.Task != task || task == Classes && !strings.Contains(strings.Join(numbers.Report.Warnings, "\n"), "--column NAME=value") {
			t.Errorf("labels that are numbers: task %q, warnings %q", numbers.Task, numbers.Report.Warnings)
		}
	}
}

func TestCSVTasksRefuse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"label and labels":   {"path,label,labels\nimg/aa.png,a,b\n", "each look like the column to learn"},
		"nothing to learn":   {"path,split\nimg/aa.png,train\n", "no column says what to learn"},
		"a ; under label":    {"path,label\nimg/aa.png,ant\nimg/ab.png,bug;bee\n", "--column label=labels:semicolon"},
		"no label":           {"path,label\nimg/aa.png,\n", "empty on every line"},
		"all empty":          {"path,labels\nimg/aa.png,\nimg/ab.png, ; \n", "empty on every line"},
		"unnamed column":     {",path,angle\n7.5,img/aa.png,3\n", "column 1 has no name"},
		"same name":          {"path,x,x\nimg/aa.png,1,2\n", `two columns are called "x"`},
		"word":               {"path,x\nimg/aa.png,1\nimg/ab.png,left\n", `the column "x" (a different word in every row: 1, left) is not understood`},
		"a word of many":     {"path,angle\nimg/aa.png,1\n" + strings.Repeat("img/ab.png,1\n", 20) + "img/ac.png,left\n", `(numbers, except for "left") is not understood`},
		"decimal comma":      {"path;x\nimg/aa.png;1,5,2\n", "is not understood"},
		"missing":            {"path,x,y\nimg/aa.png,1.5,\nimg/ab.png,,2.5\n", "empty on every line"},
		"not a number":       {"path,x\nimg/aa.png,NaN\n", "empty on every line"},
		"infinite":           {"path,x\nimg/aa.png,-Inf\n", "is not finite or is too large"},
		"numbers, no header": {"img/aa.png,1.5,2.5\n", "path,x,y"},
		"contradiction":      {"path,x\nimg/aa.png,1\nimg/ab.png,2\nimg/aa.png,3\n", "listed on line 2 as x 1  and here as x 3"},
		"other labels":       {"path,labels\nimg/aa.png,a;b\nimg/aa.png,b\n", "listed on line 2 as a;b"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), written(t, 4, c.text), Options{BadLimit: 1})
			if !errors.Is(err, errCSV) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want errCSV with %q", err, c.want)
			}
		})
	}
}

func TestCheckTrainingOfTasks(t *testing.T) {
	rows := func(f func(i int) string) string {
		var b strings.Builder
		for i := range 8 {
			fmt.Fprintf(&b, "img/a%c.png,%s,%s\n", 'a'+i, f(i), []string{"train", "test"}[i/6])
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"labels":     {"path,labels,split\n" + rows(func(i int) string { return []string{"a", "b;a", ""}[i%3] }), nil},
		"rare":       {"path,labels,split\n" + rows(func(i int) string { return []string{"a;c", "b;a", "b", "", "a", "b"}[i%6] }), errTooFew},
		"everywhere": {"path,labels,split\n" + rows(func(i int) string { return []string{"a", "b;a", "a;b"}[i%3] }), errConstant},
		"values":     {"path,x,split\n" + rows(func(i int) string { return fmt.Sprint(i * i) }), nil},
		"constant":   {"path,x,split\n" + rows(func(i int) string { return fmt.Sprint(7.5 + float64(i/6)) }), errConstant},
		"narrow":     {"path,x,split\n" + rows(func(i int) string { return fmt.Sprint(1e7 + float64(i)) }), errConstant},
		// dealt
		"nothing held": {"path,x,split\n" + strings.ReplaceAll(rows(func(i int) string { return fmt.Sprint(i) }), "test", "train"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, written(t, 8, c.text), Options{}).CheckTraining()
			if c.want == nil && err != nil || !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Each label, the rare ones most of all, is in every fold; so are the values dealt.
func TestFoldsOfSeveralLabels(t *testing.T) {
	var items []Item
	for i := range 60 {
		it := Item{Rel: fmt.Sprint(i), SHA256: fmt.Sprintf("%064d", i), Class: Unlabelled, Split: "train", Targets: make([]float64, 3)}
		if i%2 == 0 {
			it.Targets[0] = 1
		}
		if i%12 == 0 { // always with the first: only the rarest label can spread it
			it.Targets[1] = 1
		}
		if i%3 == 1 {
			it.Targets[2] = 1
		}
		items = append(items, it)
	}
	for f, rows := range Folds(items, 5, 1) {
		var n [3]int
		for _, r := range rows {
			for k, v := range items[r].Targets {
				n[k] += int(v)
			}
		}
		if len(rows) != 12 || n[1] != 1 || n[0] < 4 || n[0] > 8 || n[2] < 2 || n[2] > 6 {
			t.Errorf("fold %d: %d pictures, labels %v", f, len(rows), n)
		}
	}
	// Dealing a valid split keeps a label that ten combinations share on both sides.
	stratify(items, 0.2, 1)
	valid := 0
	for _, it := range items {
		if it.Split == "valid" && it.Targets[1] == 1 {
			valid++
		}
	}
	if valid != 1 {
		t.Errorf("%d of the 5 pictures of the rare label are valid, want 1", valid)
	}
}

func TestDuplicatesWithOtherTargets(t *testing.T) {
	f := files{"a.png": pngOf(1), "b.png": pngOf(1), "c.png": pngOf(2), "list.csv": []byte("path,x\na.png,1\nb.png,1.5\nc.png,2\n")}
	d := open(t, filepath.Join(f.write(t), "list.csv"), Options{})
	if len(d.Report.Duplicates) != 1 || !slices.Equal(d.Report.Duplicates[0].Labels, []string{"x 1", "x 1.5"}) || !strings.Contains(strings.Join(d.Report.Warnings, "\n"), "different values as exact copies") {
		t.Errorf("%+v %q", d.Report.Duplicates, d.Report.Warnings)
	}
}

// The drawn sets that tell something are those of the pictures of insects, with targets.
func TestDrawnSetsThatTell(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	ctx := context.Background()
	o := Options{Offline: true}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	plain, err := openReady(ctx, little(), o)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, it := range plain.Items {
		sums[it.Rel] = it.SHA256
	}
	for name, task := range map[string]Task{"insects-labels": Labels, "insects-values": Values} {
		set, ok := data.FindSet(name)
		if !ok {
			t.Fatal("no set " + name)
		}
		small := *set.Drawing
		small.Train, small.Test = 3, 2
		set.Drawing = &small
		d, err := openReady(ctx, set, o)
		if err != nil {
			t.Fatal(err)
		}
		if d.Task != task || d.Name != name || d.Set == nil || len(d.In("train")) != 6 || len(d.In("test")) != 4 || len(d.Report.Skipped) != 0 {
			t.Errorf("%s", d.Text())
		}
		for _, it := range d.Items {
			if sums[it.Rel] != it.SHA256 {
				t.Errorf("%s is not the picture of insects", it.Rel)
			}
			if task == Labels {
				if ant := strings.Contains(it.Rel, "/ants/"); ant != strings.Contains(d.Truth(it), "ant") || ant == strings.Contains(d.Truth(it), "bee") {
					t.Errorf("%s is said to be %s", it.Rel, d.Truth(it))
				}
				continue
			}
			values := map[string]float64{}
			for k, l := range d.Labels {
				values[l] = it.Targets[k]
			}
			if turn := values["cos"]*values["cos"] + values["sin"]*values["sin"]; turn < 0.99 || turn > 1.01 || values["x"] < 20 || values["x"] > 172 || values["length"] < 0.42*192-1 || values["length"] > 0.72*192+1 {
				t.Errorf("%s: %v", it.Rel, values)
			}
		}
		// One changed number, and the set is drawn anew.
		file := filepath.Join(d.Root, toldFile)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(strings.Replace(string(text), "0.", "1.", 1), "wings", "horns", 1)
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil || changed == string(text) {
			t.Fatal(err)
		}
		again, err := openReady(ctx, set, o)
		if err != nil || again.Fingerprint() != d.Fingerprint() {
			t.Errorf("%s after its file of targets was changed: %v", name, err)
		}
	}
}
