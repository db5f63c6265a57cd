package datasets

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestMinPerLabel(t *testing.T) {
	f := files{}.many("train/a", 10).many("train/b", 3).many("train/c", 1).many("valid/a", 2).many("valid/c", 2).many("valid/d", 2)
	dir := f.write(t)
	d := open(t, dir, Options{})
	err := d.CheckTraining()
	if !errors.Is(err, errTooFew) || !strings.Contains(err.Error(), "--min-per-label 2") {
		t.Errorf("%v", err)
	}
	d = open(t, dir, Options{MinPerLabel: 2})
	if got := summary(d); got != "train 13, valid 2: a b" {
		t.Errorf("read as %s", got)
	}
	if err := d.CheckTraining(); err != nil {
		t.Error(err)
	}
	if w := strings.Join(d.Report.Warnings, "\n"); !strings.Contains(w, "c (1), d (0)") {
		t.Errorf("warnings %s", w)
	}
	if len(d.Report.Skipped) != 5 || d.Report.Bad() != 0 {
		t.Errorf("skipped: %+v", d.Report.Skipped)
	}
	for _, it := range d.Items {
		if want := strings.Split(it.Rel, "/")[1]; d.Truth(it) != want {
			t.Errorf("%s is %s", it.Rel, d.Truth(it))
		}
	}
	if got := summary(open(t, dir, Options{MinPerLabel: 4})); got != "train 10, valid 2: a" {
		t.Errorf("at least 4: %s", got)
	}
	if _, err := Open(context.Background(), dir, Options{MinPerLabel: -1}); err == nil {
		t.Error("-1 is accepted")
	}
	if _, err := Open(context.Background(), dir, Options{MinPerLabel: 100}); !errors.Is(err, ErrNoPictures) {
		t.Errorf("at least 100: %v", err)
	}
}

// The other labels keep their split, and a picture with several labels loses only the small ones.
func TestMinPerLabelKeepsTheRest(t *testing.T) {
	f := files{}.many("a", 20).many("b", 1).many("c", 20)
	dir := f.write(t)
	all, most := open(t, dir, Options{Seed: 7}), open(t, dir, Options{Seed: 7, MinPerLabel: 2})
	split := map[string]Split{}
	for _, it := range all.Items {
		split[it.Rel] = it.Split
	}
	if len(most.Items) != 40 {
		t.Errorf("%d pictures", len(most.Items))
	}
	for _, it := range most.Items {
		if split[it.Rel] != it.Split {
			t.Errorf("%s is in %s, was in %s", it.Rel, it.Split, split[it.Rel])
		}
	}
	f = files{}.many("p", 6)
	f["l.csv"] = []byte("path,labels,split\np/aa.png,x;y,train\np/ab.png,x;z,train\np/ac.png,y,train\np/ad.png,x,train\np/ae.png,x;y,valid\np/af.png,z,valid\n")
	d := open(t, f.write(t)+"/l.csv", Options{MinPerLabel: 2})
	if strings.Join(d.Labels, " ") != "x y" || len(d.Items) != 6 {
		t.Errorf("labels %v, %d pictures", d.Labels, len(d.Items))
	}
	for rel, want := range map[string]string{"p/aa.png": "x;y", "p/ab.png": "x", "p/af.png": "(none of the labels)"} {
		for _, it := range d.Items {
			if it.Rel == rel && d.Truth(it) != want {
				t.Errorf("%s is %s, want %s", rel, d.Truth(it), want)
			}
		}
	}
}
