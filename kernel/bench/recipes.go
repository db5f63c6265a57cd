package bench

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/run"
)

// recipeEpochs is how many epochs every recipe fine-tunes.
const recipeEpochs = 5

// recipes fine-tunes with our plan and with recipes for PyTorch and fastai, on the same weights and
// pictures, and compares the number of correct predictions, seed by seed.
func (s *session) recipes(ctx context.Context) error {
	if s.Python == "" {
		return errNoPeer
	}
	ds, err := s.dataset(ctx)
	if err != nil {
		return err
	}
	net, err := s.load(ctx, "mobilenetv2")
	if err != nil {
		return err
	}
	t, err := s.tlkit(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	for seed := 1; seed <= s.Seeds; seed++ {
		s.doing(fmt.Sprintf("our plan, seed %d", seed))
		var r run.Result
		seconds, err := t.run(ctx, &r, "train", ds.Root, "--finetune", fmt.Sprint(recipeEpochs), "--seed", fmt.Sprint(seed), "--json")
		if err != nil {
			return err
		}
		for _, recipe := range []string{"careful", "fastai"} {
			s.doing(fmt.Sprintf("PyTorch, recipe %s, seed %d", recipe, seed))
			f := Figure{Name: fmt.Sprintf("%s, seed %d, next to recipe %s", ds.Name, seed, recipe), Ours: float64(r.Correct), Unit: "pictures right"}
			peer, _, err := s.peer(ctx, peerJob{"what": recipe, "folder": ds.Root, "valid": validFolder(ds.Root), "weights": net.Path,
				"seed": seed, "epochs": recipeEpochs, "threads": 2})
			if err != nil {
				f.Note = fmt.Sprintf("no peer: %v", err)
				s.add(f)
				continue
			}
			f = f.against(torch, peer.By, float64(peer.Correct))
			f.Note = fmt.Sprintf("of %d; the head alone %d; ours %.0f s, theirs %.0f s", r.Total, r.Probe.Correct, seconds, peer.Seconds)
			s.add(f)
		}
	}
	return nil
}
