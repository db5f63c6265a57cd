package show_test

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"

	"github.com/tlkit/transfer-learning/tlkit/show"
)

// square is the smallest figure: any type with the methods PNG and Text.
type square struct{ side int }

func (s square) PNG(w io.Writer) error {
	return png.Encode(w, image.NewGray(image.Rect(0, 0, s.side, s.side)))
}

func (s square) Text() string { return fmt.Sprintf("A black square, %d pixels wide.", s.side) }

// In a notebook cell the same lines show the picture, a table and a line of text. Here, on a
// terminal, the figure is described in words.
func Example() {
	screen := show.New(os.Stdout, "") // show.Default, with a folder for pictures if you like
	if err := screen.Figure("square", square{8}); err != nil {
		fmt.Println(err)
		return
	}
	screen.Table(show.Table{
		Caption: "recall", Header: []string{"label", "right", "of"}, Left: 1,
		Rows: [][]string{{"ants", "65", "70"}, {"bees", "80", "83"}},
	})
	screen.Text("done")
	// Output:
	// A black square, 8 pixels wide.
	// recall
	// label  right  of
	// ants      65  70
	// bees      80  83
	// done
}

// With a folder, figures become files outside of notebooks.
func ExampleScreen_Figure() {
	folder, err := os.MkdirTemp("", "example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)

	// the words go to the writer, the picture into the folder
	screen := show.New(io.Discard, folder)
	if err := screen.Figure("square", square{8}); err != nil {
		fmt.Println(err)
		return
	}
	files, err := os.ReadDir(folder)
	fmt.Println(files[0].Name(), err)
	// Output: square.png <nil>
}

// A slice of structs is shown as a table.
func ExampleScreen_Value() {
	type result struct {
		Network string
		Seconds float64
	}
	if err := show.New(os.Stdout, "").Value([]result{{"mobilenetv2", 2.2}, {"resnet18", 4.1}}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Network      Seconds
	// mobilenetv2      2.2
	// resnet18         4.1
}

func ExampleScreen_Card() {
	show.New(os.Stdout, "").Card(show.Card{
		What:  "FitHead of ants-and-bees",
		Where: "pictures",
		Why:   "the label \"bees\" has 1 picture to train on, want at least 2",
		Fix:   "add pictures, or remove the label",
	})
	// Output:
	// ✗ FitHead of ants-and-bees could not be done
	//
	// the label "bees" has 1 picture to train on, want at least 2
	//
	// in pictures
	//
	// → add pictures, or remove the label
}

// A film is a figure, too: in a notebook it plays.
func ExampleFilm() {
	var frames []image.Image
	for i := range 12 {
		frame := image.NewGray(image.Rect(0, 0, 64, 64))
		frame.Pix[64*32+5*i] = 255
		frames = append(frames, frame)
	}
	film := show.Film{
		Words: "A white dot crosses the picture.",
		Clips: []show.Clip{{Frames: frames, Title: "the dot", End: show.Good}},
	}
	if err := show.New(os.Stdout, "").Pictures("dot", show.Drawn, film); err != nil {
		fmt.Println(err)
	}
	// Output:
	// A white dot crosses the picture.
	// ✓ the dot, 1.2 s
}
