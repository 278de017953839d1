package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// roleObserver is the role of a node that has no vote.
const roleObserver = "observer"

type quorumView struct {
	Leader        int32        `json:"leader"`
	Epoch         int32        `json:"leader_epoch"`
	HighWatermark int64        `json:"high_watermark"`
	Majority      int          `json:"majority"`
	Nodes         []quorumNode `json:"nodes"`
}

// quorumNode is a node that votes on the metadata, or follows them. Times are those of the cluster's clocks, null where it does not tell.
type quorumNode struct {
	ID           int32      `json:"id"`
	Role         string     `json:"role"` // leader, voter, observer
	Directory    string     `json:"directory_id,omitempty"`
	Address      string     `json:"address,omitempty"`
	LogEnd       int64      `json:"log_end"`
	Lag          int64      `json:"lag"`
	LastFetch    *time.Time `json:"last_fetch,omitempty"`
	LastCaughtUp *time.Time `json:"last_caught_up,omitempty"`
	directory    [16]byte
}

func newClusterQuorum(c *clusterCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "quorum",
		Short: "Show who keeps the cluster's metadata and votes on them, and who is behind",
		Args:  arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				v, err := loadQuorum(ctx, adm)
				if err != nil {
					return err
				}
				return c.print(cmd.OutOrStdout(), v, func(tb *table) { printQuorum(tb, v, time.Now()) })
			})
		},
	}
}

func loadQuorum(ctx context.Context, adm *admin) (*quorumView, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic, topic.Partitions = "__cluster_metadata", []kmsg.DescribeQuorumRequestTopicPartition{{}}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, adm.raw)
	if err != nil {
		return nil, err
	}
	if err := kerrOf(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker did not answer about its quorum; clusters that keep their metadata in ZooKeeper have none")
	}
	p := &resp.Topics[0].Partitions[0]
	if err := kerrOf(p.ErrorCode, p.ErrorMessage); err != nil {
		return nil, err
	}
	return viewQuorum(p, resp.Nodes), nil
}

func viewQuorum(p *kmsg.DescribeQuorumResponseTopicPartition, addresses []kmsg.DescribeQuorumResponseNode) *quorumView {
	v := &quorumView{Leader: p.LeaderID, Epoch: p.LeaderEpoch, HighWatermark: p.HighWatermark, Majority: len(p.CurrentVoters)/2 + 1, Nodes: []quorumNode{}}
	at := map[int32]string{}
	for _, n := range addresses {
		for _, l := range n.Listeners {
			at[n.NodeID] = cmp.Or(at[n.NodeID], net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))))
		}
	}
	add := func(role string, list []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) {
		for _, r := range list {
			n := quorumNode{
				ID: r.ReplicaID, Role: role, Address: at[r.ReplicaID], LogEnd: r.LogEndOffset, Lag: -1, directory: r.ReplicaDirectoryID,
				LastFetch: timeOf(r.LastFetchTimestamp), LastCaughtUp: timeOf(r.LastCaughtUpTimestamp),
			}
			if r.ReplicaDirectoryID != [16]byte{} {
				n.Directory = uuidText(r.ReplicaDirectoryID)
			}
			if r.ReplicaID == p.LeaderID && role == "voter" {
				n.Role = "leader"
			}
			if r.LogEndOffset >= 0 && p.HighWatermark >= 0 {
				n.Lag = max(p.HighWatermark-r.LogEndOffset, 0)
			}
			v.Nodes = append(v.Nodes, n)
		}
	}
	byID := func(a, b kmsg.DescribeQuorumResponseTopicPartitionReplicaState) int {
		return cmp.Compare(a.ReplicaID, b.ReplicaID)
	}
	slices.SortFunc(p.CurrentVoters, byID)
	slices.SortFunc(p.Observers, byID)
	add("voter", p.CurrentVoters)
	add(roleObserver, p.Observers)
	return v
}

func timeOf(ms int64) *time.Time {
	if ms < 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

func printQuorum(tb *table, v *quorumView, now time.Time) {
	if v.Leader < 0 {
		tb.row("leader", "none: nothing can be changed until a majority has elected one")
	} else {
		tb.row("leader", v.Leader)
	}
	tb.row("epoch", v.Epoch)
	tb.row("changes", v.HighWatermark)
	voters := slices.DeleteFunc(slices.Clone(v.Nodes), func(n quorumNode) bool { return n.Role == roleObserver })
	tb.row("voters", fmt.Sprintf("%d, of which %d must run", len(voters), v.Majority))
	tb.section("NODES")
	tb.row("ID", "ROLE", "LOG-END", "LAG", "LAST-FETCH", "CAUGHT-UP", "ADDRESS")
	for _, n := range v.Nodes {
		tb.row(n.ID, n.Role, unknownDash(n.LogEnd), unknownDash(n.Lag), since(n.LastFetch, now), since(n.LastCaughtUp, now), cmp.Or(n.Address, "-"))
	}
}

func unknownDash(n int64) any {
	if n < 0 {
		return "-"
	}
	return n
}

func since(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return max(now.Sub(*t), 0).Round(time.Millisecond).String() + " ago"
}
