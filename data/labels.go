package data

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed labels/*.txt
var labelFiles embed.FS

// labelLists are the names [Labels] knows and how many labels each has.
var labelLists = map[string]int{"imagenet1k": 1000, "cifar10": 10, "fer2013": 7}

// Labels returns the label list called name, in the order of the outputs of
// networks trained on that set:
//
//   - "imagenet1k": the 1,000 classes of ImageNet (ILSVRC 2012) under the short
//     English names torchvision uses; ant is 310, bee is 309.
//   - "cifar10": the ten classes of CIFAR-10, airplane first, truck last.
//   - "fer2013": the seven facial expressions of FER-2013, angry first, neutral last.
//
// The slice is the caller's own. An unknown name is an error that lists the
// known ones.
func Labels(name string) ([]string, error) {
	want, ok := labelLists[name]
	if !ok {
		return nil, fmt.Errorf("data: no label list %q; there are imagenet1k, cifar10 and fer2013", name)
	}
	text, err := labelFiles.ReadFile("labels/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("data: label list %q: %w", name, err)
	}
	labels := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(labels) != want {
		return nil, fmt.Errorf("data: label list %q has %d labels, want %d: the build is damaged", name, len(labels), want)
	}
	return labels, nil
}
