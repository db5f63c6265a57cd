package main

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/words"
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

// neighbourFlags are the flags of tlkit neighbours.
type neighbourFlags struct {
	spec   run.Spec
	k      int
	figure string // the PNG file to write; "" = none
	force  bool
}

func (c *command) neighbours() *cobra.Command {
	n := neighbourFlags{}
	cmd := &cobra.Command{
		Use:   "neighbours PICTURE DIR...",
		Short: "Find the pictures that are most similar to one",
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
	cmd.Flags().IntVar(&n.k, "k", 5, "find so many pictures")
	cmd.Flags().StringVar(&n.figure, "png", "", "also draw PICTURE and its neighbours into this file")
	cmd.Flags().BoolVar(&n.force, "force", false, "replace the file of --png if there is one")
	return cmd
}

func (c *command) findNeighbours(cmd *cobra.Command, n neighbourFlags, args []string) error {
	if err := n.check(args[0]); err != nil {
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
	found := []neighbour{}
	table := show.Table{Left: 1, Header: []string{"path", "cosine"}}
	for _, near := range m.Nearest(query, n.k) {
		path := all[m.Items[near.Row]]
		found = append(found, neighbour{path, near.Cosine})
		table.Rows = append(table.Rows, []string{words.Plain(path), fmt.Sprintf("%.4f", near.Cosine)})
	}
	if err := n.draw(args[0], found); err != nil {
		return err
	}
	c.result = found
	if !c.json {
		c.sayTable(table)
	}
	return c.sayLeftOut(cmd, bad, len(others))
}

// check reports flags and names that cannot be meant, before anything is computed.
func (n neighbourFlags) check(picture string) error {
	if n.k < 1 {
		return fmt.Errorf("neighbours: --k is %d, want 1 or more", n.k)
	}
	switch info, err := os.Stat(picture); {
	case err != nil:
		return fmt.Errorf("neighbours: the picture cannot be opened: %w", err)
	case info.IsDir():
		return advice.New(fmt.Errorf("neighbours: %s is a folder, want a picture first", words.Plain(picture)), "tlkit neighbours PICTURE DIR")
	}
	if _, err := os.Lstat(n.figure); n.figure != "" && err == nil && !n.force {
		return advice.New(fmt.Errorf("neighbours: %s exists", words.Plain(n.figure)), "name another file, or pass --force to replace it")
	}
	return nil
}

// draw writes the figure.
func (n neighbourFlags) draw(picture string, found []neighbour) error {
	if n.figure == "" {
		return nil
	}
	tiles := []plots.Picture{{Image: thumbnail(picture), Prediction: "given", Caption: filepath.Base(picture)}}
	for _, f := range found {
		tiles = append(tiles, plots.Picture{Image: thumbnail(f.Path), Prediction: fmt.Sprintf("%.4f", f.Cosine), Caption: filepath.Base(f.Path)})
	}
	figure := plots.Grid("Most similar by "+n.spec.Model, tiles)
	if err := atomicfile.Write(n.figure, 0o644, figure.PNG); err != nil {
		return fmt.Errorf("neighbours: %w", err)
	}
	return nil
}

// thumbnail returns the middle square of a picture, or nil if it cannot be read any more.
func thumbnail(path string) image.Image {
	const side = 336 // pixels of the largest tile at twice its nominal size
	picture, err := transforms.DecodeFile(path, transforms.DecodeOptions{})
	if err != nil {
		return nil
	}
	small, err := transforms.Compose(transforms.Resize(side), transforms.CenterCrop(side)).Picture(picture, transforms.Rand{})
	if err != nil {
		return nil
	}
	return small
}
