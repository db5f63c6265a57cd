package run

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/guard"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Evaluation is the score of a head or a pretrained classifier on a data set. It is also the JSON
// of tlkit evaluate.
type Evaluation struct {
	Task datasets.Task `json:"task"`
	metrics.Score
	Split string `json:"split"`

	// For a pretrained classifier: the share of pictures for which an output of their label is the
	// largest, or among the five largest, of all outputs. Top1 equals Score.Value.
	Top1 *float64 `json:"top1,omitempty"`
	Top5 *float64 `json:"top5,omitempty"`

	Model      string  `json:"model"`
	Head       string  `json:"head,omitempty"`
	Data       string  `json:"data"`
	Statistics string  `json:"statistics,omitempty"`
	Preset     string  `json:"preset,omitempty"`
	Engine     string  `json:"engine"`
	Seconds    float64 `json:"seconds"`
	// For a head: the largest difference of logits on its built-in pictures, as a share of the
	// largest logit.
	Parity  *float64        `json:"parity,omitempty"`
	Warning string          `json:"warning,omitempty"` // why the score may be too optimistic
	Guard   *results.Guard  `json:"guard,omitempty"`   // whether the pictures are as the network expects them
	Report  evaluate.Report `json:"report,omitempty"`  // for a head: the report of its task
	// For a head that knows how sure it may be: how far it keeps its promises.
	Confidence *confidence.Measured `json:"confidence,omitempty"`
	Root       string               `json:"-"` // the folder that the report's file names are below
}

// Details returns the report of a head without the score; "" for a pretrained classifier.
func (e *Evaluation) Details() string {
	if e.Report == nil {
		return ""
	}
	details := e.Report.Details()
	if e.Confidence != nil {
		details += "\n" + e.Confidence.String() + "\n"
	}
	return details
}

// Reliability draws the calibration of a head's probabilities, before and after its temperature; ok is
// false if it is not known.
func (e *Evaluation) Reliability() (f plots.Figure, ok bool) {
	if e.Confidence == nil || len(e.Confidence.Calibration) == 0 {
		return nil, false
	}
	var panels []plots.Calibrated
	for _, c := range e.Confidence.Calibration {
		panels = append(panels, plots.Calibrated{Name: c.Name, Calibration: c.Calibration})
	}
	return plots.Reliability(panels...), true
}

// Line formats the evaluation as one line.
func (e *Evaluation) Line() string {
	if e.Top5 != nil {
		return fmt.Sprintf("top-1 %s, top-5 %.1f %% on %s of %s", e.Fraction(), 100**e.Top5, e.Split, e.Data)
	}
	return fmt.Sprintf("%s on %s of %s", e.Score, e.Split, e.Data)
}

// HeadSpec is a head and what it is evaluated on.
type HeadSpec struct {
	Head    string // a head file, a run's folder, or a run's name; see [Place.HeadPath]
	Data    string // a ready set, a folder or a CSV file; its labels must be among the head's
	Split   string // "" = the split that Train reports on
	Weights string // the backbone's weights file, if it is not the published one
	Entry   string // where in that file the weights are; "" = where the head's were

	LabelFolders bool   // as in [Spec]
	MinPerLabel  int    // as in [Spec]
	Changes      string // as in [Spec]
	// What columns of the CSV file hold where that cannot be seen, see datasets.Options.
	Columns string
	Group   datasets.Group // as in [Spec]

	Form engine.Form // as in [Spec]

	opened *openedHead // by Opened
}

