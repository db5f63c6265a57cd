package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// Unhashed is a file on the web whose publisher states no hash, such as an archive of pictures
// that the caller checks one by one.
type Unhashed struct {
	Address string // https only
	// Client replaces the usual HTTP client; nil = the usual one.
	Client *http.Client
}

// Save downloads the file to path, which must not exist and must be on the disk of the cache.
// It resumes what an earlier process has begun, as [File.Get] does, and checks nothing but that the
// file arrived in full. Of o it uses Answer, Offline and Report.
func (u Unhashed) Save(ctx context.Context, path string, o Options) error {
	if o.Offline {
		return ErrOffline
	}
	if err := (Source{URL: u.Address}).check(); err != nil {
		return err
	}
	if u.Client != nil {
		o.web = &web{client: u.Client, idle: defaultWeb.idle}
	}
	address, err := url.Parse(u.Address)
	if err != nil {
		return err
	}
	dir, err := cachedir.Dir("part")
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(u.Address))
	// The hash of the address stands in for that of the file, in the names of lock and part only.
	f := File{Name: filepath.Base(address.Path), SHA256: hex.EncodeToString(sum[:])}
	if err := f.check(); err != nil {
		return err
	}
	unlock, err := lock(ctx, f, o)
	if err != nil {
		return err
	}
	defer unlock()
	d := &download{f: f, address: u.Address, o: o, w: o.wire(), part: filepath.Join(dir, f.id()+"-"+f.Name+".part")}
	d.adopt = func(part string, _ sums, n int64) (string, error) {
		if n == 0 {
			return "", errors.New("the server sent an empty file")
		}
		return path, os.Rename(part, path)
	}
	_, err = d.run(ctx)
	return scrub(err, "")
}
