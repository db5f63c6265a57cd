package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

func (c *command) lab() *cobra.Command {
	var (
		from    bundle
		browser bool
		port    int
		address string
	)
	cmd := &cobra.Command{
		Use:   "lab [DIR|NOTEBOOK]",
		Short: "Open JupyterLab on the tutorials, after setting up what is missing",
		Long: `Open JupyterLab, after setting up what is missing: on the folder or notebook named, else
on the tutorials. In a checkout those are its notebooks; elsewhere they are copied to
tlkit-tutorials in this folder first, unless it has notebooks of its own.`,
		Args: cobra.MaximumNArgs(2), // the bundle's folder may be one of them
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c.offline = from.offline
			b, args, err := from.take(args)
			if err != nil {
				return err
			}
			if len(args) > 1 {
				return fmt.Errorf("lab: one folder or notebook to open, got %q", args)
			}
			if len(args) == 1 { // before anything slow
				if _, err := os.Stat(args[0]); err != nil {
					return fmt.Errorf("lab: %w", err)
				}
			}
			if _, err := c.prepare(ctx, b, false, true, true); err != nil {
				return err
			}
			dir, page, err := c.opened(ctx, args)
			if err != nil {
				return err
			}
			j, err := setup.FindJupyter(ctx)
			if err != nil {
				return err
			}
			return c.serveLab(ctx, j, dir, page, address, port, browser)
		},
	}
	f := cmd.Flags()
	from.flag(cmd)
	f.BoolVar(&browser, "browser", true, "open the browser too; the URL is printed in any case")
	f.IntVar(&port, "port", 0, "of the server (0: a free one)")
	f.StringVar(&address, "ip", "127.0.0.1", "address to listen on; another one lets other machines in, who need the token of the URL")
	return cmd
}

// opened is the server's folder and the page in it. Nothing named: the tutorials. In the
// checkout those are its own; in a folder without notebooks they are copied to tlkit-tutorials.
func (c *command) opened(ctx context.Context, args []string) (dir, page string, err error) {
	if len(args) == 1 {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return "", "", err
		}
		info, err := os.Stat(path)
		if err != nil {
			return "", "", fmt.Errorf("lab: %w", err)
		}
		if info.IsDir() {
			return path, "", nil
		}
		return filepath.Dir(path), filepath.Base(path), nil
	}
	if dir, err = os.Getwd(); err != nil {
		return "", "", err
	}
	if root := kernelspec.CheckoutAbove(dir); root != "" {
		own := filepath.Join(root, "notebooks")
		if first, _ := filepath.Glob(filepath.Join(own, "01_*.ipynb")); len(first) > 0 {
			return own, filepath.Base(first[0]), nil
		}
	}
	if have, _ := filepath.Glob(filepath.Join(dir, "*.ipynb")); len(have) > 0 {
		return dir, "", nil
	}
	names, err := c.bringTutorials(ctx, dir)
	if err != nil {
		return "", "", fmt.Errorf("lab: %w; go to a folder of yours, or say what to open: tlkit lab DIR", err)
	}
	return dir, tutorials + "/" + names[0], nil
}

// tutorials is the folder to which they are copied outside of a checkout.
const tutorials = "tlkit-tutorials"

// bringTutorials copies the tutorials into a folder below dir and gives their names.
func (c *command) bringTutorials(ctx context.Context, dir string) ([]string, error) {
	module, err := kernelspec.FindModule(dir)
	if err != nil {
		return nil, err
	}
	from, err := setup.Tutorials(ctx, module)
	if err != nil {
		return nil, err
	}
	names, copied, err := setup.CopyTutorials(from, filepath.Join(dir, tutorials))
	if err == nil && copied > 0 {
		c.note("%d tutorials copied to %s", copied, tutorials)
	}
	return names, err
}

// labPatience is how long the server may take to answer.
const labPatience = 2 * time.Minute

