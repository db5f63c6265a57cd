package export

import (
	"context"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Stream is what [Classifier.Stream] needs.
type Stream struct {
	Paths []string // of the pictures, as the predictions name them
	// Read returns the content of picture i, or nil for that of the file Paths[i]. It is called from
	// several goroutines. Without Read, all pictures are files.
	Read func(i int) ([]byte, error)
	// Look gets some pictures as they reach the network: up to 48, evenly spread. It may be nil.
	Look func(i int, t transforms.Tensor)
	// Use gets the predictions, one at a time and in the order of Paths. An error stops the stream.
	Use func(Prediction) error
}

// Stream predicts pictures like [Classifier.Classify], but hands over each prediction as soon as
// it and those before it are there. Memory does not grow with the number of pictures.
func (c *Classifier) Stream(ctx context.Context, s Stream) error {
	answers, err := answersOf(c.Head.Task)
	if err != nil || len(s.Paths) == 0 {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	sorted := inOrder{use: s.Use, early: map[int]Prediction{}}
	pipeline, width := c.Head.Preset.Eval(), c.Head.Backbone.Features
	err = features.Forward(inner, c.backbone, features.Pass{
		Size: c.Head.Preset.Size, Pictures: len(s.Paths), Look: s.Look,
		Prepare: func(i int) (transforms.Tensor, error) {
			return s.load(pipeline, i)
		},
		Use: func(rows []int, values []float32) error {
			for i, r := range rows {
				p := c.Head.predict(answers, values[i*width:(i+1)*width])
				p.Path = s.Paths[r]
				if err := sorted.add(r, p); err != nil {
					return err
				}
			}
			return nil
		},
		Bad: func(i int, err error) {
			if sorted.add(i, Prediction{Path: s.Paths[i], Error: err.Error()}) != nil {
				stop()
			}
		},
	})
	switch {
	case sorted.err != nil:
		return sorted.err
	case err != nil:
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// load prepares picture i. Errors name it.
func (s Stream) load(pipeline transforms.Pipeline, i int) (transforms.Tensor, error) {
	var data []byte
	if s.Read != nil {
		var err error
		if data, err = s.Read(i); err != nil {
			return transforms.Tensor{}, err
		}
	}
	if data == nil {
		return pipeline.LoadFile(nil, s.Paths[i], transforms.DecodeOptions{}, transforms.Rand{})
	}
	t, err := pipeline.Load(nil, data, transforms.DecodeOptions{}, transforms.Rand{})
	var d *transforms.DecodeError
	if errors.As(err, &d) {
		d.Path = s.Paths[i]
	}
	return t, err
}

// inOrder hands over predictions in the order of the pictures. Batches that run side by side do not
// end in it.
type inOrder struct {
	use   func(Prediction) error
	next  int
	early map[int]Prediction // those that came before a picture in front of them
	err   error              // of use, which is not called again
}

func (o *inOrder) add(i int, p Prediction) error {
	o.early[i] = p
	for o.err == nil {
		p, ok := o.early[o.next]
		if !ok {
			break
		}
		delete(o.early, o.next)
		o.next++
		o.err = o.use(p)
	}
	return o.err
}
