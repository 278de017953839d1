package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newClusterDrain(c *clusterCommand) *cobra.Command {
	var undo bool
	var wait waiting
	cmd := &cobra.Command{
		Use:   "drain ID",
		Short: "Move all replicas away from a broker",
		Long: `Move all replicas away from a broker. It gets no new ones meanwhile, goes on serving what it still has, and stays in the
cluster. The controller moves a few at a time; --wait watches until the broker holds none, and may be interrupted.

Draining is a setting of the broker (` + drainKey + `) and outlives restarts; --undo ends it and leaves what has moved where it is.
"rafka cluster decommission" does this and then takes the broker out of the cluster.`,
		Example: `  rafka cluster drain 3 --wait
  rafka cluster drain 3 --undo`,
		Args: arguments(1, 1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseBroker(args[0])
			if err != nil {
				return err
			}
			if undo && wait.on {
				return usagef("--undo is done at once: leave out --wait")
			}
			return c.withPatience(cmd.Context(), func(ctx context.Context, adm *admin) error {
				d := drainage{c, adm, cmd.ErrOrStderr(), id}
				status := "draining"
				if undo {
					status = "no longer draining"
				}
				n, err := d.begin(ctx, !undo)
				if err != nil {
					return err
				}
				if stuck := n.stuck(id); !undo && stuck.count > 0 {
					fmt.Fprintf(d.notes, "rafka: %s\n", stuck)
				}
				if wait.on {
					if err := d.wait(ctx, wait); err != nil {
						return err
					}
					status = "drained"
				}
				return c.printOutcomes(cmd.OutOrStdout(), "broker", []outcome{{Name: args[0], Status: status}})
			})
		},
		ValidArgsFunction: c.completeBrokers,
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "let the broker have replicas again")
	wait.register(cmd, "wait until the broker holds no replicas")
	return cmd
}

// drainage is moving everything away from a broker.
type drainage struct {
	*clusterCommand
	adm   *admin
	notes io.Writer
	id    int32
}

// begin says that the broker is to drain, or no longer.
func (d *drainage) begin(ctx context.Context, on bool) (*nodes, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	n, err := loadNodes(ctx, d.adm)
	if err != nil {
		return nil, err
	}
	node, err := n.find(d.id)
	if err != nil {
		return nil, err
	}
	n.ask(ctx, d.adm)
	return n, d.set(ctx, n, node, on)
}

func (d *drainage) set(ctx context.Context, n *nodes, node *nodeView, on bool) error {
	change := configChange{delete: []string{drainKey}}
	if on {
		change = configChange{set: keyValues{{drainKey, "true"}}}
	}
	r := resource{kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(d.id))}
	outcomes, err := change.applyVia(ctx, n.via(d.adm, node), []resource{r})
	if err != nil {
		return err
	}
	if len(outcomes) == 1 && outcomes[0].Error != "" {
		return fmt.Errorf("set %s of broker %d: %s", drainKey, d.id, outcomes[0].Error)
	}
	return nil
}

// wait returns when the broker holds no replicas.
func (d *drainage) wait(ctx context.Context, w waiting) error {
	total := -1
	return w.until(ctx, d.notes, d.timeout, func(ctx context.Context) (progress, bool, error) {
		n, err := loadNodes(ctx, d.adm)
		if err != nil {
			return progress{}, false, err
		}
		left := n.replicas(d.id)
		total = max(total, left)
		p := progress{done: total - left, total: total, what: "replicas moved"}
		if left > 0 {
			n.ask(ctx, d.adm)
			if stuck := n.stuck(d.id); stuck.count == left {
				p.more = stuck.String()
			}
		}
		return p, left == 0, nil
	})
}

func (n *nodes) replicas(id int32) int {
	for _, node := range n.list {
		if node.ID == id {
			return node.Replicas
		}
	}
	return 0
}

// stuckReplicas are those that no broker can take over.
type stuckReplicas struct {
	id      int32
	count   int
	example string
	has     int // replicas of the example
	takers  int
}

func (s stuckReplicas) String() string {
	return fmt.Sprintf("%d replicas cannot leave broker %d: %s has %d replicas, and %d other brokers can have one; start another broker, or give its topics fewer replicas (rafka topic reassign)",
		s.count, s.id, s.example, s.has, s.takers)
}

// stuck are the replicas of a broker for which there is no other.
func (n *nodes) stuck(id int32) stuckReplicas {
	s := stuckReplicas{id: id}
	var takers []int32
	for i := range n.list {
		if node := &n.list[i]; node.serves() && !node.Draining && node.ID != id {
			takers = append(takers, node.ID)
		}
	}
	s.takers = len(takers)
	for _, t := range n.meta.Topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			has := func(taker int32) bool { return slices.Contains(p.Replicas, taker) }
			if !has(id) || slices.ContainsFunc(takers, func(taker int32) bool { return !has(taker) }) {
				continue
			}
			if s.count++; s.count == 1 {
				s.example, s.has = fmt.Sprintf("%s/%d", t.Topic, p.Partition), len(p.Replicas)
			}
		}
	}
	return s
}