// EvaluateHead scores a head file on a data set. p may be nil.
//
// It is an error if the head file or its backbone does not open, if the data set has another task
// or labels that the head lacks, or if the split has no pictures.
func EvaluateHead(ctx context.Context, s HeadSpec, place Place, p Progress) (*Evaluation, error) {
	p, shown := place.Shown(p)
	defer shown()
	clock := startClock(p)
	h, err := readHead(place, s.Head)
	if err != nil {
		return nil, err
	}
	m, err := measuring(ctx, h, s, place, p)
	if err != nil {
		return nil, err
	}
	c, err := openHead(ctx, h, s, place, p)
	if err != nil {
		return nil, err
	}
	o := &opened{data: m.set, task: m.task, net: c.classifier.Net(), eng: c.eng, guard: guard.New(c.classifier.Net())}
	x, err := o.extract(ctx, features.Job{Items: m.items, Preset: h.Preset, Backbone: features.FromNet(o.net, c.eng)}, p)
	if err != nil {
		return nil, err
	}
	if err := o.settle(p); err != nil {
		return nil, err
	}
	kept := &sample{}
	for _, i := range x.Items {
		kept.items = append(kept.items, m.items[i])
	}
	truth, logits := m.task.Samples(kept.items, x.Data, len(h.Labels)), h.Logits(x.Data)
	sure, err := h.Confidence.Measure(truth, logits)
	if err != nil {
		return nil, err
	}
	report, err := evaluate.New(m.task, evaluate.Input{
		Names: h.Labels, Truth: truth, Logits: logits,
		Reading: task.Reading{Thresholds: h.Thresholds, Scales: h.Scales}, Files: kept.files(),
	})
	if err != nil {
		return nil, err
	}
	return &Evaluation{
		Task: m.task.Name(), Score: report.Score(), Split: m.split, Model: h.Backbone.Name, Head: s.Head, Data: m.set.Name,
		Preset: h.Preset.Name, Engine: c.eng.Name, Seconds: clock.seconds(), Parity: &c.classifier.Parity, Warning: m.warning, Guard: o.verdict, Report: report, Root: m.set.Root, Confidence: sure,
	}, nil
}

// measured are the pictures that a head is scored on, with labels in the head's order.
type measured struct {
	set            *datasets.Dataset
	task           task.Task
	items          []datasets.Item
	split, warning string
}

// measuring opens the pictures to score a head on.
func measuring(ctx context.Context, h *export.Head, s HeadSpec, place Place, p Progress) (*measured, error) {
	p.State("opening data", 0, 0)
	ds, err := datasets.Open(ctx, s.Data, place.Pictures(Spec{Seed: h.Seed, Columns: s.Columns, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Group: s.Group, Changes: s.Changes}, p))
	if err != nil {
		return nil, err
	}
	introduce(ds, p)
	m := &measured{set: ds}
	m.task, err = task.Named(h.Task)
	if err != nil {
		return nil, err
	}
	m.split, m.warning, err = splitFor(h, ds, s.Split)
	if err != nil {
		return nil, err
	}
	if m.warning != "" {
		p.Say(m.warning)
	}
	m.items = ds.In(datasets.Split(m.split))
	if len(m.items) == 0 {
		return nil, advice.New(fmt.Errorf("run: split %q of %s has no pictures", m.split, s.Data), "it has %v", ds.Splits())
	}
	if ds.Task != m.task.Name() {
		return nil, advice.New(fmt.Errorf("run: the head predicts %s and %s has %s", m.task.Name().Words(h.Labels), ds.Name, ds.Task.Words(ds.Labels)), "evaluate it on pictures of its own kind")
	}
	return m, m.task.Renumber(h.Labels, ds, m.items)
}

// splitFor chooses the split to score a head on, and a warning if the score is doubtful. A split
// made by the publisher or the user is trusted. A split dealt by seed only means something for
// exactly the pictures that the head was trained on; for any others, it is unknown which of them
// the head has seen.
func splitFor(h *export.Head, ds *datasets.Dataset, asked string) (split, warning string, err error) {
	same := h.Data.Fingerprint == ds.Fingerprint()
	byFolds := h.Result.Folds > 0
	split = asked
	if split == "" {
		switch {
		case ds.Dealt && same && byFolds:
			return "", "", advice.New(fmt.Errorf("run: this head learnt from all pictures of %s; its score is the one by folds, %s", ds.Name, h.Result.Score), "evaluate it on other pictures, or pass --split all to evaluate it on its training pictures")
		case ds.Dealt && !same || ds.Evaluation() == "":
			split = "all"
		default:
			split = string(ds.Evaluation())
		}
	}
	named, _ := data.SplitNamed(split)
	switch {
	case same && (split == "all" || named == "train" || byFolds && ds.Dealt):
		warning = "these pictures are among those the head learnt from: the score says nothing about other pictures"
	case ds.Dealt && !same:
		warning = fmt.Sprintf("these are not exactly the pictures that the head was trained with (%s); if it learnt from some of them, the score is too good", h.Data.Name)
	}
	return split, warning, nil
}

