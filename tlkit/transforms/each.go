package transforms

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Each prepares items 0..n-1 in parallel and passes them to use one after the other, in order, on
// the goroutine of the caller.
//
// workers <= 0 means one per CPU. At most two items per worker exist at a time, so memory does not
// grow with n. An error or panic of prepare is passed to use with its item; if use returns an
// error, Each stops and returns it. When ctx ends, Each returns ctx.Err(). It returns only after
// all workers have finished.
//
//	err := transforms.Each(ctx, len(paths), 0, func(i int) (transforms.Tensor, error) {
//		pic, err := transforms.DecodeFile(paths[i], transforms.DecodeOptions{})
//		if err != nil {
//			return transforms.Tensor{}, err
//		}
//		return pipeline.Apply(pic, transforms.Rand{Picture: i})
//	}, func(i int, x transforms.Tensor, err error) error { ... })
func Each[T any](ctx context.Context, n, workers int, prepare func(i int) (T, error), use func(i int, t T, err error) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n <= 0 {
		return nil
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, n)

	type result struct {
		t   T
		err error
	}
	type job struct {
		i    int
		done chan result // buffered, so that a worker never waits
	}
	jobs := make(chan job)
	order := make(chan job, workers) // the same jobs, in the order of use
	stop, stopNow := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stopNow()

	group.Go(func() {
		defer close(jobs)
		for i := range n {
			j := job{i, make(chan result, 1)}
			select {
			case order <- j:
			case <-stop.Done():
				return
			}
			select {
			case jobs <- j:
			case <-stop.Done():
				return
			}
		}
	})
	for range workers {
		group.Go(func() {
			for j := range jobs {
				t, err := guarded(prepare, j.i)
				j.done <- result{t, err}
			}
		})
	}
	for i := range n {
		var r result
		select {
		case j := <-order:
			select {
			case r = <-j.done:
			case <-ctx.Done():
				return ctx.Err()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := use(i, r.t, r.err); err != nil {
			return err
		}
	}
	return nil
}

// guarded turns a panic of prepare into the error of its item: in a goroutine it would end the
// process.
func guarded[T any](prepare func(int) (T, error), i int) (t T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("transforms: preparing item %d panicked: %v", i, r)
		}
	}()
	return prepare(i)
}
