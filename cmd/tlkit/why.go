package main

import (
	"errors"
	"fmt"
	"image"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/look"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// drawing is where a command draws its figure.
type drawing struct {
	file  string // PNG; "" = nowhere
	force bool
}

func (d *drawing) flags(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&d.file, "png", "", "draw "+what+" into this file")
	cmd.Flags().BoolVar(&d.force, "force", false, "replace the file of --png if there is one")
}

func (c *command) why() *cobra.Command {
	q, d := look.Question{}, drawing{}
	cmd := &cobra.Command{
		Use:   "why HEAD PICTURE",
		Short: "Show why a head predicts what it does of a picture",
		Long: `Show why a head predicts what it does of a picture: the parts of the picture that speak for
the prediction (Grad-CAM), next to those that the same network looks at with random weights,
and the training pictures that are most like it.

HEAD is a file written by train, or the folder or name of a run. The training pictures are
those of the run that made the head; --data names them where it is not here.`,
		Example: `  tlkit why ants-and-bees bee.jpg --png why.png
  tlkit why my.head.safetensors bee.jpg --data photos --k 12 --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return advice.New(fmt.Errorf("why: %d name(s) given, want a head and a picture", len(args)), "tlkit why HEAD PICTURE")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Near < 1 || q.Near > 24 {
				return fmt.Errorf("why: --k is %d, want 1 to 24", q.Near)
			}
			if err := absent("why", d.file, d.force); err != nil {
				return err
			}
			if err := checkPicture(args[1]); err != nil {
				return err
			}
			q.Head.Head, q.Picture = args[0], args[1]
			return c.sayWhy(cmd, q, d)
		},
	}
	cmd.Flags().IntVar(&q.Near, "k", 6, "find so many training pictures")
	cmd.Flags().StringVar(&q.Head.Data, "data", "", "the pictures that the head was trained on, where its run is not here")
	cmd.Flags().StringVar(&q.Head.Weights, "weights", "", "the weights file of the network, if it is not the published one")
	d.flags(cmd, "picture, maps and training pictures")
	return cmd
}

func (c *command) sayWhy(cmd *cobra.Command, q look.Question, d drawing) error {
	r, err := agreed(c, func() (*look.Reasons, error) {
		p := c.progress()
		defer p.close()
		return look.Why(cmd.Context(), q, c.place(), p)
	})
	if err != nil {
		return err
	}
	c.result = r
	if d.file != "" {
		if err := c.writeFigure("why", d.file, r.Figure(transforms.DecodeOptions{}.Tile)); err != nil {
			return err
		}
	}
	if r.NoNear != "" {
		c.note("no training pictures: %s", words.Plain(r.NoNear))
	}
	if c.json {
		return nil
	}
	c.say("%s", words.Plain(r.Text()))
	table := show.Table{Left: 2, Header: []string{"training picture", "label", "cosine"}}
	for _, n := range r.Near {
		table.Rows = append(table.Rows, []string{words.Plain(n.Path), words.Plain(n.Truth), fmt.Sprintf("%.4f", n.Cosine)})
	}
	if len(table.Rows) > 0 {
		c.sayTable(table)
	}
	return nil
}

// mapFlags are the flags of tlkit map.
type mapFlags struct {
	territory look.Territory
	pca       bool
	pictures  bool
	drawing   drawing
}

func (c *command) mapOf() *cobra.Command {
	var f mapFlags
	cmd := &cobra.Command{
		Use:   "map DIR|SET|HEAD",
		Short: "Draw a data set as a map: what a network finds alike lies together",
		Long: `Draw a data set as a map: pictures that a network finds alike lie together. Wrong labels lie
among those of another label, near duplicates beside each other, and labels that a head will
confuse overlap.

With the name of a head or a run, the map is through its eyes, after fine-tuning too, of the
pictures it learnt from (or those of --data), and pictures that it is wrong about are ringed.

The map is by t-SNE, which keeps neighbours together; its large distances mean little. --pca
takes the two directions of largest variance. Of more than 1,500 pictures, so many are evenly
taken; --most changes that, up to 5,000.`,
		Example: `  tlkit map photos --png map.png
  tlkit map ants-and-bees --png map.png --pictures
  tlkit map hymenoptera --model dinov2_vits14 --pca --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(fmt.Errorf("map: %d names given, want one folder, set or head", len(args)), "tlkit map DIR --png FILE")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(c, args[0]); err != nil {
				return err
			}
			return c.drawMap(cmd, f)
		},
	}
	modelFlag(cmd, &f.territory.Spec.Model)
	networkFlags(cmd, &f.territory.Spec)
	cmd.Flags().StringVar(&f.territory.Spec.Data, "data", "", "for a head: the pictures to map, in place of those it learnt from")
	cmd.Flags().IntVar(&f.territory.Most, "most", 1500, "map at most so many pictures")
	cmd.Flags().BoolVar(&f.pca, "pca", false, "lay out by principal components instead of t-SNE")
	cmd.Flags().BoolVar(&f.pictures, "pictures", false, "draw the pictures instead of marks")
	f.drawing.flags(cmd, "the map")
	return cmd
}

// check decides what is mapped.
func (f *mapFlags) check(c *command, name string) error {
	switch {
	case f.drawing.file == "" && !c.json:
		return advice.New(errors.New("map: nothing to write was named"), "--png FILE for the map, or --json for the places")
	case f.pictures && f.drawing.file == "":
		return errors.New("map: --pictures is for the figure of --png")
	}
	if f.territory.Method = look.TSNE; f.pca {
		f.territory.Method = look.PCA
	}
	if isHead(name) {
		f.territory.Head = name
	} else if f.territory.Spec.Data != "" {
		return advice.New(fmt.Errorf("map: %s is no head, and --data is for heads", words.Plain(name)), "tlkit map DIR --png FILE")
	} else {
		f.territory.Spec.Data = name
	}
	f.territory.Spec.Seed = 1
	return absent("map", f.drawing.file, f.drawing.force)
}

func (c *command) drawMap(cmd *cobra.Command, f mapFlags) error {
	a, err := agreed(c, func() (*look.Atlas, error) {
		p := c.progress()
		defer p.close()
		return look.Map(cmd.Context(), f.territory, c.place(), p)
	})
	if err != nil {
		return err
	}
	c.result = a
	if f.drawing.file == "" {
		return nil
	}
	var picture func(string) image.Image
	if f.pictures {
		picture = transforms.DecodeOptions{}.Tile
	}
	if err := c.writeFigure("map", f.drawing.file, a.Figure(picture)); err != nil {
		return err
	}
	if !c.json {
		c.say("%s  %s", f.drawing.file, words.Plain(a.Sentence()))
	}
	return nil
}
