package budget

import (
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// Repeat returns the command that trains by a spec, word by word: "tlkit", "train" and so on.
func Repeat(s run.Spec) []string {
	out := []string{"tlkit", "train", s.Data, "--model", s.Model}
	text := func(flag, value string) {
		if value != "" {
			out = append(out, "--"+flag, value)
		}
	}
	number := func(flag string, value float64) {
		if value != 0 {
			text(flag, strconv.FormatFloat(value, 'g', -1, 64))
		}
	}
	yes := func(flag string, set bool) {
		if set {
			out = append(out, "--"+flag)
		}
	}
	text("weights", s.Weights)
	text("entry", s.Entry)
	text("statistics", s.Statistics)
	text("preset", s.Preset)
	number("size", float64(s.Size))
	text("column", s.Columns)
	text("group", string(s.Group))
	yes("label-folders", s.LabelFolders)
	number("min-per-label", float64(s.MinPerLabel))
	text("changes", s.Changes)
	text("split", s.Split)
	text("head", string(s.Head))
	number("epochs", float64(s.Epochs))
	number("views", float64(s.Views))
	yes("class-weights", s.ClassWeights)
	number("finetune", float64(s.Finetune))
	if s.Finetune > 0 {
		text("plan", string(s.Plan))
		text("from", s.From)
		number("rate", s.Rate)
		number("batch", float64(s.Batch))
		number("mixup", s.Mixup)
		text("augment", string(s.Augment))
		number("lora", float64(s.LoRA.Rank))
		number("lora-alpha", s.LoRA.Alpha)
		yes("lora-all", s.LoRA.All)
		yes("lora-norms", s.LoRA.Norms)
	}
	if s.Form != (engine.Form{}) {
		text("form", strings.ReplaceAll(s.Form.String(), " ", ""))
	}
	text("seed", strconv.FormatUint(s.Seed, 10))
	return out
}