// untracked are the messages whose status JupyterLab does not show: Jupyter's own list
// without kernel_info_request. That one is all that a kernel hears before its first cell, and GoNB
// says nothing by itself: the notebook's kernel would be called "Unknown" until then.
var untracked = []string{"comm_info_request", "comm_info_reply", "kernel_info_reply", "shutdown_request", "shutdown_reply",
	"interrupt_request", "interrupt_reply", "debug_request", "debug_reply", "stream", "display_data", "update_display_data", "execute_input",
	"execute_result", "error", "status", "clear_output", "debug_event", "input_request", "input_reply"}

// serveLab runs JupyterLab until it ends or ctx does, and prints its URL when it answers.
func (c *command) serveLab(ctx context.Context, j setup.Jupyter, dir, page, address string, port int, browser bool) error {
	start := time.Now()
	if err := j.Quiet(); err != nil {
		return err // a cache that cannot be written is better said now than by a cell
	}
	if port == 0 {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	token := hex.EncodeToString(secret)
	args := []string{"-m", "jupyterlab", "--no-browser", "--ServerApp.root_dir=" + dir, "--ServerApp.ip=" + address,
		fmt.Sprintf("--ServerApp.port=%d", port), "--ServerApp.port_retries=0", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
		"--LabApp.news_url=None", "--ServerApp.log_level=WARN", "--LabApp.log_level=WARN", "--MultiKernelManager.default_kernel_name=" + kernelspec.Name}
	for _, kind := range untracked {
		args = append(args, "--MappingKernelManager.untracked_message_types="+kind)
	}
	if os.Getuid() == 0 {
		args = append(args, "--allow-root")
	}
	cmd := exec.CommandContext(ctx, j.Python, args...)
	// In the environment, not among the arguments: those are for everybody to see.
	cmd.Env = append(os.Environ(), "JUPYTER_TOKEN="+token)
	cmd.Stdout, cmd.Stderr = c.err, c.err
	// Asked once, it ends its kernels and itself; Ctrl-C in the terminal reaches it as well,
	// and two interrupts would make it ask back.
	cmd.Cancel = func() error { return cmd.Process.Signal(endSignal) }
	cmd.WaitDelay = 20 * time.Second
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	host := address
	if ip := net.ParseIP(address); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	base := "http://" + net.JoinHostPort(host, fmt.Sprint(port))
	if err := answers(ctx, base+"/api", ended); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("lab: JupyterLab did not come up: %w", err)
		}
		return err
	}
	at := base + "/lab"
	if page != "" {
		at += (&url.URL{Path: "/tree/" + page}).EscapedPath()
	}
	at += "?token=" + token
	if c.json {
		if err := c.print(map[string]any{"url": at, "folder": dir, "seconds": time.Since(start).Seconds()}); err != nil {
			return err
		}
	}
	c.say("JupyterLab is up after %.1f s, in %s:\n\n    %s\n\nCtrl-C here ends it.", time.Since(start).Seconds(), dir, at)
	if browser {
		openBrowser(at)
	}
	err := <-ended
	if ctx.Err() != nil {
		return nil // asked to end, and it did
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("lab: JupyterLab ended: %w", err)
}

// answers waits until a URL does.
func answers(ctx context.Context, at string, ended <-chan error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, labPatience, fmt.Errorf("no answer for %s", labPatience))
	defer cancel()
	client := http.Client{Timeout: 5 * time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return err
		}
		if r, err := client.Do(req); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("it ended")
			}
			return fmt.Errorf("%w; its own words stand above", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// openBrowser tries; the URL is on the screen anyway.
func openBrowser(at string) {
	for _, opener := range openers {
		if path, err := exec.LookPath(opener[0]); err == nil {
			cmd := exec.Command(path, append(opener[1:], at)...)
			if cmd.Start() == nil {
				go cmd.Wait()
				return
			}
		}
	}
}
