package run

import (
	"context"

	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// Engine opens the engine as [Train] does, for work of your own: XLA, whose CPU plugin is installed
// if it is missing. Plain Go instead of XLA is an error, unless the place or the environment agrees
// to it. The zero form chooses one for each network. p may be nil.
func (place Place) Engine(ctx context.Context, form engine.Form, p Progress) (*engine.Engine, error) {
	p = orSilent(p)
	e, err := openEngine(ctx, form, place, p)
	if err == nil && e.Why != "" {
		p.Say(e.Why)
	}
	return e, err
}
