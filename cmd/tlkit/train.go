package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/budget"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// defaultData is the set that train uses without a folder: it is drawn and needs no download.
const defaultData = "insects"

// specFlags are the flags of every command that prepares pictures for a model.
func specFlags(cmd *cobra.Command, s *run.Spec) {
	f := cmd.Flags()
	columnFlag(cmd, &s.Columns)
	groupFlag(cmd, &s.Group)
	f.StringVar(&s.Split, "split", "", "split to report on: valid, test or all (default: valid, else test)")
	f.Uint64Var(&s.Seed, "seed", 1, "seed of splits, folds, views and initial weights")
	dataFlags(cmd, &s.LabelFolders, &s.MinPerLabel)
	changesFlag(cmd, &s.Changes)
	networkFlags(cmd, s)
}

// networkFlags are the flags of every command that runs a frozen network of the user's choice.
func networkFlags(cmd *cobra.Command, s *run.Spec) {
	f := cmd.Flags()
	f.StringVar(&s.Weights, "weights", "", "a weights file (.safetensors, .pth, .pt, .th, .bin, .h5, .keras, model.json) instead of the model's own")
	f.StringVar(&s.Entry, "entry", "", "where in the weights file the weights are, as in state_dict_ema (default: found, averaged before others)")
	f.StringVar(&s.Statistics, "statistics", "", "range, mean, std and channel order of another preset: imagenet, half, lite, caffe, unit, raw, cifar10, clip, or a model's name")
	f.StringVar(&s.Preset, "preset", "", "the whole preset of another model")
	sizeFlag(cmd, &s.Size)
	formFlag(cmd, &s.Form)
}

// sizeFlag chooses the size of the pictures.
func sizeFlag(cmd *cobra.Command, size *int) {
	cmd.Flags().IntVar(size, "size", 0, "side of the pictures in pixels, for networks that take several sizes (default: the preset's)")
}

// modelFlag chooses the network.
func modelFlag(cmd *cobra.Command, model *string) {
	cmd.Flags().StringVar(model, "model", defaultModel(), "network to build on (tlkit models), or FILE.onnx[#VALUE to cut it at], mostly with --statistics or --preset")
}

// formValue is a form as a flag.
type formValue engine.Form

func (f *formValue) String() string {
	text, _ := engine.Form(*f).MarshalText()
	return string(text)
}

func (f *formValue) Set(text string) (err error) {
	*(*engine.Form)(f), err = engine.ParseForm(text)
	return err
}

// Type is the word in the help, and for valueWords.
func (f *formValue) Type() string { return formKind }

const formKind = "form"

// formFlag is the flag of every command that runs frozen networks.
func formFlag(cmd *cobra.Command, form *engine.Form) {
	cmd.Flags().Var((*formValue)(form), "form", "how frozen networks run, as in onnxruntime,batch=2,side=2 (default: the fastest, see bench tune)")
}

// dataFlags are the flags of every command that opens labelled pictures.
func dataFlags(cmd *cobra.Command, labelFolders *bool, minPerLabel *int) {
	f := cmd.Flags()
	f.BoolVar(labelFolders, "label-folders", false, "the top folders are labels, even where they look like splits")
	f.IntVar(minPerLabel, "min-per-label", 0, "leave out labels with fewer pictures to train on (default: keep all)")
}

// changesFlag is the flag of every command that opens pictures which tlkit audit may have looked at.
func changesFlag(cmd *cobra.Command, changes *string) {
	cmd.Flags().StringVar(changes, "changes", "", "a CSV file of pictures to leave out or relabel, as tlkit audit --csv proposes them")
}

