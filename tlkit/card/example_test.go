package card_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/card"
)

func ExampleCard_Markdown() {
	c := &card.Card{
		Title: "ants or bees",
		Sections: []card.Section{{Title: "Pictures", Blocks: []card.Block{
			card.Text("From the garden, <not> from a laboratory."),
			card.Table{Header: []string{"label", "pictures"}, Rows: [][]string{{"ants", "123"}, {"bees", "121"}}},
		}}},
		Hub: card.Hub{Library: "tlkit", License: "mit"},
	}
	fmt.Print(string(c.Markdown()))
	// Output:
	// ---
	// library_name: "tlkit"
	// license: "mit"
	// ---
	// <!-- written by tlkit -->
	//
	// # ants or bees
	//
	// ## Pictures
	//
	// From the garden, \<not\> from a laboratory.
	//
	// | label | pictures |
	// |---|---:|
	// | ants | 123 |
	// | bees | 121 |
}
