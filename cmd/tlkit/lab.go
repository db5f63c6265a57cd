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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

func (c *command) lab() *cobra.Command {
	var (
		offline offlineFlag
		server  labServer
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
			c.offline = offline.offline
			b, args, err := offline.bundle(args)
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
			if _, err := c.prepare(ctx, wanted{bundle: b, notebooks: true, terse: true}); err != nil {
				return err
			}
			if server.dir, server.page, err = c.labPage(ctx, args); err != nil {
				return err
			}
			if server.jupyter, err = setup.FindJupyter(ctx); err != nil {
				return err
			}
			return c.serve(ctx, server)
		},
	}
	f := cmd.Flags()
	offline.add(cmd)
	f.BoolVar(&server.browser, "browser", true, "open the browser too; the URL is printed in any case")
	f.IntVar(&server.port, "port", 0, "port of the server (0: a free one)")
	f.StringVar(&server.address, "ip", "127.0.0.1", "address to listen on; another one lets other machines in, with the token of the URL")
	return cmd
}

// labPage returns the server's folder and the page in it that opens first. Without arguments
// that is a tutorial: in a checkout its own, in a folder without notebooks a copy.
func (c *command) labPage(ctx context.Context, args []string) (dir, page string, err error) {
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
		return "", "", advice.New(fmt.Errorf("lab: %w", err), "go to a folder with notebooks, or name what to open: tlkit lab DIR")
	}
	return dir, tutorials + "/" + names[0], nil
}

// tutorials is the folder to which the tutorials are copied outside a checkout.
const tutorials = "tlkit-tutorials"

// bringTutorials copies the tutorials into a folder below dir and returns their names.
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

// untracked are the messages whose status JupyterLab does not show: Jupyter's own list without
// kernel_info_request. That is the only message a kernel gets before its first cell, and GoNB
// sends no status unasked: the kernel would be shown as "Unknown" until then.
var untracked = []string{"comm_info_request", "comm_info_reply", "kernel_info_reply", "shutdown_request", "shutdown_reply",
	"interrupt_request", "interrupt_reply", "debug_request", "debug_reply", "stream", "display_data", "update_display_data", "execute_input",
	"execute_result", "error", "status", "clear_output", "debug_event", "input_request", "input_reply"}

// labServer is a JupyterLab to be started.
type labServer struct {
	jupyter   setup.Jupyter
	dir, page string // its folder, and the page in it that opens first ("" = none)
	address   string // to listen on
	port      int    // 0 = a free one
	browser   bool   // open the browser too
	token     string // whoever has it may run code
}

// serve runs JupyterLab until it ends or ctx does, and prints its URL when it answers.
func (c *command) serve(ctx context.Context, lab labServer) error {
	start := time.Now()
	if err := lab.jupyter.Quiet(); err != nil {
		return err // a cache that cannot be written is better reported now than by a cell
	}
	if err := lab.choose(); err != nil {
		return err
	}
	cmd := lab.command(ctx)
	cmd.Stdout, cmd.Stderr = c.err, c.err
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := answers(ctx, lab.url("/api"), ended); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("lab: JupyterLab did not come up: %w", err)
		}
		return err
	}
	page, seconds := lab.firstPage(), time.Since(start).Seconds()
	if c.json {
		if err := c.print(map[string]any{"url": page, "folder": lab.dir, "seconds": seconds}); err != nil {
			return err
		}
	}
	c.say("JupyterLab is up after %.1f s, in %s:\n\n    %s\n\nCtrl-C here ends it.", seconds, lab.dir, page)
	if lab.browser {
		openBrowser(page)
	}
	if err := <-ended; err != nil && ctx.Err() == nil {
		return fmt.Errorf("lab: JupyterLab ended: %w", err)
	}
	return nil
}

// choose finds a free port, where none is given, and makes the token.
func (lab *labServer) choose() error {
	if lab.port == 0 {
		l, err := net.Listen("tcp", net.JoinHostPort(lab.address, "0"))
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		lab.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	lab.token = hex.EncodeToString(secret)
	return nil
}

// command is the process of the server.
func (lab *labServer) command(ctx context.Context) *exec.Cmd {
	args := []string{"-m", "jupyterlab", "--no-browser", "--ServerApp.root_dir=" + lab.dir, "--ServerApp.ip=" + lab.address,
		fmt.Sprintf("--ServerApp.port=%d", lab.port), "--ServerApp.port_retries=0", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
		"--LabApp.news_url=None", "--ServerApp.log_level=WARN", "--LabApp.log_level=WARN", "--MultiKernelManager.default_kernel_name=" + kernelspec.Name}
	for _, kind := range untracked {
		args = append(args, "--MappingKernelManager.untracked_message_types="+kind)
	}
	if os.Getuid() == 0 {
		args = append(args, "--allow-root")
	}
	cmd := exec.CommandContext(ctx, lab.jupyter.Python, args...)
	// In the environment, because other users can read a program's arguments.
	cmd.Env = append(os.Environ(), "JUPYTER_TOKEN="+lab.token)
	// After one signal it ends its kernels and itself. Ctrl-C in the terminal would reach it as
	// well, and after two interrupts it asks for confirmation: hence a group of its own.
	cmd.Cancel = func() error { return cmd.Process.Signal(endSignal) }
	cmd.WaitDelay = 20 * time.Second
	ownGroup(cmd)
	return cmd
}

// url is a page of the server as this machine reaches it.
func (lab *labServer) url(path string) string {
	host := lab.address
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(lab.port)) + path
}

// firstPage is the URL that a person opens.
func (lab *labServer) firstPage() string {
	path := "/lab"
	if lab.page != "" {
		path += (&url.URL{Path: "/tree/" + lab.page}).EscapedPath()
	}
	return lab.url(path) + "?token=" + lab.token
}

// answers waits until a URL answers.
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
			return advice.New(err, "its own messages are above")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// openBrowser tries to open a URL; it is on the screen in any case.
func openBrowser(at string) {
	for _, opener := range openers {
		if path, err := exec.LookPath(opener[0]); err == nil {
			cmd := exec.Command(path, append(opener[1:], at)...)
			if cmd.Start() == nil {
				go func() { _ = cmd.Wait() }()
				return
			}
		}
	}
}
