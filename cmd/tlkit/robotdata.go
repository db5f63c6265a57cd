package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/robot"
)

// robotCheck is tlkit robot check.
func (c *command) robotCheck() *cobra.Command {
	numbers := false
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Audit a LeRobot data set: what is wrong with which demonstration",
		Long: `Read every frame of a LeRobot data set (version 2.1 or 3.0) and name what is wrong with it:

  counts that contradict each other, rows and files that are missing or damaged
  dropped frames, and timestamps that are off by more than half a frame
  NaN and infinite numbers
  pictures that are missing, damaged or black, and cameras that freeze while the robot moves
  states that freeze while the actions change
  actions and states that differ more than in other episodes: the robot was recalibrated
  episodes that are longer, faster or jerkier than the others
  statistics that do not match the data

The exit status is 1 if anything is found. Pictures in mp4 files need ffmpeg.`,
		Example: "  tlkit robot check ~/lerobot/pick-the-cube\n  tlkit robot check demos --json",
		Args:    oneFolder("robot check"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := episodes.Open(args[0])
			if err != nil {
				return err
			}
			defer set.Close()
			p := c.progress()
			a, err := set.Check(cmd.Context(), episodes.CheckOptions{NoPictures: numbers, Progress: func(done, total int) {
				p.State("episodes", int64(done), int64(total))
			}})
			p.close()
			if err != nil {
				return err
			}
			c.result = a
			if !c.json {
				for _, line := range strings.Split(a.Text(), "\n") {
					c.say("%s", words.Plain(line))
				}
			}
			if len(a.Findings) == 0 {
				return nil
			}
			if c.json {
				_ = c.print(a)
			}
			return &reported{fmt.Errorf("robot check: %s has faults: see the lines marked ✗", args[0])}
		},
	}
	cmd.Flags().BoolVar(&numbers, "no-pictures", false, "check only the numbers, which is much faster")
	return cmd
}

// converted is tlkit robot convert --json.
type converted struct {
	Dir      string `json:"dir"`
	Episodes int    `json:"episodes"`
	Frames   int    `json:"frames"`
}

// robotConvert is tlkit robot convert.
func (c *command) robotConvert() *cobra.Command {
	var out []int
	cmd := &cobra.Command{
		Use:   "convert DIR NEW",
		Short: "Rewrite a LeRobot data set as version 3.0, with its pictures inside",
		Long: `Rewrite a LeRobot data set (version 2.1 or 3.0, pictures or videos) as version 3.0, with the pictures
as PNG inside the parquet files, so that reading it needs no ffmpeg. Numbers and decoded pictures
do not change. --leave-out skips episodes, such as those that tlkit robot check has named.`,
		Example: "  tlkit robot convert ~/lerobot/pick-the-cube cube --leave-out 3,17",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return advice.New(fmt.Errorf("robot convert: %d folders, want two", len(args)), "tlkit robot convert DIR NEW")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := episodes.Open(args[0])
			if err != nil {
				return err
			}
			defer set.Close()
			p := c.progress()
			err = set.Convert(cmd.Context(), args[1], episodes.ConvertOptions{LeaveOut: out, Progress: func(done, total int) {
				p.State("episodes", int64(done), int64(total))
			}})
			p.close()
			if err != nil {
				return err
			}
			fresh, err := episodes.Open(args[1])
			if err != nil {
				return err
			}
			defer fresh.Close()
			c.result = converted{args[1], len(fresh.Episodes()), fresh.Frames()}
			if !c.json {
				c.say("%s  %d episodes, %d frames; to check it: tlkit robot check %s", args[1], len(fresh.Episodes()), fresh.Frames(), invoke.Quote(args[1]))
			}
			return nil
		},
	}
	cmd.Flags().IntSliceVar(&out, "leave-out", nil, "episodes to leave out, such as 3,17")
	return cmd
}

// record writes the demonstrations of a simulated task that succeed as a data set.
func record(ctx context.Context, lab *robot.Lab, dir string) error {
	if !lab.Simulated() {
		return advice.New(fmt.Errorf("robot teach: %s is a data set already", lab.Spec.Task), "to rewrite it: tlkit robot convert %s %s", invoke.Quote(lab.Spec.Task), invoke.Quote(dir))
	}
	w, err := episodes.Create(dir, lab.Robot)
	if err != nil {
		return err
	}
	defer w.Discard()
	for i := range lab.Spec.Demos {
		o, err := lab.Demonstrate(ctx, i, w.Add)
		if err != nil {
			return err
		}
		if !o.Success {
			w.Drop()
			continue
		}
		if err := w.End(lab.Robot.Goal); err != nil {
			return err
		}
	}
	return w.Close()
}

// oneFolder demands one argument, a folder.
func oneFolder(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return advice.New(errors.New(command+": name one folder"), "tlkit %s DIR", command)
	}
}
