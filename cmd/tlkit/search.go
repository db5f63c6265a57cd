package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/clip"
)

func (c *command) search() *cobra.Command {
	n := nearFlags{}
	cmd := &cobra.Command{
		Use:   "search DIR... WORDS",
		Short: "Find the pictures that show what words say",
		Long: `Find the pictures of DIR and below that fit WORDS best, by a network that was trained on
pictures with their captions: those whose features have the largest cosine with the features
of the words. Only the order counts: even a perfect match has a cosine of about 0.3 (CLIP) or
0.15 (SigLIP). Instead of DIR, there may be several folders, pictures, patterns such as
"photos/*.jpg", or - for names on standard input.

The features of pictures are kept in the cache of train and features, so that the next search
in the same pictures only reads the words. A picture that cannot be read is left out and named
at the end; the exit status is then 2.`,
		Example: `  tlkit search photos "a bee on a flower"
  tlkit search photos "a dog on a beach at sunset" --k 20 --png found.png`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return nil
			}
			return advice.New(errors.New("search: want a folder to look in, and words"), `tlkit search DIR "a bee on a flower"`)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.searchWords(cmd, n, args[:len(args)-1], args[len(args)-1])
		},
	}
	cmd.Flags().StringVar(&n.spec.Model, "model", clip.Names()[0], "network that was trained on words: "+strings.Join(clip.Names(), ", "))
	networkFlags(cmd, &n.spec)
	n.flags(cmd)
	return cmd
}

func (c *command) searchWords(cmd *cobra.Command, n nearFlags, places []string, text string) error {
	if err := n.check(cmd.Name()); err != nil {
		return err
	}
	if _, err := clip.Find(n.spec.Model); err != nil {
		return err
	}
	all, err := picturePaths(cmd.Context(), cmd.Name(), places)
	if err != nil {
		return err
	}
	m, err := c.rows(cmd, n.spec, "", all)
	if err != nil {
		return err
	}
	bad := unread(m, all)
	if m.Rows() == 0 {
		c.result = []neighbour{}
		return c.sayLeftOut(cmd, bad, len(all))
	}
	query, err := agreed(c, func() ([][]float32, error) {
		p := c.progress()
		defer p.close()
		return n.spec.Words(cmd.Context(), []string{text}, c.place(), p)
	})
	if err != nil {
		return err
	}
	found := n.nearest(m, query[0], all)
	if err := n.draw(cmd.Name(), fmt.Sprintf("%q", words.Plain(text)), nil, found); err != nil {
		return err
	}
	c.sayNeighbours(found)
	return c.sayLeftOut(cmd, bad, len(all))
}
