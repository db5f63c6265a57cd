package finetune

import (
	"runtime"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// On a CPU, two libraries can make the convolutions of a step. Eigen's take a fifth to a half off the
// time of a ResNet's step, and double that of a MobileNet's, on processors with AVX2 as on those with
// AVX-512. Measuring both would cost seconds of compiling in each training, and what is measured on a
// busy machine can differ from run to run, and with it the bits. So the network decides.

// convolutions returns the library for the steps of the stages after border: Eigen's if most of their
// multiplications belong to convolutions with windows of several pixels over all channels.
func convolutions(net *zoo.Net, border, engineName string) engine.Convolutions {
	if engineName != "xla:cpu" || runtime.GOARCH != "amd64" {
		return engine.YNNPACK
	}
	d := net.Declaration()
	pixels := map[string]int{} // of the map that a stage gives
	moves := border == ""
	for _, s := range d.Stages {
		if moves {
			pixels[s.Name] = s.Places()
		}
		moves = moves || s.Name == border
	}
	wide, all := 0, 0
	for _, w := range d.Weights {
		work := w.Size() * pixels[w.Stage]
		if len(w.GraphShape) < 2 || w.Stage == backbone.Classifier {
			continue
		}
		all += work
		if k := w.GraphShape; len(k) == 4 && k[0]*k[1] > 1 && k[2] > 1 {
			wide += work
		}
	}
	if 3*wide > 2*all {
		return engine.Eigen
	}
	return engine.YNNPACK
}

// forms names the library of each border that a training of the plan can have, where it is not XLA's
// own choice. Steps of different libraries differ in the last bits.
func (p *Plan) forms(net *zoo.Net, engineName string) string {
	borders := p.borders(net)
	if len(borders) == 0 {
		borders = []string{""}
	}
	out := ""
	for _, b := range borders {
		if c := convolutions(net, b, engineName); c != engine.YNNPACK {
			out += b + ": " + string(c) + "; "
		}
	}
	return out
}