// limitFlags are the limits on files that cannot be used.
func limitFlags(cmd *cobra.Command, p *run.Place) {
	cmd.Flags().Float64Var(&p.BadLimit, "bad-limit", 0.05, "largest share of unusable files that are left out; with more, nothing is done")
	least := map[string]int{"seeds": 1, "epochs": 1, "batch": 1, "lora": 1, "min-per-label": 0}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for name, n := range least {
			// The library takes 0 for its default; who types it means something else.
			f := cmd.Flags().Lookup(name)
			if f == nil || !f.Changed {
				continue
			}
			if v, err := strconv.Atoi(f.Value.String()); err == nil && v < n {
				return fmt.Errorf("%s: --%s is %d, want %d or more", cmd.Name(), name, v, n)
			}
		}
		if f := cmd.Flags().Lookup("rate"); f != nil && f.Changed && f.Value.String() == "0" {
			return advice.New(fmt.Errorf("%s: --rate is 0, want above 0", cmd.Name()), "leave it out for the plan's own rate")
		}
		if !(p.BadLimit >= 0 && p.BadLimit <= 1) {
			return advice.New(fmt.Errorf("%s: --bad-limit is %v, want a share from 0 to 1", cmd.Name(), p.BadLimit), "write 5 %% as 0.05")
		}
		p.BadLimit = max(p.BadLimit, math.SmallestNonzeroFloat64) // 0 stands for the default there
		return nil
	}
}

// groupFlag adds the flag --group.
func groupFlag(cmd *cobra.Command, group *datasets.Group) {
	cmd.Flags().StringVar((*string)(group), "group", "", "pictures that belong together, as those of a patient or a video: column:NAME of a CSV file, folder:N (1 = the first below DIR, -1 = the picture's own), or path:REGEXP; they are never split")
}

// columnFlag adds the flag --column.
func columnFlag(cmd *cobra.Command, columns *string) {
	cmd.Flags().Var((*columnsFlag)(columns), "column", "what a column of a CSV file holds, as in breed=label,patient=group (roles: path, label, labels, value, split, group, ignore; fold=split:0 holds fold 0 out)")
}

// columnsFlag is the value of --column, which may be given several times.
type columnsFlag string

func (c *columnsFlag) String() string { return string(*c) }
func (c *columnsFlag) Type() string   { return "NAME=ROLE" }

func (c *columnsFlag) Set(more string) error {
	if *c != "" {
		more = string(*c) + "," + more
	}
	*c = columnsFlag(more)
	return nil
}

func defaultModel() string { return zoo.Rows()[0].Name }

