package weights

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// KerasLayer is one layer with weights, as an architecture of Keras has it.
type KerasLayer struct {
	Name  string   // in Keras: "block1_conv1", or Keras' own numbering of layers without a name, "conv2d_3"
	Class string   // "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization" ...
	Vars  []string // its weights in Keras' order: "kernel", "bias"; "gamma", "beta", "moving_mean", "moving_variance"
}

// kerasLayer is one layer with weights, as a file has it.
type kerasLayer struct {
	container string // what it is in: "layers", "block1/layers", the network within a network
	name      string
	also      string // a second name; in a Keras 3 file the layer's own, where name is its place
	slot      bool   // name is a place (Keras 3)
	keys      []string
	leaves    []string // what the keys end in
}

func (l *kerasLayer) called(name string) bool {
	return l.also == name || !l.slot && l.name == name
}

// KerasNames makes the Rename of MatchOptions that brings the keys of any Keras file to
// LAYER/VAR, as in "block1_conv1/kernel". layers are all layers with weights in the
// order of Keras' model.layers.
//
// A layer with a name of its own is looked for by that name. Layers that Keras
// has numbered ("conv2d", "conv2d_3": the class and a number that counts since the
// start of the program) are taken in order: the file's first with such a name is
// the first wanted of the class. When not one name is known to the file, all go by
// order, as in Keras' load_weights: in a Keras 3 file within each class, in older ones all
// together if there are as many as wanted. Weights within a layer go by name, or
// by order where some are called otherwise (vars/0, W_1, and the kernel of a
// DepthwiseConv2D, which Keras 2 calls depthwise_kernel and Keras 3 kernel).
//
// A key that belongs to no wanted layer stays as it is, so that Match reports it;
// the state of random numbers (seed_generator) is left out. Keys of files
// that are not Keras' stay as they are.
func KerasNames(f *File, layers []KerasLayer) (rename func(key string) string) {
	renamed := map[string]string{}
	for want, have := range pairKeras(f.keras, layers) {
		known := 0
		for _, leaf := range have.leaves {
			if slices.Contains(want.Vars, leaf) {
				known++
			}
		}
		byOrder := known == 0 || known < len(have.keys) && len(have.keys) == len(want.Vars)
		for i, key := range have.keys {
			switch {
			case byOrder && i < len(want.Vars):
				renamed[key] = want.Name + "/" + want.Vars[i]
			case !byOrder && slices.Contains(want.Vars, have.leaves[i]):
				renamed[key] = want.Name + "/" + have.leaves[i]
			}
		}
	}
	seeds := map[string]bool{}
	for _, l := range f.keras {
		if class := numbered(l.name); class == "seed_generator" {
			for _, key := range l.keys {
				seeds[key] = true
			}
		}
	}
	return func(key string) string {
		if name, ok := renamed[key]; ok {
			return name
		}
		if seeds[key] {
			return ""
		}
		return key
	}
}

// pairKeras finds the file's layer for each that is wanted.
func pairKeras(have []*kerasLayer, want []KerasLayer) map[*KerasLayer]*kerasLayer {
	pairs := map[*KerasLayer]*kerasLayer{}
	taken := map[*kerasLayer]bool{}
	container := homeOf(have, want)
	home := make([]*kerasLayer, 0, len(have))
	for _, l := range have {
		if l.container == container {
			home = append(home, l)
		}
	}
	pair := func(w *KerasLayer, l *kerasLayer) { pairs[w], taken[l] = l, true }
	// By name: at home first, then anywhere, if there is only one.
	for i := range want {
		w := &want[i]
		if autoNamed(w.Name, w.Class) {
			continue
		}
		if i := slices.IndexFunc(home, func(l *kerasLayer) bool { return l.called(w.Name) && !taken[l] }); i >= 0 {
			pair(w, home[i])
			continue
		}
		var found []*kerasLayer
		for _, l := range have {
			if l.called(w.Name) && !taken[l] {
				found = append(found, l)
			}
		}
		if len(found) == 1 {
			pair(w, found[0])
		}
	}
	byName := len(pairs) > 0
	// By number.
	for i := range want {
		w := &want[i]
		if !autoNamed(w.Name, w.Class) {
			continue
		}
		i := slices.IndexFunc(home, func(l *kerasLayer) bool {
			return !taken[l] && (autoNamed(l.also, w.Class) || !l.slot && autoNamed(l.name, w.Class))
		})
		if i >= 0 {
			pair(w, home[i])
		}
	}
	if byName || len(want) == 0 || len(home) == 0 {
		return pairs
	}
	// By order.
	allNumbered := !slices.ContainsFunc(want, func(w KerasLayer) bool { return !autoNamed(w.Name, w.Class) })
	if allNumbered && len(pairs) > 0 {
		return pairs
	}
	if home[0].slot {
		clear(pairs)
		clear(taken)
		for i := range want {
			w := &want[i]
			if i := slices.IndexFunc(home, func(l *kerasLayer) bool { return !taken[l] && autoNamed(l.name, w.Class) }); i >= 0 {
				pair(w, home[i])
			}
		}
		return pairs
	}
	if len(home) == len(want) {
		clear(pairs)
		for i := range want {
			pairs[&want[i]] = home[i]
		}
	}
	return pairs
}

// homeOf is the container with most of the wanted names, else with most layers:
// where a network is a part of another, its own layers are together.
func homeOf(have []*kerasLayer, want []KerasLayer) string {
	names := map[string]bool{}
	for _, w := range want {
		if !autoNamed(w.Name, w.Class) {
			names[w.Name] = true
		}
	}
	type score struct{ named, all int }
	scores := map[string]score{}
	best := ""
	for _, l := range have {
		s := scores[l.container]
		s.all++
		if names[l.also] || !l.slot && names[l.name] {
			s.named++
		}
		scores[l.container] = s
	}
	for _, l := range have { // in the file's order, so that the result is always the same
		a, b := scores[l.container], scores[best]
		if a.named > b.named || a.named == b.named && a.all > b.all {
			best = l.container
		}
	}
	return best
}

var (
	wordBegins = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	caseTurns  = regexp.MustCompile(`([a-z])([A-Z])`)
)

// snakeCase is how Keras makes the name of a layer from its class.
func snakeCase(class string) string {
	return strings.ToLower(caseTurns.ReplaceAllString(wordBegins.ReplaceAllString(class, "${1}_${2}"), "${1}_${2}"))
}

// autoNamed tells whether Keras itself (or TensorFlow.js: dense_Dense1) gave the name.
func autoNamed(name, class string) bool {
	if name == "" {
		return false
	}
	if numbered(name) == snakeCase(class) {
		return true
	}
	js, ok := strings.CutPrefix(name, snakeCase(class)+"_"+class)
	_, err := strconv.ParseUint(js, 10, 32)
	return ok && err == nil
}

// numbered is conv2d for conv2d_3.
func numbered(name string) string {
	if i := strings.LastIndexByte(name, '_'); i > 0 {
		if _, err := strconv.ParseUint(name[i+1:], 10, 32); err == nil {
			return name[:i]
		}
	}
	return name
}
