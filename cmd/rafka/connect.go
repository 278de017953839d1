package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	defaultBroker = "127.0.0.1:9092"
	propertyHelp  = "connection property: brokers, user, pass, sasl.mechanism (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), " +
		"tls.enabled, tls.ca, tls.cert, tls.key (files), tls.insecure_skip_verify, client.id; librdkafka's names work too"
)

// connection is how a verb reaches the cluster: the flags, and opening a client by them.
type connection struct {
	brokers    []string
	properties keyValues
	timeout    time.Duration
	getenv     func(string) string
}

// register adds the flags to cmd and to all commands below it.
func (c *connection) register(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringSliceVarP(&c.brokers, "brokers", "b", nil, "connect to `HOST:PORT,...` (env RAFKA_BROKERS, default "+defaultBroker+")")
	f.VarP(&c.properties, "X", "X", propertyHelp)
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for the cluster to answer")
}

// resolve merges flags, environment and defaults; --brokers beats -X brokers=, which beats RAFKA_BROKERS.
func (c *connection) resolve() (*properties, error) {
	p := &properties{clientID: "rafka-cli", pass: c.getenv("RAFKA_PASS")}
	for _, kv := range c.properties {
		if err := p.set(kv); err != nil {
			return nil, err
		}
	}
	if len(c.brokers) > 0 {
		p.brokers = c.brokers
	}
	if env := c.getenv("RAFKA_BROKERS"); len(p.brokers) == 0 && env != "" {
		p.brokers = strings.Split(env, ",")
	}
	if len(p.brokers) == 0 {
		p.brokers = []string{defaultBroker}
	}
	for i, b := range p.brokers {
		p.brokers[i] = withPort(strings.TrimSpace(b))
		if _, _, err := net.SplitHostPort(p.brokers[i]); err != nil || p.brokers[i] == ":9092" {
			return nil, usagef("broker address %q: want host:port", b)
		}
	}
	if c.timeout <= 0 {
		return nil, usagef("--timeout must be longer than 0")
	}
	return p, nil
}

// withPort adds Kafka's port to a bare host name or address.
func withPort(addr string) string {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return net.JoinHostPort(strings.Trim(addr, "[]"), "9092")
	}
	return addr
}

// open returns a client that has reached a broker, or an error that says which addresses were tried and what to do.
// Without this first ping a client retries for long before it says anything.
func (c *connection) open(ctx context.Context, extra ...kgo.Opt) (*kgo.Client, error) {
	p, err := c.resolve()
	if err != nil {
		return nil, err
	}
	opts, err := p.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.RetryTimeout(c.timeout), kgo.MetadataMinAge(100*time.Millisecond))
	cl, err := kgo.NewClient(append(opts, extra...)...)
	if err != nil {
		return nil, usagef("%w", err)
	}
	pingCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := cl.Ping(pingCtx); err != nil {
		cl.Close()
		return nil, explainConnect(ctx, p, err)
	}
	return cl, nil
}

// admin is kadm's client, and the one below it for requests that kadm words too narrowly.
type admin struct {
	*kadm.Client
	raw *kgo.Client
}

func newAdmin(cl *kgo.Client) *admin { return &admin{kadm.NewClient(cl), cl} }

// withAdmin runs fn with an admin client; fn's context ends with the timeout.
func (c *connection) withAdmin(ctx context.Context, fn func(ctx context.Context, adm *admin) error) error {
	return c.withPatience(ctx, func(ctx context.Context, adm *admin) error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return fn(ctx, adm)
	})
}

// withPatience is withAdmin for verbs that wait: fn sees to it itself that no request takes longer than the timeout.
func (c *connection) withPatience(ctx context.Context, fn func(ctx context.Context, adm *admin) error) error {
	cl, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := newAdmin(cl)
	adm.SetTimeoutMillis(int32(min(c.timeout, time.Hour).Milliseconds()))
	return explain(fn(ctx, adm))
}

// completeTopics offers the cluster's topic names to the shell. It says nothing when the cluster cannot be reached:
// an error would be printed into the line that the user is typing.
func (c *connection) completeTopics(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	quick := *c
	quick.timeout = min(c.timeout, 2*time.Second)
	var names []string
	err := quick.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
		topics, err := adm.ListTopics(ctx)
		names = topics.Names()
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
