//go:build !tlkit_worker

package tlkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Learner describes what to learn from which data. Only Name and Data are required.
type Learner struct {
	// Name of the folder .tlkit/NAME, where the results are stored.
	Name string
	// Data is a ready set, a folder or a CSV file; "hymenoptera|insects" takes the first one that
	// is available.
	Data string
	// Columns says what columns of a CSV file hold where that cannot be seen, as in
	// "patient=ignore, breed=label"; see datasets.Options.
	Columns string
	// Group says which pictures belong together, as those of a patient or a video, so that they are
	// never split: "column:patient", "folder:3" or "path:patient([0-9]+)"; see [datasets.Group].
	Group datasets.Group
	// LabelFolders takes the top folders of Data for labels, even where they look like splits.
	LabelFolders bool
	// MinPerLabel leaves out labels with fewer pictures to train on; 0 = keep all.
	MinPerLabel int
	// Changes is a CSV file of pictures to leave out or to relabel, as tlkit audit proposes it; see
	// datasets.Options.
	Changes string
	// BadLimit is the largest share of unusable files that are left out; 0 = 0.05.
	BadLimit float64
	// Backbone is a network of [Models], or my.onnx, or my.onnx#VALUE to cut it at VALUE; "" stands
	// for mobilenetv2.
	Backbone string
	// Weights is a weights file to use instead of the published one.
	Weights string
	// Entry says where in that file the weights are, such as "state_dict_ema"; "" = where they are
	// found, averaged ones before others.
	Entry string

	// Statistics is "imagenet", "half", "caffe", ..., or a network to take the statistics from. Set it
	// if the network's own statistics are unknown, or to try wrong ones.
	Statistics string
	// Preset is a network to take resize, crop and statistics from.
	Preset string
	// Size is the side of the pictures in pixels, for networks that take several sizes; 0 = the preset's.
	Size int

	// Head is "" for the default of the task: logistic regression, below 5 pictures of a label
	// "cosine", for values "ridge". "logistic", "ridge", "lda", "knn" and "cosine" are families of
	// heads, "auto" is the best of them on folds, and "sgd" is the head of PyTorch's tutorial.
	Head   head.Kind
	Epochs int    // of "sgd"; 0 = 25
	Views  int    // augmented views of each training picture; 0 = the picture itself
	Seed   uint64 // 0 = 1
	// ClassWeights makes rare labels count as much as frequent ones, in the head and in FineTune.
	// It needs one label a picture.
	ClassWeights bool
	// ZeroShot has descriptions of the labels that the head starts from: "*" = a photo of a LABEL, or
	// "ants=ant|carpenter ant,*=a drawing of a {}.". It is for networks that were trained on words, such
	// as clip, and worth most with few pictures. "" = the head starts from zeros.
	ZeroShot string
	// Folds cross-validates FitHead: it reports the mean over so many held-out folds, at least 2;
	// 0 = score on the held-back pictures. FineTune does not cross-validate.
	Folds int

	// Retrain makes FitHead and FineTune compute a run again that was computed before. A run of the
	// same name with other settings is moved aside, to .tlkit/NAME.1, .2 and so on. Set it back to
	// false afterwards, or the next run of the cell trains again.
	Retrain bool

	// Plan is the recipe of FineTune: "" or "tlkit", "pytorch_tutorial", "keras_guide" or "fastai",
	// see [finetune.Recipe].
	Plan finetune.Recipe
	// From is the first stage of the backbone that FineTune trains; "" = the plan's choice. Layers
	// lists the stages.
	From string
	// Rate is the learning rate of FineTune, above 0 and at most 10: the largest of all stages. The
	// other stages keep their proportion to it. 0 = the plan's, or its choice. See FindRate.
	Rate float64
	// Batch is the number of pictures in a step of FineTune; 0 = the plan's.
	Batch int
	// Mixup blends pictures, and their labels, in FineTune: the alpha of the Beta distribution, up to
	// 10, such as 0.2; 0 = do not.
	Mixup float64
	// Augment is "on" or "off": random crops and flips in FineTune. "" = on, but off for values.
	Augment learner.Augmentation
	// LoRA keeps the backbone as it is in FineTune, and trains pairs of narrow matrices beside those of
	// its attention: LoRA{Rank: 8}. It is for transformers. From is then the first stage that is
	// adapted; "" = all.
	LoRA LoRA
}

