package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/picturefile"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// stdin is where "-" reads the names of pictures from; tests replace it.
var stdin io.Reader = os.Stdin

// here is the current folder, for names of runs and heads.
var here run.Place

// predicting is what the flags of predict say.
type predicting struct {
	spec       run.HeadSpec
	top        int
	jsonl, csv bool
	out        string  // the file for the lines; "" = standard output
	threshold  float64 // the least probability of a label
	sortInto   string  // "" = nowhere
}

func (c *command) predict() *cobra.Command {
	var f predicting
	cmd := &cobra.Command{
		Use:   "predict HEAD PICTURE...",
		Short: "Predict what is in pictures, with a trained head",
		Long: `Predict what is in pictures, with a head file that train has written. HEAD may also be the
folder or the name of a run. A PICTURE may be a folder, for all pictures in it and below, a
pattern such as "photos/*.jpg", a zip archive, or - for names on standard input, one a line.

Each picture gets a line: path, label, probability. --json prints a list of path, label,
probability and probabilities. A head for several labels prints those at or above their
thresholds (labels and probabilities in JSON; labels may be []). A head for values prints
numbers in the units of its training data (values in JSON).

A picture that is unlike all training pictures is marked: what is said of it is a guess. In
JSON, familiar is then false and strangeness says how unlike it is. A set in JSON has the
labels among which the true one is nine times out of ten, and intervals the same for values.
Heads written before this was learnt have none of it.

--jsonl and --csv write a line for each picture as soon as it is predicted, in the order of
the pictures, and need no more memory for many of them. A line of --jsonl is an element of
the list of --json. The columns of --csv are path, label, probability, error; with --top 2
also label_2 and probability_2. For several labels: path, labels (separated by |), the
probability of each, error. For values: path, each value, error.

With -o FILE the lines go to FILE, whose name may tell the format (.csv, .jsonl). If it
exists and the same head has written it, pictures that have a line in it are not predicted
again, so the same command goes on where it was interrupted. FILE.head says which head wrote
it.

--threshold P gives no label to a picture whose most probable label is below P: its label is
"". --sort-into DIR makes a symbolic link to each picture in DIR/LABEL, or DIR/unsure if it
has no label or is unlike the training pictures; no file is overwritten.

A picture that cannot be read does not stop the others. It has a line with the reason in
--json, --jsonl and --csv, and is named at the end on standard error. The exit status is 2
when some pictures cannot be read, and 1 when none can be.`,
		Example: `  tlkit predict my.head.safetensors photos/*.jpg
  tlkit predict my.head.safetensors photos --top 3
  tlkit predict my.head.safetensors photos -o photos.csv
  tlkit predict my.head.safetensors photos --sort-into sorted --threshold 0.8
  find photos -mtime -1 | tlkit predict my.head.safetensors -`,
		Args: predictArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			head, err := here.HeadPath(args[0])
			if err != nil {
				return err
			}
			pictures, closeAll, err := picturesOf(cmd.Context(), args[1:])
			defer closeAll()
			if err != nil {
				return err
			}
			f.spec.Head = head
			s, err := f.sorter(args[1:], pictures)
			if err != nil {
				return err
			}
			if f.format() != "" {
				return c.predictLines(cmd.Context(), &f, pictures, s)
			}
			return c.predictAll(cmd.Context(), &f, pictures, s)
		},
	}
	cmd.Flags().StringVar(&f.spec.Weights, "weights", "", "the backbone's weights file, if it is not the published one")
	cmd.Flags().StringVar(&f.spec.Entry, "entry", "", "where in that file the weights are (default: where they were when the head was trained)")
	formFlag(cmd, &f.spec.Form)
	cmd.Flags().IntVar(&f.top, "top", 1, "print so many labels a picture, the most probable first (heads for one label a picture)")
	cmd.Flags().BoolVar(&f.jsonl, "jsonl", false, "write a line of JSON for each picture, as they come")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "write a line of CSV for each picture, as they come")
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "the file for these lines; goes on with one of the same head")
	cmd.Flags().Float64Var(&f.threshold, "threshold", 0, "the least probability of a label, from 0 to 1 (heads for one label a picture)")
	cmd.Flags().StringVar(&f.sortInto, "sort-into", "", "a folder for links to the pictures, in a folder for each label")
	return cmd
}

