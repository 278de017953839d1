package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newClusterDecommission(c *clusterCommand) *cobra.Command {
	var wait waiting
	cmd := &cobra.Command{
		Use:   "decommission ID",
		Short: "Take a broker out of the cluster for good",
		Long: `Take a broker out of the cluster for good: drain it, wait until it holds no replicas, wait until its process has been stopped,
take its vote on the metadata if it has one, and forget it. A broker that is dead already is not waited for, only its replicas are.

It may be interrupted at any time and run again: it goes on where it was. Until the broker is forgotten,
"rafka cluster drain ID --undo" gives everything back.`,
		Args: arguments(1, 1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseBroker(args[0])
			if err != nil {
				return err
			}
			return c.withPatience(cmd.Context(), func(ctx context.Context, adm *admin) error {
				d := drainage{c, adm, cmd.ErrOrStderr(), id}
				if err := d.decommission(ctx, wait); err != nil {
					return err
				}
				return c.printOutcomes(cmd.OutOrStdout(), "broker", []outcome{{Name: args[0], Status: "out of the cluster"}})
			})
		},
		ValidArgsFunction: c.completeBrokers,
	}
	wait.register(cmd, "it always waits")
	cmd.Flags().Lookup("wait").Usage = "give up after a time, as in --wait=1h (default: as long as it takes)"
	return cmd
}

func (d *drainage) decommission(ctx context.Context, wait waiting) error {
	n, err := d.load(ctx)
	if err != nil {
		return err
	}
	node, err := n.find(d.id)
	if err != nil {
		return err
	}
	if stuck := n.stuck(d.id); stuck.count > 0 {
		return fmt.Errorf("nothing is changed: %s", stuck)
	}
	if node.serves() && !node.Draining || node.Replicas > 0 {
		if _, err := d.begin(ctx, true); err != nil {
			return err
		}
		fmt.Fprintf(d.notes, "broker %d is draining\n", d.id)
	}
	if err := d.wait(ctx, wait); err != nil {
		return err
	}
	if err := d.stopped(ctx, wait); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if err := d.unvote(ctx, n.meta.Cluster); err != nil {
		return fmt.Errorf("take its vote on the metadata: %w", explain(err))
	}
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = d.id
	resp, err := req.RequestWith(ctx, d.adm.raw)
	if err == nil {
		err = kerrOf(resp.ErrorCode, resp.ErrorMessage)
	}
	return explain(err)
}

// load is loadNodes with the answers of the brokers, in the time of a request.
func (d *drainage) load(ctx context.Context) (*nodes, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	n, err := loadNodes(ctx, d.adm)
	if err == nil {
		n.ask(ctx, d.adm)
	}
	return n, err
}

// stopped returns when the cluster no longer hears of the broker.
func (d *drainage) stopped(ctx context.Context, wait waiting) error {
	asked := false
	return wait.until(ctx, d.notes, d.timeout, func(ctx context.Context) (progress, bool, error) {
		n, err := loadNodes(ctx, d.adm)
		if err != nil {
			return progress{}, false, err
		}
		i := slices.IndexFunc(n.list, func(node nodeView) bool { return node.ID == d.id })
		if i < 0 || !n.list[i].serves() {
			return progress{}, true, nil
		}
		if !asked {
			fmt.Fprintf(d.notes, "broker %d holds no replicas any more: stop its process, at %s\n", d.id, n.list[i].Address)
			asked = true
		}
		return progress{what: fmt.Sprintf("waiting until broker %d is stopped", d.id)}, false, nil
	})
}

// unvote takes a broker's vote on the metadata. One that has none, or clusters that do not tell, need nothing.
func (d *drainage) unvote(ctx context.Context, cluster string) error {
	q, err := loadQuorum(ctx, d.adm)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(q.Nodes, func(n quorumNode) bool { return n.ID == d.id && n.Role != "observer" })
	if i < 0 {
		return nil
	}
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.ClusterID, req.VoterID, req.VoterDirectoryID = &cluster, d.id, q.Nodes[i].directory
	resp, err := req.RequestWith(ctx, d.adm.raw)
	if err != nil {
		return err
	}
	if resp.ErrorCode == kerr.VoterNotFound.Code {
		return nil
	}
	return kerrOf(resp.ErrorCode, resp.ErrorMessage)
}
