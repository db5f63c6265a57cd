package guard

import (
	"fmt"
	"log"
	"os"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A network that learnt from pictures with ImageNet's mean and deviation gets them from -1 to 1. It would
// compute something wrong, without any error.
func ExampleCheck() {
	folder, err := os.MkdirTemp("", "guard")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	net, err := teach(folder, "imagenet") // a small network; yours comes from zoo.Load
	if err != nil {
		log.Fatal(err)
	}
	half, err := transforms.Statistics("half")
	if err != nil {
		log.Fatal(err)
	}
	net.Preset = net.Preset.WithStatistics(half)
	v, err := Check(net, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.OK, v.Finding, v.Best)

	p, err := Infer(net)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name)
	// Output:
	// false [-1,1] for ImageNet imagenet
	// imagenet
}
