package data

import (
	"embed"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

//go:embed labels/*.txt
var labelFiles embed.FS

// labelLists maps the names that [Labels] knows to the number of labels.
var labelLists = map[string]int{"imagenet1k": 1000, "cifar10": 10, "fer2013": 7}

// Labels returns the label list called name, in the order of the outputs of
// networks trained on that set:
//
//   - "imagenet1k": the 1,000 classes of ImageNet (ILSVRC 2012) under the short
//     English names torchvision uses; ant is 310, bee is 309.
//   - "cifar10": the ten classes of CIFAR-10, airplane first, truck last.
//   - "fer2013": the seven facial expressions of FER-2013, angry first, neutral last.
//
// The caller owns the slice. For an unknown name, the error lists the known ones.
func Labels(name string) ([]string, error) {
	want, ok := labelLists[name]
	if !ok {
		return nil, advice.New(fmt.Errorf("data: no label list %q", name), "there are imagenet1k, cifar10 and fer2013")
	}
	text, err := labelFiles.ReadFile("labels/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("data: label list %q: %w", name, err)
	}
	labels := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(labels) != want {
		return nil, fmt.Errorf("data: label list %q has %d labels, want %d: the program was built from a damaged copy", name, len(labels), want)
	}
	return labels, nil
}
