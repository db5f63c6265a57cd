package datasets

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTablesAgainstPandas opens tables as people bring them, and compares what is said about each
// picture with what pandas reads in the same bytes when it is told what the columns are.
func TestTablesAgainstPandas(t *testing.T) {
	text, err := os.ReadFile("testdata/tables.json")
	if err != nil {
		t.Fatal(err)
	}
	var referee struct {
		Cases []struct {
			Name, Table string
			Text        []byte
			Pictures    []string
			Task        Task
			Columns     string
			Names       []string
			Rows        map[string]struct {
				Truth []any
				Split Split
			}
		}
	}
	if err := json.Unmarshal(text, &referee); err != nil || len(referee.Cases) < 80 {
		t.Fatalf("%d cases, %v", len(referee.Cases), err)
	}
	for _, c := range referee.Cases {
		t.Run(c.Name, func(t *testing.T) {
			f := files{c.Table: c.Text}
			for i, p := range c.Pictures {
				f[p] = pngOf(i)
			}
			d, err := Open(context.Background(), filepath.Join(f.write(t), c.Table), Options{Columns: c.Columns})
			if err != nil {
				t.Fatal(err)
			}
			if d.Task != c.Task || c.Names != nil && !slices.Equal(d.Labels, c.Names) {
				t.Fatalf("task %s, labels %q, want %s, %q\n%s", d.Task, d.Labels, c.Task, c.Names, d.Report.Table)
			}
			got := map[string]Item{}
			for _, it := range d.Items {
				got[it.Rel] = it
			}
			if have, want := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(c.Rows)); !slices.Equal(have, want) {
				t.Fatalf("pictures %q\nwant %q\n%s", have, want, d.Report.Table)
			}
			for rel, row := range c.Rows {
				it := got[rel]
				var truth []any
				switch d.Task {
				case Classes:
					truth = []any{d.Labels[it.Class]}
				case Labels:
					for k, v := range it.Targets {
						if v == 1 {
							truth = append(truth, d.Labels[k])
						}
					}
				case Values:
					for _, v := range it.Targets {
						truth = append(truth, v)
					}
				}
				if !slices.Equal(truth, row.Truth) {
					t.Errorf("%s: %v, want %v\n%s", rel, truth, row.Truth, d.Report.Table)
				}
				if row.Split != "" && it.Split != row.Split || d.Dealt != (row.Split == "") {
					t.Errorf("%s: split %s (dealt %v), want %s\n%s", rel, it.Split, d.Dealt, row.Split, d.Report.Table)
				}
			}
			if !strings.HasPrefix(d.Report.Table, c.Table+": ") || !strings.Contains(d.Text(), d.Report.Table) {
				t.Errorf("the report does not say how the table was read: %q", d.Report.Table)
			}
		})
	}
}
