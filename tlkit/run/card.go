package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Card makes the model card of a head file, with what the folder of its run knows beside it. Without
// that folder, or if the run is of an older version, the card says what is missing. Only Head of the
// spec is used.
//
// The folder is found if the head file is in it, or a copy of the one in a run below the working
// folder or beside the file.
func (s HeadSpec) Card(place Place) (*card.Card, error) {
	path, err := place.HeadPath(s.Head)
	if err != nil {
		return nil, err
	}
	f, err := learnt(path, place)
	if err != nil {
		return nil, err
	}
	return f.card(), nil
}

// ExportCard writes [HeadSpec.Card] into a file: Markdown for .md, HTML for .html. It is an error if
// the file exists and is not such a card, unless force.
func (s HeadSpec) ExportCard(file string, force bool, place Place) error {
	if err := card.Replaceable(file, force); err != nil {
		return err
	}
	c, err := s.Card(place)
	if err != nil {
		return err
	}
	return c.Write(file, force)
}

// cardFacts is what a card is made of.
type cardFacts struct {
	file string // the head file's name, without its folder
	raw  []byte // its content
	head *export.Head
	row  *zoo.Row  // nil = a network that this version does not know
	set  *data.Set // nil = pictures of the user

	plan learner.Plan
	tune *finetune.Plan // nil = it was not asked for

	// Of the run's folder; nil = not known.
	result *Result
	data   *dataFacts
	report *reportFacts
	figure []byte
}

// learnt collects the facts of a head file and of its run.
func learnt(path string, place Place) (*cardFacts, error) {
	f, err := headFacts(path)
	if err != nil {
		return nil, err
	}
	folder := place.folderOf(path, f.raw)
	if folder == nil {
		return f, nil
	}
	result, err := folder.result()
	if err != nil {
		return nil, fmt.Errorf("run: %s: result.json cannot be read: %w", folder.path, err)
	}
	return f, f.read(folder, result)
}

// headFacts collects the facts of a head file alone.
func headFacts(path string) (*cardFacts, error) {
	h, err := export.Read(path)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	f := &cardFacts{file: filepath.Base(path), raw: raw, head: h}
	if row, err := zoo.Find(h.Backbone.Name); err == nil {
		f.row = &row
	}
	if set, ok := data.FindSet(h.Data.Name); ok && set.Licence == h.Data.Licence {
		f.set = &set
	}
	f.readPlan()
	return f, nil
}