// LoRA sets up low-rank adaptation: the rank of the pairs, which is usually 4 to 32, and what else may
// differ from the usual; see [backbone.LoRA].
type LoRA = backbone.LoRA

// drawnVar, set to "drawn", makes every learner whose Data allows it use a drawn set, and hides
// pictures of other origin: for notebooks that are saved with their outputs.
const drawnVar = "TLKIT_PICTURES"

// quickVar, set to 1, uses the drawn sets too, and fine-tunes for one epoch only, so that notebooks
// can be tested anywhere.
const quickVar = "TLKIT_QUICK"

func onlyDrawn() bool { return os.Getenv(drawnVar) == "drawn" || os.Getenv(quickVar) == "1" }

// spec returns the job for package run.
func (l Learner) spec(ctx context.Context) (run.Spec, run.Place, error) {
	return l.specIn(ctx, place(l.Name))
}

func (l Learner) specIn(ctx context.Context, p run.Place) (run.Spec, run.Place, error) {
	p.BadLimit = l.BadLimit
	if l.Name == "" || l.Data == "" {
		return run.Spec{}, p, advice.New(fmt.Errorf("a learner with name %q and data %q, want both", l.Name, l.Data), "write tlkit.Learner{Name: \"ants-and-bees\", Data: \"hymenoptera\"}")
	}
	names := l.Data
	if onlyDrawn() {
		for n := range strings.SplitSeq(names, "|") {
			if strings.HasPrefix(strings.TrimSpace(n), drawnSets) {
				names = strings.TrimSpace(n)
			}
		}
	}
	data, err := run.FirstOf(ctx, names, p, reporter{})
	s := run.Spec{Data: data, Columns: l.Columns, Group: l.Group, LabelFolders: l.LabelFolders, MinPerLabel: l.MinPerLabel, Changes: l.Changes, Model: l.Backbone, Weights: l.Weights, Entry: l.Entry, Statistics: l.Statistics, Preset: l.Preset, Size: l.Size, Head: l.Head, Epochs: l.Epochs, Views: l.Views, ClassWeights: l.ClassWeights, ZeroShot: l.ZeroShot, Folds: l.Folds, Seed: l.Seed}
	if s.Model == "" {
		s.Model = zoo.Rows()[0].Name
	}
	if s.Seed == 0 {
		s.Seed = 1
	}
	return s, p, err
}

// DataName returns the data set that Data stands for here: the first one that is available.
func (l Learner) DataName() string {
	var name string
	l.verb("DataName", func(ctx context.Context) error {
		s, _, err := l.spec(ctx)
		name = s.Data
		return err
	})
	return name
}

// FitHead trains the head on the frozen backbone, with live curves, and prints the score on
// pictures it has not seen. A head that was trained before is not trained again: the output says
// "resumed".
func (l Learner) FitHead() {
	l.verb("FitHead", func(ctx context.Context) error { return l.train(ctx, 0) })
}

// FineTune continues from the fitted head and trains the backbone too, for the given number of
// epochs; 0 stands for the number of the plan's recipe. It prints the plan, with its reasons,
// before it starts. The default plan tries two rates on folds of the training pictures; if
// none of them pays, it says so and keeps the head as it is.
//
// An interrupted FineTune continues with the next call; until it is done, the results of FitHead
// stay. After that, ShowCurves, Evaluate and Export use the fine-tuned network.
func (l Learner) FineTune(epochs int) {
	l.verb("FineTune", func(ctx context.Context) error {
		if epochs < 0 {
			return advice.New(fmt.Errorf("%d epochs of fine-tuning, want 0 or more", epochs), "use 0 for the number of the recipe")
		}
		if epochs == 0 {
			epochs = l.Plan.Epochs()
		}
		if os.Getenv(quickVar) == "1" {
			epochs = 1
		}
		return l.train(ctx, epochs)
	})
}

// tuning adds what concerns FineTune to the spec of a head.
func (l Learner) tuning(s run.Spec, epochs int) (run.Spec, error) {
	if epochs > 0 {
		if l.Folds > 0 {
			return s, advice.New(fmt.Errorf("fine-tuning with Folds %d, which is for FitHead alone", l.Folds), "leave Folds out: fine-tuning chooses by folds of its own; to cross-validate, use a learner of another name")
		}
		s.Finetune, s.Plan, s.From = epochs, l.Plan, l.From
		s.Rate, s.Batch, s.Mixup, s.Augment, s.LoRA = l.Rate, l.Batch, l.Mixup, l.Augment, l.LoRA
		return s, nil
	}
	if l.Head == head.SGDKind && (l.Rate != 0 || l.Batch != 0) {
		return s, advice.New(fmt.Errorf("rate %g and batch %d with the head %q, which is trained with those of PyTorch's tutorial", l.Rate, l.Batch, l.Head), "leave out Rate and Batch; for FineTune, set them in a copy of the learner")
	}
	return s, nil
}

