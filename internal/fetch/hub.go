package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// HF is one file of a model repository on Hugging Face's hub. It is kept in the
// hub's own cache on this machine, which Python's huggingface_hub reads and writes too.
//
// The settings are those of huggingface_hub: HF_HOME, HF_HUB_CACHE, HF_TOKEN (else
// the file HF_TOKEN_PATH, else HF_HOME/token), HF_ENDPOINT, HF_HUB_OFFLINE.
type HF struct {
	Repo     string // "timm/resnet18.a1_in1k"
	Revision string // commit, tag or branch; "" = main. A branch is pinned to its commit at the first use
	File     string // slash path inside the repository: "model.safetensors"
}

const hubEndpoint = "https://huggingface.co"

var (
	repoName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$`)
	revisionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	commitName   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Name   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func isCommit(s string) bool { return commitName.MatchString(s) }

func (h *HF) check() error {
	switch {
	case !repoName.MatchString(h.Repo) || strings.Contains(h.Repo, "..") || strings.Contains(h.Repo, "--"):
		return fmt.Errorf("hub repository %q: want owner/name", h.Repo)
	case h.Revision != "" && (!revisionName.MatchString(h.Revision) || strings.Contains(h.Revision, "..") || !localName(h.Revision)):
		return fmt.Errorf("hub revision %q: want a commit, tag or branch", h.Revision)
	case !localName(h.File):
		return fmt.Errorf("file %q in the hub repository: want a slash path that stays inside", h.File)
	}
	return nil
}

// revision is what is asked for.
func (h *HF) revision() string {
	if h.Revision == "" {
		return "main"
	}
	return h.Revision
}

// address of the file, of a commit or of what the revision means now.
func (h *HF) address(endpoint, revision string) string {
	if revision == "" {
		revision = "main"
	}
	parts := strings.Split(h.File, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return endpoint + "/" + h.Repo + "/resolve/" + url.PathEscape(revision) + "/" + strings.Join(parts, "/")
}

// hub is the settings of this machine.
type hub struct {
	endpoint string
	cache    string
	token    string // "" = none
	offline  bool
}

func hubSettings() (hub, error) {
	h := hub{endpoint: strings.TrimRight(os.Getenv("HF_ENDPOINT"), "/"), offline: truthy(os.Getenv("HF_HUB_OFFLINE")) || truthy(os.Getenv("TRANSFORMERS_OFFLINE"))}
	if h.endpoint == "" {
		h.endpoint = hubEndpoint
	}
	if u, err := url.Parse(h.endpoint); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || !secure(u) && !loopback(u) {
		return hub{}, errors.New("HF_ENDPOINT: want https://host, without user, password or query (http only on this machine)")
	}
	home := expand(os.Getenv("HF_HOME"))
	if home == "" {
		cache := userCache()
		if cache == "" {
			return hub{}, advice.New(errors.New("no home folder for the hub's cache"), "set HF_HOME")
		}
		home = filepath.Join(cache, "huggingface")
	}
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if h.cache == "" {
			h.cache = expand(os.Getenv(name))
		}
	}
	if h.cache == "" {
		h.cache = filepath.Join(home, "hub")
	}
	if truthy(os.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return h, nil
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if h.token == "" {
			h.token = strings.TrimSpace(os.Getenv(name))
		}
	}
	if h.token == "" {
		file := expand(os.Getenv("HF_TOKEN_PATH"))
		if file == "" {
			file = filepath.Join(home, "token")
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Size() < 4096 {
			text, err := os.ReadFile(file)
			if err != nil {
				return hub{}, fmt.Errorf("the hub's token file: %w", err)
			}
			h.token = strings.TrimSpace(string(text))
		}
	}
	for _, r := range h.token {
		if r <= ' ' || r > '~' {
			return hub{}, advice.New(errors.New("the hub's token (HF_TOKEN, or the token file) holds characters that no token has"), "log in again")
		}
	}
	return h, nil
}

func truthy(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// folder of a repository in the hub's cache.
func (c hub) folder(repo string) string {
	return filepath.Join(c.cache, "models--"+strings.ReplaceAll(repo, "/", "--"))
}

// place returns the path of the file in the hub's cache; "" where the hub's commit is unknown.
func (h *HF) place() string {
	c, err := hubSettings()
	if err != nil {
		return ""
	}
	dir := c.folder(h.Repo)
	commit := h.revision()
	if !isCommit(commit) {
		text, err := os.ReadFile(filepath.Join(dir, "refs", filepath.FromSlash(commit)))
		if err != nil {
			return ""
		}
		if commit = strings.TrimSpace(string(text)); !isCommit(commit) {
			return ""
		}
	}
	return filepath.Join(dir, "snapshots", commit, filepath.FromSlash(h.File))
}

// trusts checks a file in the hub's cache: against its published hash, or without one against the
// name of its blob, which is its hash.
func (h *HF) trusts(ctx context.Context, f File, p string, sum hashing) bool {
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
	blob, err := os.Readlink(p)
	if err != nil {
		return false // a copy: nothing tells its hash
	}
	if !filepath.IsAbs(blob) {
		blob = filepath.Join(filepath.Dir(p), blob)
	}
	if !isBlob(blob, got) {
		return false
	}
	info, err := os.Stat(p)
	if err != nil {
		return false
	}
	commit := filepath.Base(strings.TrimSuffix(p, string(filepath.Separator)+filepath.FromSlash(h.File)))
	_ = f.note(record{SHA256: got, Bytes: info.Size(), Repo: h.Repo, Commit: commit}) // best effort: our cache may be read-only
	return true
}

// isBlob reports whether the file at path, whose sha256 is sum, has the name of a blob of the hub:
// the sha256 of a large file, git's name of a small one.
func isBlob(path, sum string) bool {
	name := filepath.Base(path)
	if sha256Name.MatchString(name) {
		return sum == name
	}
	if !isCommit(name) { // git names files and commits alike
		return false
	}
	in, err := os.Open(path)
	if err != nil {
		return false
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return false
	}
	all := newHashes().withGit(info.Size())
	if _, err := copyBuffer(all, in); err != nil {
		return false
	}
	return all.sums().git == name
}

// hubFile is what the hub says about a file.
type hubFile struct {
	commit string
	blob   string // sha256 of its content, or git's name of it
	bytes  int64  // 0 = it does not say
}

// ask gets the facts of the file, without its content.
func (h *HF) ask(ctx context.Context, c hub, o Options) (hubFile, error) {
	w := o.wire()
	client := *w.client
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
			return http.ErrUseLastResponse // storage; its headers are not the hub's
		}
		return checkRedirect(r, via)
	}
	try := &web{client: &client}
	for asked := 1; ; asked++ {
		found, err := h.askOnce(ctx, c, o, try)
		var b busy
		if err == nil || !errors.As(err, &b) || asked >= busyTries || b.after > longWait || o.Answer > 0 && b.after > o.Answer {
			return found, err
		}
		wait := w.pause()
		if b.after > 0 {
			wait = b.after
		}
		if err := w.wait(ctx, wait); err != nil {
			return found, err
		}
	}
}

func (h *HF) askOnce(ctx context.Context, c hub, o Options, w *web) (hubFile, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, h.address(c.endpoint, h.Revision), nil)
	if err != nil {
		return hubFile{}, err
	}
	req.Header.Set("User-Agent", "tlkit")
	req.Header.Set("Accept-Encoding", "identity")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := w.do(req, o.Answer, cancel)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(cause, ErrUnreachable) {
			return hubFile{}, cause
		}
		return hubFile{}, unreachable(err)
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusUnauthorized, http.StatusForbidden:
		return hubFile{}, advice.New(fmt.Errorf("the hub answered %s: the repository is private, gated or misspelt", resp.Status), "accept its terms at %s, then set HF_TOKEN to a token that may read it", c.endpoint+"/"+h.Repo)
	default:
		return hubFile{}, answered(resp)
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := resp.Header.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	found := hubFile{commit: resp.Header.Get("X-Repo-Commit"), blob: strings.Trim(strings.TrimPrefix(first("X-Linked-Etag", "ETag"), "W/"), `"`)}
	size := resp.Header.Get("X-Linked-Size")
	if size == "" && resp.StatusCode == http.StatusOK {
		size = resp.Header.Get("Content-Length")
	}
	if size != "" {
		if found.bytes, err = strconv.ParseInt(size, 10, 64); err != nil || found.bytes < 0 || found.bytes > maxDownload {
			return hubFile{}, fmt.Errorf("the hub says the file has %.20q bytes", size)
		}
	}
	if !isCommit(found.commit) || !isCommit(found.blob) && !sha256Name.MatchString(found.blob) {
		return hubFile{}, fmt.Errorf("%s does not answer as the hub does (commit %.50q, hash %.70q)", c.endpoint, found.commit, found.blob)
	}
	if isCommit(h.Revision) && h.Revision != found.commit {
		return hubFile{}, fmt.Errorf("the hub answered with commit %s, want %s: %w", found.commit, h.Revision, ErrHash)
	}
	return found, nil
}

