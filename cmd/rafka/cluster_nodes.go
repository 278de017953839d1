package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/cluster/mesh"
	"github.com/rafka-io/rafka/internal/server/kafkasrv"
)

// What a broker does.
const (
	stateServing     = "serving"
	stateFenced      = "fenced"      // the controller does not hear of it: it leads nothing
	stateUnreachable = "unreachable" // it should serve and cannot be reached from here
	stateAbsent      = "absent"      // it holds replicas, and the cluster does not name it
)

type nodeView struct {
	ID         int32  `json:"id"`
	Address    string `json:"address,omitempty"`
	Rack       string `json:"rack,omitempty"`
	State      string `json:"state"`
	Draining   bool   `json:"draining"`
	Controller bool   `json:"controller"`
	Leaders    int    `json:"leads_partitions"`
	Replicas   int    `json:"holds_replicas"`
	NotInSync  int    `json:"not_in_sync"`
	// Load is what the broker has to do, as it has told the others by gossip; nil where the cluster does not know it.
	Load *nodeLoad `json:"load,omitempty"`
}

// nodeLoad is the load of a broker.
type nodeLoad struct {
	Connections int64 `json:"connections"`
	BytesIn     int64 `json:"bytes_in_per_second"`
	BytesOut    int64 `json:"bytes_out_per_second"`
}

// serves reports whether the broker can take replicas and lead them, as far as is known.
func (n *nodeView) serves() bool { return n.State == stateServing }

// says is the state in words for a table.
func (n *nodeView) says() string {
	words := []string{n.State}
	if n.Draining {
		words = append(words, "draining")
	}
	if n.Controller {
		words = append(words, "controller")
	}
	return strings.Join(words, ", ")
}

func newClusterNodes(c *clusterCommand) *cobra.Command {
	return &cobra.Command{
		Use:     "nodes",
		Aliases: []string{"brokers"},
		Short:   "Show each broker: where it is, whether it serves, what it leads and holds",
		Long: `Show each broker: where it is, whether it serves, what it leads and holds.

  serving      it takes part
  fenced       the controller does not hear of it; others lead what it led
  draining     its replicas move to others (rafka cluster drain)
  unreachable  it should serve, and this machine cannot reach it
  absent       it holds replicas, and the cluster does not name it

NOT-IN-SYNC counts the replicas that are not as far as their leader. CONNECTIONS and the bytes of clients a second are what each broker has told
the others in the last seconds, - where nothing was heard.`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				n, err := loadNodes(ctx, adm)
				if err != nil {
					return err
				}
				n.ask(ctx, adm)
				return c.print(cmd.OutOrStdout(), n.list, func(tb *table) { printNodes(tb, n.list) })
			})
		},
	}
}

func printNodes(tb *table, list []nodeView) {
	tb.row("ID", "ADDRESS", "RACK", "STATE", "LEADERS", "REPLICAS", "NOT-IN-SYNC", "CONNECTIONS", "IN/S", "OUT/S")
	for _, n := range list {
		connections, in, out := "-", "-", "-"
		if l := n.Load; l != nil {
			connections, in, out = strconv.FormatInt(l.Connections, 10), bytesText(l.BytesIn), bytesText(l.BytesOut)
		}
		tb.row(n.ID, cmp.Or(n.Address, "-"), cmp.Or(n.Rack, "-"), n.says(), n.Leaders, n.Replicas, n.NotInSync, connections, in, out)
	}
}

// nodes are the brokers of a cluster with what they lead and hold.
type nodes struct {
	list []nodeView // by id
	meta kadm.Metadata
}

// loadNodes asks the cluster for its brokers, fenced ones too where it tells them (KIP-1073).
func loadNodes(ctx context.Context, adm *admin) (*nodes, error) {
	m, err := adm.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	n := &nodes{meta: m}
	known := map[int32]*nodeView{}
	add := func(id int32, host string, port int32, rack *string, state string) {
		if known[id] == nil {
			known[id] = &nodeView{ID: id, Address: net.JoinHostPort(host, strconv.Itoa(int(port))), Rack: deref(rack), State: state, Controller: id == m.Controller}
		}
	}
	for _, b := range m.Brokers {
		add(b.NodeID, b.Host, b.Port, b.Rack, stateServing)
	}
	for _, b := range describedBrokers(ctx, adm) {
		if b.IsFenced {
			add(b.NodeID, b.Host, b.Port, b.Rack, stateFenced)
		}
		if node := known[b.NodeID]; node != nil {
			node.Load = loadOf(&b)
		}
	}
	of := func(id int32) *nodeView {
		if known[id] == nil {
			known[id] = &nodeView{ID: id, State: stateAbsent}
		}
		return known[id]
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader >= 0 {
				of(p.Leader).Leaders++
			}
			for _, r := range p.Replicas {
				of(r).Replicas++
				if !slices.Contains(p.ISR, r) {
					of(r).NotInSync++
				}
			}
		}
	}
	for _, node := range known {
		n.list = append(n.list, *node)
	}
	slices.SortFunc(n.list, func(a, b nodeView) int { return cmp.Compare(a.ID, b.ID) })
	return n, nil
}

// loadOf is the load of a broker, nil if the answer does not tell it.
func loadOf(b *kmsg.DescribeClusterResponseBroker) (load *nodeLoad) {
	b.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag != kafkasrv.LoadTag {
			return
		}
		if l, err := mesh.DecodeLoad(value); err == nil {
			load = &nodeLoad{Connections: l.Connections, BytesIn: l.BytesIn, BytesOut: l.BytesOut}
		}
	})
	return load
}

// describedBrokers are all brokers, also those that clients are not told of; none where the cluster is too old to say.
func describedBrokers(ctx context.Context, adm *admin) []kmsg.DescribeClusterResponseBroker {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeFencedBrokers = true
	resp, err := req.RequestWith(ctx, adm.raw)
	if err != nil || resp.ErrorCode != 0 {
		return nil
	}
	return resp.Brokers
}

// find returns a broker by its id.
func (n *nodes) find(id int32) (*nodeView, error) {
	ids := make([]int32, len(n.list))
	for i := range n.list {
		if n.list[i].ID == id {
			return &n.list[i], nil
		}
		ids[i] = n.list[i].ID
	}
	return nil, fmt.Errorf("there is no broker %d; there are %v", id, ids)
}

// kerrOf is the error of an answer with the broker's own words.
func kerrOf(code int16, message *string) error {
	if err := kerr.ErrorForCode(code); err != nil {
		return describe(err, deref(message))
	}
	return nil
}
