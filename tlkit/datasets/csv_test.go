package datasets

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestCSV(t *testing.T) {
	pictures := files{}.many("img", 8)
	for name, text := range map[string]string{
		"plain":           "img/aa.png,ant\nimg/ab.png,ant\nimg/ac.png,bee\n",
		"header":          "path,label\nimg/aa.png,ant\nimg/ab.png,ant\nimg/ac.png,bee\n",
		"header, swapped": "Label,id,File\r\nant,1,img/aa.png\r\nant,2,img/ab.png\r\nbee,3,img/ac.png\r\n",
		"mark, quotes":    "\xef\xbb\xbf\"img/aa.png\",\"ant\"\n./img/ab.png, ant \n\"img/ac.png\",bee\n",
		"semicolons":      "file;class\nimg/aa.png;ant\nimg/ab.png;ant\nimg/ac.png;bee\n",
		"tabs":            "img/aa.png\tant\nimg/ab.png\tant\nimg/ac.png\tbee\n",
		"backslashes":     "img\\aa.png,ant\nimg\\ab.png,ant\nimg\\ac.png,bee\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := files{"list.csv": []byte(text)}
			for k, v := range pictures {
				f[k] = v
			}
			d := open(t, filepath.Join(f.write(t), "list.csv"), Options{})
			if got := rels(d, "all"); got != "img/aa.png=ant img/ab.png=ant img/ac.png=bee" || d.Name != "list" || !d.Dealt {
				t.Errorf("%s, name %q, dealt %v", got, d.Name, d.Dealt)
			}
		})
	}
	pictures["list.csv"] = []byte("path,label,split\nimg/aa.png,\"ant, winged\",train\nimg/ab.png,bee,TRAIN\nimg/ac.png,bee,val\nimg/ac.png,bee,val\n")
	d := open(t, filepath.Join(pictures.write(t), "list.csv"), Options{})
	if rels(d, "train") != "img/aa.png=ant, winged img/ab.png=bee" || rels(d, "valid") != "img/ac.png=bee" || d.Dealt {
		t.Errorf("with splits: %s | %s", rels(d, "train"), rels(d, "valid"))
	}
	if reason(d.Report.Skipped, "img/ac.png") == "" {
		t.Error("the line that comes twice is not reported")
	}
}

func TestCSVRefuses(t *testing.T) {
	pictures := files{}.many("img", 4)
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", "empty"},
		"header only":    {"path,label\n", "no rows"},
		"one column":     {"img/aa.png\n", "no column says what to learn"},
		"four columns":   {"img/aa.png,ant,train,x\n", "the columns 2 (always the same: ant), 4"},
		"ragged":         {"img/aa.png,ant\nimg/ab.png,ant,bee\n", "line 2"},
		"no label":       {"img/aa.png,\nimg/ab.png,\n", "empty on every line"},
		"no path":        {"img/aa.png,ant\n,bee\n", "line 2"},
		"split":          {"img/aa.png,ant,train\nimg/ab.png,ant,later\n", `"later"`},
		"no split":       {"img/aa.png,ant,train\nimg/ab.png,ant,\n", "line 2"},
		"quote":          {"img/aa.png,ant\n\"img/ab.png,ant\n", "line"},
		"zero":           {"img/aa.png,an\x00t\n", "zero byte"},
		"latin-1":        {"img/aa.png,f\xfcnf\n", "UTF-8"},
		"contradiction":  {"img/aa.png,ant\nimg/ab.png,bee\n./img/aa.png,bee\n", "line 3"},
		"leaves":         {"../img/aa.png,ant\n", "leaves"},
		"leaves later":   {"img/../../aa.png,ant\n", "leaves"},
		"absolute":       {"/etc/passwd,ant\n", "leaves"},
		"leaves by \\":   {`..\..\aa.png,ant` + "\n", "leaves"},
		"drive":          {`C:\img\gone.png,ant` + "\n", "none of the 1 pictures"},
		"drive, forward": {`C:/img/gone.png,ant` + "\n", "none of the 1 pictures"},
	} {
		t.Run(name, func(t *testing.T) {
			f := files{"list.csv": []byte(c.text)}
			for k, v := range pictures {
				f[k] = v
			}
			_, err := Open(context.Background(), filepath.Join(f.write(t), "list.csv"), Options{BadLimit: 1})
			if !errors.Is(err, errCSV) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "list.csv") {
				t.Errorf("got %v, want errCSV with %q and the file's name", err, c.want)
			}
		})
	}
}

func TestCSVMissingFilesAreBad(t *testing.T) {
	f := files{}.many("img", 2)
	f["list.csv"] = []byte("img/aa.png,ant\nimg/ab.png,ant\nimg/gone.png,bee\nimg,bee\n")
	file := filepath.Join(f.write(t), "list.csv")
	_, err := Open(context.Background(), file, Options{})
	if !errors.Is(err, ErrTooManyBad) || !strings.Contains(err.Error(), "img/gone.png: line 3") {
		t.Errorf("got %v, want ErrTooManyBad naming the file and line", err)
	}
	d := open(t, file, Options{BadLimit: 1})
	if len(d.Items) != 2 || len(d.Report.Unreadable) != 2 || len(d.Labels) != 1 {
		t.Errorf("%d pictures, labels %q, %+v", len(d.Items), d.Labels, d.Report)
	}
}

// A link beside the table is followed: people keep the pictures on another disk.
func TestCSVLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making links takes rights there")
	}
	outside := files{"1.png": pngOf(1), "2.png": pngOf(3), "3.png": pngOf(4)}.write(t)
	dir := files{"list.csv": []byte("id,label\n1,a\n2,b\n3,a\n4,b\n"), "4.png": pngOf(2)}.write(t)
	if err := os.Symlink(outside, filepath.Join(dir, "images")); err != nil {
		t.Fatal(err)
	}
	d := open(t, filepath.Join(dir, "list.csv"), Options{})
	if got := rels(d, "all"); got != "4.png=b images/1.png=a images/2.png=b images/3.png=a" {
		t.Errorf("%s, %+v", got, d.Report.Unreadable)
	}
}

func FuzzParseCSV(f *testing.F) {
	for _, s := range []string{
		"a.png,ant\nb.png,bee\n", "path,label,split\na.png,ant,train\n", "\xef\xbb\xbf\"a,\"\"b\",x\n", "a;b\n", "a\tb\tval\n", "\"", ",\n", "a,b\r\n\r\nc,d", "label,path\n", "..\\a,b\n", "\n\n", "a,b,c,d\n", "path,labels\na,x;y\nb,\n", "path,x,y\na,1,-2e3\n", "file;x\na;1,5\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		table, _, err := parseCSV(text, nil, "")
		if err != nil {
			if !errors.Is(err, errCSV) {
				t.Fatalf("%v does not wrap errCSV", err)
			}
			return
		}
		if len(table.rows) == 0 {
			t.Fatal("no rows and no error")
		}
		line := 0
		for _, r := range table.rows {
			if r.file == "" || r.line <= line || (table.task == Classes) != (r.label != "") || len(r.values) != len(table.names) || (table.task == Values) != (len(table.names) > 0) {
				t.Fatalf("row %+v after line %d of a table of %s", r, line, table.task)
			}
			for _, v := range r.values {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("row %+v", r)
				}
			}
			line = r.line
			switch r.split {
			case "", "train", "valid", "test":
			default:
				t.Fatalf("row %+v", r)
			}
		}
	})
}
