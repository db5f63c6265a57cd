package datasets

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// sumsFile is a hidden file in a drawn set in the cache, with the hash of each picture. A set that
// is damaged or incomplete is drawn again.
const sumsFile = ".sums"

// toldFile is the CSV file of a drawn set that tells more than the class of its pictures. It is
// read instead of the folders.
const toldFile = "told.csv"

// toldColumns says what the columns of toldFile are.
func toldColumns(set data.Set) string {
	if set.Drawing.Tells == data.TellsLabels {
		return "path=path,labels=labels:semicolon,split=split"
	}
	return "path=path,split=split," + strings.Join(set.Labels, "=value,") + "=value"
}

// openReady returns a set of the table from the cache. If it is not there, openReady downloads
// or draws it first.
func openReady(ctx context.Context, set data.Set, o Options) (*Dataset, error) {
	root, err := cachedir.Dir("sets")
	if err != nil {
		return nil, err
	}
	key, err := cacheKey(set)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, key)
	cachedir.Use(ctx, dir)
	if d, err := openCached(ctx, set, dir); err == nil {
		return finish(d, o)
	} else if ctx.Err() != nil {
		return nil, fmt.Errorf("datasets: opening %s: %w", set.Name, ctx.Err())
	}
	unlock, err := lockSet(ctx, key, set, o)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// Another process may have finished it while we waited.
	if d, err := openCached(ctx, set, dir); err == nil {
		return finish(d, o)
	}
	sweep(root)
	tmp, err := os.MkdirTemp(root, ".new-"+set.Name+"-*")
	if err != nil {
		return nil, fmt.Errorf("datasets: making room for %s in the cache: %w", set.Name, err)
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "set")
	if set.Drawing != nil {
		err = drawInto(ctx, set, made, o)
	} else {
		err = fetchInto(ctx, set, tmp, made, o)
	}
	if err != nil {
		return nil, err
	}
	if _, err := openCached(ctx, set, made); err != nil {
		return nil, fmt.Errorf("datasets: %s: what arrived is not the set: %w", set.Name, err)
	}
	if err := os.RemoveAll(dir); err != nil { // only ever a damaged one
		return nil, fmt.Errorf("datasets: removing a damaged %s from the cache: %w", set.Name, err)
	}
	if err := os.Rename(made, dir); err != nil {
		return nil, fmt.Errorf("datasets: moving %s into the cache: %w", set.Name, err)
	}
	d, err := openCached(ctx, set, dir)
	if err != nil {
		return nil, err
	}
	return finish(d, o)
}

// cacheKey returns the name of a set's folder in the cache, which depends on everything that
// determines its content.
func cacheKey(set data.Set) (string, error) {
	if set.Drawing != nil {
		return set.Name + "-" + set.Drawing.Version(), nil
	}
	files, err := set.Files()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %s\n", f.SHA256, f.Path())
	}
	return set.Name + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// openCached opens a set in the cache and checks that it is complete and undamaged.
func openCached(ctx context.Context, set data.Set, dir string) (*Dataset, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, mark(ErrNotFetched, fmt.Errorf("datasets: %s is not in the cache", set.Name))
	}
	read := func() (*Dataset, error) { return readFolder(ctx, dir, Options{}) }
	told := set.Drawing != nil && set.Drawing.Tells != ""
	if told {
		read = func() (*Dataset, error) { return readCSV(ctx, filepath.Join(dir, toldFile), toldColumns(set)) }
	}
	d, err := read()
	if err != nil {
		return nil, err
	}
	if set.Drawing == nil {
		if err := recognise(d); err != nil {
			return nil, err
		}
		if d.Set == nil || d.Set.Name != set.Name {
			return nil, fmt.Errorf("datasets: the files in %s are not those of %s: %s", dir, set.Name, strings.Join(d.Report.Warnings, "; "))
		}
		return d, nil
	}
	want, err := readSums(filepath.Join(dir, sumsFile))
	if err != nil {
		return nil, err
	}
	if told {
		if sum, err := fetch.Sum(ctx, filepath.Join(dir, toldFile)); err != nil || sum != want[toldFile] {
			return nil, fmt.Errorf("datasets: %s in %s is not as it was written: %w", toldFile, dir, err)
		}
		delete(want, toldFile)
	}
	for _, it := range d.Items {
		if want[it.Rel] != it.SHA256 {
			return nil, fmt.Errorf("datasets: %s in %s is not as it was drawn", it.Rel, dir)
		}
	}
	if len(want) != len(d.Items) || len(want) != len(set.Drawing.Sheets()) {
		return nil, fmt.Errorf("datasets: %d of %d pictures of %s in %s", len(d.Items), len(set.Drawing.Sheets()), set.Name, dir)
	}
	d.Report.Skipped = slices.DeleteFunc(d.Report.Skipped, func(b Bad) bool { return b.Rel == sumsFile })
	d.Name, d.Set = set.Name, &set
	return d, nil
}

