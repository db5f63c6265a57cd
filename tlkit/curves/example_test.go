package curves_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

func Example() {
	folder, _ := os.MkdirTemp("", "curves")
	defer os.RemoveAll(folder)

	file, run, err := curves.Run{Name: "ants-and-bees", Axis: curves.Epochs}.AppendTo(filepath.Join(folder, "history.jsonl"))
	if err != nil {
		fmt.Println(err)
		return
	}
	recorder := curves.NewRecorder(run, file, 0, nil)
	for epoch, right := range []int{130, 144, 143} {
		recorder.Add(curves.Point{Step: 8 * (epoch + 1), Epoch: float64(epoch + 1), Phase: curves.Head,
			Split: curves.Valid, Metric: curves.Accuracy, Value: float64(right) / 153, N: 153})
	}
	if err := recorder.Close(); err != nil {
		fmt.Println(err)
		return
	}

	back, err := curves.ReadFile(filepath.Join(folder, "history.jsonl"))
	if err != nil {
		fmt.Println(err)
		return
	}
	best, _ := curves.Best(back.Series(curves.Valid, curves.Accuracy))
	fmt.Printf("%s: best epoch %.0f, %.1f %% of %d pictures\n", back.Name, best.Epoch, 100*best.Value, best.N)
	// Output: ants-and-bees: best epoch 2, 94.1 % of 153 pictures
}
