package serve

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/tlkit/transfer-learning/tlkit/guard"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// firstPictures is how many of the pictures that reach a network are looked at.
const firstPictures = 48

// onlooker says once, in the log, if pictures do not look as their network expects. It stops nothing: what is
// sent is the business of those who send it. nil looks at nothing.
type onlooker struct {
	guard *guard.Guard
	log   *slog.Logger
	seen  atomic.Int64
	said  sync.Once
}

// onlookerOf judges the preset of a network at once.
func onlookerOf(net *zoo.Net, log *slog.Logger) *onlooker {
	if net == nil {
		return nil
	}
	o := &onlooker{guard: guard.New(net), log: log}
	o.judge()
	return o
}

// look looks at a picture as it reaches the network.
func (o *onlooker) look(t transforms.Tensor) {
	if o == nil || o.seen.Load() >= firstPictures {
		return
	}
	n := o.seen.Add(1)
	if n > firstPictures {
		return
	}
	if err := o.guard.Look(int(n), t); err == nil && n == firstPictures {
		go o.judge() // takes a tenth of a second, for which the picture does not wait
	}
}

// judge says what is wrong with what was seen.
func (o *onlooker) judge() {
	v, err := o.guard.Verdict()
	if err != nil || v.OK {
		return
	}
	o.said.Do(func() {
		o.log.Warn(v.Line(), "pictures", v.Pictures, "model", v.Model, "more", "tlkit guard PICTURE... shows what was compared")
	})
}