// read adds what the folder of the run has.
func (f *cardFacts) read(folder *folder, result *Result) (err error) {
	f.result = result
	if f.data, err = readFacts[dataFacts](folder, dataFile); err != nil {
		return err
	}
	if f.report, err = readFacts[reportFacts](folder, reportFile); err != nil {
		return err
	}
	f.figure, err = os.ReadFile(folder.file(f.result.FigureFile()))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// cardFiles are the model card in the folder of a run.
var cardFiles = [2]string{"card.md", "card.html"}

// writeCards writes the model card of a run that is done but for its result.json.
func (f *folder) writeCards(r *Result) error {
	facts, err := headFacts(f.file(headFile))
	if err != nil {
		return err
	}
	if err := facts.read(f, r); err != nil {
		return err
	}
	c := facts.card()
	for _, name := range cardFiles {
		if err := c.Write(f.file(name), true); err != nil {
			return err
		}
	}
	return nil
}

// readPlan reads the plans of the head. What a future version writes is passed over.
func (f *cardFacts) readPlan() {
	var both struct {
		Head     json.RawMessage `json:"head"`
		Finetune *finetune.Plan  `json:"finetune"`
	}
	if json.Unmarshal(f.head.Plan, &both) != nil {
		return
	}
	f.tune = both.Finetune
	own := f.head.Plan
	if len(both.Head) > 0 && both.Head[0] == '{' { // otherwise "head" is the kind of head
		own = both.Head
	}
	if json.Unmarshal(own, &f.plan) != nil {
		f.plan = learner.Plan{}
	}
}

// folderOf returns the folder of the finished run that made a head file; nil = it is not here.
func (p Place) folderOf(path string, content []byte) *folder {
	dir := filepath.Dir(path)
	heads := []string{filepath.Join(dir, headFile)}
	for _, base := range []string{p.Folder, dir} {
		found, _ := filepath.Glob(filepath.Join(globbed(base), Home, "*", headFile)) // only a bad pattern is an error
		heads = append(heads, found...)
	}
	for _, head := range heads {
		f := &folder{path: filepath.Dir(head)}
		if info, err := os.Stat(head); err != nil || info.Size() != int64(len(content)) || !isFile(f.file("result.json")) {
			continue
		}
		if same, err := os.ReadFile(head); err == nil && bytes.Equal(same, content) {
			return f
		}
	}
	return nil
}

// globbed escapes the name of a folder for filepath.Glob.
func globbed(folder string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(folder)
}

// card puts the facts in order.
func (f *cardFacts) card() *card.Card {
	h := f.head
	c := &card.Card{
		Title:    fmt.Sprintf("%s on %s", f.dataName(), h.Backbone.Name),
		Summary:  f.summary(),
		Warnings: f.warnings(),
		Key:      f.key(),
		Hub:      f.hub(),
	}
	add := func(title string, blocks ...card.Block) {
		if len(blocks) > 0 {
			c.Sections = append(c.Sections, card.Section{Title: title, Blocks: blocks})
		}
	}
	add("What it predicts", f.predicts()...)
	add("How good it is", f.quality()...)
	add("What it must not be used for", f.limits())
	add("Pictures it has learnt from", f.pictures()...)
	add("What was noticed about them", f.noticed()...)
	add("Network", f.network())
	add("How pictures are prepared", f.pixels()...)
	add("How it was trained", f.training()...)
	add(card.Checks, f.checks()...)
	add(card.Usage, f.usage()...)
	if missing := f.missing(); len(missing) > 0 {
		add("What this card does not know", card.Text("The folder of the training run was not found, or an older version of tlkit wrote it, so the card lacks:"), missing)
	}
	return c
}

func (f *cardFacts) task() datasets.Task {
	if f.head.Task == "" {
		return datasets.Classes
	}
	return f.head.Task
}

func (f *cardFacts) dataName() string {
	if f.head.Data.Name == "" {
		return "pictures"
	}
	return f.head.Data.Name
}

// nonCommercial says which parts may not be used commercially.
func (f *cardFacts) nonCommercial() (parts []string) {
	if f.row != nil && f.row.NonCommercial {
		parts = append(parts, fmt.Sprintf("the weights of %s (licence: %s)", f.row.Name, f.row.Licence))
	}
	if f.set != nil && f.set.NonCommercial {
		parts = append(parts, fmt.Sprintf("the pictures of %s that it has learnt from (licence: %s)", f.set.Name, f.set.Licence))
	}
	return parts
}

func (f *cardFacts) warnings() (out []string) {
	for _, part := range f.nonCommercial() {
		out = append(out, "For non-commercial use only: "+part)
	}
	if f.data != nil && f.data.Leaks > 0 {
		out = append(out, fmt.Sprintf("%d pictures are in several splits at once: it may have been measured on pictures that it has learnt", f.data.Leaks))
	}
	if f.result != nil && f.result.Audit != nil {
		for _, line := range f.result.Audit.Lines {
			out = append(out, "Its score may be too good: "+line)
		}
	}
	if f.result != nil && f.result.Guard != nil && !f.result.Guard.OK {
		out = append(out, "It got pictures in another way than its network learnt to see them: "+f.result.Guard.Line)
	}
	return out
}

// hub is the metadata for Hugging Face's hub.
func (f *cardFacts) hub() card.Hub {
	h := f.head
	out := card.Hub{
		Library: "tlkit", Name: f.dataName() + " on " + h.Backbone.Name, Pipeline: "image-classification",
		Tags: []string{"transfer-learning", "image-classification"},
	}
	if f.task() == datasets.Values {
		out.Pipeline, out.Tags[1] = "", "image-regression"
	}
	if f.row != nil {
		if base, ok := strings.CutPrefix(f.row.Origin, "https://huggingface.co/"); ok {
			out.Base = base
		}
	}
	out.License, out.LicenseName = f.hubLicence()
	s := h.Result.Score
	out.Results = []card.Result{{Dataset: f.dataName(), Split: h.Result.Split, Metric: hubMetrics[s.Metric], Title: scoreLine(s), Value: s.Value}}
	return out
}

// hubMetrics are the hub's names of the metrics.
var hubMetrics = map[metrics.Metric]string{metrics.Accuracy: "accuracy", metrics.MAP: "mean_average_precision", metrics.R2: "r_squared"}

// hubLicence returns the hub's identifier of the licence. A head inherits the terms of the weights; where
// those of the pictures add others, the card explains them.
func (f *cardFacts) hubLicence() (id, name string) {
	const other = "other"
	licence := f.head.Backbone.Licence
	switch id := strings.ToLower(licence); {
	case licence == "" && len(f.nonCommercial()) == 0:
		return "", ""
	case f.set != nil && f.set.NonCommercial:
	case id == "mit" || id == "apache-2.0" || id == "bsd-3-clause" || id == "bsd-2-clause" || id == "cc-by-4.0" || id == "cc-by-nc-4.0":
		return id, ""
	}
	return other, "see-the-licences-in-this-card"
}