// get downloads into the hub's cache; into ours when that may not be written to.
func (h *HF) get(ctx context.Context, f File, o Options) (string, error) {
	c, err := hubSettings()
	if err != nil {
		return "", err
	}
	if c.offline {
		return "", fmt.Errorf("HF_HUB_OFFLINE is set: %w", ErrOffline)
	}
	p, err := h.download(ctx, c, f, o)
	return p, scrub(err, c.token)
}

func (h *HF) download(ctx context.Context, c hub, f File, o Options) (string, error) {
	o.report(f.Name, Downloading, 0, f.Bytes)
	found, err := h.ask(ctx, c, o)
	if err != nil {
		return "", err
	}
	large := sha256Name.MatchString(found.blob)
	if large && !strings.HasPrefix(found.blob, strings.ToLower(f.SHA256)) {
		return "", &HashError{What: "the hub's " + h.Repo + "/" + h.File, Want: strings.ToLower(f.SHA256), Got: found.blob}
	}
	if f.Bytes > 0 && found.bytes > 0 && f.Bytes != found.bytes {
		return "", fmt.Errorf("the hub offers %d bytes, want %d: %w", found.bytes, f.Bytes, ErrHash)
	}
	// To be noted under what f is known by, checked against what the hub says.
	want := f
	want.Bytes = max(f.Bytes, found.bytes)
	if large {
		want.SHA256 = found.blob
	}
	check := func(part string, got sums, n int64) error {
		if !large && got.git != found.blob {
			return &HashError{What: "what the hub sent", Want: found.blob, Got: got.git}
		}
		sure := want
		if sure.SHA256 == "" && sure.MD5 == "" {
			sure.SHA256 = got.sha256 // git's name was right
		}
		return sure.verify("what the hub sent", part, got, n)
	}
	d := &download{f: want, address: h.address(c.endpoint, found.commit), token: c.token, o: o, w: o.wire(), git: !large}
	place, err := c.open(ctx, h, found, o, f.Name)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		dir, derr := cachedir.Dir("part")
		if derr != nil {
			return "", derr
		}
		d.part = filepath.Join(dir, f.id()+"-"+f.Name+".part")
		d.adopt = func(part string, got sums, n int64) (string, error) {
			if err := check(part, got, n); err != nil {
				return "", err
			}
			if err := f.note(record{SHA256: got.sha256, Bytes: n, Repo: h.Repo, Commit: found.commit}); err != nil {
				return "", err
			}
			sure := want
			sure.SHA256 = got.sha256
			return sure.adopt("what the hub sent", part, got, n)
		}
		return d.run(ctx)
	}
	defer place.close()
	if p, sum, n, ok := place.take(); ok { // another process, or another revision, brought it
		if err := f.note(record{SHA256: sum, Bytes: n, Repo: h.Repo, Commit: found.commit}); err != nil {
			return "", err
		}
		return p, nil
	}
	d.part = place.blob + ".incomplete"
	d.adopt = func(part string, got sums, n int64) (string, error) {
		if err := check(part, got, n); err != nil {
			return "", err
		}
		if err := f.note(record{SHA256: got.sha256, Bytes: n, Repo: h.Repo, Commit: found.commit}); err != nil {
			return "", err
		}
		return place.put(part)
	}
	return d.run(ctx)
}
