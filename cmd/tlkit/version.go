package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// showVersion adds the flag --version. The version is looked up only when it is asked for.
func (c *command) showVersion(root *cobra.Command) {
	cobra.AddTemplateFunc("tlkitVersion", func() string {
		if c.json {
			return fmt.Sprintf("{\"version\": %q}", version())
		}
		return "tlkit version " + version()
	})
	root.Version = "set" // any text adds the flag; the template ignores it
	root.SetVersionTemplate("{{tlkitVersion}}\n")
}

// version is the subcommand that prints the same as the flag.
func (c *command) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, as --version does",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c.result = map[string]string{"version": version()}
			if !c.json {
				fmt.Fprintln(c.out, "tlkit version "+version()) // say would take it for a command
			}
			return nil
		},
	}
}

// version is the module's version or the checkout's revision, and Go's version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info, func() string { return revision(kernelspec.BuiltFrom()) })
}

// versionOf reads the version that Go stamped into a program. A module's version ("v0.1.0")
// stands as it is; a program built in a checkout also has its revision. "go tool" stamps
// none, so checkout is asked.
func versionOf(info *debug.BuildInfo, checkout func() string) string {
	v, rev := info.Main.Version, ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			rev = s.Value[:min(12, len(s.Value))]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if rev == "" && v == "(devel)" {
		rev = checkout()
	}
	if rev != "" && !strings.Contains(v, rev) {
		v += " " + rev
	}
	return v + " " + info.GoVersion
}

// revision describes what is checked out in dir: a tag, a commit, and "-dirty" with changes;
// "" without git.
func revision(dir string) string {
	if dir == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "describe", "--always", "--dirty", "--abbrev=12", "--match=v*").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
