package transforms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEachKeepsOrderAndBounds(t *testing.T) {
	for _, workers := range []int{1, 3, 8} {
		var alive, most atomic.Int64
		var got []int
		err := Each(context.Background(), 200, workers, func(i int) (int, error) {
			for n := alive.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			if i%7 == 0 {
				time.Sleep(time.Millisecond) // late ones must not be overtaken
			}
			return i * i, nil
		}, func(i, v int, err error) error {
			alive.Add(-1)
			if err != nil || v != i*i {
				t.Errorf("item %d: %d, %v", i, v, err)
			}
			got = append(got, i)
			return nil
		})
		if err != nil || len(got) != 200 || !slices.IsSorted(got) {
			t.Error(workers, err, len(got))
		}
		if m := most.Load(); m > int64(2*workers+1) {
			t.Errorf("%d workers had %d items alive", workers, m)
		}
	}
}

func TestEachHandsErrorsOn(t *testing.T) {
	var bad []string
	err := Each(context.Background(), 10, 4, func(i int) (int, error) {
		switch i {
		case 3:
			return 0, errors.New("three")
		case 5:
			panic("five")
		}
		return i, nil
	}, func(i, _ int, err error) error {
		if err != nil {
			bad = append(bad, fmt.Sprint(i, err))
		}
		return nil
	})
	if err != nil || len(bad) != 2 || !strings.Contains(bad[0], "three") || !strings.Contains(bad[1], "five") {
		t.Error(err, bad)
	}
}

func TestEachStops(t *testing.T) {
	enough := errors.New("enough")
	used := 0
	err := Each(context.Background(), 1000, 4, func(i int) (int, error) { return i, nil }, func(i, _ int, _ error) error {
		if used++; i == 17 {
			return enough
		}
		return nil
	})
	if err != enough || used != 18 {
		t.Error(err, used)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var started atomic.Int64
	err = Each(ctx, 1000, 2, func(i int) (int, error) { started.Add(1); return i, nil }, func(i, _ int, _ error) error {
		if i == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || started.Load() > 20 {
		t.Error(err, started.Load())
	}
	if err := Each(ctx, 3, 1, func(int) (int, error) { t.Error("started"); return 0, nil }, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := Each(context.Background(), 0, 0, func(int) (int, error) { return 0, nil }, nil); err != nil {
		t.Error(err)
	}
}