// train fits the head and, if epochs is above 0, fine-tunes after it.
func (l Learner) train(ctx context.Context, epochs int) error {
	p := place(l.Name)
	if l.Retrain {
		p.Name = "" // whatever data set this name has learnt from, take the first one now
	}
	s, p, err := l.specIn(ctx, p)
	if err != nil {
		return err
	}
	p.Name = l.Name
	if s, err = l.tuning(s, epochs); err != nil {
		return err
	}
	p.Resume, p.Keep = !l.Retrain, !l.Retrain
	if show.Default.InCell() {
		p.Curves = func(r curves.Run) { _ = show.Default.Live("curves of "+l.Name, plots.Curves(r)) }
	}
	r, err := run.Train(ctx, s, p, reporter{})
	if err != nil {
		return err
	}
	show.Default.Clear()
	show.Default.Text(fmt.Sprintf("trained on %d pictures, scored on %s, %.1f s", r.Train, r.Split, r.Seconds))
	if p := r.Probe; p != nil {
		show.Default.Text("the head alone: " + p.Score.String() + ", " + p.GainLine())
	}
	show.Default.Text(r.Score.String())
	return nil
}

// ShowCurves draws the history of the training: loss and score of every step on training pictures,
// out of fold, and on held-back pictures.
func (l Learner) ShowCurves() {
	l.verb("ShowCurves", func(context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		history, err := stored.History()
		if err != nil {
			return err
		}
		return show.Default.Figure("curves", plots.Curves(history))
	})
}

// ShowNorms draws how far fine-tuning moved the statistics of the batch norms from those of the
// checkpoint, or says that they did not move.
func (l Learner) ShowNorms() {
	l.verb("ShowNorms", func(ctx context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		h, err := export.Read(stored.Head())
		if err != nil {
			return err
		}
		before, err := zoo.Load(ctx, h.Backbone.Name, zoo.Options{Weights: l.Weights, Entry: l.Entry, Offline: place("").Offline})
		if err != nil {
			return err
		}
		after, err := before.With(h.Changed)
		if err != nil {
			return err
		}
		norms, err := evaluate.CompareNorms(before, after)
		if err != nil {
			return err
		}
		if norms.Moved > 0 {
			if err := show.Default.Figure("norms", norms.Figure()); err != nil {
				return err
			}
		}
		show.Default.Text(norms.Text())
		return nil
	})
}

// History returns the learner's history as data, for your own figures.
func (l Learner) History() curves.Run {
	var out curves.Run
	l.verb("History", func(context.Context) error {
		stored, err := l.stored()
		if err == nil {
			out, err = stored.History()
		}
		return err
	})
	return out
}

// ExportHistory writes the learner's history to a file whose name ends in .csv, as a table with a line
// for each point, or into a folder, as event files for TensorBoard (tensorboard --logdir FOLDER). See
// [curves.Run.WriteCSV] and [curves.Run.WriteTensorBoard] for what they hold. The training need not be
// finished.
func (l Learner) ExportHistory(path string) {
	l.verb("ExportHistory", func(context.Context) error {
		stored, err := place(l.Name).Stored(l.Name)
		if err != nil {
			return err
		}
		if strings.EqualFold(filepath.Ext(path), ".csv") {
			err = stored.WriteCSV(inFolder(path))
		} else {
			err = stored.WriteTensorBoard(inFolder(path))
		}
		if err == nil {
			show.Default.Text("written: " + path)
		}
		return err
	})
}

// Result returns the learner's result as data, for your own tables and figures.
func (l Learner) Result() run.Result {
	var out run.Result
	l.verb("Result", func(context.Context) error {
		stored, err := l.stored()
		if err == nil {
			out = *stored.Result
		}
		return err
	})
	return out
}

func (l Learner) stored() (*run.Stored, error) {
	s, err := run.Find(place(l.Name).Folder, l.Name)
	if errors.Is(err, run.ErrNoRun) {
		return nil, advice.New(fmt.Errorf("%s is not trained yet", l.Name), "call its FitHead() first")
	}
	if err == nil {
		show.Default.Folder = s.Folder // a program's figures are saved with its run
	}
	return s, err
}

