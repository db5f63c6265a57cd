package run

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// plans are the recipes of fine-tuning by name.
var plans = []string{string(finetune.Tlkit), string(finetune.PytorchTutorial), string(finetune.KerasGuide), string(finetune.Fastai)}

// check reports a spec that is invalid for any data, before anything is fetched or opened.
func (s Spec) check() error {
	switch {
	case s.Seeds < 0 || s.Folds < 0 || s.Folds == 1 || s.Seeds > 1 && s.Folds > 0:
		return fmt.Errorf("run: %d seeds and %d folds, want at least 1 seed, at least 2 folds, and not both", s.Seeds, s.Folds)
	case s.Finetune < 0:
		return fmt.Errorf("run: %d epochs of fine-tuning, want 1 or more (--finetune)", s.Finetune)
	case s.Finetune > 0 && s.Folds > 0:
		return advice.New(fmt.Errorf("run: fine-tuning with %d folds, want --finetune or --folds", s.Folds), "leave --folds out: fine-tuning has its own folds")
	case s.Finetune == 0 && (s.Plan != "" || s.From != ""):
		return advice.New(fmt.Errorf("run: plan %q from stage %q without fine-tuning", s.Plan, s.From), "say for how many epochs, as with --finetune 5: --plan and --from are of fine-tuning")
	case s.MinPerLabel < 0:
		return fmt.Errorf("run: at least %d pictures of each label, want 0 or more (--min-per-label)", s.MinPerLabel)
	}
	if err := errors.Join(s.checkChanges(), s.checkShards()); err != nil {
		return err
	}
	if s.Plan != "" && !slices.Contains(plans, string(s.Plan)) {
		return advice.New(fmt.Errorf("run: there is no plan %q", s.Plan), "%suse %s", words.DidYouMean(string(s.Plan), plans), strings.Join(plans, ", "))
	}
	if s.Split != "" && s.Split != "all" {
		if _, ok := data.SplitNamed(s.Split); !ok {
			splits := []string{"train", "valid", "test", "all"}
			return advice.New(fmt.Errorf("run: there is no split %q", s.Split), "%suse valid or test", words.DidYouMean(s.Split, splits))
		}
	}
	if err := s.learning().Check(); err != nil {
		return err
	}
	if err := s.checkWords(); err != nil {
		return err
	}
	return s.checkNetwork()
}

// checkChanges reports settings of fine-tuning without fine-tuning, and settings that contradict each
// other.
func (s Spec) checkChanges() error {
	if s.Finetune == 0 && s.LoRA != (backbone.LoRA{}) {
		return advice.New(fmt.Errorf("run: LoRA of rank %d without fine-tuning", s.LoRA.Rank), "say for how many epochs, as with --finetune 5: LoRA is a way to fine-tune")
	}
	if s.Finetune == 0 && (s.Rate != 0 || s.Batch != 0 || s.Mixup != 0 || s.Augment != "") {
		if s.Head == head.SGDKind && (s.Rate != 0 || s.Batch != 0) {
			return advice.New(fmt.Errorf("run: rate %g and batch %d for the head %s, which has those of PyTorch's tutorial", s.Rate, s.Batch, s.Head), "leave out --rate and --batch, or add --finetune 5: they are of fine-tuning")
		}
		return advice.New(fmt.Errorf("run: rate %g, batch %d, mixup %g, augment %q without fine-tuning", s.Rate, s.Batch, s.Mixup, s.Augment), "say for how many epochs, as with --finetune 5: --rate, --batch, --mixup and --augment are of fine-tuning")
	}
	if s.Augment == learner.AugmentOff && s.Views > 0 {
		return advice.New(fmt.Errorf("run: %d augmented views of each picture, and augmentation %q", s.Views, s.Augment), "leave out --views or --augment")
	}
	return s.tuning().Check()
}

// checkNetwork reports unknown names of the network, its preset, statistics, weights file or stage.
func (s Spec) checkNetwork() error {
	row, err := zoo.Find(s.Model)
	if err != nil {
		return err
	}
	if _, err := s.preset(); err != nil {
		return err
	}
	if s.Weights != "" {
		if _, err := os.Stat(s.Weights); err != nil {
			return advice.New(fmt.Errorf("run: the weights file cannot be opened: %w", err), "check its name (--weights)")
		}
	}
	adapts := s.LoRA != (backbone.LoRA{})
	if s.From == "" && !adapts || row.Arch() == nil {
		return nil
	}
	d, err := backbone.Declare(row.Arch(), row.Preset.Size)
	if err != nil {
		return nil // loading the network explains it better
	}
	if adapts {
		if err := d.CheckLoRA(s.LoRA); err != nil {
			return fmt.Errorf("run: %s: %w", row.Name, err)
		}
	}
	stages := []string{"", finetune.HeadStage}
	for _, stage := range d.Stages {
		stages = append(stages, stage.Name)
	}
	if !slices.Contains(stages, s.From) {
		return advice.New(fmt.Errorf("run: %s has no stage %q", row.Name, s.From), "%sits stages are %s", words.DidYouMean(s.From, stages), strings.Join(stages[2:], ", "))
	}
	return nil
}
