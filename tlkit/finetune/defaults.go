package finetune

import "time"

// Defaults of plans and trainings.
const (
	// The plan Tlkit. Rates are those of the last stage.
	smallBatch     = 8   // pictures a step, with fewer than manyPictures
	largeBatch     = 16  // the same, with manyPictures or more
	manyPictures   = 500 // training pictures
	searchFolds    = 3   // folds of the training pictures to choose by
	lowRate        = 3e-4
	highRate       = 1e-3
	layerDecay     = 0.9 // factor of the rate from a stage to the previous one
	headRate       = 1   // factor of the rate for the head
	weightDecay    = 0.01
	clipNorm       = 1   // largest norm of the gradient
	warmup         = 0.2 // share of the steps over which the rate rises
	shallow        = 9   // one stage in 9 is trained, or
	deep           = 3   // one stage in 3
	standardViews  = 4   // cached augmented views of a picture
	standardEpochs = 5
	heldOutFolds   = 5   // with patience, one fold of this many is held out
	searchStrength = 0.1 // L2 strength of the search's heads if the fitted one has none

	// The recipes.
	tutorialEpochs = 25
	tutorialRate   = 1e-3
	guideEpochs    = 10
	guideRate      = 1e-5
	fastaiRate     = 1e-3

	// Limits of a plan.
	maxEpochs = 10000
	maxRate   = 10 // far above any useful rate

	// A trial must beat the head alone by so many standard errors of the difference. At two, chance
	// alone passes one time in forty.
	standardErrors = 2

	// Checkpoints.
	checkpointShare = 100         // they may take one part in 100 of the time
	checkpointPause = time.Second // minimum time between two
	keptCheckpoints = 2           // not counting the best one

	// The rate finder: Smith 2015, https://arxiv.org/abs/1506.01186, with fastai's limits.
	findSteps = 80
	findFrom  = 1e-6
	findTo    = 1
)

// mixes returns the interpolations between initial and tuned weights that the plan Tlkit tries.
func mixes() []float64 { return []float64{0.5, 1} }
