package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// glob is the file name that `npm pack` chooses: scope and name joined by a hyphen.
func (n *NPM) glob() string {
	return strings.ReplaceAll(strings.TrimPrefix(n.Name, "@"), "/", "-") + "-" + n.Version + ".tgz"
}

func (n *NPM) get(ctx context.Context, f File, o Options) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", advice.New(errors.New("no npm in PATH"), "install Node.js, which brings it")
	}
	dir, err := tempDir()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	o.report(f.Name, Downloading, 0, n.Bytes)
	out, err := tool{
		name: npm, dir: dir, env: environment(nil, "NO_UPDATE_NOTIFIER=1", "NO_COLOR=1"),
		args: []string{"pack", n.Name + "@" + n.Version, "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
			"--fetch-retries=0", "--fetch-timeout=15000", "--loglevel=verbose"},
		file: f.Name, total: n.Bytes,
	}.run(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		switch {
		case errors.Is(err, ErrUnreachable):
			return "", fmt.Errorf("npm: %w", err)
		case offlineWords.MatchString(out):
			return "", unanswered("npm cannot reach its registry (%s)", reason(out))
		}
		return "", fmt.Errorf("npm failed (%w): %s", err, lastLine(out, "npm error"))
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if len(found) != 1 {
		return "", fmt.Errorf("npm succeeded and left %d archives, want 1", len(found))
	}
	return Source{NPM: n}.open(ctx, f, found[0], o)
}
