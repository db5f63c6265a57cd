package datasets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// maxArchive limits the download of a set of unknown size.
const maxArchive = 1 << 30

// archiveClient replaces the client that downloads archives; nil = the usual one.
var archiveClient *http.Client

// fetchInto gets the archive of a set and unpacks the listed files into dir as
// [split/]label/name. tmp is a folder for temporary files.
func fetchInto(ctx context.Context, set data.Set, tmp, dir string, o Options) error {
	files, err := set.Files()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return byHand(set, errors.New("there is nothing to check a download against, so it is not downloaded"))
	}
	archive, err := archiveOf(ctx, set, tmp, o)
	if err != nil {
		return err
	}
	// Where each listed file may be in the archive: in the folders of the list, or all in one
	// folder.
	target := make(map[string]string, 2*len(files))
	for _, f := range files {
		target[path.Join(set.Inside, f.Path())] = f.Path()
		if f.Split == "" {
			target[path.Join(set.Inside, f.Name)] = f.Path()
		}
	}
	o.report(fetch.Unpacking+" "+set.Name, 0, 0)
	unpacked := filepath.Join(tmp, "unpacked")
	limits := fetch.UnpackLimits{
		EntryBytes: maxFile, TotalBytes: 4 * maxArchive,
		Keep: func(name string) bool { return target[name] != "" },
	}
	if err := fetch.Unpack(ctx, archive, unpacked, limits); err != nil {
		return fmt.Errorf("datasets: unpacking %s: %w", set.Name, err)
	}
	moved := 0
	for source, dest := range target {
		dst := filepath.Join(dir, filepath.FromSlash(dest))
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return fmt.Errorf("datasets: laying out %s: %w", set.Name, err)
		}
		switch err := os.Rename(filepath.Join(unpacked, filepath.FromSlash(source)), dst); {
		case err == nil:
			moved++
		case !errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("datasets: laying out %s: %w", set.Name, err)
		}
	}
	if moved < len(files) {
		return advice.New(fmt.Errorf("datasets: the archive of %s holds %d of its %d pictures", set.Name, moved, len(files)), "it is another archive or another version")
	}
	return nil
}

// archiveOf returns the path of the set's archive: from its package manager,
// from the drop folder, or from its publisher.
func archiveOf(ctx context.Context, set data.Set, tmp string, o Options) (string, error) {
	if p := set.Package; p != nil && p.Manager == "npm" {
		name := strings.NewReplacer("@", "", "/", "-").Replace(p.Name) + "-" + p.Version + ".tgz"
		f := fetch.File{Name: name, SHA256: p.SHA256, Sources: []fetch.Source{
			{NPM: &fetch.NPM{Name: p.Name, Version: p.Version, SHA256: p.SHA256}},
		}}
		file, err := f.Get(ctx, fetch.Options{Offline: o.Offline, Report: fetch.Progress(o.Report)})
		if err != nil {
			if ctx.Err() != nil {
				return "", err
			}
			return "", byHand(set, err)
		}
		return file, nil
	}
	incoming, err := fetch.Incoming()
	if err != nil {
		return "", err
	}
	if dropped := filepath.Join(incoming, path.Base(set.URL)); isFile(dropped) {
		return dropped, nil
	}
	if o.Offline {
		return "", byHand(set, errors.New("the network is switched off"))
	}
	file := filepath.Join(tmp, "archive")
	if err := download(ctx, set, file, o); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("datasets: fetching %s: stopped: %w", set.Name, ctx.Err())
		}
		return "", byHand(set, err)
	}
	return file, nil
}

// byHand returns an error that says what is missing, why, and how to put it there by hand.
func byHand(set data.Set, why error) error {
	var how []string
	if set.URL != "" {
		incoming := "the incoming folder of the cache"
		if dir, err := fetch.Incoming(); err == nil {
			incoming = dir
		}
		if files, err := set.Files(); err == nil && len(files) > 0 {
			how = append(how, fmt.Sprintf("download %s into %s", set.URL, incoming))
		}
		how = append(how, fmt.Sprintf("unpack %s and make its folder %s the folder %s of the folder that $%s names", set.URL, set.Inside, set.Name, envVar))
	} else if p := set.Package; p != nil {
		how = append(how, fmt.Sprintf("unpack the %s package %s %s as the folder %s of the folder that $%s names", p.Manager, p.Name, p.Version, set.Name, envVar))
	}
	var address *url.Error
	if errors.As(why, &address) {
		why = address.Err // what to do by hand names the address
	}
	return fmt.Errorf("datasets: %w: %s could not be fetched: %w\n  by hand: %s", ErrNotFetched, set.Name, why, strings.Join(how, ", or "))
}

// download downloads the archive from the publisher's address into file. Its pictures are checked
// one by one against the set's list, because the archive as a whole has no published hash.
func download(ctx context.Context, set data.Set, file string, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	report := func(e fetch.Event) {
		if e.State != fetch.Verifying { // that begins when the pictures are unpacked
			o.report(e.State+" "+set.Name, e.Done, e.Total)
		}
		if max(e.Done, e.Total) > maxArchive {
			cancel(fmt.Errorf("%s has more than %d bytes", set.URL, int64(maxArchive)))
		}
	}
	err := fetch.Unhashed{Address: set.URL, Client: archiveClient}.Save(ctx, file, fetch.Options{Report: report})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
