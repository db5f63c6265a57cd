package run

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// The sentences of a card.

// scoreLine is a score in full: "accuracy 95.4 % (146 of 153, 95 % 90.9-97.8)".
func scoreLine(s metrics.Score) string { return s.String() }

// interval is what follows a score: "95 %: 90.9-97.8, 146 of 153 pictures".
func interval(s metrics.Score) string {
	var parts []string
	if s.Interval.Known() {
		by := ""
		if s.Clusters > 0 {
			by = fmt.Sprintf(" by %d clusters", s.Clusters)
		}
		parts = append(parts, "95 %: "+s.Metric.FormatInterval(s.Interval)+by)
	}
	if s.Metric.Counts() {
		return strings.Join(append(parts, s.Brief()+" pictures"), ", ")
	}
	return strings.Join(append(parts, fmt.Sprintf("%d pictures", s.Total)), ", ")
}

func (f *cardFacts) summary() string {
	h, what := f.head, ""
	names := "one of " + strconv.Itoa(len(h.Labels)) + " labels"
	if len(h.Labels) <= 6 {
		names = listed(h.Labels, "or")
	}
	switch f.task() {
	case datasets.Labels:
		if len(h.Labels) <= 6 {
			names = listed(h.Labels, "and")
		}
		what = fmt.Sprintf("It says which of these labels a picture has, none or several: %s.", names)
	case datasets.Values:
		what = fmt.Sprintf("It predicts %s from a picture.", listed(h.Labels, "and"))
	default:
		what = fmt.Sprintf("It says what a picture shows: %s.", names)
	}
	kind := "frozen"
	if len(h.Changed) > 0 {
		kind = "fine-tuned"
	}
	return fmt.Sprintf("%s A head on the %s network %s, trained with tlkit on %s.", what, kind, h.Backbone.Name, count(h.Data.Train, "picture"))
}

// listed joins names as in a sentence: "a, b or c". Many are cut short.
func listed(names []string, last string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

// count is a number with a noun: "1 picture", "2 pictures".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (f *cardFacts) key() []card.Fact {
	h, s := f.head, f.head.Result.Score
	kind := "frozen"
	if len(h.Changed) > 0 {
		kind = fmt.Sprintf("fine-tuned: %d tensors changed", len(h.Tuned()))
	}
	licence := h.Backbone.Licence
	if licence == "" {
		licence = "not stated"
	}
	return []card.Fact{
		{Name: s.Metric.Title() + " on " + h.Result.Split, Value: s.Metric.Format(s.Value), Note: interval(s)},
		{Name: "learnt from", Value: count(h.Data.Train, "picture"), Note: h.Data.Name},
		{Name: "network", Value: h.Backbone.Name, Note: kind},
		{Name: "licence of the weights", Value: words.Shorten(licence, 40)},
	}
}

