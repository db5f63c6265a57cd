package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/serve"
)

// serving is what the flags of serve say.
type serving struct {
	options        serve.Options
	address        serve.Address
	weights, entry string
	tokenFile      string
	megabytes      int64
	form           engine.Form
	level          slog.Level
	logJSON        bool
}

// servingOn is the JSON of tlkit serve, printed when requests are answered.
type servingOn struct {
	URL   string   `json:"url"`
	Heads []string `json:"heads"`
}

func (c *command) serveHeads() *cobra.Command {
	f := serving{level: slog.LevelInfo}
	cmd := &cobra.Command{
		Use:   "serve HEAD...",
		Short: "Predict over HTTP with trained heads, and serve a page to drop pictures on",
		Long: `Predict over HTTP. HEAD is a head file, or the folder or name of a run; NAME=HEAD gives it
another name. Requests that name no head get the first.

  POST /predict       a picture → label and probabilities, labels, or values
  GET  /              a page for pictures: drop, paste, or use the camera
  GET  /heads         the heads: labels, backbone, licence, score
  GET  /healthz       200 while the process runs
  GET  /readyz        200 while every head gets the recorded logits of its built-in pictures
  GET  /metrics       for Prometheus
  GET  /openapi.json  the OpenAPI description of these routes

The picture is the body itself, the file in a form, or base64 in JSON ({"picture": "..."}).
?head=NAME asks another head, ?top=K adds the K most probable labels, in order. Pictures that
arrive together go through the network together, and heads on one frozen backbone share a pass.

Replace a head file, and the server switches to it once it is read and verified; if that fails,
the old head stays in use. The server looks every two seconds, or at once on SIGHUP. SIGTERM or
Ctrl-C stops it when every request is answered; a second one stops it at once.

Only programs on this machine reach the server, unless --addr says otherwise. Then it needs a
bearer token (--token-file, or TLKIT_SERVE_TOKEN in the environment), and a certificate or
--plain-http. docs/serve.md has a systemd unit and a container file.`,
		Example: `  tlkit serve my.head.safetensors
  curl --data-binary @picture.jpg http://127.0.0.1:8080/predict
  curl -F picture=@picture.jpg 'http://127.0.0.1:8080/predict?top=3'
  tlkit serve bees=.tlkit/bees flowers=flowers.head.safetensors --threshold 0.8`,
		Args: serveArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return c.runServe(cmd.Context(), &f, args) },
	}
	o, l := &f.options, &f.options.Limits
	cmd.Flags().StringVar(&f.address.Addr, "addr", serve.DefaultAddr, "where to listen, HOST:PORT; port 0 = a free one")
	cmd.Flags().Float64Var(&o.Threshold, "threshold", 0, "lowest probability at which a label is given, from 0 to 1; below it the answer is unknown (heads for one label a picture)")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "the file with the bearer token that requests must carry")
	cmd.Flags().StringVar(&f.address.Cert, "tls-cert", "", "the certificate for HTTPS, PEM")
	cmd.Flags().StringVar(&f.address.Key, "tls-key", "", "its key, PEM")
	cmd.Flags().BoolVar(&f.address.PlainHTTP, "plain-http", false, "let other machines connect without a certificate: for a server behind a proxy that has one")
	cmd.Flags().StringSliceVar(&o.Hosts, "allow-host", nil, "a host name under which browsers may reach a server without a token, besides localhost")
	cmd.Flags().Int64Var(&f.megabytes, "max-mb", 32, "the largest picture, in MiB")
	cmd.Flags().IntVar(&l.Waiting, "max-waiting", 256, "requests in progress; one more gets status 429")
	cmd.Flags().DurationVar(&l.Answer, "timeout", 30*time.Second, "time limit for a body to arrive, and for its answer")
	cmd.Flags().StringVar(&f.weights, "weights", "", "the backbone's weights file, if it is not the published one")
	cmd.Flags().StringVar(&f.entry, "entry", "", "where in that file the weights are (default: where they were when the head was trained)")
	cmd.Flags().TextVar(&f.level, "log-level", slog.LevelInfo, "debug, info, warn or error; debug has a line for each request")
	cmd.Flags().BoolVar(&f.logJSON, "log-json", false, "write the log as JSON lines")
	formFlag(cmd, &f.form)
	return cmd
}