// Evaluate scores the head again on the held-back pictures: by label, with the confusion matrix,
// the worst mistakes and the accuracy. For several labels a picture, it shows how well each one is
// predicted; for real values, predicted against true values.
func (l Learner) Evaluate() {
	l.verb("Evaluate", func(ctx context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		e, err := run.EvaluateHead(ctx, run.HeadSpec{Head: stored.Head(), Data: s.Data, Columns: s.Columns, Group: s.Group, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Changes: s.Changes, Weights: s.Weights, Entry: s.Entry}, p, reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		kind, err := task.Named(e.Task)
		if err != nil {
			return err
		}
		table := e.Report.Table()
		show.Default.Table(show.Table{Header: table.Header, Rows: table.Rows, Left: 1})
		if err := show.Default.Figure(kind.Figure(), e.Report.Figure()); err != nil {
			return err
		}
		if f, ok := e.Reliability(); ok {
			if err := show.Default.Figure("reliability", f); err != nil {
				return err
			}
		}
		if text := e.Confidence.String(); text != "" {
			show.Default.Text(text)
		}
		set, err := datasets.Open(ctx, s.Data, p.Pictures(s, nil))
		if err != nil {
			return err
		}
		if err := pictures(set.Name, "top-losses", topLosses(e.Report.Worst(), set.Root)); err != nil {
			return err
		}
		show.Default.Text(e.Score.String())
		return nil
	})
}

// topLosses draws the worst mistakes; if there is none, what the network was least sure about.
func topLosses(worst []evaluate.Mistake, root string) plots.Figure {
	title := "Most wrong about"
	wrong := slices.DeleteFunc(slices.Clone(worst), func(m evaluate.Mistake) bool { return m.Truth == m.Predicted })
	if len(wrong) == 0 {
		title, wrong = "No mistake; least sure about", worst
	}
	var tiles []plots.Picture
	for _, w := range wrong[:min(8, len(wrong))] {
		tiles = append(tiles, plots.Picture{Truth: w.Truth, Prediction: w.Predicted, Probability: w.Probability, Loss: w.Loss, Caption: w.Caption,
			Image: transforms.DecodeOptions{}.Tile(filepath.Join(root, filepath.FromSlash(w.File)))})
	}
	return plots.Grid(title, tiles)
}

// pictures shows a figure that contains pictures of a data set, or says why it is hidden.
func pictures(set, name string, f plots.Figure) error {
	kind := show.Foreign
	if strings.HasPrefix(set, drawnSets) {
		kind = show.Drawn
	}
	if kind == show.Foreign && onlyDrawn() {
		show.Default.Text("(pictures are hidden, because " + drawnVar + "=drawn)")
		return nil
	}
	return show.Default.Pictures(name, kind, f)
}

// ShowBatch shows n training pictures, 1 to 60, as the network sees them: resized and cropped by
// the backbone's preset, with the numbers turned back into colours.
func (l Learner) ShowBatch(n int) {
	l.verb("ShowBatch", func(ctx context.Context) error {
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		preset, err := s.Pixels()
		if err != nil {
			return err
		}
		set, err := datasets.Open(ctx, s.Data, p.Pictures(s, nil))
		if err != nil {
			return err
		}
		items := set.In(datasets.Train)
		if n < 1 || n > 60 || len(items) == 0 {
			return advice.New(fmt.Errorf("a batch of %d of %d training pictures, want 1 to 60", n, len(items)), "change the number")
		}
		pipeline := preset.Eval()
		var tiles []plots.Picture
		for i := range min(n, len(items)) {
			item := items[i*len(items)/min(n, len(items))] // spread over the labels
			tile := plots.Picture{Truth: set.Truth(item)}
			if t, err := pipeline.LoadFile(nil, item.Path, transforms.DecodeOptions{}, transforms.Rand{}); err == nil {
				if seen, err := preset.Picture(t); err == nil {
					tile.Image = seen
				}
			}
			tiles = append(tiles, tile)
		}
		title := "As the network sees them"
		return pictures(set.Name, "batch", plots.Grid(title, tiles))
	})
}

// inFolder returns a path relative to the notebook's folder. Cells are compiled and run elsewhere.
func inFolder(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(place("").Folder, path)
}
