package weights

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// KerasLayer is a layer with weights in an architecture of Keras.
type KerasLayer struct {
	// Name is the name in Keras: "block1_conv1", or "conv2d_3" as Keras numbers layers without a
	// name of their own.
	Name string
	// Class is "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization" ...
	Class string
	// Vars are the weights in Keras' order: "kernel", "bias", or "gamma", "beta", "moving_mean",
	// "moving_variance".
	Vars []string
}

// kerasLayer is a layer with weights in a file.
type kerasLayer struct {
	container string // what it is in: "layers", "block1/layers", the network within a network
	name      string
	also      string // a second name; in a Keras 3 file the layer's own, where name is its place
	slot      bool   // name is a place (Keras 3)
	keys      []string
	leaves    []string // the ends of the keys
}

func (l *kerasLayer) called(name string) bool {
	return l.also == name || !l.slot && l.name == name
}

// KerasNames returns a function for MatchOptions.Rename that brings the keys of any file of
// Keras to the form LAYER/VAR, as in "block1_conv1/kernel". layers are all layers with weights,
// in the order of Keras' model.layers.
//
// Layers with a name of their own are matched by name. Layers that Keras has numbered
// ("conv2d", "conv2d_3": the class and a number that counts since the start of the program) are
// matched in order: the first of the class in the file is the first of the class in layers. If
// the file knows none of the names, all layers are matched in order, as in Keras' load_weights:
// within each class in a Keras 3 file, and all together in older files if the numbers agree.
// Weights within a layer are matched by name, or in order if some have other names (vars/0,
// W_1, and the kernel of a DepthwiseConv2D, which is depthwise_kernel in Keras 2 and kernel in
// Keras 3).
//
// Keys that belong to none of the layers stay as they are, so that Match reports them. The
// state of random numbers (seed_generator) is left out. Keys of other files than Keras' stay as
// they are.
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

// pairKeras finds the layer of the file for each wanted layer.
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
	// By name: first in the home container, then anywhere if there is only one.
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
	if byName {
		pairElsewhere(have, want, pairs, taken)
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

// pairElsewhere pairs the numbered layers that are not in the home container, such as a classifier
// beside its network, if the rest of the file has as many layers of their class.
func pairElsewhere(have []*kerasLayer, want []KerasLayer, pairs map[*KerasLayer]*kerasLayer, taken map[*kerasLayer]bool) {
	free := map[string][]*kerasLayer{}
	open := map[string][]*KerasLayer{}
	for i := range want {
		if w := &want[i]; pairs[w] == nil && autoNamed(w.Name, w.Class) {
			open[w.Class] = append(open[w.Class], w)
		}
	}
	for class := range open {
		for _, l := range have {
			if !taken[l] && (autoNamed(l.also, class) || !l.slot && autoNamed(l.name, class)) {
				free[class] = append(free[class], l)
			}
		}
	}
	for class, all := range open {
		if len(free[class]) != len(all) {
			continue
		}
		for i, w := range all {
			pairs[w], taken[free[class][i]] = free[class][i], true
		}
	}
}

// homeOf returns the container with most of the wanted names, or else with most layers: if a
// network is part of another, its own layers are together.
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

// snakeCase returns the name that Keras makes for a layer from its class.
func snakeCase(class string) string {
	return strings.ToLower(caseTurns.ReplaceAllString(wordBegins.ReplaceAllString(class, "${1}_${2}"), "${1}_${2}"))
}

// autoNamed reports whether Keras (or TensorFlow.js, as in dense_Dense1) has made the name.
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

// numbered returns a name without its number: conv2d for conv2d_3.
func numbered(name string) string {
	if i := strings.LastIndexByte(name, '_'); i > 0 {
		if _, err := strconv.ParseUint(name[i+1:], 10, 32); err == nil {
			return name[:i]
		}
	}
	return name
}