// serveArgs explains what is missing where no head is named.
func serveArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	fix := "tlkit serve HEAD"
	if heads := here.Heads(); len(heads) > 0 {
		fix += ", with as HEAD one of " + words.Some(heads[:min(len(heads), 3)])
	}
	return advice.New(errors.New("serve: no head is named"), "%s", fix)
}

// runServe opens the heads and answers until ctx ends.
func (c *command) runServe(ctx context.Context, f *serving, args []string) error {
	if err := f.complete(args); err != nil {
		return err
	}
	// Before the heads: what is wrong with an address is wrong at once.
	l, err := f.address.Listen()
	if err != nil {
		return err
	}
	defer l.Close()
	f.options.Log = f.logger(c)
	s, err := agreed(c, func() (*serve.Server, error) { return c.openServer(ctx, f) })
	if err != nil {
		return err
	}
	defer f.options.Engine.Close()
	defer s.Close()
	defer onHangup(func() { _ = s.Reload(ctx) })() // logged
	// The first signal stops the server when all is answered, a second one at once.
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })
	if err := c.sayServing(f, l.Addr()); err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

// complete fills in what the flags say about heads, token and limits.
func (f *serving) complete(args []string) (err error) {
	o := &f.options
	for _, arg := range args {
		h := serve.Head{}
		name, rest, named := strings.Cut(arg, "=")
		if _, err := os.Stat(arg); named && name != "" && err != nil {
			h.Name, arg = name, rest
		}
		if h.Path, err = here.HeadPath(arg); err != nil {
			return err
		}
		o.Heads = append(o.Heads, h)
	}
	if f.megabytes < 1 || f.megabytes > 1024 {
		return fmt.Errorf("serve: --max-mb is %d, want 1 to 1024", f.megabytes)
	}
	if o.Limits.Waiting < 1 || o.Limits.Answer <= 0 {
		return fmt.Errorf("serve: --max-waiting %d, --timeout %s, want both above 0", o.Limits.Waiting, o.Limits.Answer)
	}
	o.Limits.Bytes, o.Limits.Body = f.megabytes<<20, o.Limits.Answer
	o.Token, err = serve.ReadToken(f.tokenFile)
	f.address.Token = o.Token
	return err
}

// openServer opens the engine and the heads.
func (c *command) openServer(ctx context.Context, f *serving) (*serve.Server, error) {
	p := c.progress()
	defer p.close()
	place := c.place()
	e, err := place.Engine(ctx, f.form, p)
	if err != nil {
		return nil, err
	}
	o := &f.options
	o.Engine, o.Zoo = e, place.Zoo(p)
	o.Zoo.Weights, o.Zoo.Entry = f.weights, f.entry
	s, err := serve.New(ctx, *o)
	if err != nil {
		e.Close()
		return nil, err
	}
	return s, nil
}

func (f *serving) logger(c *command) *slog.Logger {
	options := &slog.HandlerOptions{Level: f.level}
	if f.logJSON {
		return slog.New(slog.NewJSONHandler(c.err, options))
	}
	return slog.New(slog.NewTextHandler(c.err, options))
}

// onHangup does something at every SIGHUP, until stop is called.
func onHangup(do func()) (stop func()) {
	hear := make(chan os.Signal, 1)
	signal.Notify(hear, syscall.SIGHUP)
	go func() {
		for range hear {
			do()
		}
	}()
	return func() {
		signal.Stop(hear)
		close(hear)
	}
}

// sayServing prints where the server is.
func (c *command) sayServing(f *serving, at net.Addr) error {
	scheme := "http"
	if f.address.Cert != "" {
		scheme = "https"
	}
	on := servingOn{URL: scheme + "://" + at.String() + "/"}
	for _, h := range f.options.Heads {
		on.Heads = append(on.Heads, h.Path)
	}
	if c.json {
		return c.print(on)
	}
	c.say("serving %s on %s", strings.Join(on.Heads, ", "), on.URL)
	curl := "curl --data-binary @picture.jpg "
	if f.options.Token != "" {
		curl += `-H "Authorization: Bearer $TOKEN" `
	}
	c.say("try it: %s", curl+invoke.Quote(on.URL+"predict"))
	return nil
}
