package budget_test

import (
	"encoding/json"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/budget"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// The record of a budget is in the result, and in the run's result.json.
func ExampleOf() {
	r := &run.Result{Budget: json.RawMessage(`{"asked_seconds": 60, "spent_seconds": 41.5, "model": "mobilenetv2",
		"tried": [{"model": "mobilenetv2", "metric": "accuracy", "score": 0.975, "accuracy": 0.975, "correct": 238, "total": 244, "picked": true}],
		"left": [{"what": "fine-tuning mobilenetv2", "why": "it takes about 4 min at least"}],
		"repeat": ["tlkit", "train", "photos", "--model", "mobilenetv2", "--seed", "1"]}`)}
	record, err := budget.Of(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range record.Tried {
		fmt.Println("tried", t.Model, t.Brief())
	}
	for _, l := range record.Left {
		fmt.Println("left", l.What)
	}
	fmt.Println(record.Spent, "of", record.Asked, "seconds")
	// Output:
	// tried mobilenetv2 238 of 244
	// left fine-tuning mobilenetv2
	// 41.5 of 60 seconds
}