func (c *command) train() *cobra.Command {
	s, place, retrain, shards := run.Spec{}, run.Place{}, false, ""
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "train [DIR|SET]",
		Short: "Train a head on a folder of pictures (default: drawn ants and bees)",
		Long: `Train a head on the frozen features of a pretrained network.

DIR has a folder for each label, or train/ and valid/ or test/ with such folders, or is a
CSV or TSV file above the pictures. One of its columns names the pictures, with or without
folder and ending. The others say what is learnt: a label; several, as in a;b or a column
of 0 and 1 for each (scored by mean average precision); or numbers, in their own units
(scored by R²). Columns such as split or is_valid give the split. The first lines of the
output say how the table was read; a column that is not understood stops, and --column
says what it holds. SET is a ready set: hymenoptera, food5, cats_dogs (which
you download yourself), or, drawn without a download, insects, insects-medium,
insects-hard, insects-few, insects-labels, insects-values. The folder $TLKIT_DATA/SET is
looked for first.

Pictures that belong together, as the photos of a patient or the frames of a video, must not
be divided among what is learnt from and what is measured on: --group says which they are.
Splits and folds then take whole groups, and intervals are by groups (clusters).

With --finetune N the backbone is trained too, for N epochs after the head is fitted. The
plan is printed first; the default one tries two rates on folds of the training
pictures and leaves the backbone as it is if none of them pays. Ctrl-C saves the state;
--resume continues from it. With --lora 8 a transformer keeps its weights, and pairs of narrow
matrices beside those of its attention learn instead: a hundredth of the parameters, and a head
file of a megabyte instead of the whole network. Exports hold the sum, so other tools need to know
nothing of it.

With --time 10m it trains the best it can in ten minutes: it compares the networks that are
on this machine or come in a package below 60 MB, fits the head of the best, and fine-tunes
it if the folds say that this pays and there is time. It lists what it tried and what it
skipped, and prints the command that repeats the result. --model skips the comparison. With
--resume it continues with the time that was left.

With --zero-shot the head of a network that was trained on words, such as clip, starts from
descriptions of the labels, which is worth most with few pictures. The folds choose how far
it goes away from them, from not at all to as if there were none. What the words alone and a
head that starts from zeros score is printed too.

With --head auto, folds of the training pictures choose the family of the head: logistic or ridge
regression, discriminant analysis with shrinkage (lda), nearest neighbours (knn), logistic
regression on features of length 1 (cosine), or the mean of the two best. One line says which were
tried and how they did. Without it the head is logistic, or cosine where a label has fewer than 5
pictures.

Every choice is made on folds of the training pictures. The run's folder .tlkit/NAME
holds the plan, the history, the figures and the head.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && s.ZeroShot != "" && strings.Contains(args[1], "=") {
				return advice.New(errors.New("train: want one folder"), "descriptions follow a sign of equality: --zero-shot=%s", invoke.Quote(args[1]))
			}
			return cobra.MaximumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			if retrain && place.Resume {
				return advice.New(errors.New("train: --retrain computes a run again, and --resume does not"), "leave one of them out")
			}
			if within > 0 && s.ZeroShot != "" {
				return advice.New(errors.New("train: --time compares networks whose heads start from zeros"), "leave out --time or --zero-shot")
			}
			s.Data = defaultData
			if len(args) > 0 {
				s.Data = args[0]
			}
			if shards != "" {
				if len(args) > 0 || within > 0 {
					return advice.New(errors.New("train: --features says what to learn from, and how"), "leave out the folder and --time")
				}
				s.Data, s.Shards = shards, true
			}
			timed := cmd.Flags().Changed("time")
			var r *run.Result
			err := c.replacing(&place.Force, func() (err error) {
				r, err = agreed(c, func() (*run.Result, error) {
					c.locate(&place)
					p := c.progress()
					defer p.close()
					if !timed {
						return run.Train(cmd.Context(), s, place, p)
					}
					// A second interrupt ends the program at once.
					defer context.AfterFunc(cmd.Context(), func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })()
					return budget.Train(cmd.Context(), withoutDefaults(cmd, s), budget.Budget{Time: within, Began: began}, place, p)
				})
				return err
			})
			if r == nil {
				return err
			}
			c.result = r
			if timed {
				if err := c.sayBudget(r); err != nil {
					return err
				}
			}
			if err != nil {
				if !c.json {
					c.say("%s", r.Line())
					c.say("head  %s", r.Head)
				}
				return c.bestSoFar(err)
			}
			if c.json {
				return nil
			}
			c.say("\n%s", strings.TrimRight(r.Details, "\n"))
			if b := r.Baseline; b != nil {
				c.say("\nfor comparison, %s on the same features: %s", b.Method, b.Brief())
			}
			for _, b := range r.Words {
				c.say("for comparison, %s: %s", b.Method, b.Brief())
			}
			if f := r.Finetune; f != nil {
				c.say("\nfine-tuning, plan %s: %s", f.Plan, f.Why)
				if f.Trainable > 0 {
					c.say("%s", f.Share())
				}
			}
			c.say("\n%s", r.Line())
			c.say("%.1f s (%s) · %s · %s", r.Seconds, phases(r.Phases), engines(r), r.Model)
			c.say("run   %s (curves.png, %s, history.jsonl, plan.json)", r.Run, r.FigureFile())
			c.say("head  %s", r.Head)
			c.say("next  tlkit predict %s PICTURE…", invoke.Quote(r.Head))
			return nil
		},
	}
	specFlags(cmd, &s)
	cmd.Flags().StringVar(&shards, "features", "", "learn from a folder of tlkit extract, which has features and labels, instead of pictures")
	limitFlags(cmd, &place)
	f := cmd.Flags()
	modelFlag(cmd, &s.Model)
	f.StringVar((*string)(&s.Head), "head", "", "logistic, ridge, lda, knn, cosine, auto (the best of them on folds) or sgd (PyTorch's tutorial); default: logistic, below 5 pictures of a label cosine, for values ridge")
	f.IntVar(&s.Epochs, "epochs", 0, "epochs of --head sgd (default 25)")
	f.IntVar(&s.Views, "views", 0, "augmented views of each training picture, cached (default: only the picture itself)")
	f.IntVar(&s.Folds, "folds", 0, "cross-validate over so many folds, at least 2; not with --seeds or --finetune (default: do not)")
	f.IntVar(&s.Seeds, "seeds", 1, "runs with seeds SEED, SEED+1, …: mean and interval over them")
	f.IntVar(&s.Finetune, "finetune", 0, "epochs of fine-tuning after the head: the backbone is trained too (default: none)")
	f.StringVar((*string)(&s.Plan), "plan", "", "plan of fine-tuning: tlkit (default), pytorch_tutorial, keras_guide or fastai")
	f.StringVar(&s.From, "from", "", "first stage of the backbone that is fine-tuned (default: the plan's choice)")
	f.Float64Var(&s.Rate, "rate", 0, "learning rate of fine-tuning, the largest of all stages (default: the plan's, or its choice)")
	f.IntVar(&s.Batch, "batch", 0, "pictures a step of fine-tuning (default: the plan's)")
	f.Float64Var(&s.Mixup, "mixup", 0, "blend pictures and their labels in fine-tuning: alpha of the Beta distribution, such as 0.2 (default: do not)")
	f.StringVar((*string)(&s.Augment), "augment", "", "crops and flips in fine-tuning: on or off (default: on, but off for values)")
	f.IntVar(&s.LoRA.Rank, "lora", 0, "fine-tune a transformer by pairs of narrow matrices of this rank beside those of attention, such as 8 (default: whole tensors)")
	f.Float64Var(&s.LoRA.Alpha, "lora-alpha", 0, "what the pairs are multiplied by, times the rank (default: the rank)")
	f.BoolVar(&s.LoRA.All, "lora-all", false, "pairs beside the matrices of all linear layers, those of MLPs too")
	f.BoolVar(&s.LoRA.Norms, "lora-norms", false, "train the gains and biases of norms together with the pairs")
	f.BoolVar(&s.ClassWeights, "class-weights", false, "rare labels count as much as frequent ones, in the head and in fine-tuning (one label a picture)")
	f.StringVar(&s.ZeroShot, "zero-shot", "", `start the head from descriptions of the labels: alone, from "a photo of a LABEL.", or --zero-shot="ants=ant|carpenter ant,*=a drawing of a {}." (networks with words, such as --model clip)`)
	f.Lookup("zero-shot").NoOptDefVal = "*"
	f.DurationVar(&within, "time", 0, "train the best that this time allows, such as 90s or 10m: compare networks, fit the head, fine-tune if that pays (default: no limit)")
	f.StringVar(&place.Name, "name", "", "name of the run's folder (default: set, model and 8 hex digits of the spec)")
	f.StringVarP(&place.Out, "out", "o", "", "also write the head to this file")
	forceFlag(cmd, &place.Force)
	f.BoolVar(&place.Resume, "resume", false, "read a finished run of the same spec instead of computing it; continue an interrupted fine-tuning")
	f.BoolVar(&retrain, "retrain", false, "train again although there is a run of this name; with other settings, that run is moved aside (the default, without --resume)")
	return cmd
}

// engines names what computed the run.
func engines(r *run.Result) string {
	if r.Form.Runtime != engine.ONNXRuntime {
		return r.Engine
	}
	if r.Finetune == nil {
		return "ONNX Runtime"
	}
	return "ONNX Runtime and " + r.Engine
}

func phases(all []run.Phase) string {
	var order []string
	sum := map[string]float64{}
	for _, p := range all {
		if _, ok := sum[p.Name]; !ok {
			order = append(order, p.Name)
		}
		sum[p.Name] += p.Seconds
	}
	for i, n := range order {
		order[i] = fmt.Sprintf("%s %.1f", n, sum[n])
	}
	return strings.Join(order, ", ")
}
