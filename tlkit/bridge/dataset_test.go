package bridge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// shapes is a folder of 2 x 11 pictures, dealt into train and valid.
func shapes(t *testing.T) *datasets.Dataset {
	t.Helper()
	set, err := datasets.Open(context.Background(), testpictures.Shapes(t, []string{"bar", "disc"}, 11), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// small is a network with weights made by a formula.
func small(t *testing.T) *zoo.Net {
	return smallIn(t, filepath.Join(t.TempDir(), "formula.safetensors"))
}

// smallIn writes its weights into a file.
func smallIn(t *testing.T, file string) *zoo.Net {
	t.Helper()
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		t.Fatal(err)
	}
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 1); err != nil {
		t.Fatal(err)
	}
	net, err := zoo.Load(context.Background(), row.Name, zoo.Options{Weights: file})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// read is what a caller gets of one batch.
type read struct {
	inputs []float32
	shape  []int
	labels []int32
	mask   []bool
}

func collect(t *testing.T, d train.Dataset, most int) (all []read) {
	t.Helper()
	for b, err := range d.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		r := read{inputs: tensors.MustCopyFlatData[float32](b.Inputs[0]), shape: b.Inputs[0].Shape().Dimensions, labels: tensors.MustCopyFlatData[int32](b.Labels[0])}
		if len(b.Labels) > 1 {
			r.mask = tensors.MustCopyFlatData[bool](b.Labels[1])
		}
		all = append(all, r)
		if err := b.Finalize(); err != nil {
			t.Fatal(err)
		}
		if len(all) == most {
			break
		}
	}
	return all
}

// Each picture comes once an epoch with its label and with the numbers of the pipeline.
func TestPicturesAreThoseOfTheSet(t *testing.T) {
	set := shapes(t)
	p := transforms.Compose(transforms.Resize(20), transforms.CenterCrop(16), transforms.ToTensor())
	items := set.In(datasets.Train)
	if len(items) != 18 {
		t.Fatalf("%d training pictures", len(items))
	}
	want := map[string]int{}
	for _, item := range items {
		x, err := p.LoadFile(nil, item.Path, transforms.DecodeOptions{}, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprint(item.Class, x.Data)]++
	}
	for _, c := range []struct {
		last    Last
		batches []int
	}{{Keep, []int{8, 8, 2}}, {Drop, []int{8, 8}}, {Pad, []int{8, 8, 8}}} {
		d, err := Pictures(Data{Set: set, Split: datasets.Train, Batch: 8, Last: c.last, Shuffle: true, Seed: 3}, p)
		if err != nil {
			t.Fatal(err)
		}
		if d.Steps() != len(c.batches) || d.Len() != 18 {
			t.Errorf("%q: %d steps, %d pictures", c.last, d.Steps(), d.Len())
		}
		got, size := map[string]int{}, 16*16*3
		for i, b := range collect(t, d, -1) {
			if !slices.Equal(b.shape, []int{c.batches[i], 16, 16, 3}) {
				t.Errorf("%q: batch %d is %v", c.last, i, b.shape)
			}
			if (b.mask != nil) != (c.last == Pad) {
				t.Errorf("%q: mask %v", c.last, b.mask)
			}
			for k, class := range b.labels {
				if b.mask == nil || b.mask[k] {
					got[fmt.Sprint(class, b.inputs[k*size:(k+1)*size])]++
				}
			}
		}
		sum := 0
		for key, n := range got {
			sum += n
			if n > want[key] {
				t.Errorf("%q: a picture or label that is not in the set, or too often", c.last)
			}
		}
		if left := map[Last]int{Drop: 2}[c.last]; sum != 18-left {
			t.Errorf("%q: %d pictures count, want %d", c.last, sum, 18-left)
		}
	}
}

// The seed and the epoch decide the order and the random transforms, and nothing else does.
func TestSameSeedSameBatches(t *testing.T) {
	set := shapes(t)
	open := func(seed uint64) *Dataset {
		d, err := Pictures(Data{Set: set, Batch: 5, Shuffle: true, Seed: seed}, transforms.Compose(transforms.RandomResizedCrop(8), transforms.ToTensor()))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, b := open(1), open(1)
	one, two := collect(t, a, -1), collect(t, a, -1)
	runtime.GOMAXPROCS(1)
	again := collect(t, b, -1)
	runtime.GOMAXPROCS(runtime.NumCPU())
	if fmt.Sprint(one) != fmt.Sprint(again) {
		t.Error("the same seed gives other batches")
	}
	if fmt.Sprint(one) == fmt.Sprint(two) {
		t.Error("two epochs are the same")
	}
	b = open(1)
	b.Begin(1)
	if fmt.Sprint(collect(t, b, -1)) != fmt.Sprint(two) {
		t.Error("Begin(1) is not the second epoch")
	}
	if fmt.Sprint(collect(t, open(2), -1)) == fmt.Sprint(one) {
		t.Error("two seeds give the same batches")
	}
}

func TestForeverGoesOn(t *testing.T) {
	d, err := Pictures(Data{Set: shapes(t), Batch: 20, Forever: true}, transforms.Compose(transforms.CenterCrop(8), transforms.ToTensor()))
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	if n := len(collect(t, d, 7)); n != 7 {
		t.Errorf("%d batches, want 7", n)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left behind, %d before", runtime.NumGoroutine(), before)
}

func TestDataRefuses(t *testing.T) {
	set := shapes(t)
	unlabelled := *set
	unlabelled.Items = slices.Clone(set.Items)
	unlabelled.Items[3].Class = datasets.Unlabelled
	for name, c := range map[string]struct {
		d    Data
		want string
	}{
		"no set":        {Data{}, "datasets.Open"},
		"no such split": {Data{Set: set, Split: datasets.Test}, "test"},
		"batch":         {Data{Set: set, Batch: -1}, "-1"},
		"last":          {Data{Set: set, Last: "rest"}, "bridge.Pad"},
		"drops all":     {Data{Set: set, Batch: 100, Last: Drop}, "bridge.Pad"},
		"no label":      {Data{Set: &unlabelled}, unlabelled.Items[3].Rel},
	} {
		_, err := Pictures(c.d, transforms.Compose(transforms.ToTensor()))
		if err == nil || !strings.Contains(err.Error(), "bridge: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// A picture that turns out to be broken ends the epoch with its name, whichever batch it is in.
func TestBrokenPictureIsNamed(t *testing.T) {
	set := shapes(t)
	broken := set.Items[9]
	raw, err := os.ReadFile(broken.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken.Path, raw[:40], 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := Pictures(Data{Set: set, Batch: 4}, transforms.Compose(transforms.CenterCrop(8), transforms.ToTensor()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for b, err := range d.Iter() {
		if err != nil {
			if !strings.Contains(err.Error(), broken.Rel) || !strings.Contains(err.Error(), "set.Drop") {
				t.Errorf("%v does not name the picture and what to do", err)
			}
			if n != 2 {
				t.Errorf("%d batches before the broken picture, want 2", n)
			}
			return
		}
		_ = b.Finalize()
		n++
	}
	t.Error("no error")
}
