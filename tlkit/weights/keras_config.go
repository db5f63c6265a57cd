package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	maxConfig      = 16 << 20 // bytes of a network's description
	maxConfigDepth = 200
)

// readConfig reads from Keras' description of a network what helps to recognise it, and the
// names of its layers in order. Nothing in the description is looked up, built or run. A
// network with Python code in it is refused, because the effect of the code would silently be
// missing.
func (f *File) readConfig(text []byte) (layers []string, err error) {
	if len(text) > maxConfig {
		return nil, fmt.Errorf("the description of the network has %d bytes, at most %d are read", len(text), maxConfig)
	}
	if err := boundJSON(text, maxConfigDepth, f.src.budget); err != nil {
		return nil, fmt.Errorf("the description of the network (model_config) is not readable: %w", err)
	}
	c := &configReader{dec: json.NewDecoder(bytes.NewReader(text)), count: map[string]int{}}
	c.dec.UseNumber()
	root, err := c.value(0, "")
	if err == nil && c.dec.More() {
		err = errors.New("something follows it")
	}
	if err != nil {
		return nil, fmt.Errorf("the description of the network (model_config) is not readable: %w", err)
	}
	if c.code != "" {
		return nil, fmt.Errorf("layer %s is a Lambda, Python code inside the file: it is never run here, and without it the network would compute something else. In Python replace it by a layer of Keras' own, or save the weights of the part before it", words.Quote(c.code))
	}
	note := func(key, value string) { f.note(key, value, 200) }
	if root.inner != nil && root.class == "" {
		note("keras_version", root.version)
		note("backend", root.backend)
		root = *root.inner
	}
	note("class_name", root.class)
	note("name", root.name)
	note("input_shape", c.shape)
	var counts []string
	for _, class := range c.classes {
		counts = append(counts, fmt.Sprintf("%s %d", class, c.count[class]))
	}
	f.note("layers", strings.Join(counts, ", "), 4096)
	return c.names, nil
}

// note keeps a text of the file to be shown, if it is short and cannot control the terminal.
func (f *File) note(key, value string, most int) {
	unfit := func(r rune) bool { return !unicode.IsPrint(r) }
	if value != "" && len(value) <= most && utf8.ValidString(value) && !strings.ContainsFunc(value, unfit) {
		f.Metadata[key] = value
	}
}

type configReader struct {
	dec     *json.Decoder
	classes []string // of layers, in the order of their first appearance
	count   map[string]int
	names   []string // of layers, in the model's order
	shape   string   // of the first input
	code    string   // the name of the first layer that is Python code
}

// configNode is the part of a JSON object that is kept.
type configNode struct {
	class, name, version, backend string
	config                        *configNode
	inner                         *configNode // model_config
}

// value reads the next value. key is its name in the object.
func (c *configReader) value(depth int, key string) (configNode, error) {
	if depth > maxConfigDepth {
		return configNode{}, fmt.Errorf("nested deeper than %d", maxConfigDepth)
	}
	t, err := c.dec.Token()
	if err != nil {
		return configNode{}, err
	}
	var node configNode
	switch t {
	case json.Delim('['):
		// Sequential of Keras 1 and 2 had the list itself
		layers := key == "layers" || key == "config"
		shape := key == "batch_input_shape" || key == "batch_shape"
		var sizes []string
		for c.dec.More() {
			if shape {
				t, err := c.dec.Token()
				if err != nil {
					return node, err
				}
				if d, nested := t.(json.Delim); nested {
					return node, fmt.Errorf("%v within a shape", d)
				}
				sizes = append(sizes, fmt.Sprint(t))
				if len(sizes) > 32 {
					return node, errors.New("a shape of more than 32 axes")
				}
				continue
			}
			n, err := c.value(depth+1, "")
			if err != nil {
				return node, err
			}
			if layers && n.class != "" && len(n.class) <= 100 {
				if c.count[n.class] == 0 && len(c.classes) < 100 {
					c.classes = append(c.classes, n.class)
				}
				if len(c.count) < 100 || c.count[n.class] > 0 {
					c.count[n.class]++
				}
				if len(c.names) < maxLayers {
					c.names = append(c.names, n.name)
				}
			}
		}
		if shape && c.shape == "" {
			c.shape = strings.ReplaceAll(strings.Join(sizes, ","), "<nil>", "")
		}
		_, err = c.dec.Token()
		return node, err
	case json.Delim('{'):
	default:
		if text, ok := t.(string); ok && key != "" {
			node.name = text
		}
		return node, nil
	}
	for c.dec.More() {
		t, err := c.dec.Token()
		if err != nil {
			return node, err
		}
		key := t.(string) // Token returns nothing else here
		n, err := c.value(depth+1, key)
		if err != nil {
			return node, err
		}
		switch key {
		case "class_name":
			node.class = n.name
		case "name":
			node.name = n.name
		case "keras_version":
			node.version = n.name
		case "backend":
			node.backend = n.name
		case "config":
			node.config = &n
		case "model_config":
			node.inner = &n
		}
	}
	if node.config != nil {
		if node.name == "" {
			node.name = node.config.name
		}
		node.config = nil
	}
	if slices.Contains([]string{"Lambda", "__lambda__"}, node.class) && (c.code == "" || c.code == "__lambda__") {
		c.code = node.name
		if c.code == "" {
			c.code = "__lambda__"
		}
	}
	_, err = c.dec.Token()
	return node, err
}
