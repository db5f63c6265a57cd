// Package bridge connects tlkit to a GoMLX training loop of your own: pictures as a train.Dataset, live
// curves, and a head file from the variables that you trained.
//
//	pictures, err := bridge.Pictures(bridge.Data{Set: set, Split: datasets.Train, Batch: 32, Shuffle: true, Forever: true}, net.Preset.Eval())
//	trainer := train.NewTrainer(e.Backend, store, func(scope *model.Scope, images *graph.Node) *graph.Node {
//		features := net.Graph(scope.In("backbone"), images).Features
//		return layers.Dense(scope.In("head"), features, true, len(set.Labels))
//	}, loss.SparseCategoricalCrossEntropyLogits, optimizer.Adam().Done(), nil, nil)
//	loop := train.NewLoop(trainer)
//	curve := bridge.Attach(loop, bridge.CurveOptions{Screen: show.Default})
//	_, err = loop.RunSteps(pictures, 100)
//	h, err := bridge.Trained{Net: net, Engine: e, Backbone: scope.In("backbone"), Head: scope.In("head"), Set: set}.HeadFile(ctx)
//
// The network itself is [zoo.Net.Graph]; [zoo.Net.Freeze] freezes its first stages. [Maps] computes
// their output once for each picture, and [zoo.Net.GraphBehind] goes on from there: a step then costs
// what the last stages cost.
//
// Batch norms always compute with the checkpoint's statistics, in training too.
package bridge
