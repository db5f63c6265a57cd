package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// job times tlkit train with nothing cached but weights and plugin, then with everything
// cached, tells where the time goes, and returns the seconds of the first.
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
	name := "job " + ds.Name + ", nothing cached"
	s.add(Figure{Name: name, Model: r.Model, Ours: first, Unit: "s", Note: fmt.Sprintf("%d of %d right", r.Correct, r.Total)})
	s.parts(name, first, r)
	var again []float64
	var took []run.Result
	for range rounds {
		var r run.Result
		seconds, err := t.run(ctx, &r, "train", ds.Root, "--json")
		if err != nil {
			return 0, err
		}
		again, took = append(again, seconds), append(took, r)
	}
	name = "job " + ds.Name + ", features and programs cached"
	middle := median(again)
	s.add(Figure{Name: name, Model: r.Model, Ours: middle, Unit: "s", Note: "process start included"})
	s.parts(name, middle, took[slices.Index(again, middle)])
	return first, nil
}

// jobPart is the kind of figures that say where the time of a job went.
const jobPart = "job part"

// parts tells where the seconds of a training went.
func (s *session) parts(name string, seconds float64, r run.Result) {
	part := func(what string, seconds float64) {
		s.add(Figure{What: jobPart, Name: "  " + what, Model: r.Model, Ours: seconds, Unit: "s", Note: "of " + name})
	}
	part("process start and end", seconds-r.Seconds)
	for _, phase := range r.Phases {
		rest := phase.Seconds
		for _, p := range phase.Parts {
			part(phase.Name+": "+p.Name, p.Seconds)
			rest -= p.Seconds
		}
		if rest > 0.005 {
			part(phase.Name+": the rest", rest)
		}
	}
}

// predict times tlkit predict on 1,000 JPEG files, with the network's program in the cache.
func (s *session) predict(ctx context.Context) error {
	const files = 1000
	t, err := s.tlkit(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	s.doing("drawing 1,000 pictures")
	folder := filepath.Join(t.dir, "photos")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for i := range files {
		data, err := photo(uint64(i))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d.jpg", i)), data, 0o600); err != nil {
			return err
		}
	}
	s.doing("training a head")
	if _, err := t.run(ctx, nil, "train", "insects-few", "--name", "photos", "--json"); err != nil {
		return err
	}
	s.doing("predicting 1,000 pictures")
	var took []float64
	for range 3 {
		var all []export.Prediction
		seconds, err := t.run(ctx, &all, "predict", "photos", folder, "--json")
		if err != nil {
			return err
		}
		if len(all) != files || all[0].Error != "" {
			return fmt.Errorf("%d predictions, want %d: %s", len(all), files, all[0].Error)
		}
		took = append(took, seconds)
	}
	s.add(Figure{Name: "predict, 1,000 JPEG files of 500x375", Model: zoo.Rows()[0].Name, Ours: median(took), Unit: "s", Note: "process start included"})
	return nil
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
	s.add(Figure{Name: "tutorial's job on " + ds.Name + ", frozen, 25 epochs", Ours: ours, Unit: "s",
		Note: fmt.Sprintf("(%d epochs timed; PyTorch has %d of %d right)", s.Epochs, peer.Correct, peer.Total)}.
		against(torch, peer.By, peer.Seconds))
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
