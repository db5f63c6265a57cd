package show

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const (
	mostColumns = 12 // of a table made from a slice
	mostValues  = 8  // of a list in a cell
	mostNesting = 3  // structs in structs
)

// entry is one field of a struct, or one entry of a map, for a table.
type entry struct {
	name, text string
	number     bool
	empty      bool // an empty string or list, or no value
}

// tableOf makes a table from a struct, a map, or a slice of them, behind any number of pointers. A
// struct gets a row for each exported field, a slice a column for each. Fields of nested structs
// count as fields of the outer one.
func tableOf(v any) (Table, bool) {
	value := behind(reflect.ValueOf(v))
	switch {
	case !value.IsValid():
		return Table{}, false
	case value.Kind() == reflect.Struct && !speaks(value), value.Kind() == reflect.Map:
		return oneByOne(entries(value, "", 0))
	case value.Kind() == reflect.Slice || value.Kind() == reflect.Array:
		return sideBySide(value)
	}
	return Table{}, false
}

// behind follows pointers and interfaces to their value. For nil it returns the zero Value.
func behind(v reflect.Value) reflect.Value {
	for range 8 { // pointers may form a cycle
		if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
			return v
		}
		v = v.Elem()
	}
	return reflect.Value{}
}

// speaks reports whether a value has its own text form. One promoted from an embedded struct
// describes only that part.
func speaks(v reflect.Value) bool {
	if !says(v.Type()) {
		return false
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Anonymous && (says(f.Type) || says(reflect.PointerTo(f.Type))) {
				return false
			}
		}
	}
	return true
}

var (
	stringer = reflect.TypeFor[fmt.Stringer]()
	failure  = reflect.TypeFor[error]()
	rawJSON  = reflect.TypeFor[json.RawMessage]()
)

func says(t reflect.Type) bool { return t.Implements(stringer) || t.Implements(failure) }

// oneByOne makes a table with a row for each entry that is not empty.
func oneByOne(all []entry) (Table, bool) {
	t := Table{Header: []string{"", "value"}, Left: 2}
	for _, e := range all {
		if e.empty {
			continue
		}
		if len(t.Rows) == mostRows*2 {
			t.Caption = fmt.Sprintf("the first %d of %d", len(t.Rows), len(all))
			break
		}
		t.Rows = append(t.Rows, []string{e.name, e.text})
	}
	return t, len(t.Rows) > 0
}

// sideBySide makes a table with a row for each element, or for the first and last ten of a long
// slice. Columns that are empty everywhere are left out, and text columns come first.
func sideBySide(list reflect.Value) (Table, bool) {
	var rows []map[string]string
	var words, numbers []string
	filled := map[string]bool{}
	for i := 0; i < list.Len(); i++ {
		if i == mostRows/2 && list.Len() > mostRows {
			i = list.Len() - mostRows/2
			rows = append(rows, nil)
		}
		element := behind(list.Index(i))
		row := map[string]string{}
		if !element.IsValid() {
			rows = append(rows, row)
			continue
		}
		if element.Kind() != reflect.Struct && element.Kind() != reflect.Map || speaks(element) {
			return Table{}, false
		}
		for _, e := range entries(element, "", 0) {
			row[e.name] = e.text
			filled[e.name] = filled[e.name] || !e.empty
			switch {
			case slices.Contains(words, e.name) || slices.Contains(numbers, e.name):
			case e.number:
				numbers = append(numbers, e.name)
			default:
				words = append(words, e.name)
			}
		}
		rows = append(rows, row)
	}
	hollow := func(name string) bool { return !filled[name] }
	words, numbers = slices.DeleteFunc(words, hollow), slices.DeleteFunc(numbers, hollow)
	t := Table{Left: len(words), Header: append(words, numbers...)}
	if n := len(t.Header); n > mostColumns {
		t.Caption = fmt.Sprintf("the first %d of %d fields", mostColumns, n)
		t.Header = t.Header[:mostColumns]
	}
	for _, row := range rows {
		line := make([]string, len(t.Header))
		for k, name := range t.Header {
			line[k] = row[name]
		}
		if row == nil && len(line) > 0 {
			line[0] = fmt.Sprintf("… %d more", list.Len()-mostRows)
		}
		t.Rows = append(t.Rows, line)
	}
	return t, len(t.Header) > 0
}

