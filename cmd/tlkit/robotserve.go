package main

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/serve"
)

// robotAddr is where a robot's server listens if nothing else is said.
const robotAddr = "127.0.0.1:8090"

// robotServing is the JSON of tlkit robot serve, printed when requests are answered.
type robotServing struct {
	URL    string `json:"url"`
	Policy string `json:"policy"`
	SHA256 string `json:"sha256"`

	Rosbridge string `json:"rosbridge,omitempty"` // where the robot is that is driven
}

func (c *command) robotServe() *cobra.Command {
	f := robotServeFlags{serving: serving{level: slog.LevelInfo}}
	o, ros := &f.robot, &f.ros
	cmd := &cobra.Command{
		Use:   "serve POLICY",
		Short: "Drive a robot over HTTP, or with ROS, with a policy file",
		Long: `Say over HTTP what a robot should do. POLICY is a file that tlkit robot fit -o wrote.

  POST /act       {"state": {NAME: NUMBER}, "images": {CAMERA: BASE64}, "episode": ID} → actions
  GET  /contract  the robot, the network and the limits of the policy
  GET  /health    200 while the process runs
  GET  /metrics   for Prometheus

The pictures are JPEG or PNG, as large as in the contract. An answer has the actions for the next few
steps, where the policy goes, how sure it is, and whether what is seen is familiar. If it is not, if a
picture is the one before, or if its "age" is more than two steps, the actions hold the robot where it
is. Actions are kept within what the demonstrations contain, and a tenth more. No pickle is read.

Only programs on this machine reach the server, unless --listen says otherwise; see tlkit serve.

With --rosbridge, a robot with ROS 1 or ROS 2 is driven as well, through its rosbridge_server: pictures
(sensor_msgs/CompressedImage) and states (sensor_msgs/JointState) come from there, and an action
(std_msgs/Float64MultiArray) goes there at every step. docs/robot.md says what has to run on the robot.`,
		Example: `  tlkit robot fit bench/sort -o bee.policy.safetensors
  tlkit robot serve bee.policy.safetensors
  tlkit robot serve bee.policy.safetensors --rosbridge ws://robot.local:9090 \
    --image-topic /camera/image/compressed --state-topic /joint_states --action-topic /arm_controller/commands`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runRobotServe(cmd.Context(), args[0], &f) },
	}
	l := cmd.Flags()
	l.StringVar(&f.address.Addr, "listen", robotAddr, "where to listen, HOST:PORT; port 0 = a free one")
	l.StringVar(&f.tokenFile, "token-file", "", "the file with the bearer token that requests must carry")
	l.StringVar(&f.address.Cert, "tls-cert", "", "the certificate for HTTPS, PEM")
	l.StringVar(&f.address.Key, "tls-key", "", "its key, PEM")
	l.BoolVar(&f.address.PlainHTTP, "plain-http", false, "let other machines connect without a certificate: for a server behind a proxy that has one")
	l.StringSliceVar(&o.Hosts, "allow-host", nil, "a host name under which browsers may reach a server without a token, besides localhost")
	l.IntVar(&o.Episodes, "episodes", 64, "episodes that are remembered at the same time")
	l.DurationVar(&o.Idle, "idle", time.Minute, "after how long an episode is forgotten that nobody asks about")
	l.BoolVar(&o.NoHold, "no-hold", false, "act also on what is not familiar")
	l.StringVar(&ros.URL, "rosbridge", "", "the robot's rosbridge_server: ws://HOST:9090, or wss://HOST:9090 with TLS")
	l.StringVar(&ros.CA, "rosbridge-ca", "", "PEM file of the authority behind its certificate (default: the system's authorities)")
	l.StringVar(&ros.Image, "image-topic", "", "where the robot publishes pictures, sensor_msgs/CompressedImage")
	l.StringVar(&ros.State, "state-topic", "", "where the robot publishes its state, sensor_msgs/JointState")
	l.StringVar(&ros.Action, "action-topic", "", "where the robot hears actions, std_msgs/Float64MultiArray")
	l.StringVar(&ros.Episode, "episode-topic", "", "where a message, std_msgs/Empty, begins a new episode")
	l.BoolVar(&ros.NoStamps, "no-stamps", false, "judge how old pictures are by their arrival alone: for simulated time")
	cmd.MarkFlagsRequiredTogether("rosbridge", "image-topic", "state-topic", "action-topic")
	l.TextVar(&f.level, "log-level", slog.LevelInfo, "debug, info, warn or error; debug has a line for each request")
	l.BoolVar(&f.logJSON, "log-json", false, "write the log as JSON lines")
	return cmd
}

// robotServeFlags are what the flags of robot serve say.
type robotServeFlags struct {
	serving
	robot serve.RobotOptions
	ros   serve.RosbridgeOptions
}

// runRobotServe opens the policy and answers until ctx ends.
func (c *command) runRobotServe(ctx context.Context, file string, f *robotServeFlags) (err error) {
	o := f.robot
	if f.ros.URL != "" {
		if err := f.ros.Check(); err != nil {
			return err
		}
	}
	if o.Token, err = serve.ReadToken(f.tokenFile); err != nil {
		return err
	}
	f.address.Token = o.Token
	l, err := f.address.Listen()
	if err != nil {
		return err
	}
	defer l.Close()
	p := c.progress()
	policy, err := agreed(c, func() (*robot.Policy, error) { return robot.OpenPolicy(ctx, file, c.place(), p) })
	p.close()
	if err != nil {
		return err
	}
	defer policy.Close()
	o.Policy, o.Log = policy, f.logger(c)
	o.Limits.Bytes, o.Limits.Body, o.Limits.Answer = 8<<20, 10*time.Second, 10*time.Second
	s, err := serve.NewRobot(o)
	if err != nil {
		return err
	}
	// The first signal stops the server when all is answered, a second one at once.
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })
	if err := c.sayRobotServing(f, robotServing{"http://" + l.Addr().String() + "/", file, policy.SHA256, f.ros.URL}); err != nil {
		return err
	}
	if f.ros.URL == "" {
		return s.Serve(ctx, l)
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return s.Serve(ctx, l) })
	both.Go(func() error { return s.Rosbridge(ctx, f.ros) })
	return both.Wait()
}

// sayRobotServing prints where the server is.
func (c *command) sayRobotServing(f *robotServeFlags, on robotServing) error {
	if f.address.Cert != "" {
		on.URL = "https" + strings.TrimPrefix(on.URL, "http")
	}
	if u, err := url.Parse(on.Rosbridge); err == nil {
		on.Rosbridge = u.Redacted()
	}
	if c.json {
		return c.print(on)
	}
	c.say("serving %s on %s", on.Policy, on.URL)
	c.say("try it: curl %s", invoke.Quote(on.URL+"contract"))
	if on.Rosbridge != "" {
		c.say("driving the robot at %s", on.Rosbridge)
	}
	return nil
}
