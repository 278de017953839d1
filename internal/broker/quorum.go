package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Quorum is the nodes that keep the metadata: those that vote on it, and those that only follow.
type Quorum interface {
	// Describe tells who they are and how far they have come, as the leader knows it.
	Describe(ctx context.Context) (QuorumState, error)
	// AddVoter has a node vote: it returns when it does. Errors: DuplicateVoter, InvalidRequest, RequestTimedOut when ctx ends first.
	AddVoter(ctx context.Context, v NewVoter) error
	// RemoveVoter has a node vote no more. directory is zero for whichever the node has. Errors: VoterNotFound, RequestTimedOut.
	RemoveVoter(ctx context.Context, id kafka.BrokerID, directory kafka.UUID) error
}

// QuorumState is a quorum at a moment.
type QuorumState struct {
	Leader        kafka.BrokerID // NoBroker: there is none at the moment
	Term          int64          // of the leader; rises with each
	HighWatermark int64          // how many changes of the metadata are committed
	Voters        []QuorumNode
	Observers     []QuorumNode
}

// QuorumNode is one node of a quorum.
type QuorumNode struct {
	ID        kafka.BrokerID
	Directory kafka.UUID // of its data; zero: not known
	LogEnd    int64      // how many changes it has; -1: not known
	// When the leader last heard of it, and when it last had all there was. kafka.NoTimestamp: the leader itself, or not known.
	LastFetch    kafka.Timestamp
	LastCaughtUp kafka.Timestamp
}

// NewVoter is a node that is to vote.
type NewVoter struct {
	ID        kafka.BrokerID
	Directory kafka.UUID // zero: not told
	Addresses []string   // HOST:PORT of its peer port; none if the node is registered and they are known
}

// errAlone refuses to change the quorum of a broker that has none.
var errAlone = kafka.Errorf(kafka.InvalidRequest, "this broker is a cluster of one and keeps its metadata itself: start others with --join, they vote by themselves")

// DescribeQuorum tells the quorum. Errors: those of Quorum.Describe.
func (a *admin) DescribeQuorum(ctx context.Context, _ *Session) (QuorumState, error) {
	if a.opts.Quorum != nil {
		return a.opts.Quorum.Describe(ctx)
	}
	img := a.opts.Controller.Image()
	upto := int64(img.Offset)
	me := QuorumNode{ID: a.opts.NodeID, LogEnd: upto, LastFetch: kafka.NoTimestamp, LastCaughtUp: kafka.NoTimestamp}
	return QuorumState{Leader: me.ID, Term: img.Term, HighWatermark: upto, Voters: []QuorumNode{me}}, nil
}

// AddVoter has a node vote on the metadata. clusterID is nil if the client does not say which cluster it means. When the node is registered its
// addresses are those of its registration.
//
// Codes: InconsistentClusterID, InvalidRequest, and those of Quorum.AddVoter.
func (a *admin) AddVoter(ctx context.Context, _ *Session, clusterID *string, v NewVoter) error {
	if err := a.mayChangeQuorum(clusterID, v.ID); err != nil {
		return err
	}
	if b := a.opts.Controller.Image().Brokers[v.ID]; b != nil && len(b.Peers) > 0 {
		v.Addresses = b.Peers
	}
	if len(v.Addresses) == 0 {
		return kafka.Errorf(kafka.InvalidRequest, "broker %d is not registered and the request names no listener of it: start it with --join first", v.ID)
	}
	return a.opts.Quorum.AddVoter(ctx, v)
}

// RemoveVoter has a node vote no more. Codes: InconsistentClusterID, InvalidRequest, and those of Quorum.RemoveVoter.
func (a *admin) RemoveVoter(ctx context.Context, _ *Session, clusterID *string, id kafka.BrokerID, directory kafka.UUID) error {
	if err := a.mayChangeQuorum(clusterID, id); err != nil {
		return err
	}
	return a.opts.Quorum.RemoveVoter(ctx, id, directory)
}

func (a *admin) mayChangeQuorum(clusterID *string, id kafka.BrokerID) error {
	switch known := a.opts.Controller.Image().ClusterID; {
	case clusterID != nil && *clusterID != known:
		return kafka.Errorf(kafka.InconsistentClusterID, "The given id %q doesn't match the cluster id %q", *clusterID, known)
	case id < 0:
		return kafka.Errorf(kafka.InvalidRequest, "%d is no id of a node", id)
	case a.opts.Quorum == nil:
		return errAlone
	}
	return nil
}
