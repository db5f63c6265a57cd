package transforms

import (
	"fmt"
	"sort"
	"strings"
)

// statistics are the named statistics. Mean and Std are in the units of Range and in the order of
// Channels.
var statistics = map[string]Preset{
	// The usual mean and deviation of ImageNet; torchvision, timm.
	"imagenet": {Range: [2]float32{0, 1}, Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}, Channels: "RGB"},
	// To [-1, 1]: Inception and similar networks, Keras' "tf".
	"half": {Range: [2]float32{0, 1}, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}, Channels: "RGB"},
	// VGG and ResNet v1 in Keras, and everything that came from Caffe.
	"caffe": {Range: [2]float32{0, 255}, Mean: [3]float32{103.939, 116.779, 123.68}, Std: [3]float32{1, 1, 1}, Channels: "BGR"},
	"unit":  {Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
	// For networks that have the rescaling inside: Keras' EfficientNet, ConvNeXt.
	"raw": {Range: [2]float32{0, 255}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
	// Measured over the 50,000 training pictures of CIFAR-10, all pixels together.
	"cifar10": {Range: [2]float32{0, 1}, Mean: [3]float32{0.4914, 0.4822, 0.4465}, Std: [3]float32{0.2470, 0.2435, 0.2616}, Channels: "RGB"},
	// EfficientNet-Lite, made for integer hardware: (x - 127) / 128.
	"lite": {Range: [2]float32{0, 255}, Mean: [3]float32{127, 127, 127}, Std: [3]float32{128, 128, 128}, Channels: "RGB"},
	// OpenAI's CLIP.
	"clip": {Range: [2]float32{0, 1}, Mean: [3]float32{0.48145466, 0.4578275, 0.40821073}, Std: [3]float32{0.26862954, 0.26130258, 0.27577711}, Channels: "RGB"},
}

// statisticsAlias has Keras' names for some of the statistics.
var statisticsAlias = map[string]string{"tf": "half", "torch": "imagenet"}

// Statistics returns named statistics as a preset with only Name, Range, Mean, Std and Channels,
// for [Preset.WithStatistics]. The names are "imagenet", "half", "caffe", "unit", "raw",
// "cifar10", "lite" and "clip"; Keras' modes "tf" and "torch" also work.
func Statistics(name string) (Preset, error) {
	key := strings.ToLower(name)
	if a, ok := statisticsAlias[key]; ok {
		key = a
	}
	if p, ok := statistics[key]; ok {
		p.Name = key
		return p, nil
	}
	return Preset{}, fmt.Errorf("transforms: no statistics are called %q, wanted one of %s", name, strings.Join(statisticsNames(), ", "))
}

// statisticsNames returns all names that [Statistics] knows, sorted.
func statisticsNames() []string {
	var names []string
	for n := range statistics {
		names = append(names, n)
	}
	for n := range statisticsAlias {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
