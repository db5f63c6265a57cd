package datasets

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A labelCut says how to split a cell into labels.
type labelCut struct {
	list    bool   // as in ['ant', 'wings'] or {"choices": ["ant", "wings"]}
	sep     string // "" = the cell is one label
	word    string // the separator in words
	example string // a cell with several labels
}

// separatorsOfLabels are the separators, by their names.
var separatorsOfLabels = map[string]string{"semicolon": ";", "bar": "|", "pipe": "|", "comma": ",", "slash": "/", "plus": "+", "space": " ", "line": "\n"}

// A cutVerdict says whether cells hold several labels.
type cutVerdict int

const (
	cutOne cutVerdict = iota
	cutSeveral
	cutUnsure
)

// labels returns the labels of a cell, in order.
func (c labelCut) labels(cell string) []string {
	if missing(cell) {
		return nil
	}
	if c.list {
		if found, ok := parseList(cell); ok {
			return found
		}
		return []string{cell}
	}
	if c.sep == "" {
		return []string{cell}
	}
	var found []string
	for l := range strings.SplitSeq(cell, c.sep) {
		if l = strings.TrimSpace(l); l != "" {
			found = append(found, l)
		}
	}
	return found
}

// cutOf decides whether the cells of a column hold several labels, and how they are separated. It
// looks at the whole column: labels recur in other combinations, the words of a name do not.
// several says that the column's name suggests several labels.
func cutOf(col *column, several bool) (labelCut, cutVerdict) {
	lists := 0
	for cell := range col.distinct {
		if _, ok := parseList(cell); ok {
			lists++
		}
	}
	if lists > 0 && (several || 2*lists >= len(col.distinct)) {
		return labelCut{list: true}, cutSeveral
	}
	tags := several && !slices.Contains([]string{"labels", "classes", "categories", "targets"}, strings.Join(nameWords(col.name), " "))
	for _, word := range []string{"semicolon", "bar", "comma", "line", "slash", "plus", "space"} {
		cut := labelCut{sep: separatorsOfLabels[word], word: word}
		p := cut.pieces(col)
		if p.cells == 0 {
			continue
		}
		cut.example = p.example
		switch word {
		case "semicolon", "bar", "line":
			if several || p.shared > 0 {
				return cut, cutSeveral
			}
			return cut, cutUnsure
		case "comma":
			switch {
			case several || p.alone > 0:
				return cut, cutSeveral
			case p.shared > 0:
				return cut, cutUnsure
			}
		case "slash", "plus":
			switch {
			case several && p.alone > 0:
				return cut, cutSeveral
			case several && p.shared > 0:
				return cut, cutUnsure
			}
		case "space":
			switch {
			case !several || p.shared == 0 && p.alone == 0:
			case tags || p.joined || p.tokens <= len(col.distinct):
				return cut, cutSeveral
			default:
				return cut, cutUnsure
			}
		}
	}
	return labelCut{}, cutOne
}

// pieces counts the parts into which a separator splits the distinct cells of a column.
type pieces struct {
	cells   int // with two pieces or more
	tokens  int // different pieces
	shared  int // pieces that are in two different cells or more
	alone   int // pieces of such cells that are a cell of their own
	joined  bool
	example string
}

func (c labelCut) pieces(col *column) pieces {
	var p pieces
	in := map[string]int{}
	for _, cell := range sortedKeys(col.distinct) {
		found := c.labels(cell)
		slices.Sort(found)
		found = slices.Compact(found)
		if strings.Contains(cell, c.sep) {
			p.cells++
			if p.example == "" {
				p.example = cell
			}
			for _, l := range found {
				if col.distinct[l] > 0 {
					p.alone++
				}
			}
		}
		for _, l := range found {
			in[l]++
			p.joined = p.joined || strings.Contains(l, "_")
		}
	}
	p.tokens = len(in)
	for _, n := range in {
		if n > 1 {
			p.shared++
		}
	}
	return p
}

// parseList reads a list as Python, NumPy or JSON writes it: ["ant", "wings"], ['ant' 'wings'],
// {"choices": ["ant"]}.
func parseList(cell string) ([]string, bool) {
	if len(cell) < 2 || !strings.ContainsRune("[{(", rune(cell[0])) || !strings.ContainsRune("]})", rune(cell[len(cell)-1])) {
		return nil, false
	}
	var tree any
	if json.Unmarshal([]byte(cell), &tree) == nil {
		if m, ok := tree.(map[string]any); ok && len(m) == 1 {
			for _, v := range m {
				tree = v
			}
			if one, ok := tree.(string); ok {
				return []string{one}, true
			}
		}
		if list, ok := tree.([]any); ok {
			found := []string{}
			for _, v := range list {
				switch v.(type) {
				case string, float64, bool:
					found = append(found, strings.TrimSpace(fmt.Sprint(v)))
				default:
					return nil, false
				}
			}
			return found, true
		}
	}
	inside := strings.TrimSpace(cell[1 : len(cell)-1])
	quoted := strings.ContainsAny(inside, `'"`)
	if cell[0] != '[' && !quoted {
		return nil, false // a remark in brackets
	}
	if !quoted {
		found := []string{}
		split := func(r rune) bool { return r == ',' }
		if !strings.Contains(inside, ",") {
			split = func(r rune) bool { return r == ' ' || r == '\n' }
		}
		for _, l := range strings.FieldsFunc(inside, split) {
			if l = strings.TrimSpace(l); l != "" {
				found = append(found, l)
			}
		}
		return found, true
	}
	return quotedWords(inside)
}

// quotedWords reads quoted words separated by commas or white space.
func quotedWords(text string) ([]string, bool) {
	found := []string{}
	for text != "" {
		i := strings.IndexAny(text, `'"`)
		if i < 0 {
			return found, strings.Trim(text, ", \n") == ""
		}
		if strings.Trim(text[:i], ", \n") != "" {
			return nil, false
		}
		quote := text[i]
		var b strings.Builder
		k := i + 1
		for ; k < len(text) && text[k] != quote; k++ {
			if text[k] == '\\' && k+1 < len(text) {
				k++
			}
			b.WriteByte(text[k])
		}
		if k >= len(text) {
			return nil, false
		}
		if l := strings.TrimSpace(b.String()); l != "" {
			found = append(found, l)
		}
		text = text[k+1:]
	}
	return found, true
}
