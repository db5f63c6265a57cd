package zoo

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// dialect is how somebody else names and cuts the tensors of a network. Its table has lines such as
//
//	encoder.layer.#.attention.{query+key+value}.*  ->  blocks.#.attn.qkv.*
//
// that say on their right which tensors of ours a tensor of theirs, on their left, becomes.
//
//	#             a number; on the left also 2#+1, #-1
//	*             the last part: weight, bias, running_mean
//	**            the whole rest
//	(a|b)         one name or the other, on the left
//	{a+b+c}       several tensors. On the left they lie one behind the other in the one of ours; on
//	              the right the one of theirs is cut into them
//	../           one level further out than the network, where a classifier may be
//
// Shapes may differ in axes of length 1. The first line that fits a name of ours counts; of lines with
// the same right side, the first whose tensors are in the file.
type dialect struct {
	by    string // whose names: "Hugging Face's transformers"
	table string
	// beside are tensors of theirs that are no part of ours, by their first levels or, with a dot in
	// front, their last: mask_token, .relative_position_index.
	beside []string
	// build is the architecture that computes what they compute, where theirs differs; nil = the same.
	build func(backbone.Arch) backbone.Arch
	// finish changes what the table has found, where more than names differ.
	finish func(ours map[string]weights.Tensor) error
}

// spoken is implemented by architectures for which files in other dialects exist.
type spoken interface {
	dialects() []dialect
	// plain is the architecture in the names on the right of their tables.
	plain() backbone.Arch
}

// line is a line of a table.
type line struct {
	ours    []*regexp.Regexp // alternatives of {a+b}, one of which a name of ours has to match
	split   []string         // the same, as templates
	theirs  []string         // templates of the tensors that are joined
	text    string
	numbers int // how many # are on the right
}

var numberTerm = regexp.MustCompile(`(\d*)#([+-]\d+)?`)

// tables keeps the tables that have been read.
var tables sync.Map

// lines reads the table. A mistake in it panics: it is a part of this program.
func (d dialect) lines() []line {
	if known, ok := tables.Load(d.table); ok {
		return known.([]line)
	}
	var out []line
	for _, text := range strings.Split(d.table, "\n") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		left, right, ok := strings.Cut(text, "->")
		if !ok {
			panic("zoo: a line of a dialect without an arrow: " + text)
		}
		left, right = strings.TrimSpace(left), strings.TrimSpace(right)
		split := several(right)
		for _, one := range choices(left) {
			l := line{text: text, split: split, theirs: several(one), numbers: strings.Count(split[0], "#")}
			for _, s := range split {
				pattern := regexp.QuoteMeta(s)
				pattern = strings.ReplaceAll(pattern, "#", `(\d+)`)
				pattern = strings.ReplaceAll(pattern, `\*\*`, `(.+)`)
				pattern = strings.ReplaceAll(pattern, `\*`, `([^.]+)`)
				l.ours = append(l.ours, regexp.MustCompile("^"+pattern+"$"))
			}
			out = append(out, l)
		}
	}
	tables.Store(d.table, out)
	return out
}

// several expands {a+b+c}.
func several(pattern string) []string {
	open, end := strings.IndexByte(pattern, '{'), strings.IndexByte(pattern, '}')
	if open < 0 {
		return []string{pattern}
	}
	var out []string
	for _, part := range strings.Split(pattern[open+1:end], "+") {
		out = append(out, pattern[:open]+part+pattern[end+1:])
	}
	return out
}

// choices expands every (a|b).
func choices(pattern string) []string {
	open, end := strings.IndexByte(pattern, '('), strings.IndexByte(pattern, ')')
	if open < 0 {
		return []string{pattern}
	}
	var out []string
	for _, choice := range strings.Split(pattern[open+1:end], "|") {
		out = append(out, choices(pattern[:open]+choice+pattern[end+1:])...)
	}
	return out
}

// filled puts numbers and the last part of a name into a template.
func filled(template string, found []string) string {
	numbers, leaf := found, ""
	if strings.Contains(template, "*") {
		numbers, leaf = found[:len(found)-1], found[len(found)-1]
	}
	i := 0
	template = numberTerm.ReplaceAllStringFunc(template, func(term string) string {
		m := numberTerm.FindStringSubmatch(term)
		n, _ := strconv.Atoi(numbers[i])
		i++
		if factor, err := strconv.Atoi(m[1]); err == nil {
			n *= factor
		}
		plus, _ := strconv.Atoi(m[2])
		return strconv.Itoa(n + plus)
	})
	return strings.Replace(strings.Replace(template, "**", "*", 1), "*", leaf, 1)
}

