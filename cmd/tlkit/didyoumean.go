package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
)

// otherWords are what people type for a subcommand because other tools call it so.
var otherWords = map[string]string{
	"fit": "train", "finetune": "train", "fine-tune": "train", "learn": "train",
	"classify": "predict", "infer": "predict", "inference": "predict", "label": "predict",
	"eval": "evaluate", "test": "evaluate", "validate": "evaluate", "score": "evaluate",
	"embed": "features", "extract": "features", "similar": "neighbours", "neighbors": "neighbours",
	"list": "models", "ls": "models", "networks": "models", "zoo": "models",
	"benchmark": "bench", "notebook": "lab", "jupyter": "lab", "install": "setup", "check": "doctor",
}

// otherFlags are what people type for a flag because other tools call it so.
var otherFlags = map[string]string{
	"lr": "rate", "learning-rate": "rate", "base-lr": "rate", "batch-size": "batch", "bs": "batch",
	"augmentation": "augment", "balanced": "class-weights", "class-weight": "class-weights",
	"arch": "model", "backbone": "model", "network": "model", "cv": "folds", "force": "retrain", "overwrite": "retrain",
	"output": "out", "mixup-alpha": "mixup", "lora-rank": "lora", "lora-r": "lora",
}

// unknownCommand is the error for a first word that is no subcommand.
func unknownCommand(root *cobra.Command, word string) error {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	near := otherWords[strings.ToLower(word)]
	if near == "" {
		near = words.Nearest(word, names)
	}
	_, set := data.FindSet(word)
	_, err := os.Stat(word)
	switch {
	case near != "" && (err != nil || !strings.ContainsRune(word, os.PathSeparator)):
		return advice.New(fmt.Errorf("unknown command %q", word), "did you mean tlkit %s?", near)
	case set || err == nil:
		return advice.New(fmt.Errorf("unknown command %q", word), "to train on it: tlkit train %s", invoke.Quote(word))
	}
	return advice.New(fmt.Errorf("unknown command %q", word), "want one of %s; see tlkit --help", strings.Join(names, ", "))
}

// unknownFlag adds the nearest flag to the error for one that does not exist, or the subcommands
// that have it.
func unknownFlag(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		f := invalid.GetFlag()
		return advice.New(fmt.Errorf("%s: --%s is %q, want %s", cmd.Name(), f.Name, invalid.GetValue(), valueWords(f.Value.Type())), "see tlkit %s--help", sub(cmd))
	}
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return advice.New(fmt.Errorf("%s: %w", cmd.Name(), err), "see tlkit %s--help", sub(cmd))
	}
	typed := missing.GetSpecifiedName()
	if missing.GetSpecifiedShortnames() != "" {
		return advice.New(fmt.Errorf("%s: unknown flag -%s", cmd.Name(), typed), "see tlkit %s--help", sub(cmd))
	}
	var names, others []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	for _, c := range cmd.Root().Commands() {
		if c != cmd && c.Flags().Lookup(typed) != nil {
			others = append(others, c.Name())
		}
	}
	unknown := fmt.Errorf("%s: unknown flag --%s", cmd.Name(), typed)
	near := otherFlags[strings.ReplaceAll(typed, "_", "-")]
	if !slices.Contains(names, near) {
		near = words.Nearest(typed, names)
	}
	switch {
	case near != "":
		return advice.New(unknown, "did you mean --%s? See tlkit %s--help", near, sub(cmd))
	case len(others) > 0:
		return advice.New(unknown, "it is a flag of %s; see tlkit %s--help", strings.Join(others, " and "), sub(cmd))
	}
	return advice.New(unknown, "see tlkit %s--help", sub(cmd))
}

// valueWords says what the value of a flag has to be.
func valueWords(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number, 0 or more"
	case "float64":
		return "a number"
	case formKind:
		return "xla or onnxruntime, then any of convolutions=eigen, batch=N and side=N, as in onnxruntime,batch=2,side=2"
	case "duration":
		return "a time such as 90s or 5m"
	}
	return "a " + kind
}

// sub is the name of a subcommand and a space; "" for the root.
func sub(cmd *cobra.Command) string {
	if cmd == cmd.Root() {
		return ""
	}
	return cmd.Name() + " "
}