// check reports flags that do not fit together.
func (f *predicting) check(c *command) error {
	if f.top < 1 {
		return fmt.Errorf("predict: --top is %d, want 1 or more", f.top)
	}
	if !(f.threshold >= 0 && f.threshold <= 1) {
		return fmt.Errorf("predict: --threshold is %v, want 0 to 1", f.threshold)
	}
	if f.out != "" && !c.json && !f.jsonl && !f.csv {
		switch strings.ToLower(filepath.Ext(f.out)) {
		case ".csv":
			f.csv = true
		case ".jsonl", ".ndjson":
			f.jsonl = true
		}
	}
	var formats []string
	for name, asked := range map[string]bool{"--json": c.json, "--jsonl": f.jsonl, "--csv": f.csv} {
		if asked {
			formats = append(formats, name)
		}
	}
	if len(formats) > 1 {
		slices.Sort(formats)
		return advice.New(fmt.Errorf("predict: %s at once, want one", strings.Join(formats, " and ")), "--json is one list, --jsonl a line for each picture")
	}
	if f.out != "" && f.format() == "" {
		return advice.New(fmt.Errorf("predict: the format of %s is not known", f.out), "add --jsonl or --csv")
	}
	return nil
}

// format is that of the lines; "" = none.
func (f *predicting) format() lineFormat {
	switch {
	case f.jsonl:
		return jsonLines
	case f.csv:
		return csvLines
	}
	return ""
}

// sorter returns the sorter for --sort-into; nil = none. args are the pictures as they were named.
func (f *predicting) sorter(args []string, pictures []picture) (*sorter, error) {
	if f.sortInto == "" && f.threshold == 0 {
		return nil, nil
	}
	h, err := export.Read(f.spec.Head)
	if err != nil {
		return nil, err
	}
	switch {
	case f.threshold > 0 && h.Task != "" && h.Task != datasets.Classes:
		return nil, fmt.Errorf("predict: --threshold is for heads for one label a picture, and %s predicts %s", f.spec.Head, h.Task.Words(h.Labels))
	case f.sortInto == "":
		return nil, nil
	case h.Task == datasets.Values:
		return nil, fmt.Errorf("predict: --sort-into is for heads of labels, and %s predicts %s", f.spec.Head, h.Task.Words(h.Labels))
	}
	for _, p := range pictures {
		if p.read != nil {
			return nil, advice.New(fmt.Errorf("predict: --sort-into links files, and %s is in an archive", p.path), "unpack it first")
		}
	}
	return newSorter(f.sortInto, args)
}

// finish applies the threshold to a prediction, and sorts its picture.
func (f *predicting) finish(p *export.Prediction, s *sorter) error {
	if p.Error != "" {
		return nil
	}
	if p.Label != "" && p.Probability < f.threshold {
		p.Label = ""
	}
	if s == nil {
		return nil
	}
	return s.place(*p)
}

// predictAll predicts the pictures, then prints them all.
func (c *command) predictAll(ctx context.Context, f *predicting, pictures []picture, s *sorter) error {
	all := make([]export.Prediction, 0, len(pictures))
	err := c.streamTo(ctx, f.spec, streamOf(pictures, func(p export.Prediction) error {
		err := f.finish(&p, s)
		all = append(all, p)
		return err
	}), c.progress)
	if err != nil {
		return err
	}
	c.sayPredictions(all, f.top)
	if c.json {
		if err := c.print(all); err != nil {
			return err
		}
	}
	return c.sayUnreadable(slices.DeleteFunc(all, func(p export.Prediction) bool { return p.Error == "" }), len(pictures))
}

// open opens the file for the lines.
func (f *predicting) open(l *lineWriter) (*output, error) {
	data, err := os.ReadFile(f.spec.Head)
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	o := origin{Head: fmt.Sprintf("%x", sha256.Sum256(data)), Format: l.format, Threshold: f.threshold}
	if l.format == csvLines {
		o.Top = l.top
	}
	return openOutput(f.out, l, o)
}