// origin is where a tensor of ours comes from.
type origin struct {
	theirs []string // joined
	first  int      // the number that it begins with, in a tensor that is cut
	whole  int      // how many numbers theirs have together; 0 = as many as ours
	line   string
}

// origins returns all places from which a tensor of ours may come, best first. sizes are the numbers of
// elements of all tensors of ours.
func (d dialect) origins(name string, sizes map[string]int) (all []origin) {
	for _, l := range d.lines() {
		for k, pattern := range l.ours {
			m := pattern.FindStringSubmatch(name)
			if m == nil {
				continue
			}
			s := origin{line: l.text}
			for _, t := range l.theirs {
				s.theirs = append(s.theirs, filled(t, m[1:]))
			}
			if len(l.split) > 1 {
				for i, other := range l.split {
					size := sizes[filled(other, m[1:])]
					s.whole += size
					if i < k {
						s.first += size
					}
				}
			}
			all = append(all, s)
		}
	}
	if len(all) > 0 { // the first line counts, and those with the same right side
		first := all[0].line
		right := func(s string) string { return s[strings.Index(s, "->"):] }
		all = slices.DeleteFunc(all, func(s origin) bool { return right(s.line) != right(first) })
	}
	return all
}

// covers reports whether the dialect has names for the whole trunk of a network.
func (d dialect) covers(arch backbone.Arch) bool {
	wanted, err := backbone.Declare(arch, 224)
	return err == nil && !slices.ContainsFunc(wanted.Weights, func(w backbone.Weight) bool {
		return w.Stage != backbone.Classifier && len(d.origins(w.Name, nil)) == 0
	})
}

// translation is a file with the tensors of a network under our names.
type translation struct {
	dialect  dialect
	original *weights.File
	file     *weights.File
	modules  map[string]bool // first levels of their names: what is left there is foreign
	zeros    []string        // biases that the file lacks, which are taken as 0
}

// translator turns a file into a translation.
type translator struct {
	dialect dialect
	file    *weights.File
	wanted  *backbone.Declaration
	origins [][]origin // of each tensor of ours
	sizes   map[string]int
	theirs  map[string]bool // all names that tensors of ours may have there
	used    map[string]bool
	made    []weights.Tensor
	out     translation
}

// translate returns the file in our names, nil if it has nothing of this dialect.
func (d dialect) translate(file *weights.File, wanted *backbone.Declaration) (*translation, error) {
	t := &translator{dialect: d, file: file, wanted: wanted, sizes: map[string]int{}, used: map[string]bool{}}
	t.out = translation{dialect: d, original: file, modules: map[string]bool{}}
	for _, w := range wanted.Weights {
		t.sizes[w.Name] = w.Size()
	}
	for _, w := range wanted.Weights {
		t.origins = append(t.origins, d.origins(w.Name, t.sizes))
	}
	prefixes := t.prefixes()
	for _, prefix := range prefixes {
		if err := t.at(prefix); err != nil {
			return nil, err
		}
	}
	if len(t.made) == 0 {
		return nil, nil
	}
	for _, name := range file.Names() {
		if tensor, ok := file.Tensor(name); ok && !t.used[name] && !t.beside(name, prefixes) {
			t.made = append(t.made, tensor)
		}
	}
	var err error
	if t.out.file, err = file.Having(t.made); err != nil {
		return nil, nil // two tensors became one: it is another network, with names like these
	}
	return &t.out, nil
}