// drawInto draws every picture of a set into dir, on all cores.
func drawInto(ctx context.Context, set data.Set, dir string, o Options) error {
	sheets := set.Drawing.Sheets()
	sums, told := make([]string, len(sheets)), make([]string, len(sheets))
	for _, s := range sheets {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(s.Folder)), 0o700); err != nil {
			return fmt.Errorf("datasets: drawing %s: %w", set.Name, err)
		}
	}
	var mu sync.Mutex
	header, done := "", 0
	report := func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		o.report("drawing "+set.Name, int64(done), int64(len(sheets)))
	}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(sheets) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				sum, head, line, err := drawOne(set.Drawing, sheets[i], filepath.Join(dir, filepath.FromSlash(sheets[i].Folder), sheets[i].Name))
				if err != nil {
					return err
				}
				sums[i], told[i] = sum, line
				if i == 0 {
					header = head
				}
				report()
			}
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("datasets: drawing %s: %w", set.Name, err)
	}
	var b strings.Builder
	for i, s := range sheets {
		fmt.Fprintf(&b, "%s  %s\n", sums[i], path.Join(s.Folder, s.Name))
	}
	if set.Drawing.Tells != "" {
		text := []byte(strings.Join(slices.Insert(told, 0, header), "\n") + "\n")
		if err := os.WriteFile(filepath.Join(dir, toldFile), text, 0o600); err != nil {
			return fmt.Errorf("datasets: drawing %s: %w", set.Name, err)
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(text), toldFile)
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("datasets: drawing %s: %w", set.Name, err)
	}
	return nil
}

// drawOne draws a picture into a file. If the drawing tells anything, told is the picture's line
// of the CSV file and header the first line, both without a newline.
func drawOne(g *data.Drawing, s data.Sheet, file string) (sum, header, told string, err error) {
	img, names, row, err := g.DrawWithRow(s)
	if err != nil {
		return "", "", "", err
	}
	header, told = "path,split,"+names, s.Folder+"/"+s.Name+","+string(s.Split)+","+row
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", "", "", err
	}
	h := sha256.New()
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := errors.Join(encoder.Encode(io.MultiWriter(f, h), img), f.Close()); err != nil {
		return "", "", "", err
	}
	return hex.EncodeToString(h.Sum(nil)), header, told, nil
}

func readSums(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	defer f.Close()
	sums := map[string]string{}
	for s := bufio.NewScanner(io.LimitReader(f, 16<<20)); s.Scan(); {
		sum, rel, ok := strings.Cut(s.Text(), "  ")
		if !ok {
			return nil, fmt.Errorf("datasets: %s is damaged", file)
		}
		sums[rel] = sum
	}
	return sums, nil
}

// lockSet lets one process make a set while others wait.
func lockSet(ctx context.Context, key string, set data.Set, o Options) (func(), error) {
	dir, err := cachedir.Dir("locks")
	if err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, "set-"+key+".lock"))
	got, err := l.TryLock()
	if err == nil && !got {
		o.report(fetch.Waiting+" "+set.Name, 0, 0)
		_, err = l.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("datasets: waiting for another process that makes %s: %w", set.Name, err)
	}
	return func() { l.Unlock() }, nil
}

// sweep removes leftovers of killed processes that are older than a day.
func sweep(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), ".new-") && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(root, e.Name()))
		}
	}
}
