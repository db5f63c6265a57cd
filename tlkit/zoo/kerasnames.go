package zoo

import (
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// kerasNames translates the keys of Keras' kinds of file into those of an architecture in Keras'
// form, "LAYER.VAR". It leaves all other keys as they are. Layers that Keras has numbered are taken
// in order, see weights.KerasNames.
func kerasNames(f *weights.File, d *backbone.Declaration) func(key string) string {
	wanted := map[string]bool{}
	for _, w := range d.Weights {
		wanted[w.Name] = true
	}
	names := weights.KerasNames(f, kerasLayers(d))
	return func(key string) string {
		if name := names(key); name != "" {
			if i := strings.LastIndexByte(name, '/'); i >= 0 && wanted[name[:i]+"."+name[i+1:]] {
				return name[:i] + "." + name[i+1:]
			}
			return name
		}
		return ""
	}
}

// kerasLayers returns the layers of a declaration in Keras' form, nil for one in PyTorch's. Their
// order is that in which the architecture asks for them. Among the numbered layers of one class it
// is the order of Keras.
func kerasLayers(d *backbone.Declaration) (layers []weights.KerasLayer) {
	for _, w := range d.Weights {
		i := strings.LastIndexByte(w.Name, '.')
		if i < 0 {
			return nil
		}
		name, leaf := w.Name[:i], w.Name[i+1:]
		class := ""
		switch leaf {
		case "kernel":
			class = "Conv2D"
			if len(w.Shape) == 2 {
				class = "Dense"
			}
		case "depthwise_kernel":
			class = "DepthwiseConv2D"
		case "gamma":
			class = "BatchNormalization"
		case "bias", "beta", "moving_mean", "moving_variance", "pointwise_kernel":
		default:
			return nil
		}
		if class != "" {
			layers = append(layers, weights.KerasLayer{Name: name, Class: class, Vars: []string{leaf}})
			continue
		}
		if len(layers) == 0 || layers[len(layers)-1].Name != name {
			return nil
		}
		last := &layers[len(layers)-1]
		last.Vars = append(last.Vars, leaf)
		if leaf == "pointwise_kernel" {
			last.Class = "SeparableConv2D"
		}
	}
	return layers
}