// entries lists the exported fields of a struct in their order, or the entries of a map by key.
func entries(v reflect.Value, prefix string, depth int) []entry {
	var out []entry
	if v.Kind() == reflect.Map {
		for _, k := range keys(v) {
			e := cellOf(v.MapIndex(k))
			e.name = prefix + fmt.Sprint(k)
			out = append(out, e)
		}
		return out
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Tag.Get("show") == "-" { // what programs need and people do not
			continue
		}
		name, inner := prefix+f.Name, behind(v.Field(i))
		if inner.IsValid() && inner.Kind() == reflect.Struct && !speaks(inner) && depth < mostNesting {
			if f.Anonymous {
				name = strings.TrimSuffix(prefix, ".")
			}
			if name != "" {
				name += "."
			}
			out = append(out, entries(inner, name, depth+1)...)
			continue
		}
		e := cellOf(v.Field(i))
		e.name = name
		out = append(out, e)
	}
	return out
}

// keys returns the keys of a map, sorted by their text.
func keys(v reflect.Value) []reflect.Value {
	out := v.MapKeys()
	slices.SortFunc(out, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}

// cellOf writes a value in a few words.
func cellOf(v reflect.Value) entry {
	v = behind(v)
	switch {
	case !v.IsValid():
		return entry{empty: true}
	case says(v.Type()) && v.CanInterface():
		text := fmt.Sprint(v.Interface())
		return entry{text: text, empty: text == ""}
	case v.CanFloat():
		return entry{text: fmt.Sprintf("%.4g", v.Float()), number: true}
	case v.CanInt() || v.CanUint():
		return entry{text: fmt.Sprint(v), number: true}
	}
	switch v.Kind() {
	case reflect.String:
		return entry{text: v.String(), empty: v.Len() == 0}
	case reflect.Bool:
		return entry{text: fmt.Sprint(v.Bool())}
	case reflect.Slice, reflect.Array:
		if v.Type() == rawJSON {
			return entry{text: string(v.Bytes()), empty: v.Len() == 0}
		}
		return listOf(v)
	case reflect.Map:
		var parts []string
		for _, k := range keys(v) {
			e := cellOf(v.MapIndex(k))
			parts = append(parts, fmt.Sprint(k)+" "+e.text)
		}
		return joined(parts)
	}
	return entry{empty: true} // functions, channels and values nested too deeply
}

// listOf writes a list: its values if they are simple, otherwise their number.
func listOf(v reflect.Value) entry {
	switch kind := v.Type().Elem().Kind(); {
	case v.Len() == 0:
		return entry{empty: true}
	case kind == reflect.Struct && !says(v.Type().Elem()), kind == reflect.Pointer, kind == reflect.Interface, kind == reflect.Func, kind == reflect.Map:
		return entry{text: fmt.Sprintf("%d × %s", v.Len(), v.Type().Elem().Name())}
	}
	var parts []string
	for i := range min(v.Len(), mostValues+1) {
		parts = append(parts, cellOf(v.Index(i)).text)
	}
	e := joined(parts)
	if v.Len() > mostValues {
		e.text = strings.Join(parts[:mostValues/2], ", ") + fmt.Sprintf(", … %d in all", v.Len())
	}
	return e
}

func joined(parts []string) entry {
	text := strings.Join(parts[:min(len(parts), mostValues)], ", ")
	if len(parts) > mostValues {
		text += fmt.Sprintf(", … %d in all", len(parts))
	}
	return entry{text: text, empty: len(parts) == 0}
}
