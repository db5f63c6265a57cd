package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// job times tlkit train with nothing cached but weights and plugin, then with everything
// cached, and returns the seconds of the first.
func (s *session) job(ctx context.Context) (first float64, err error) {
	ds, err := s.dataset(ctx)
	if err != nil {
		return 0, err
	}
	t, err := s.tlkit(ctx)
	if err != nil {
		return 0, err
	}
	defer t.close()
	s.doing("training, nothing cached")
	var r run.Result
	if first, err = t.run(ctx, &r, "train", ds.Root, "--json"); err != nil {
		return 0, err
	}
	s.add(Figure{What: "job " + ds.Name + ", nothing cached", Ours: first, Unit: "s",
		Note: fmt.Sprintf("%d of %d right", r.Correct, r.Total)})
	again, err := t.run(ctx, nil, "train", ds.Root, "--json")
	if err != nil {
		return 0, err
	}
	s.add(Figure{What: "job " + ds.Name + ", features and programs cached", Ours: again, Unit: "s", Note: "process start included"})
	return first, nil
}

// tutorial times our job, then PyTorch's tutorial through the frozen network.
func (s *session) tutorial(ctx context.Context) error {
	if s.Python == "" {
		return errNoPeer
	}
	ds, job, err := s.tutorialJob(ctx)
	if err != nil {
		return err
	}
	ours, err := s.job(ctx)
	if err != nil {
		return err
	}
	s.doing("PyTorch's tutorial")
	peer, _, err := s.peer(ctx, job)
	if err != nil {
		return err
	}
	s.add(Figure{What: "tutorial's job on " + ds.Name + ", frozen, 25 epochs", Ours: ours, Unit: "s",
		Peer: peer.Seconds, By: peer.By, Ratio: peer.Seconds / ours,
		Note: fmt.Sprintf("(%d epochs timed; PyTorch has %d of %d right)", s.Epochs, peer.Correct, peer.Total)})
	return nil
}

// tutorialJob is PyTorch's tutorial on our data set and weights.
func (s *session) tutorialJob(ctx context.Context) (*datasets.Dataset, peerJob, error) {
	if s.Epochs < 1 || s.Epochs > tutorialEpochs {
		return nil, nil, fmt.Errorf("--epochs-timed %d, want 1 to %d", s.Epochs, tutorialEpochs)
	}
	ds, err := s.dataset(ctx)
	if err != nil {
		return nil, nil, err
	}
	net, err := s.load(ctx, "mobilenetv2")
	if err != nil {
		return nil, nil, err
	}
	return ds, peerJob{"what": "tutorial", "folder": ds.Root, "valid": validFolder(ds.Root), "weights": net.Path,
		"epochs": tutorialEpochs, "timed": s.Epochs, "threads": 2}, nil
}

// validFolder is the name of the folder with the held-out pictures of a data set; "" = none.
func validFolder(root string) string {
	for _, name := range []string{"val", "valid", "test"} {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			return name
		}
	}
	return ""
}
