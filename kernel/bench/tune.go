package bench

import (
	"context"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Tuned is what was measured of the forms of one network.
type Tuned struct {
	Model  string         `json:"model"`
	Form   engine.Form    `json:"form"` // the fastest one, which later runs on this machine use
	Rate   float64        `json:"rate"` // pictures/s
	Trials []engine.Trial `json:"trials"`
	Device string         `json:"device"`
}

// Tune measures every form of a network on this machine and keeps the fastest.
func Tune(ctx context.Context, model string, o zoo.Options, e *engine.Engine) (Tuned, error) {
	net, err := zoo.Load(ctx, model, o)
	if err != nil {
		return Tuned{}, err
	}
	c, err := features.FromNet(net, e).Tune(ctx)
	if err != nil {
		return Tuned{}, err
	}
	return Tuned{Model: net.Row.Name, Form: c.Form, Rate: c.Rate, Trials: append(c.Trials, c.Refused...), Device: e.Device}, nil
}
