// Package results has the results that other packages return, as plain data with their words: of a
// training run, of fine-tuning, of a comparison, and predictions. It does not need the packages that
// compute them, so that a cell which only looks at a result compiles at once. Those packages have them
// under a name of their own, such as run.Result and export.Prediction.
package results