func (f *cardFacts) predicts() []card.Block {
	h := f.head
	t := card.Table{Header: []string{"label"}, Title: capital(f.task().Words(h.Labels))}
	var text card.Text
	switch f.task() {
	case datasets.Labels:
		t.Header = append(t.Header, "from this probability on")
		text = "Each label by itself: a picture gets every label whose probability reaches its threshold, so it may get none. The thresholds were chosen on training pictures."
	case datasets.Values:
		t.Header = []string{"value", "mean in training", "standard deviation", "smallest", "largest"}
		text = "A number for each value, in the units of the training data."
	default:
		text = "One label for each picture, with the probabilities of all labels; they sum to 1."
	}
	if h.Data.PerLabel != nil {
		t.Header = append(t.Header, "training pictures")
	}
	for k, l := range h.Labels {
		row := []string{l}
		if h.Thresholds != nil {
			row = append(row, fmt.Sprintf("%.1f %%", 100*h.Thresholds[k]))
		}
		if h.Scales != nil {
			s := h.Scales[k]
			row = append(row, short(s.Mean), short(s.SD), short(s.Min), short(s.Max))
		}
		if h.Data.PerLabel != nil {
			row = append(row, strconv.Itoa(h.Data.PerLabel[k]))
		}
		t.Rows = append(t.Rows, row)
	}
	return []card.Block{text, t}
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func (f *cardFacts) quality() []card.Block {
	h, r := f.head, f.result
	where := "on the split " + h.Result.Split + ", which took no part in training"
	if h.Result.Folds > 0 {
		where = fmt.Sprintf("by cross-validation: each picture was predicted by a head that had not seen it (%s)", h.Result.Split)
	}
	text := fmt.Sprintf("%s, measured %s. The interval holds the true value in 95 of 100 such measurements.", capital(scoreLine(h.Result.Score)), where)
	if r != nil && r.Score != h.Result.Score && len(r.Runs) > 1 { // of several seeds; the file is of the first
		text += fmt.Sprintf(" Over %d seeds: %s.", len(r.Runs), r.Line())
	}
	blocks := []card.Block{card.Text(text)}
	blocks = append(blocks, f.perLabel()...)
	if r == nil {
		return blocks
	}
	if r.Baseline != nil {
		blocks = append(blocks, card.Text(fmt.Sprintf("For comparison, %s on the same features, without any training: %s.", r.Baseline.Method, scoreLine(r.Baseline.Score))))
	}
	for _, b := range r.Words {
		blocks = append(blocks, card.Text(fmt.Sprintf("For comparison, %s: %s.", b.Method, scoreLine(b.Score))))
	}
	return blocks
}

// perLabel is the part of the report that the run's folder has.
func (f *cardFacts) perLabel() (blocks []card.Block) {
	if f.report == nil {
		return nil
	}
	var classes evaluate.ClassesReport
	isClasses := f.task() == datasets.Classes && json.Unmarshal(f.report.Report, &classes) == nil && len(classes.Classes) == len(f.report.Table.Rows)
	t := card.Table{Header: f.report.Table.Header, Rows: f.report.Table.Rows, Title: "Each by itself"}
	if isClasses {
		for _, c := range classes.Classes {
			t.Ranges = append(t.Ranges, card.Range{Low: c.RecallInterval.Low, Value: c.Recall, High: c.RecallInterval.High})
		}
	}
	blocks = append(blocks, t)
	p := card.Picture{PNG: f.figure, Alt: f.report.Figure}
	if isClasses {
		p.Numbers = confusions(classes.Confusion)
	}
	blocks = append(blocks, p)
	if isClasses {
		blocks = append(blocks, card.Text(calibration(classes)))
	}
	return blocks
}

// confusions is a confusion matrix as a table: all of a small one, the most frequent of a large one.
func confusions(c metrics.Confusion) card.Table {
	const most, shown = 12, 30
	if len(c.Labels) <= most {
		t := card.Table{Header: append([]string{"truth ↓ prediction →"}, c.Labels...), Title: "Truth against prediction, in pictures"}
		for k, row := range c.Counts {
			cells := []string{c.Labels[k]}
			for _, n := range row {
				cells = append(cells, strconv.Itoa(n))
			}
			t.Rows = append(t.Rows, cells)
		}
		return t
	}
	t := card.Table{Header: []string{"truth", "taken for", "pictures", "of"}, Title: "The most frequent confusions"}
	for _, m := range c.MostConfused(shown) {
		t.Rows = append(t.Rows, []string{c.Labels[m.Truth], c.Labels[m.Predicted], strconv.Itoa(m.Count), strconv.Itoa(m.Support)})
	}
	return t
}

func calibration(r evaluate.ClassesReport) string {
	c := r.Calibration
	off := c.Mean - c.Value()
	text := fmt.Sprintf("Calibration: its mean probability is %.1f %%, and %.1f %% of its labels are right; expected calibration error %.1f %% in %d bins, log loss %.3f nats.",
		100*c.Mean, 100*c.Value(), 100*c.ECE, len(c.Bins), r.LogLoss)
	const clear = 0.03
	switch {
	case off > clear:
		return text + " Its probabilities are too high."
	case off < -clear:
		return text + " Its probabilities are too low."
	}
	return text
}

// limits says what the facts do not cover.
func (f *cardFacts) limits() card.List {
	h, s := f.head, f.head.Result.Score
	var out card.List
	for _, part := range f.nonCommercial() {
		out = append(out, "Commercial use of any kind: "+part+".")
	}
	switch f.task() {
	case datasets.Values:
		out = append(out, fmt.Sprintf("Pictures that have nothing to do with %s: it gives numbers for any picture, and does not say that they mean nothing.", listed(h.Labels, "and")))
	case datasets.Labels:
		out = append(out, fmt.Sprintf("Anything but its %d labels: it was taught nothing else, and may give one of them to a picture that shows something else.", len(h.Labels)))
	default:
		out = append(out, fmt.Sprintf("Pictures of anything but its %d labels: every picture gets one of them, often with a high probability, because it was taught nothing else.", len(h.Labels)))
	}
	out = append(out, fmt.Sprintf("Other kinds of pictures than the %s of %s, such as other cameras, light, backgrounds, drawings or screenshots: nothing was measured there. Measure it first, on pictures of your own that it has not learnt: tlkit evaluate %s DIR.", count(h.Data.Train, "training picture"), f.dataName(), invoke.Quote(f.file)))
	if s.Interval.Known() {
		out = append(out, fmt.Sprintf("Decisions for which %s of %s is too little: that is the lower end of what %s can show.", s.Metric.Format(max(s.Interval.Low, 0)), s.Metric.Title(), count(s.Total, "picture")))
	}
	out = append(out, "Decisions about people's safety, health, rights or money without somebody who looks at the picture too.")
	if few := f.few(); few != "" {
		out = append(out, few)
	}
	if f.data != nil && f.data.Dealt {
		out = append(out, "Conclusions about pictures from elsewhere: the pictures that it was measured on were drawn by chance from the same collection as those that it has learnt.")
	}
	return out
}

// few names the labels with few training pictures; "" = none, or not known.
func (f *cardFacts) few() string {
	const enough, shown = 20, 10
	var names []string
	for k, n := range f.head.Data.PerLabel {
		if n < enough {
			names = append(names, fmt.Sprintf("%s (%d)", f.head.Labels[k], n))
		}
	}
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > shown {
		names, more = names[:shown], fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return fmt.Sprintf("Trust in labels with fewer than %d training pictures: %s%s.", enough, strings.Join(names, ", "), more)
}

func (f *cardFacts) pictures() []card.Block {
	h, d := f.head, f.data
	facts := card.Facts{{Name: "name", Value: f.dataName()}}
	add := func(name, value, note string) {
		if value != "" {
			facts = append(facts, card.Fact{Name: name, Value: value, Note: note})
		}
	}
	if f.set != nil {
		add("what", f.set.Title, "")
		add("from", f.set.Origin, "")
	}
	licence := h.Data.Licence
	if licence == "" {
		licence = "not stated: pictures of whoever trained it"
	}
	add("licence", licence, map[bool]string{true: "non-commercial"}[f.set != nil && f.set.NonCommercial])
	add("learnt from", count(h.Data.Train, "picture"), "")
	add("fingerprint", h.Data.Fingerprint, "of names, labels and contents of all pictures")
	if d == nil {
		return []card.Block{facts}
	}
	var splits []string
	for _, s := range d.Splits {
		splits = append(splits, fmt.Sprintf("%s %d", s.Split, s.N))
	}
	if d.Groups > 0 {
		add("groups", fmt.Sprintf("%d: pictures that belong together are in one split and one fold, and intervals are by groups (clusters)", d.Groups), "")
	}
	add("splits", strings.Join(splits, ", "), map[bool]string{true: "valid was drawn by the seed"}[d.Dealt])
	add("exact duplicates", fmt.Sprintf("%s, %s left out, %d across splits", count(d.Duplicates, "group"), count(d.Dropped, "file"), d.Leaks), "")
	add("not used", fmt.Sprintf("%s, %s that are no pictures, %d skipped", count(d.Unreadable, "unreadable picture"), count(d.NotPictures, "file"), d.Skipped), "")
	add("table", d.Table, "")
	blocks := []card.Block{facts}
	if t := splitTable(d); len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	if len(d.Warnings) > 0 {
		blocks = append(blocks, card.Text("Noticed while reading them:"), card.List(d.Warnings))
	}
	return blocks
}

// noticed is what the audit of the run found, and what it looked for.
func (f *cardFacts) noticed() []card.Block {
	if f.result == nil || f.result.Audit == nil {
		return nil
	}
	a := f.result.Audit
	list := card.List{}
	for _, kind := range slices.Sorted(maps.Keys(a.Counts)) {
		if !slices.ContainsFunc(a.Lines, func(line string) bool { return strings.HasPrefix(line, string(kind)+": ") }) {
			list = append(list, fmt.Sprintf("%s: %d", kind, a.Counts[kind]))
		}
	}
	list = append(list, a.Lines...)
	about := card.Text(fmt.Sprintf("Training looked at %s: at files that cannot be read, at copies, at the pairs across splits whose features are most alike, and at whether the size or the type of a file tells the label. tlkit audit looks at more: labels that seem wrong, poor pictures, outliers.", count(a.Pictures, "picture")))
	if len(list) == 0 {
		return []card.Block{about, card.Text("Nothing was found that would make the score wrong.")}
	}
	return []card.Block{about, list}
}

// expected says whether the pictures are prepared as the network learnt to see them; nil = not known.
func (f *cardFacts) expected() card.Facts {
	if f.result == nil || f.result.Guard == nil {
		return nil
	}
	g := f.result.Guard
	by := "by the preset alone: the features were in the cache"
	if g.Pictures > 0 {
		by = count(g.Pictures, "picture") + " looked at"
	}
	facts := card.Facts{{Name: "guard", Value: capital(g.Line), Note: by}}
	for _, w := range g.Warnings {
		facts = append(facts, card.Fact{Name: "warning", Value: w})
	}
	return facts
}

// splitTable has the pictures of each label in each split; no rows for values.
func splitTable(d *dataFacts) card.Table {
	t := card.Table{Header: []string{"label"}, Title: "Pictures of each label in each split"}
	column := map[datasets.Split]int{}
	for _, s := range d.Splits {
		t.Header = append(t.Header, string(s.Split))
		column[s.Split] = len(t.Header) - 1
	}
	at := map[string]int{}
	for _, c := range d.Counts {
		if _, ok := at[c.Label]; !ok {
			at[c.Label] = len(t.Rows)
			row := slices.Repeat([]string{"0"}, len(t.Header))
			row[0] = c.Label
			t.Rows = append(t.Rows, row)
		}
		if k, ok := column[c.Split]; ok {
			t.Rows[at[c.Label]][k] = strconv.Itoa(c.N)
		}
	}
	return t
}

func (f *cardFacts) network() card.Facts {
	b := f.head.Backbone
	facts := card.Facts{{Name: "name", Value: b.Name}}
	add := func(name, value, note string) {
		if value != "" {
			facts = append(facts, card.Fact{Name: name, Value: value, Note: note})
		}
	}
	nonCommercial := f.row != nil && f.row.NonCommercial
	if r := f.row; r != nil {
		add("weights", strings.TrimSpace(r.FileName()+" "+r.Tag), r.Source())
		if r.Params > 0 {
			add("parameters", fmt.Sprintf("%.1f million", float64(r.Params)/1e6), "")
		}
	}
	if b.Origin != "" {
		facts = append(facts, card.Fact{Name: "from", Value: b.Origin, Link: true})
	}
	licence := b.Licence
	if licence == "" {
		licence = "not stated"
	}
	add("licence", licence, map[bool]string{true: "non-commercial"}[nonCommercial])
	add("sha256 of the weights", b.SHA256, "")
	add("place in that file", b.Entry, "")
	add("features", fmt.Sprintf("%d numbers a picture", b.Features), "")
	return facts
}

func (f *cardFacts) pixels() []card.Block {
	p := f.head.Preset
	facts := card.Facts{
		{Name: "square", Value: fmt.Sprintf("%d x %d pixels", p.Size, p.Size), Note: "each picture " + p.SquareWords()},
		{Name: "range", Value: fmt.Sprintf("%v to %v", p.Range[0], p.Range[1]), Note: "of the bytes 0 to 255"},
		{Name: "mean", Value: fmt.Sprintf("%v, %v, %v", p.Mean[0], p.Mean[1], p.Mean[2])},
		{Name: "standard deviation", Value: fmt.Sprintf("%v, %v, %v", p.Std[0], p.Std[1], p.Std[2])},
		{Name: "channels", Value: p.Channels},
	}
	if p.Name != "" {
		facts = append(facts, card.Fact{Name: "preset", Value: p.Name})
	}
	facts = append(facts, f.expected()...)
	return []card.Block{card.Text("As at training. Prepared in another way, the same pictures give worse predictions without any error."), facts}
}

func (f *cardFacts) training() (blocks []card.Block) {
	h, r, p := f.head, f.result, f.plan
	var text []string
	if p.Head != "" {
		text = append(text, f.headInWords())
	}
	if r != nil && r.Strength > 0 && len(r.Choices) > 1 && p.Folds > 0 {
		text = append(text, fmt.Sprintf("Of %d strengths of regularisation, %d folds of the training pictures chose %v.", len(r.Choices), p.Folds, r.Strength))
	}
	if p.Views > 0 {
		text = append(text, fmt.Sprintf("From %d augmented views of each picture.", p.Views))
	}
	if p.ClassWeights {
		text = append(text, "Rare labels count as much as frequent ones.")
	}
	if len(text) > 0 {
		blocks = append(blocks, card.Text(strings.Join(text, " ")))
	}
	if len(p.Reasons) > 0 {
		blocks = append(blocks, card.Text("Why so:"), card.List(capitals(p.Reasons)))
	}
	blocks = append(blocks, f.tuning()...)
	facts := card.Facts{{Name: "seed", Value: fmt.Sprint(h.Seed)}}
	if r != nil {
		facts = append(facts, card.Fact{Name: "time", Value: fmt.Sprintf("%.1f s", r.Seconds), Note: r.Engine})
	}
	for _, name := range slices.Sorted(maps.Keys(h.Versions)) {
		facts = append(facts, card.Fact{Name: name, Value: h.Versions[name]})
	}
	return append(blocks, facts)
}

// headInWords says what the head is and how it was fitted.
func (f *cardFacts) headInWords() string {
	h, method := f.head, methods[f.plan.Head]
	if f.plan.Head == heads.AutoKind && f.result != nil && f.result.Families != nil {
		method = "the best of several methods on folds: " + heads.Line(f.result.Families)
	}
	switch m := h.Predictor().(type) {
	case *heads.Neighbours:
		return fmt.Sprintf("The head compares %d features with those of %d training pictures, which it contains; the %d most similar vote, each with exp(cosine / %g).", m.Features, len(m.Y), m.K, heads.Temperature)
	case *heads.Cosine:
		return fmt.Sprintf("The head is a linear layer on %d features, scaled to length 1, fitted by %s.", m.Features, method)
	case *heads.Mean:
		c, _ := m.Size()
		return fmt.Sprintf("The head is the mean of the probabilities of two heads on %d features, fitted by %s.", c, method)
	}
	return fmt.Sprintf("The head is a linear layer on %d features, fitted by %s.", h.Backbone.Features, method)
}

// methods names the ways to fit a head.
var methods = map[head.Kind]string{
	head.LogisticKind: "logistic regression", head.RidgeKind: "ridge regression", head.SGDKind: "stochastic gradient descent",
	heads.LDAKind: "linear discriminant analysis with shrinkage", heads.CosineKind: "logistic regression", heads.AutoKind: "the best of several methods on folds",
	heads.KNNKind: "nearest neighbours",
}

// tuning says whether the network was trained too, what was tried, and what did not pay.
func (f *cardFacts) tuning() (blocks []card.Block) {
	h := f.head
	if f.tune == nil {
		if len(h.Changed) == 0 {
			return []card.Block{card.Text("The network was not fine-tuned: it is as published. Fine-tuning was not tried.")}
		}
		return nil
	}
	if len(h.Changed) > 0 {
		blocks = append(blocks, card.Text(fmt.Sprintf("The network was fine-tuned with the plan %s, %s: %s changed.", f.tune.Name, count(f.tune.Epochs, "epoch"), count(len(h.Tuned()), "tensor"))))
	} else {
		blocks = append(blocks, card.Text(fmt.Sprintf("Fine-tuning with the plan %s was tried and did not pay, so the network is as published.", f.tune.Name)))
	}
	if len(f.tune.Reasons) > 0 {
		blocks = append(blocks, card.List(capitals(f.tune.Reasons)))
	}
	r := f.result
	if r == nil || r.Finetune == nil {
		return blocks
	}
	if r.Finetune.Why != "" {
		blocks = append(blocks, card.Text(capital(r.Finetune.Why)+"."))
	}
	if r.Probe != nil {
		blocks = append(blocks, card.Text(fmt.Sprintf("On %s, the head alone has %s; with fine-tuning: %s.", r.Split, scoreLine(r.Probe.Score), r.Probe.GainLine())))
	}
	if t := trials(r.Finetune.Trials); len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	return blocks
}

// trials lists what was tried on folds of the training pictures.
func trials(all []finetune.Trial) card.Table {
	t := card.Table{Header: []string{"first stage that moves", "rate", "mix", "loss", "score", "pictures", "gain in loss"}, Title: "What was tried, on folds of the training pictures"}
	for _, a := range all {
		row := []string{"the head alone", "", "", fmt.Sprintf("%.4f", a.Loss), a.Metric.Format(a.Score), strconv.Itoa(a.Total), ""}
		if a.From != "" {
			row[0], row[1], row[2] = a.From, fmt.Sprintf("%.2g", a.Rate), short(a.Mix)
			row[6] = fmt.Sprintf("%+.4f ± %.4f", a.Gain, a.Error)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (f *cardFacts) checks() []card.Block {
	return []card.Block{
		card.List{
			fmt.Sprintf("Opening the head computes %d built-in pictures: their outputs must be those recorded at training, to 1e-3 of the largest.", export.ParityPictures),
			"The backbone must have the sha256 above, and the head file its own, or neither is used.",
		},
		card.Facts{{Name: "head file", Value: f.file, Note: fmt.Sprintf("%d bytes", len(f.raw))}, {Name: "sha256", Value: fmt.Sprintf("%x", sha256.Sum256(f.raw))}},
	}
}

func (f *cardFacts) usage() []card.Block {
	return []card.Block{card.Code{Language: "sh", Text: fmt.Sprintf("tlkit predict %s PICTURE…\ntlkit evaluate %s DIR", invoke.Quote(f.file), invoke.Quote(f.file))}}
}

// missing lists what a card could say with the folder of the run.
func (f *cardFacts) missing() (out card.List) {
	for _, part := range []struct {
		lacks bool
		what  string
	}{
		{f.head.Data.PerLabel == nil && f.task() != datasets.Values, "the training pictures of each label"},
		{f.data == nil, "splits, duplicates and files that were left out"},
		{f.report == nil, "the score of each label or value, with its interval, and the figure"},
		{f.report == nil && f.task() == datasets.Classes, "calibration"},
		{f.result == nil || f.result.Guard == nil, "whether its pictures look as its network expects them"},
		{f.result == nil || f.result.Audit == nil, "what was noticed about the pictures"},
		{f.result == nil, "what was compared and tried: baseline, strengths, fine-tuning"},
	} {
		if part.lacks {
			out = append(out, part.what)
		}
	}
	return out
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func capitals(sentences []string) (out []string) {
	for _, s := range sentences {
		out = append(out, capital(s)+".")
	}
	return out
}
