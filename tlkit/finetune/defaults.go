package finetune

import "time"

// Defaults of plans and trainings.
const (
	// The plan Tlkit. Rates are those of the last stage.
	standardBatch  = 16 // pictures a step
	searchFolds    = 3  // folds of the training pictures to choose by
	standardRate   = 5e-4
	lowRate        = 1e-4 // tried where the standard one does not pay
	valueRate      = 1e-3 // for values,
	valueBatch     = 8    // in smaller batches
	layerDecay     = 0.9  // factor of the rate from a stage to the previous one
	headRate       = 1    // factor of the rate for the head
	weightDecay    = 0.01
	clipNorm       = 1       // largest norm of the gradient
	warmup         = 0.1     // share of the steps over which the rate rises
	loraRate       = 4       // factor of the rates with LoRA
	movingShare    = 2. / 3  // largest share of the whole network's multiplications that moves
	minArea        = 0.35    // of a random crop: smaller ones often miss what the label names
	standardViews  = 4       // cached augmented views of a picture
	viewBytes      = 4 << 30 // most memory on disk for them
	retries        = 2       // new trainings after one that broke the network, each
	retryFactor    = 0.3     // at the rates of the last times this
	stepPasses     = 4       // what a picture costs in a step of all stages, in passes from file to features
	heldOutFolds   = 5       // with patience, one fold of this many is held out
	searchStrength = 0.1     // L2 strength of the search's heads if the fitted one has none

	// The recipes.
	tutorialRate = 1e-3
	guideRate    = 1e-5
	fastaiRate   = 1e-3

	// Limits of a plan.
	maxEpochs = 10000
	maxRate   = 10 // far above any useful rate

	// A trial must beat the head alone by so many standard errors of the difference. At two, chance
	// alone passes one time in forty.
	standardErrors = 2
	maxTemperature = 20 // of logits, and its inverse the smallest

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
