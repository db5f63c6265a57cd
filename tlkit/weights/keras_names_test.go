package weights

import (
	"maps"
	"slices"
	"testing"
)

// TestKerasNamesByForm: which key becomes which, for what files in the wild look like.
func TestKerasNamesByForm(t *testing.T) {
	conv := func(name string) KerasLayer { return KerasLayer{name, "Conv2D", []string{"kernel", "bias"}} }
	bn := func(name string) KerasLayer {
		return KerasLayer{name, "BatchNormalization", []string{"gamma", "beta", "moving_mean", "moving_variance"}}
	}
	old := func(container, name, also string, leaves ...string) *kerasLayer {
		l := &kerasLayer{container: container, name: name, also: also, leaves: leaves}
		for _, leaf := range leaves {
			l.keys = append(l.keys, container+"|"+name+"|"+leaf)
		}
		return l
	}
	slot := func(container, name, also string, leaves ...string) *kerasLayer {
		l := old(container, name, also, leaves...)
		l.slot = true
		return l
	}
	for title, x := range map[string]struct {
		have    []*kerasLayer
		want    []KerasLayer
		renamed map[string]string // keys that change
	}{
		"by name, whatever the order": {
			[]*kerasLayer{old("", "b", "", "kernel", "bias"), old("", "a", "", "bias", "kernel")},
			[]KerasLayer{conv("a"), conv("b")},
			map[string]string{"|a|kernel": "a/kernel", "|a|bias": "a/bias", "|b|kernel": "b/kernel", "|b|bias": "b/bias"},
		},
		"VGG's weights of 2016": {
			[]*kerasLayer{old("", "block1_conv1", "", "block1_conv1_W_1", "block1_conv1_b_1")},
			[]KerasLayer{conv("block1_conv1")},
			map[string]string{"|block1_conv1|block1_conv1_W_1": "block1_conv1/kernel", "|block1_conv1|block1_conv1_b_1": "block1_conv1/bias"},
		},
		"numbered since the start of the program": {
			[]*kerasLayer{old("", "conv2d_17", "", "kernel"), old("", "x", "", "kernel"), old("", "conv2d_18", "conv2d_18_1", "kernel")},
			[]KerasLayer{conv("conv2d"), conv("x"), conv("conv2d_1")},
			map[string]string{"|conv2d_17|kernel": "conv2d/kernel", "|x|kernel": "x/kernel", "|conv2d_18|kernel": "conv2d_1/kernel"},
		},
		"a number does not make a layer of another class": {
			[]*kerasLayer{old("", "dense_3", "", "kernel"), old("", "conv2d_3", "", "kernel"), old("", "separable_conv2d_3", "", "kernel")},
			[]KerasLayer{conv("conv2d")},
			map[string]string{"|conv2d_3|kernel": "conv2d/kernel"},
		},
		"not one name known: as many layers, so by order": {
			[]*kerasLayer{old("", "p", "", "kernel", "bias"), old("", "q", "", "gamma", "beta", "moving_mean", "moving_variance")},
			[]KerasLayer{conv("a"), bn("b")},
			map[string]string{"|p|kernel": "a/kernel", "|p|bias": "a/bias", "|q|gamma": "b/gamma", "|q|beta": "b/beta", "|q|moving_mean": "b/moving_mean", "|q|moving_variance": "b/moving_variance"},
		},
		"not one name known, and not as many": {
			[]*kerasLayer{old("", "p", "", "kernel"), old("", "q", "", "kernel")},
			[]KerasLayer{conv("a")},
			map[string]string{},
		},
		"a missing layer is no reason to go by order": {
			[]*kerasLayer{old("", "a", "", "kernel"), old("", "q", "", "kernel")},
			[]KerasLayer{conv("b"), conv("a")},
			map[string]string{"|a|kernel": "a/kernel"},
		},
		"a network in a network, with another of the same layers": {
			[]*kerasLayer{old("net", "a", "", "kernel"), old("net", "b", "", "kernel"), old("", "a", "", "kernel"), old("net", "dense_2", "", "kernel"), old("", "dense", "", "kernel")},
			[]KerasLayer{conv("a"), conv("b"), {"dense", "Dense", []string{"kernel"}}},
			map[string]string{"net|a|kernel": "a/kernel", "net|b|kernel": "b/kernel", "net|dense_2|kernel": "dense/kernel"},
		},
		"Keras 3, names in the file": {
			[]*kerasLayer{slot("layers", "conv2d", "y", "0", "1"), slot("layers", "conv2d_1", "conv2d_40", "0", "1"), slot("layers", "conv2d_2", "x", "0", "1")},
			[]KerasLayer{conv("x"), conv("y"), conv("conv2d")},
			map[string]string{"layers|conv2d|0": "y/kernel", "layers|conv2d|1": "y/bias", "layers|conv2d_1|0": "conv2d/kernel", "layers|conv2d_1|1": "conv2d/bias", "layers|conv2d_2|0": "x/kernel", "layers|conv2d_2|1": "x/bias"},
		},
		"Keras 3, no names: by class": {
			[]*kerasLayer{slot("layers", "batch_normalization", "", "0", "1", "2", "3"), slot("layers", "conv2d", "", "0"), slot("layers", "conv2d_1", "", "0", "1")},
			[]KerasLayer{{"x", "Conv2D", []string{"kernel"}}, bn("z"), conv("conv2d")},
			map[string]string{"layers|conv2d|0": "x/kernel", "layers|conv2d_1|0": "conv2d/kernel", "layers|conv2d_1|1": "conv2d/bias",
				"layers|batch_normalization|0": "z/gamma", "layers|batch_normalization|1": "z/beta", "layers|batch_normalization|2": "z/moving_mean", "layers|batch_normalization|3": "z/moving_variance"},
		},
		"a place is not taken for a name": {
			[]*kerasLayer{slot("layers", "conv2d", "x", "0"), slot("layers", "conv2d_1", "conv2d", "0")},
			[]KerasLayer{{"x", "Conv2D", []string{"kernel"}}, {"conv2d", "Conv2D", []string{"kernel"}}},
			map[string]string{"layers|conv2d|0": "x/kernel", "layers|conv2d_1|0": "conv2d/kernel"},
		},
		"names that lie apart": {
			[]*kerasLayer{slot("b1/layers", "conv2d", "b1_c1", "0"), slot("b1/layers", "conv2d_1", "b1_c2", "0"), slot("b2/layers", "conv2d", "b2_c1", "0")},
			[]KerasLayer{conv("b1_c1"), conv("b1_c2"), conv("b2_c1")},
			map[string]string{"b1/layers|conv2d|0": "b1_c1/kernel", "b1/layers|conv2d_1|0": "b1_c2/kernel", "b2/layers|conv2d|0": "b2_c1/kernel"},
		},
		"random state": {
			[]*kerasLayer{slot("layers", "conv2d", "x", "0"), slot("layers/dropout", "seed_generator", "", "0")},
			[]KerasLayer{conv("x")},
			map[string]string{"layers|conv2d|0": "x/kernel", "layers/dropout|seed_generator|0": ""},
		},
		"DepthwiseConv2D has two names for its kernel": {
			[]*kerasLayer{old("", "d", "", "kernel", "bias")},
			[]KerasLayer{{"d", "DepthwiseConv2D", []string{"depthwise_kernel", "bias"}}},
			map[string]string{"|d|kernel": "d/depthwise_kernel", "|d|bias": "d/bias"},
		},
		"one weight too many stays": {
			[]*kerasLayer{old("", "d", "", "kernel", "sn_u", "bias")},
			[]KerasLayer{conv("d")},
			map[string]string{"|d|kernel": "d/kernel", "|d|bias": "d/bias"},
		},
		"TensorFlow.js' numbers": {
			[]*kerasLayer{old("", "dense_Dense3", "", "kernel"), old("", "dense_Dense4", "", "kernel")},
			[]KerasLayer{{"dense", "Dense", []string{"kernel"}}, {"dense_1", "Dense", []string{"kernel"}}},
			map[string]string{"|dense_Dense3|kernel": "dense/kernel", "|dense_Dense4|kernel": "dense_1/kernel"},
		},
	} {
		rename := KerasNames(&File{keras: x.have}, x.want)
		got := map[string]string{}
		for _, l := range x.have {
			for _, key := range l.keys {
				if target := rename(key); target != key {
					got[key] = target
				}
			}
		}
		if !maps.Equal(got, x.renamed) {
			t.Errorf("%s:\ngot  %v\nwant %v", title, got, x.renamed)
		}
	}
	if rename := KerasNames(&File{}, []KerasLayer{conv("a")}); rename("features.0.weight") != "features.0.weight" {
		t.Error("a key of PyTorch changed")
	}
}

func TestSnakeCase(t *testing.T) {
	for class, want := range map[string]string{"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "SeparableConv2D": "separable_conv2d", "BatchNormalization": "batch_normalization", "Dense": "dense", "LayerNormalization": "layer_normalization", "MultiHeadAttention": "multi_head_attention"} {
		if got := snakeCase(class); got != want {
			t.Errorf("%s is %s, want %s", class, got, want)
		}
	}
	want := []string{"conv2d", "conv2d_1", "conv2d_2", "conv2d_10", "dense", "dense_1"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, naturalCompare)
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
