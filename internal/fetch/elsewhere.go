package fetch

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// elsewhere looks where Python keeps its downloads. A file found there is used in place, after it
// was hashed; nothing there is ever written to from here, except in the hub's cache, whose layout is
// meant to be shared. wrong are files that have the name and not the content.
func (f File) elsewhere(ctx context.Context, sum hashing) (path string, wrong []string) {
	for _, s := range f.Sources {
		for _, p := range s.elsewhere() {
			if !regular(p) {
				continue
			}
			trusted := s.HF == nil && f.trusts(ctx, p, sum) || s.HF != nil && s.HF.trusts(ctx, f, p, sum)
			if trusted {
				return p, nil
			}
			wrong = append(wrong, p)
		}
	}
	return "", wrong
}

// elsewhere returns the paths at which Python keeps what comes from this source.
func (s Source) elsewhere() []string {
	var out []string
	switch {
	case s.HF != nil:
		if p := s.HF.place(); p != "" {
			out = append(out, p)
		}
	case s.URL != "":
		u, err := url.Parse(s.URL)
		if err != nil || path.Base(u.Path) == "/" || path.Base(u.Path) == "." {
			return nil
		}
		for _, dir := range []string{torchFolder(), kerasFolder()} {
			if dir != "" {
				out = append(out, filepath.Join(dir, path.Base(u.Path)))
			}
		}
	}
	return out
}

// trusts reports whether a file in another program's cache is the published one.
func (f File) trusts(ctx context.Context, p string, sum hashing) bool {
	if !f.sizeFits(p) {
		return false
	}
	got, err := sum(ctx, p)
	if err != nil || !strings.HasPrefix(got, strings.ToLower(f.SHA256)) {
		return false
	}
	if len(f.SHA256) == 64 {
		return true
	}
	if f.MD5 != "" {
		if got, err := md5Of(p); err != nil || got != strings.ToLower(f.MD5) {
			return false
		}
	}
	info, err := os.Stat(p)
	if err != nil || f.SHA256 == "" && f.MD5 == "" {
		return false
	}
	_ = f.note(record{SHA256: got, Bytes: info.Size()}) // best effort: our cache may be read-only
	return true
}

func md5Of(p string) (string, error) {
	in, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := md5.New()
	if _, err := io.Copy(h, in); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// torchFolder is where torch.hub keeps checkpoints; "" = nowhere.
func torchFolder() string {
	home := expand(os.Getenv("TORCH_HOME"))
	if home == "" {
		cache := userCache()
		if cache == "" {
			return ""
		}
		home = filepath.Join(cache, "torch")
	}
	return filepath.Join(home, "hub", "checkpoints")
}

// kerasFolder is where Keras keeps weights; "" = nowhere.
func kerasFolder() string {
	home := expand(os.Getenv("KERAS_HOME"))
	if home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		home = filepath.Join(user, ".keras")
	}
	return filepath.Join(home, "models")
}

// userCache is the folder that Python programs call the cache, on every system.
func userCache() string {
	if x := expand(os.Getenv("XDG_CACHE_HOME")); x != "" {
		return x
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(user, ".cache")
}

// expand resolves ~ and variables, as Python's programs do with these settings.
func expand(p string) string {
	p = os.ExpandEnv(p)
	if p == "~" || strings.HasPrefix(p, "~/") {
		if user, err := os.UserHomeDir(); err == nil {
			p = filepath.Join(user, p[1:])
		}
	}
	return p
}
