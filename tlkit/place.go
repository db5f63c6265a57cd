//go:build !tlkit_worker

package tlkit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Models shows the networks that a head can be trained on, with licence, picture size in pixels,
// millions of parameters, number of features, and top-1 accuracy on ImageNet in percent.
func Models() {
	verb("Models", func(context.Context) error {
		t := show.Table{Header: []string{"model", "licence", "size", "parameters", "features", "top-1"}, Left: 2}
		for _, r := range zoo.Rows() {
			top1 := "-"
			if r.Top1 > 0 {
				top1 = fmt.Sprintf("%.1f", r.Top1)
			}
			t.Rows = append(t.Rows, []string{r.Name, r.Licence, fmt.Sprint(r.Preset.Size), fmt.Sprintf("%.1f M", float64(r.Params)/1e6), fmt.Sprint(r.Features), top1})
		}
		show.Default.Table(t)
		return nil
	})
}

// verb runs a method of a learner; its card names the learner and its folder.
func (l Learner) verb(what string, do func(context.Context) error) {
	if l.Name == "" {
		verb(what, do)
		return
	}
	verbIn(what+" of "+l.Name, filepath.Join(home, l.Name), do)
}

// keptBy says what of an interrupted verb is kept.
func keptBy(err error) string {
	if errors.Is(err, finetune.ErrInterrupted) {
		return "what was trained so far is saved"
	}
	return featuresKept
}

// reporter shows the progress of a job: states in one place, sentences one below the other.
type reporter struct{}

var _ run.Progress = reporter{}

func (reporter) State(what string, done, total int64) { show.Default.Progress(what, done, total) }
func (reporter) Say(sentence string)                  { show.Default.Text(invoke.Hints(sentence)) }

// Watch shows a comparison that grows: a line for each network, and in a cell a figure that changes.
func (r reporter) Watch(g compare.Growing) {
	r.Say(g.Said)
	if show.Default.InCell() && len(g.Done) > 1 {
		_ = show.Default.Live("compare", g.Figure()) // the last one reports what fails
	}
}

// Fold shows what a run works with: one line that opens. Later cells of the kernel do not repeat it.
func (reporter) Fold(summary string, lines []string) {
	if show.Default.InCell() && said(os.Getenv("GONB_TMP_DIR"), append(lines, summary)) {
		return
	}
	show.Default.Folded(summary, lines)
}

// said reports whether the kernel whose folder is room has shown lines before, and notes that it has now.
func said(room string, lines []string) bool {
	if room == "" {
		return false
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	f, err := os.OpenFile(filepath.Join(room, fmt.Sprintf("said-%x", sum[:8])), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Is(err, fs.ErrExist)
	}
	f.Close()
	return false
}

// place returns where runs are stored: in the folder of the notebook, or in the current folder.
func place(name string) run.Place {
	p := run.Place{Name: name, Keep: true, Offline: os.Getenv("TLKIT_OFFLINE") != "", NonCommercial: os.Getenv("TLKIT_NONCOMMERCIAL") != ""}
	if dir := os.Getenv("GONB_DIR"); dir != "" && show.Default.InCell() {
		if here, err := os.Getwd(); err != nil || here != dir {
			p.Folder = dir
		}
	}
	return p
}
