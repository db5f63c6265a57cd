package run

import (
	"context"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// Classifier opens the head on its backbone, and the engine that both run on, for so many pictures. p
// may be nil.
func (s HeadSpec) Classifier(ctx context.Context, pictures int, place Place, p Progress) (*export.Classifier, *engine.Engine, error) {
	p, shown := place.Shown(p)
	defer shown()
	c, err := s.predictor(ctx, pictures, place, p)
	if err != nil {
		return nil, nil, err
	}
	return c.classifier, c.eng, nil
}

// Learnt opens the data set that the head was trained on: Data, or that of the run that made the head.
// p may be nil.
func (s HeadSpec) Learnt(ctx context.Context, place Place, p Progress) (*datasets.Dataset, error) {
	p, shown := place.Shown(p)
	defer shown()
	s, err := s.withData(place)
	if err != nil {
		return nil, err
	}
	h, err := readHead(place, s.Head)
	if err != nil {
		return nil, err
	}
	return datasets.Open(ctx, s.Data, place.Pictures(Spec{Seed: h.Seed, Columns: s.Columns, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Changes: s.Changes, Group: s.Group}, p))
}