// predictLines writes a line for each picture as soon as it is predicted.
func (c *command) predictLines(ctx context.Context, f *predicting, pictures []picture, s *sorter) (err error) {
	h, err := export.Read(f.spec.Head)
	if err != nil {
		return err
	}
	l := &lineWriter{w: c.out, format: f.format(), head: h, top: f.top}
	total, fix := len(pictures), "with -o FILE the same command goes on from there"
	var bad []export.Prediction
	if f.out != "" {
		out, failed := f.open(l)
		if failed != nil {
			return failed
		}
		defer func() { err = cmp.Or(err, out.Close()) }()
		fix = "the same command goes on from there"
		if pictures, bad = out.left(pictures); len(pictures) < total {
			c.note("%s has %d of the %d pictures", f.out, total-len(pictures), total)
		}
	}
	done := total - len(pictures)
	if len(pictures) > 0 {
		err = c.streamTo(ctx, f.spec, streamOf(pictures, func(p export.Prediction) error {
			if p.Error != "" {
				bad = append(bad, p)
			}
			done++
			if err := f.finish(&p, s); err != nil {
				return err
			}
			return l.write(p)
		}), c.besideLines)
	}
	if errors.Is(err, context.Canceled) {
		return &reported{advice.New(&interrupted{done, total}, "%s", fix)}
	}
	if err != nil {
		return err
	}
	if f.out != "" {
		c.say("%s: %d pictures", f.out, total)
	}
	return c.sayUnreadable(bad, total)
}

// interrupted is the error of a command that has written some of its lines.
type interrupted struct{ done, total int }

func (i *interrupted) Error() string {
	return fmt.Sprintf("predict: interrupted after %d of %d pictures", i.done, i.total)
}

func (i *interrupted) Unwrap() error { return context.Canceled }

// streamTo predicts pictures, with a new progress for each attempt.
func (c *command) streamTo(ctx context.Context, head run.HeadSpec, s export.Stream, shown func() *progress) error {
	_, err := agreed(c, func() (struct{}, error) {
		p := shown()
		defer p.close()
		return struct{}{}, head.Stream(ctx, s, c.place(), p)
	})
	return err
}

// predictArgs explains what is missing when there is no head or no picture.
func predictArgs(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return nil
	}
	const usage = "tlkit predict HEAD PICTURE…, with pictures, folders or -"
	if len(args) == 0 {
		fix := usage
		if heads := here.Heads(); len(heads) > 0 {
			fix += ", and as HEAD one of " + words.Some(heads[:min(len(heads), 3)])
		}
		return advice.New(errors.New("predict: neither a head nor a picture is named"), "%s", fix)
	}
	if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(args[0], ".safetensors") {
		fix := usage
		if heads := here.Heads(); len(heads) > 0 {
			fix = "name the head first: tlkit predict " + invoke.Quote(heads[0]) + " " + invoke.Quote(args[0])
		}
		return advice.New(fmt.Errorf("predict: %s is no head, and nothing else is named", args[0]), "%s", fix)
	}
	if _, err := here.HeadPath(args[0]); err != nil {
		return err
	}
	return advice.New(fmt.Errorf("predict: no picture is named for the head %s", args[0]), "%s", usage)
}

// picture is a picture to predict.
type picture struct {
	path string
	read func() ([]byte, error) // nil = it is the file at path
}

// streamOf returns the pictures as a stream.
func streamOf(pictures []picture, use func(export.Prediction) error) export.Stream {
	s := export.Stream{Paths: make([]string, len(pictures)), Use: use}
	for i, p := range pictures {
		s.Paths[i] = p.path
	}
	s.Read = func(i int) ([]byte, error) {
		if pictures[i].read == nil {
			return nil, nil
		}
		return pictures[i].read()
	}
	return s
}

// picturesOf returns the pictures that arguments stand for. closeAll closes their archives.
func picturesOf(ctx context.Context, args []string) (all []picture, closeAll func(), err error) {
	var open []*picturefile.Zip
	closeAll = func() {
		for _, z := range open {
			z.Close()
		}
	}
	paths, err := picturePaths(ctx, "predict", args)
	for _, path := range paths {
		if info, e := os.Stat(path); e != nil || !info.Mode().IsRegular() || !strings.EqualFold(filepath.Ext(path), ".zip") {
			all = append(all, picture{path: path})
			continue
		}
		z, err := picturefile.OpenZip(path)
		if err != nil { // it stops the others as little as a picture does
			all = append(all, picture{path, func() ([]byte, error) { return nil, err }})
			continue
		}
		open = append(open, z)
		names := z.Pictures()
		if len(names) == 0 {
			return nil, closeAll, advice.New(fmt.Errorf("predict: no file in %s is named like a picture", path), "name another archive")
		}
		for i, name := range names {
			all = append(all, picture{path + "/" + name, func() ([]byte, error) { return z.Read(i) }})
		}
	}
	return all, closeAll, err
}

