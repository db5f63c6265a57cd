// Package settings has the choices that other packages take, as plain data: how programs run, what is
// learnt, how a backbone is fine-tuned. It imports next to nothing, so that a cell which names a setting
// compiles at once. The packages that use a setting have it under a name of their own, such as
// engine.Form, finetune.Recipe and backbone.LoRA.
package settings

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// A Task says what is to be learnt about each picture.
type Task string

// The tasks. Folders of pictures have the task Classes; CSV files may have any.
const (
	Classes Task = "classes" // exactly one of the labels
	Labels  Task = "labels"  // any number of the labels, or none
	Values  Task = "values"  // a real number for each name, in any unit
)

// Group says which pictures belong together, such as the frames of a video or the photos of a
// patient. What is learnt from one of them helps with the others, so that they must not be divided
// among what is learnt from and what is measured on. It has one of three forms:
//
//   - "column:NAME": pictures with the same cell in a column of the CSV file; the same as
//     NAME=group where columns are declared.
//   - "folder:N": pictures in a folder of the same name, N folders below the root, the first being
//     1; in train/ants/video7/12.jpg, folder:3 is video7. Counted from the picture, folder:-1 is the
//     folder it is in.
//   - "path:REGEXP": pictures in whose slash path below the root the expression finds the same: its
//     (…), or the whole match if it has none.
//
// "" = each picture is by itself.
type Group string

// Figure returns the name of the figure of the task's report, which is also that of its file:
// "confusion", "labels" or "values".
func (t Task) Figure() string {
	if t == "" || t == Classes {
		return "confusion"
	}
	return string(t)
}

// Words describes what is learnt: "2 labels", "3 labels, any number of them a picture",
// "2 value(s) (x, y)".
func (t Task) Words(labels []string) string {
	switch t {
	case Labels:
		return fmt.Sprintf("%d labels, any number of them a picture", len(labels))
	case Values:
		names := make([]string, 0, 4)
		for _, l := range labels[:min(len(labels), 4)] {
			names = append(names, words.Printable(l))
		}
		if len(labels) > 4 {
			names = append(names, "…")
		}
		return fmt.Sprintf("%d value(s) (%s)", len(labels), strings.Join(names, ", "))
	}
	return fmt.Sprintf("%d labels", len(labels))
}

// Recipe is the name of a plan.
type Recipe string

// The ready plans.
const (
	// The default: rate and mix chosen on folds of the training pictures, or the head alone.
	Tlkit Recipe = "tlkit"
	// SGD at 1e-3, times 0.1 every 7 epochs, batches of 4, batch norms of all stages drifting.
	PytorchTutorial Recipe = "pytorch_tutorial"
	KerasGuide      Recipe = "keras_guide" // everything by Adam at 1e-5, batch norms frozen
	// One cycle, discriminative rates from base/100 to base.
	Fastai Recipe = "fastai"
)

// The epochs of the recipes.
const (
	standardEpochs = 5
	tutorialEpochs = 25 // PyTorch's tutorial on transfer learning
	guideEpochs    = 10 // Keras' guide to it
)

// Epochs returns the recipe's default number of epochs.
func (r Recipe) Epochs() int {
	switch r {
	case PytorchTutorial:
		return tutorialEpochs
	case KerasGuide:
		return guideEpochs
	}
	return standardEpochs
}

// Augmentation says whether training on a picture's pixels uses random crops and flips.
type Augmentation string

// The choices of augmentation.
const (
	AugmentByTask Augmentation = ""    // on, except for real values, which a crop or a flip may change
	AugmentOn     Augmentation = "on"  // random crops and flips
	AugmentOff    Augmentation = "off" // the pictures as they are
)

// LoRA sets up low-rank adaptation, https://arxiv.org/abs/2106.09685: the matrix W [in,out] of a linear
// layer stays as it is, and training moves two narrow ones beside it, A [in,Rank] and B [Rank,out]. The
// layer computes x W + Factor (x A) B, which afterwards is one product with W + Factor A B. The zero
// value adapts nothing.
type LoRA struct {
	Rank  int     `json:"rank"`            // 1 or more, at most the shorter side of a matrix
	Alpha float64 `json:"alpha,omitempty"` // Factor times Rank; 0 = Rank
	// All adapts every linear layer, those of MLPs too, not only the ones of attention.
	All bool `json:"all,omitempty"`
	// Norms also trains the gains and biases of all norms.
	Norms bool `json:"norms,omitempty"`
}

// Factor is what the product of A and B is multiplied by: Alpha / Rank.
func (l LoRA) Factor() float64 {
	if l.Alpha == 0 {
		return 1
	}
	return l.Alpha / float64(l.Rank)
}

// Policy is a kind of policy of a robot.
type Policy string

// A Disturbance is something wrong with what a robot sees.
type Disturbance string
