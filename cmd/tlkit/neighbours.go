package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// neighbour is an entry of tlkit neighbours --json.
type neighbour struct {
	Path   string  `json:"path"`
	Cosine float64 `json:"cosine"`
}

// nearFlags are the flags of commands that look for the nearest pictures.
type nearFlags struct {
	spec   run.Spec
	k      int
	figure string // the PNG file to write; "" = none
	force  bool
}

func (c *command) neighbours() *cobra.Command {
	n := nearFlags{}
	cmd := &cobra.Command{
		Use:     "neighbours PICTURE DIR...",
		Aliases: []string{"similar"},
		Short:   "Find the pictures that are most similar to one",
		Long: `Find the pictures of DIR and below that are most similar to PICTURE: those whose features, by
a frozen network, have the largest cosine with its features. 1 is the same direction, as for
a copy. Instead of DIR, there may be several folders, pictures, patterns such as
"photos/*.jpg", or - for names on standard input. PICTURE itself is left out.

With --png they are also drawn side by side. The features are kept in the cache of train and
features. A picture that cannot be read is left out and named at the end; the exit status is
then 2.`,
		Example: `  tlkit neighbours bee.jpg photos
  tlkit neighbours bee.jpg photos --k 11 --png similar.png`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return nil
			}
			return advice.New(errors.New("neighbours: want a picture, and a folder to look in"), "tlkit neighbours PICTURE DIR")
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.findNeighbours(cmd, n, args) },
	}
	modelFlag(cmd, &n.spec.Model)
	networkFlags(cmd, &n.spec)
	n.flags(cmd)
	return cmd
}

func (n *nearFlags) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&n.k, "k", 5, "find so many pictures")
	cmd.Flags().StringVar(&n.figure, "png", "", "also draw the pictures found into this file")
	cmd.Flags().BoolVar(&n.force, "force", false, "replace the file of --png if there is one")
}

func (c *command) findNeighbours(cmd *cobra.Command, n nearFlags, args []string) error {
	if err := n.check(cmd.Name()); err != nil {
		return err
	}
	if err := checkPicture(args[0]); err != nil {
		return err
	}
	others, err := picturePaths(cmd.Context(), cmd.Name(), args[1:])
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(other string) bool { return sameFile(other, args[0]) })
	if len(others) == 0 {
		return advice.New(errors.New("neighbours: there is no other picture to compare with"), "name a folder with more pictures")
	}
	all := slices.Concat(args[:1], others)
	m, err := c.rows(cmd, n.spec, "", all)
	if err != nil {
		return err
	}
	bad := unread(m, all)
	if len(bad) > 0 && bad[0].Rel == args[0] {
		return fmt.Errorf("neighbours: %s cannot be read: %s", words.Plain(args[0]), words.Plain(bad[0].Why))
	}
	if m.Rows() == 1 {
		c.result = []neighbour{}
		return c.sayLeftOut(cmd, bad, len(others))
	}
	query := m.Row(0)
	m.Items, m.Data = m.Items[1:], m.Data[m.Features:]
	found := n.nearest(m, query, all)
	if err := n.draw(cmd.Name(), "", &args[0], found); err != nil {
		return err
	}
	c.sayNeighbours(found)
	return c.sayLeftOut(cmd, bad, len(others))
}

// nearest returns the rows of m that are nearest to query.
func (n nearFlags) nearest(m *features.Matrix, query []float32, paths []string) []neighbour {
	found := []neighbour{}
	for _, near := range m.Nearest(query, n.k) {
		found = append(found, neighbour{paths[m.Items[near.Row]], near.Cosine})
	}
	return found
}

// sayNeighbours prints what was found, or keeps it for --json.
func (c *command) sayNeighbours(found []neighbour) {
	c.result = found
	if c.json {
		return
	}
	table := show.Table{Left: 1, Header: []string{"path", "cosine"}}
	for _, f := range found {
		table.Rows = append(table.Rows, []string{words.Plain(f.Path), fmt.Sprintf("%.4f", f.Cosine)})
	}
	c.sayTable(table)
}

// check reports flags that cannot be meant, before anything is computed.
func (n nearFlags) check(command string) error {
	if n.k < 1 {
		return fmt.Errorf("%s: --k is %d, want 1 or more", command, n.k)
	}
	return absent(command, n.figure, n.force)
}

// absent reports a file that would be replaced unasked; "" is none.
func absent(command, path string, force bool) error {
	if _, err := os.Lstat(path); path != "" && err == nil && !force {
		return advice.New(fmt.Errorf("%s: %s exists", command, words.Plain(path)), "name another file, or pass --force to replace it")
	}
	return nil
}

// checkPicture reports a name that cannot be that of a picture.
func checkPicture(name string) error {
	switch info, err := os.Stat(name); {
	case err != nil:
		return fmt.Errorf("neighbours: the picture cannot be opened: %w", err)
	case info.IsDir():
		return advice.New(fmt.Errorf("neighbours: %s is a folder, want a picture first", words.Plain(name)), "tlkit neighbours PICTURE DIR")
	}
	return nil
}

// draw writes the figure: what was found, behind the given picture if there is one.
func (n nearFlags) draw(command, title string, given *string, found []neighbour) error {
	if n.figure == "" {
		return nil
	}
	var tiles []plots.Picture
	if given != nil {
		title = "Most similar by " + n.spec.Model
		tiles = append(tiles, plots.Picture{Image: transforms.DecodeOptions{}.Tile(*given), Prediction: "given", Caption: filepath.Base(*given)})
	}
	for _, f := range found {
		tiles = append(tiles, plots.Picture{Image: transforms.DecodeOptions{}.Tile(f.Path), Prediction: fmt.Sprintf("%.4f", f.Cosine), Caption: filepath.Base(f.Path)})
	}
	figure := plots.Grid(title, tiles)
	if err := atomicfile.Write(n.figure, 0o644, figure.PNG); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