// openedHead is a head on its backbone, ready to predict.
type openedHead struct {
	classifier *export.Classifier
	eng        *engine.Engine
}

// openHead opens the engine and the head's backbone.
func openHead(ctx context.Context, h *export.Head, s HeadSpec, place Place, p Progress) (*openedHead, error) {
	eng, err := openEngine(ctx, s.Form, place, p)
	if err != nil {
		return nil, err
	}
	if eng.Why != "" {
		p.Say(eng.Why)
	}
	c, err := h.Open(ctx, eng, export.Options{Zoo: place.zoo(Spec{Weights: s.Weights, Entry: s.Entry}, nil, p)})
	if err != nil {
		return nil, err
	}
	sayNotes(c.Net(), p)
	return &openedHead{c, eng}, nil
}

// Predict opens a head file and classifies pictures, given by their paths. Data and Split of the
// spec are not used. p may be nil. A picture that cannot be read gets a Prediction with Error.
func Predict(ctx context.Context, s HeadSpec, pictures []string, place Place, p Progress) ([]export.Prediction, error) {
	p, shown := place.Shown(p)
	defer shown()
	c, err := s.predictor(ctx, len(pictures), place, p)
	if err != nil {
		return nil, err
	}
	out := make([]export.Prediction, 0, len(pictures))
	err = c.stream(ctx, export.Stream{Paths: pictures, Use: func(q export.Prediction) error {
		out = append(out, q)
		return nil
	}}, p)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Stream is [Predict] for many pictures: each prediction is handed over as soon as it and those
// before it are there, see [export.Classifier.Stream]. It reports to p how many there are.
func (s HeadSpec) Stream(ctx context.Context, pictures export.Stream, place Place, p Progress) error {
	p, shown := place.Shown(p)
	defer shown()
	total := int64(len(pictures.Paths))
	c, err := s.predictor(ctx, len(pictures.Paths), place, p)
	if err != nil {
		return err
	}
	use, done := pictures.Use, int64(0)
	pictures.Use = func(q export.Prediction) error {
		done++
		p.State("predicting", done, total)
		return use(q)
	}
	p.State("predicting", 0, total)
	return c.stream(ctx, pictures, p)
}

// stream predicts pictures, and says afterwards what is wrong with them.
func (c *openedHead) stream(ctx context.Context, pictures export.Stream, p Progress) error {
	g := guard.New(c.classifier.Net())
	pictures.Look = func(i int, t transforms.Tensor) { _ = g.Look(i, t) }
	err := c.classifier.Stream(ctx, pictures)
	if err == nil {
		warn(g, p)
	}
	return err
}

// predictor opens the head for so many pictures.
func (s HeadSpec) predictor(ctx context.Context, pictures int, place Place, p Progress) (*openedHead, error) {
	h, err := readHead(place, s.Head)
	if err != nil {
		return nil, err
	}
	place.PlainGo = place.PlainGo || pictures <= fewPictures
	c, err := openHead(ctx, h, s, place, p)
	if err != nil {
		return nil, err
	}
	sayRestrictions(h, c.classifier.Net().Row, p)
	return c, nil
}

// fewPictures is how many pictures are predicted in plain Go without a question.
const fewPictures = 50

// sayRestrictions repeats the licences that restrict the use of a head's predictions.
func sayRestrictions(h *export.Head, row zoo.Row, p Progress) {
	if row.NonCommercial {
		p.Say(fmt.Sprintf("for non-commercial use only: the weights of %s (licence %s)", row.Name, row.Licence))
	}
	if set, ok := data.FindSet(h.Data.Name); ok && set.NonCommercial && h.Data.Licence == set.Licence {
		p.Say(fmt.Sprintf("for non-commercial use only: the pictures of %s that it has learnt from (licence: %s)", set.Name, set.Licence))
	}
}