// prefixes returns the places in the file with the most names of theirs.
func (t *translator) prefixes() (prefixes []string) {
	t.theirs = map[string]bool{}
	for _, origins := range t.origins {
		for _, o := range origins {
			for _, name := range o.theirs {
				if !strings.HasPrefix(name, "../") {
					t.theirs[name] = true
				}
			}
		}
	}
	votes, order, most := map[string]int{}, []string{}, 0
	for _, name := range t.file.Names() {
		for start := 0; ; {
			if t.theirs[name[start:]] {
				prefix := name[:start]
				if votes[prefix]++; votes[prefix] == 1 {
					order = append(order, prefix)
				}
				most = max(most, votes[prefix])
			}
			next := strings.IndexByte(name[start:], '.')
			if next < 0 {
				break
			}
			start += next + 1
		}
	}
	for _, prefix := range order {
		if votes[prefix] == most && len(prefixes) < maxCopies {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// at translates the network below a prefix.
func (t *translator) at(prefix string) error {
	ours := map[string]weights.Tensor{}
	for i, w := range t.wanted.Weights {
		if _, taken := t.file.Tensor(prefix + w.Name); taken && !t.theirs[w.Name] {
			continue // a file in two dialects: what is theirs is left over
		}
		for _, o := range t.origins[i] {
			if tensor, ok := t.from(prefix, o, w); ok {
				ours[w.Name] = tensor
				break
			}
		}
	}
	if t.dialect.finish != nil {
		if err := t.dialect.finish(ours); err != nil {
			return fmt.Errorf("in the names of %s: %w", t.dialect.by, err)
		}
	}
	for _, w := range t.wanted.Weights {
		if tensor, ok := ours[w.Name]; ok {
			tensor.Name = prefix + w.Name
			t.made = append(t.made, tensor)
		}
	}
	return nil
}

// from makes a tensor of ours. A classifier that does not fit stays theirs.
func (t *translator) from(prefix string, o origin, w backbone.Weight) (tensor weights.Tensor, ok bool) {
	var parts []weights.Tensor
	var names, lacking []string
	have := 0
	for _, name := range o.theirs {
		if rest, out := strings.CutPrefix(name, "../"); out {
			outer := strings.TrimSuffix(prefix, ".")
			name = outer[:strings.LastIndexByte(outer, '.')+1] + rest
		} else {
			name = prefix + name
		}
		part, ok := t.file.Tensor(name)
		if !ok && len(o.theirs) > 1 && strings.HasSuffix(name, "bias") && len(w.Shape) == 1 {
			n := w.Size() / len(o.theirs)
			part = weights.FromFloat32(name, []int{n}, make([]float32, n))
			lacking = append(lacking, name)
		} else if !ok {
			return tensor, false
		}
		have += part.Len()
		parts, names = append(parts, part), append(names, name)
	}
	if len(lacking) == len(names) {
		return tensor, false
	}
	whole := o.whole
	if whole == 0 {
		whole = w.Size()
	}
	shape := w.Shape
	if have != whole || !sameRows(parts, w.Shape) {
		if w.Stage == backbone.Classifier {
			return tensor, false
		}
		shape = slices.Clone(parts[0].Shape)
		for _, p := range parts[1:] {
			if len(shape) > 0 && len(p.Shape) > 0 {
				shape[0] += p.Shape[0]
			}
		}
		if len(parts) > 1 && sizeOf(shape) != have {
			return tensor, false
		}
		o.first = 0
	}
	for _, name := range names {
		t.used[name] = true
		t.out.modules[moduleOf(strings.TrimPrefix(name, prefix))] = true
	}
	for _, name := range lacking {
		t.out.zeros = append(t.out.zeros, name)
	}
	return parts[0].As(w.Name, shape, o.first, parts[1:]...), true
}

func moduleOf(name string) string {
	module, _, _ := strings.Cut(name, ".")
	return module
}

func sizeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// sameRows reports whether tensors that lie one behind the other have the rows of a shape: axes of
// length 1 do not count, and the first of the others is what they differ in.
func sameRows(parts []weights.Tensor, shape []int) bool {
	want := withoutOnes(shape)
	for _, p := range parts {
		got := withoutOnes(p.Shape)
		switch {
		case len(parts) == 1 && slices.Equal(got, want):
		case len(want) == 0 || len(got) == len(want) && slices.Equal(got[1:], want[1:]):
		case len(got) == len(want)-1 && slices.Equal(got, want[1:]): // a single row
		default:
			return false
		}
	}
	return true
}

// withoutOnes returns a shape without its axes of length 1.
func withoutOnes(shape []int) (out []int) {
	for _, d := range shape {
		if d != 1 {
			out = append(out, d)
		}
	}
	return out
}

// beside reports whether a tensor of the file is known to be no part of the network.
func (t *translator) beside(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		rest, ok := strings.CutPrefix(name, prefix)
		if ok && slices.ContainsFunc(t.dialect.beside, func(p string) bool { return strings.HasPrefix(rest, p) || p[0] == '.' && strings.HasSuffix(rest, p) }) {
			return true
		}
	}
	return false
}
