package advice

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestSplit(t *testing.T) {
	inner := New(fmt.Errorf("x: %w; of course", io.EOF), "take %d", 3)
	for _, c := range []struct {
		err      error
		why, fix string
	}{
		{inner, "x: EOF; of course", "take 3"},
		{fmt.Errorf("run: %w", inner), "run: x: EOF; of course", "take 3"},
		{fmt.Errorf("%w (again)", inner), "x: EOF; of course; take 3 (again)", ""},
		{New(inner, "wait"), "x: EOF; of course; take 3", "wait"},
		{io.EOF, "EOF", ""},
		{errors.New("a; b"), "a; b", ""},
	} {
		if why, fix := Split(c.err); why != c.why || fix != c.fix {
			t.Errorf("%v: %q and %q, want %q and %q", c.err, why, fix, c.why, c.fix)
		}
	}
	if !errors.Is(inner, io.EOF) {
		t.Error("the cause is lost")
	}
}

func ExampleSplit() {
	err := New(errors.New("run: there is no data set called bees"), "name a folder, or one of: insects, hymenoptera")
	why, fix := Split(fmt.Errorf("train: %w", err))
	fmt.Println(why)
	fmt.Println("→", fix)
	// Output:
	// train: run: there is no data set called bees
	// → name a folder, or one of: insects, hymenoptera
}
