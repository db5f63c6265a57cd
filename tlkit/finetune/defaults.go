package finetune

import "time"

// What plans and trainings use where nobody says otherwise.
const (
	// Of the plan Tlkit. Rates are of the last stage that moves.
	smallBatch     = 8   // pictures a step of a set of fewer than manyPictures
	largeBatch     = 16  // of a larger one
	manyPictures   = 500 // training pictures
	searchFolds    = 3   // folds of the training pictures that choose
	lowRate        = 3e-4
	highRate       = 1e-3
	layerDecay     = 0.9 // factor of the rate from a stage to the one before
	headRate       = 1   // factor of the head's rate
	weightDecay    = 0.01
	clipNorm       = 1   // of the gradient
	warmup         = 0.2 // share of the steps over which the rate rises
	shallow        = 9   // one stage in so many moves, or
	deep           = 3   // one in so many
	standardViews  = 4   // augmented views of a picture that are cached behind the frozen part
	standardEpochs = 5
	heldOutFolds   = 5   // with patience: one fold of so many is held out
	searchStrength = 0.1 // L2 strength of the heads of the search where the fitted one has none

	// Of the recipes.
	tutorialEpochs = 25
	tutorialRate   = 1e-3
	guideEpochs    = 10
	guideRate      = 1e-5
	fastaiRate     = 1e-3

	// Limits of a plan.
	maxEpochs = 10000
	maxRate   = 10 // a rate of 100 has never trained anything

	// A trial has to beat the head alone by so many standard errors of the difference: at two,
	// chance alone passes one time in forty.
	standardErrors = 2

	// Checkpoints.
	checkpointShare = 100         // they may take one part in so many of the time
	checkpointPause = time.Second // at least, between two
	keptCheckpoints = 2           // the best one not counted

	// Of the rate finder: Smith 2015, https://arxiv.org/abs/1506.01186, with the limits of fastai.
	findSteps = 80
	findFrom  = 1e-6
	findTo    = 1
)

// mixes are how far the plan Tlkit tries to go from the start to the tuned weights.
func mixes() []float64 { return []float64{0.5, 1} }
