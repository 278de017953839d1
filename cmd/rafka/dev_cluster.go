package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxDevNodes bounds a cluster on one machine.
const maxDevNodes = 50

// devOptions are the flags of `dev cluster`.
type devOptions struct {
	nodes     int
	asked     bool   // --nodes was given
	dataDir   string // "": a temporary one that goes at the end
	kafkaPort int    // of the first broker; 0: any
	restart   bool
	logLevel  string
	set       keyValues

	stdout, stderr io.Writer // the banner; what happens later
}

func newDevCluster() *cobra.Command {
	o := devOptions{}
	level := oneOf("info", "debug", "warn", "error")
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Start a cluster of several brokers on this machine, until Ctrl-C",
		Long: `Start a cluster of several brokers on this machine, each a process of its own, and stop them all on Ctrl-C.

The data are in a temporary directory that is removed at the end, unless --data-dir names one: there the same cluster goes on the
next time, and a larger --nodes adds brokers to it. Ports that are taken are replaced by free ones. Each broker writes a log,
rafka.log, into its directory. When a broker ends, killed for a try or not, the others go on; this says how to start it again, or
does so with --restart.`,
		Example: `  rafka dev cluster
  rafka dev cluster --nodes 5 --data-dir cluster --set write.caching=true`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.nodes < 1 || o.nodes > maxDevNodes {
				return usagef("--nodes %d: want 1 to %d", o.nodes, maxDevNodes)
			}
			if o.kafkaPort < 0 || o.kafkaPort > 65535 {
				return usagef("--kafka-port %d: want a port, or 0 for any", o.kafkaPort)
			}
			o.asked, o.logLevel = cmd.Flags().Changed("nodes"), level.value
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runDevCluster(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.nodes, "nodes", 3, "how many brokers")
	f.StringVar(&o.dataDir, "data-dir", "", "keep the data in this directory (default: a temporary one, removed at the end)")
	f.IntVar(&o.kafkaPort, "kafka-port", 9092, "port for Kafka's protocol of the first broker; the others follow; 0: any")
	f.BoolVar(&o.restart, "restart", false, "start brokers again that end")
	f.Var(&o.set, "set", "set one configuration key of every broker (repeatable)")
	f.Var(&level, "log-level", "how much the brokers log")
	level.complete(cmd, "log-level")
	return cmd
}

func runDevCluster(ctx context.Context, o devOptions) (err error) {
	began := time.Now()
	dir, keep := o.dataDir, o.dataDir != ""
	if keep {
		if dir, err = filepath.Abs(dir); err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
	} else {
		dir, err = os.MkdirTemp("", "rafka-dev-")
	}
	if err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	all, err := planDev(dir, o)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start it again: %w", err)
	}
	d := &devCluster{devOptions: o, dir: dir, keep: keep, program: program, nodes: all, events: make(chan devEvent)}
	return d.run(ctx, began)
}

// devCluster is a cluster that runs on this machine.
type devCluster struct {
	devOptions
	dir     string
	keep    bool
	program string
	nodes   []*devNode
	events  chan devEvent
}

// run starts all and looks after them until ctx ends or none is left.
func (d *devCluster) run(ctx context.Context, began time.Time) error {
	stop := make(chan struct{})
	for _, n := range d.nodes {
		d.start(n, stop, 0)
	}
	var failed error
	ready, told, running, stopping := 0, false, len(d.nodes), false
	end := func(err error) {
		if !stopping {
			stopping, failed = true, err
			close(stop)
		}
	}
	interrupted := ctx.Done()
	for running > 0 {
		select {
		case <-interrupted:
			interrupted = nil
			fmt.Fprintln(d.stderr, "stopping")
			end(nil)
		case e := <-d.events:
			switch {
			case e.ready:
				if e.node.pid = e.pid; told {
					fmt.Fprintf(d.stderr, "broker %d is back as process %d\n", e.node.id, e.pid)
				} else if ready++; ready == len(d.nodes) {
					d.banner(time.Since(began))
					told = true
				}
				continue
			case stopping:
			case !told:
				end(fmt.Errorf("broker %d did not start: %s\n%s", e.node.id, e.why, logTail(e.node.log)))
			case d.restart:
				fmt.Fprintf(d.stderr, "broker %d (process %d) has ended: %s; it is started again\n", e.node.id, e.pid, e.why)
				d.start(e.node, stop, e.node.pause(e.lived))
				continue
			default:
				fmt.Fprintf(d.stderr, "broker %d (process %d) has ended: %s\nstart it again, in another terminal: rafka serve --data-dir %s\n", e.node.id, e.pid, e.why, e.node.dir)
			}
			if running--; running == 0 && !stopping {
				failed = errors.New("all brokers have ended")
			}
		}
	}
	return failed
}

// banner tells where everything is, and what to paste next.
func (d *devCluster) banner(took time.Duration) {
	var seeds []string
	fmt.Fprintf(d.stdout, "rafka %s, a cluster of %d brokers\n", buildVersion().Version, len(d.nodes))
	text := output{}
	_ = text.print(d.stdout, nil, func(tb *table) { // as with all banners, there is nobody to tell if nobody reads it
		tb.row("  ID", "KAFKA", "HTTP", "PROCESS", "LOG")
		for _, n := range d.nodes {
			seeds = append(seeds, n.kafka)
			tb.row(fmt.Sprintf("  %d", n.id), n.kafka, n.http, n.pid, n.log)
		}
	})
	if d.keep {
		fmt.Fprintf(d.stdout, "  data in %s\n", d.dir)
	} else {
		fmt.Fprintf(d.stdout, "  data in %s, gone when this ends\n", d.dir)
	}
	one := d.nodes[len(d.nodes)-1]
	fmt.Fprintf(d.stdout, `try it, in another terminal:
  export RAFKA_BROKERS=%s
  rafka topic create hello -p 3 -r %d
  echo 'hi there' | rafka produce hello
  rafka consume hello --offset start
`, strings.Join(seeds, ","), min(3, len(d.nodes)))
	if len(d.nodes) > 1 {
		fmt.Fprintf(d.stdout, "kill a broker, and see the others go on:\n  kill -9 %d; rafka cluster nodes\n", one.pid)
	}
	fmt.Fprintf(d.stdout, "ready in %d ms; Ctrl-C stops all\n", took.Milliseconds())
}
