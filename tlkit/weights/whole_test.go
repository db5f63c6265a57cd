package weights

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openWhole(t *testing.T, content []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whole.pt")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Whole()
}

func TestWholeListsEverything(t *testing.T) {
	w := pTensor(6, 0, []int64{2, 3}, []int64{3, 1})
	outside := pTensor(6, 5, []int64{2, 3}, []int64{3, 1})
	module := pGlobal("net", "Net") + ")\x81" + pDict(pText("_parameters"), pDict(pText("w"), w)) + "b"
	learner := pGlobal("fastai.learner", "Learner") + ")\x81" + pDict(pText("model"), module, pText("lr"), pInt(1)) + "b"
	body := pDict(
		pText("state_dict"), pDict(pText("module.w"), w),
		pText("state_dict_ema"), pDict(pText("w"), w),
		pText("learner"), learner,
		pText("optimizer"), pDict(pText("state"), pDict(pText("m"), w, pText("bad"), outside)),
		pText("epoch"), pInt(3),
	)
	f := openWhole(t, torchZip(pickled(body), floats(6)))
	want := []string{"state_dict.module.w", "state_dict_ema.w", "learner.model.w", "optimizer.state.m"}
	if !slices.Equal(f.Names(), want) {
		t.Errorf("names %q, want %q", f.Names(), want)
	}
	if f.Metadata["keys"] != "state_dict, state_dict_ema, learner, optimizer, epoch" {
		t.Errorf("keys %q", f.Metadata["keys"])
	}
	if skipped := strings.Join(f.Skipped, "\n"); !strings.Contains(skipped, "optimizer.state.bad: ") {
		t.Errorf("skipped %q", skipped)
	}
	tensor, _ := f.Tensor("state_dict_ema.w")
	if v, err := tensor.Float32(); err != nil || v[5] != 5 {
		t.Errorf("%v, %v", v, err)
	}
}

// What is too deep beside the state dict does not make it unreadable.
func TestWholeFallsBack(t *testing.T) {
	w := pTensor(6, 0, []int64{2, 3}, []int64{3, 1})
	deep := "\x89"
	for range maxDepth + 5 {
		deep = pDict(pText("k"), deep)
	}
	f := openWhole(t, torchZip(pickled(pDict(pText("state_dict"), pDict(pText("w"), w), pText("hyper"), deep)), floats(6)))
	if names := f.Names(); !slices.Equal(names, []string{"w"}) || f.Metadata["entry"] != "state_dict" {
		t.Errorf("names %q, metadata %v", names, f.Metadata)
	}
}
