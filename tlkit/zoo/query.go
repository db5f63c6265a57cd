package zoo

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Query selects checkpoints by what is known of them. Its zero value selects all.
type Query struct {
	// Words are each looked for in name, family, tag, licence, classifier and source; one with * or ? is
	// a pattern of a name or family. All of them have to be found.
	Words  []string
	Family string // such as "ResNet"; case, blanks and hyphens do not matter
	// Licence is "free" (for commercial use too), "noncommercial", "gated", or a word of the licence.
	Licence  string
	Params   string // numbers of parameters: "<30M", ">5M", "5M-30M"
	Size     string // sides of pictures in pixels: "224", "<256"
	Here     bool   // only those whose weights are on this machine
	Verified bool   // only those whose very file was compared with another framework
}

// Of returns those rows that the query selects, in their order. It is an error if there are none.
func (q Query) Of(rows []Row) ([]Row, error) {
	keep := []func(Row) bool{func(r Row) bool { return r.about(q.Words) }}
	if q.Family != "" {
		family, ok := familyCalled(q.Family)
		if !ok {
			return nil, advice.New(fmt.Errorf("zoo: no family is called %.40q", q.Family), "there are %s", strings.Join(Families(), ", "))
		}
		keep = append(keep, func(r Row) bool { return r.Family == family })
	}
	if q.Licence != "" {
		keep = append(keep, licensed(q.Licence))
	}
	for _, b := range []struct {
		name, text string
		of         func(Row) int
	}{{"params", q.Params, func(r Row) int { return r.Params }}, {"size", q.Size, func(r Row) int { return r.Preset.Size }}} {
		if b.text == "" {
			continue
		}
		low, high, err := bounds(b.text)
		if err != nil {
			return nil, advice.New(fmt.Errorf("zoo: %s %q: %w", b.name, b.text, err), "take '<30M', '>5M', 5M-30M or one number")
		}
		keep = append(keep, func(r Row) bool { return b.of(r) >= low && b.of(r) <= high })
	}
	if q.Here {
		keep = append(keep, func(r Row) bool { _, ok := r.Here(); return ok })
	}
	if q.Verified {
		keep = append(keep, Row.Verified)
	}
	found := slices.DeleteFunc(slices.Clone(rows), func(r Row) bool {
		return slices.ContainsFunc(keep, func(fits func(Row) bool) bool { return !fits(r) })
	})
	if len(found) == 0 {
		return nil, q.nothing()
	}
	return found, nil
}

// Filters reports whether anything but words is asked for.
func (q Query) Filters() bool {
	return q.Family+q.Licence+q.Params+q.Size != "" || q.Here || q.Verified
}

// nothing says which names are near to what no network has.
func (q Query) nothing() error {
	if len(q.Words) == 0 {
		return advice.New(errors.New("zoo: no network is like that"), "leave out a filter; all: tlkit models --all")
	}
	typed := strings.Join(q.Words, " ")
	missing := fmt.Errorf("zoo: no network has %q in its name, family, tag, licence or source", typed)
	if q.Filters() {
		missing = fmt.Errorf("zoo: no network has %q in its name, family, tag, licence or source, and is as the filters want it", typed)
	}
	var unknown *UnknownError
	if _, err := Find(typed); errors.As(err, &unknown) {
		return advice.New(missing, "nearest are %s; all: tlkit models --all", strings.Join(unknown.Nearest, ", "))
	}
	return advice.New(missing, "all: tlkit models --all")
}

// Named returns the rows that are named, each once and in this order: by a name or alias, as Find has
// it, by a family, or by a pattern with * or ? of either. The error for any other word is an
// *UnknownError.
func Named(words ...string) (found []Row, err error) {
	add := func(r Row) {
		if !slices.ContainsFunc(found, func(o Row) bool { return o.Name == r.Name }) {
			found = append(found, r)
		}
	}
	for _, word := range words {
		word = strings.TrimSpace(word)
		r, err := Find(word)
		if err == nil {
			add(r)
			continue
		}
		family, isFamily := familyCalled(word)
		matched := false
		var unknown *UnknownError
		for _, r := range Rows() {
			if errors.As(err, &unknown) && (isFamily && r.Family == family || isPattern(word) && r.about([]string{word})) {
				add(r)
				matched = true
			}
		}
		if !matched {
			return nil, err
		}
	}
	return found, nil
}

// Families returns the names of all families, in the order of the table.
func Families() (names []string) {
	for _, r := range table {
		if !slices.Contains(names, r.Family) {
			names = append(names, r.Family)
		}
	}
	return names
}

// familyCalled returns the family of that name; case, blanks and hyphens do not matter.
func familyCalled(name string) (family string, ok bool) {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "").Replace
	for _, family := range Families() {
		if strings.EqualFold(plain(family), plain(name)) {
			return family, true
		}
	}
	return "", false
}

// licensed returns what a licence has to fulfil.
func licensed(want string) func(Row) bool {
	switch want = strings.ToLower(want); want {
	case "free":
		return func(r Row) bool { return !r.NonCommercial && !r.Gated() }
	case "noncommercial":
		return func(r Row) bool { return r.NonCommercial }
	case "gated":
		return Row.Gated
	}
	return func(r Row) bool { return strings.Contains(strings.ToLower(r.Licence), want) }
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

// isPattern reports whether a word is a pattern.
func isPattern(word string) bool { return strings.ContainsAny(word, "*?[") }

// about reports whether a network has every one of some words in what is known about it.
func (r Row) about(all []string) bool {
	names := append(r.names(), r.Tag, r.Family, r.Licence, r.Classes, r.Source(), r.Origin)
	text := strings.ToLower(strings.Join(names, "\n"))
	return !slices.ContainsFunc(all, func(word string) bool {
		word = strings.ToLower(word)
		if isPattern(word) {
			return !slices.ContainsFunc(append(r.names(), r.Family), func(name string) bool {
				ok, err := path.Match(word, strings.ToLower(name))
				return ok && err == nil
			})
		}
		return !strings.Contains(text, word)
	})
}
