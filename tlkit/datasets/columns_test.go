package datasets

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// rowsOf writes a table of twelve pictures, img/aa.png ..., with a header and what a function says
// about each.
func rowsOf(header string, row func(i int) string) string {
	var b strings.Builder
	if header != "" {
		fmt.Fprintf(&b, "%s\n", header)
	}
	for i := range 12 {
		fmt.Fprintf(&b, "img/a%c.png,%s\n", 'a'+i, row(i))
	}
	return b.String()
}

var insect = []string{"ant", "bee"}

// A column that is neither declared nor understood is an error that names it and what to type.
func TestColumnsThatAreNotUnderstood(t *testing.T) {
	label := func(rest string) func(int) string {
		return func(i int) string { return insect[i%2] + "," + fmt.Sprintf(rest, i*i*3) }
	}
	for name, c := range map[string]struct {
		text, columns string
		want          []string
	}{
		"patient":            {rowsOf("path,label,patient", label("p%d")), "", []string{`"patient"`, "--column patient=ignore"}},
		"width":              {rowsOf("path,label,width", label("%d")), "", []string{`"width"`, "whole numbers", "--column width=ignore", "--column width=value"}},
		"a constant":         {rowsOf("path,label,source", func(i int) string { return insect[i%2] + ",web" }), "", []string{`"source" (always the same: web)`}},
		"numbers alone":      {rowsOf("path,rank", func(i int) string { return fmt.Sprint(i % 5) }), "", []string{`"rank" (5 different whole numbers`, "--column rank=label", "--column rank=value"}},
		"many whole numbers": {rowsOf("path,patient", func(i int) string { return fmt.Sprint(1000 + i*i) }), "", []string{`"patient"`}},
		"measured id":        {rowsOf("path,person", func(i int) string { return fmt.Sprint(0.5 + float64(i)) }), "", []string{`"person"`}},
		"beside a number":    {rowsOf("path,angle,patient", func(i int) string { return fmt.Sprintf("%g,%d", 0.5*float64(i), i/3) }), "", []string{`"patient"`, "--column angle=value", "--column angle=ignore,patient=ignore"}},
		"beside one-hot":     {rowsOf("path,ant,bee,sex", func(i int) string { return fmt.Sprintf("%d,%d,f%d", i%2, 1-i%2, i%3) }), "", []string{`"sex"`}},
		"a flag":             {rowsOf("path,label,augmented", func(i int) string { return insect[i%2] + fmt.Sprintf(",%v", i%3 == 0) }), "", []string{`"augmented" (yes or no`}},
		"a caption":          {rowsOf("path,text", func(i int) string { return fmt.Sprintf("picture %d of an insect", i) }), "", []string{`"text" (a different word in every row`}},
		"two labels":         {rowsOf("path,breed,category", func(i int) string { return insect[i%2] + fmt.Sprintf(",c%d", i%3) }), "", []string{`"breed"`, `"category"`, "--column breed=label"}},
		"a box":              {rowsOf("path,label,xmin,ymin", label("%d,7")), "", []string{`"xmin"`, `"ymin"`, "boxes are not learnt", "--column label=label"}},
		"sets without names": {rowsOf("path,label,set", func(i int) string { return insect[i%2] + fmt.Sprintf(",%d", i%3) }), "", []string{`"set"`, "3 parts (0, 1, 2)", "--column set=split:0"}},
		"wide":               {rowsOf("lesion,dx,age,sex,place", func(i int) string { return fmt.Sprintf("%s,%d,f,p%d", insect[i%2], 30+i, i%3) }), "", []string{`"age"`, "--column dx=label"}},
		"folds":              {rowsOf("path,label,fold", func(i int) string { return insect[i%2] + fmt.Sprintf(",%d", i%5) }), "", []string{`"fold"`, "5 parts", "--column fold=split:0", "--column fold=ignore"}},
		"StratifiedFold":     {rowsOf("path,label,kfold_id", func(i int) string { return insect[i%2] + fmt.Sprintf(",%d", i%5) }), "", []string{"--column kfold_id=split:0"}},
		"two splits":         {rowsOf("path,label,split,subset", func(i int) string { return insect[i%2] + ",train,test" }), "", []string{`"split", "subset"`, "--column subset=ignore"}},
		"one label or many":  {rowsOf("path,labels", func(i int) string { return []string{"golden retriever", "labrador retriever"}[i%2] }), "", []string{"one label or several", "--column labels=label", "--column labels=labels:space"}},
		"lasting comma":      {rowsOf("path,label", func(i int) string { return []string{`"ant, small"`, `"bee, small"`}[i%2] }), "", []string{"one label or several", "labels:comma"}},
		"no pictures":        {"name,age\nAnna,7.5\nBerta,8.5\nCarla,9.5\n", "", []string{"no column names pictures", "--column NAME=path"}},
		"two of pictures":    {rowsOf("left,right", func(i int) string { return fmt.Sprintf("img/a%c.png", 'a'+i) }), "", []string{`"left" and "right"`, "--column left=path"}},
		"empty":              {rowsOf("path,label,split", func(int) string { return ",train" }), "", []string{`"label"`, "empty on every line"}},
		"declared: unknown":  {rowsOf("path,label", label("%d")), "patience=ignore", []string{`"patience"`, `"path", "label"`}},
		"declared: role":     {rowsOf("path,label", label("%d")), "label=lable", []string{`"lable"`, "path, label, labels, value, split, group or ignore"}},
		"declared: no role":  {rowsOf("path,label", label("%d")), "label", []string{"no =", "NAME=ROLE"}},
		"declared: both":     {rowsOf("path,a,b", func(i int) string { return fmt.Sprintf("%d,%d", i, i*i) }), "a=label,b=value", []string{"declared together"}},
		"declared: no fold":  {rowsOf("path,label,fold", func(i int) string { return insect[i%2] + fmt.Sprintf(",%d", i%5) }), "fold=split:7", []string{`no "7"`}},
		"declared: words":    {rowsOf("path,a", func(i int) string { return insect[i%2] }), "a=value", []string{`"ant" is not a number`, "line 2"}},
		"spaces in names":    {rowsOf("path,label,patient no", label("p%d")), "", []string{`--column "patient no=ignore"`}},
		"commas in names":    {rowsOf(`path,label,"size, mm"`, label("p%d")), "", []string{"--column 3=ignore"}},
		"half a row":         {rowsOf("path,label,note", func(i int) string { return insect[i%2] + strings.Repeat(",", (i+1)%12&1) }), "", []string{"want 3"}},
		"not of the picture": {rowsOf("path,label", func(i int) string { return insect[i%2] }) + "img/aa.png,bee\n", "", []string{"line 14", "listed on line 2 as ant", "--column NAME=labels"}},
		"a split left empty": {rowsOf("path,label,split", func(i int) string { return insect[i%2] + "," + []string{"train", "test", ""}[i%3] }), "", []string{"line 4", `split ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "half a row" {
				c.text = strings.Replace(c.text, ",ant\n", ",ant,,\n", 1)
			}
			_, err := Open(context.Background(), written(t, 12, strings.TrimSuffix(c.text, "%!(EXTRA int=0)")), Options{Columns: c.columns})
			if !errors.Is(err, errCSV) {
				t.Fatalf("got %v, want errCSV", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

// What the advice of an error says to type is accepted.
func TestAdvisedColumnsAreAccepted(t *testing.T) {
	patients := rowsOf("path,label,patient no,fold", func(i int) string { return fmt.Sprintf("%s,p%d,%d", insect[i%2], i/3, i%3) })
	for columns, want := range map[string]string{
		"fold=split:0,patient no=ignore": "img/aa.png=ant img/ad.png=bee img/ag.png=ant img/aj.png=bee",
		"4=split:2,3=ignore":             "img/ac.png=ant img/af.png=bee img/ai.png=ant img/al.png=bee",
		"Fold=split:1 , LABEL=label":     "img/ab.png=bee img/ae.png=ant img/ah.png=bee img/ak.png=ant",
	} {
		d := open(t, written(t, 12, patients), Options{Columns: columns})
		if got := rels(d, Valid); got != want || d.Dealt {
			t.Errorf("%s: valid %s, want %s", columns, got, want)
		}
	}
	_, err := Open(context.Background(), filepath.Dir(written(t, 12, patients)), Options{Columns: "fold=ignore"})
	if err == nil || !strings.Contains(err.Error(), "no columns") {
		t.Errorf("columns of a folder: %v", err)
	}
	for columns, want := range map[string]string{"labels=label": "big ant", "labels=labels:space": "ant;big"} {
		d := open(t, written(t, 12, rowsOf("path,labels", func(i int) string { return "big " + insect[i%2] })), Options{Columns: columns})
		if got := d.Truth(d.Items[0]); got != want {
			t.Errorf("%s: %q, want %q", columns, got, want)
		}
	}
}

// Rows that become no picture are counted and named.
func TestRowsThatAreLeftOut(t *testing.T) {
	text := rowsOf("path,label", func(i int) string { return insect[i%2] }) + "img/aa.png,ant\nimg/gone.png,bee\nimg/other.png,\nimg/ab.png,bee\n"
	d := open(t, written(t, 12, text), Options{BadLimit: 0.5})
	for _, want := range []string{"16 rows", "2 row(s) listed again", "1 row(s) without a label", "1 row(s) whose picture is missing"} {
		if !strings.Contains(d.Report.Table, want) {
			t.Errorf("%q does not say %q", d.Report.Table, want)
		}
	}
	if len(d.Items) != 12 || !strings.Contains(reason(d.Report.Skipped, "img/other.png"), "line 16") || !strings.Contains(reason(d.Report.Unreadable, "img/gone.png"), "line 15") || !strings.Contains(reason(d.Report.Skipped, "img/ab.png"), "line 17") {
		t.Errorf("%d pictures, %+v", len(d.Items), d.Report)
	}
}

// Two pictures that a name may mean are an error, and so is a path to a file elsewhere, even where a
// picture of that name is at hand.
func TestPicturesThatCannotBeTold(t *testing.T) {
	elsewhere := filepath.Join(files{"aa.png": pngOf(1)}.write(t), "aa.png")
	f := files{}.many("img", 4)
	for name, content := range (files{}).many("masks", 4) {
		f[name] = content
	}
	f["ids.csv"] = []byte("id,label\naa,ant\nab,bee\nac,ant\nad,bee\n")
	f["elsewhere.csv"] = []byte("path,label\n" + elsewhere + ",ant\nimg/ab.png,bee\n")
	f["up.csv"] = []byte("path,label\n../img/aa.png,ant\nimg/ab.png,bee\n")
	f["img_labels.csv"] = f["ids.csv"]
	dir := f.write(t)
	for table, want := range map[string]string{
		"ids.csv":       `"aa" may be img/aa.png or masks/aa.png`,
		"elsewhere.csv": "leaves the folder",
		"up.csv":        "leaves the folder",
	} {
		_, err := Open(context.Background(), filepath.Join(dir, table), Options{})
		if !errors.Is(err, errCSV) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", table, err, want)
		}
	}
	if d := open(t, filepath.Join(dir, "img_labels.csv"), Options{}); rels(d, "all") != "img/aa.png=ant img/ab.png=bee img/ac.png=ant img/ad.png=bee" || !strings.Contains(d.Report.Table, "all found in img/ as .png") {
		t.Errorf("%s\n%s", rels(d, "all"), d.Report.Table)
	}
}

// A picture that is missing where the table says is not replaced by a namesake elsewhere.
func TestNamesakesElsewhere(t *testing.T) {
	f := files{}.many("images", 12).many("masks", 12)
	delete(f, "images/ac.png")
	delete(f, "images/ad.png")
	f["images/AD.PNG"] = pngOf(9)
	f["list.csv"] = []byte(strings.ReplaceAll(rowsOf("path,label", func(i int) string { return insect[i%2] }), "img/", "images/"))
	d := open(t, filepath.Join(f.write(t), "list.csv"), Options{BadLimit: 0.2})
	if len(d.Items) != 11 || reason(d.Report.Unreadable, "images/ac.png") == "" || !strings.Contains(strings.ToLower(rels(d, "all")), "images/ad.png=bee") {
		t.Errorf("%d pictures: %s, %+v", len(d.Items), rels(d, "all"), d.Report.Unreadable)
	}
}

// Labels that differ only in case stay apart, and are said.
func TestSpellingsOfLabels(t *testing.T) {
	d := open(t, written(t, 12, rowsOf("path,label", func(i int) string { return []string{"ant", "bee", "Ant"}[i%3] })), Options{})
	if len(d.Labels) != 3 || !strings.Contains(strings.Join(d.Report.Warnings, "\n"), `"Ant" and "ant"`) {
		t.Errorf("labels %q, warnings %q", d.Labels, d.Report.Warnings)
	}
}

// What a cell, or a column of cells, is taken for.
func TestParseList(t *testing.T) {
	for cell, want := range map[string]string{
		`['ant', "bee's"]`: "ant|bee's", `["a","b"]`: "a|b", `[]`: "", `{'a', 'b'}`: "a|b", `("a",)`: "a",
		`['a' 'b']`: "a|b", `[a, b c]`: "a|b c", `{"choices":["x","y"]}`: "x|y", `{"choices":"x"}`: "x", `[1, 2]`: "1|2", `['a\'b']`: "a'b",
		`(none)`: "no list", `[`: "no list", `['a`: "no list", `['a]`: "no list", `a]`: "no list", `{"a":{"b":1}}`: "no list", `[{"a":1}]`: "no list",
	} {
		got := "no list"
		if found, ok := parseList(cell); ok {
			got = strings.Join(found, "|")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", cell, got, want)
		}
	}
}
