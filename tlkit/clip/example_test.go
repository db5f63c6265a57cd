package clip_test

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/clip"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The words of a text become tokens between one for its start and one for its end.
func ExampleTokenizer() {
	t, err := clip.FetchTokenizer(context.Background(), zoo.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens, err := t.Tokens("A bee on a flower")
	fmt.Println(len(tokens), tokens[:8], err)
	// Output: 77 [49406 320 5028 525 320 4055 49407 0] <nil>
}

// The rows whose features can be compared with words.
func ExampleNames() {
	for _, name := range clip.Names()[:2] {
		row, _ := clip.Find(name)
		fmt.Println(row.Name, row.Features)
	}
	// Output:
	// vit-b-16.datacomp_xl_s13b_b90k 512
	// vit-b-16.laion2b_s34b_b88k 512
}