// picturePaths returns the files that the arguments of a command stand for.
func picturePaths(ctx context.Context, command string, args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case arg == "-":
			names, err := pictureNames(stdin)
			if err != nil {
				return nil, fmt.Errorf("%s: reading names from standard input: %w", command, err)
			}
			out = append(out, names...)
		case err == nil && info.IsDir():
			found, err := datasets.Pictures(ctx, arg)
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, advice.New(fmt.Errorf("%s: no file in %s is named like a picture", command, arg), "name the files, or another folder")
			}
			out = append(out, found...)
		case err != nil && strings.ContainsAny(arg, "*?["):
			found, err := filepath.Glob(arg)
			if err != nil || len(found) == 0 {
				return nil, advice.New(fmt.Errorf("%s: no file matches %s", command, arg), "check the folder and the ending, or name the folder itself")
			}
			more, err := picturePaths(ctx, command, found)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		default: // what is wrong with it is said beside its name
			out = append(out, arg)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no picture is named", command)
	}
	return out, nil
}

// pictureNames returns the lines of r that are not empty. Names that are separated by zero bytes, as by
// find -print0, are lines too.
func pictureNames(r io.Reader) ([]string, error) {
	var out []string
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		for name := range strings.SplitSeq(s.Text(), "\x00") {
			if name = strings.TrimSuffix(name, "\r"); strings.TrimSpace(name) != "" {
				out = append(out, name)
			}
		}
	}
	return out, s.Err()
}

// sayPredictions prints a line for each picture that could be read.
func (c *command) sayPredictions(all []export.Prediction, top int) {
	if c.json {
		return
	}
	const widest = 120 // a longer path does not push the others aside
	path, label := 0, 0
	for _, p := range all {
		path = max(path, min(utf8.RuneCountInString(words.Plain(p.Path)), widest))
		for _, r := range ranked(p)[:min(top, len(p.Probabilities))] {
			label = max(label, utf8.RuneCountInString(words.Shorten(r, 40)))
		}
	}
	for _, p := range all {
		name := fmt.Sprintf("%-*s", path, words.Plain(p.Path))
		switch {
		case p.Error != "":
		case p.Labels != nil || p.Values != nil:
			c.say("%s  %s", name, words.Plain(p.Words()))
		default:
			if p.Label == "" {
				name += "  " + unsure + ":"
			}
			for _, l := range ranked(p)[:min(top, len(p.Probabilities))] {
				name += fmt.Sprintf("  %-*s %5.1f %%", label, words.Shorten(l, 40), 100*p.Probabilities[l])
			}
			if p.Unlike() {
				name += "  unlike the training pictures"
			}
			c.say("%s", name)
		}
	}
}

// sayUnreadable names the pictures, out of so many, that could not be read. It returns an error if
// there are any.
func (c *command) sayUnreadable(bad []export.Prediction, pictures int) error {
	for _, p := range bad {
		c.note("%s  cannot be read: %s", words.Plain(p.Path), words.Plain(p.Error))
	}
	switch len(bad) {
	case 0:
		return nil
	case pictures:
		return &reported{fmt.Errorf("predict: none of %d pictures can be read", pictures)}
	}
	return &partly{fmt.Errorf("predict: %d of %d pictures cannot be read", len(bad), pictures)}
}

// ranked returns the labels of a prediction, the most probable first.
func ranked(p export.Prediction) []string {
	labels := make([]string, 0, len(p.Probabilities))
	for l := range p.Probabilities {
		labels = append(labels, l)
	}
	slices.SortFunc(labels, func(a, b string) int {
		// Of equal ones, the label that is the answer comes first.
		first := func(l string) int {
			if l == p.Label {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(p.Probabilities[b], p.Probabilities[a]), cmp.Compare(first(a), first(b)), strings.Compare(a, b))
	})
	return labels
}
