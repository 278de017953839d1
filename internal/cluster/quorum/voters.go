package quorum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Member is a voter, or a learner on its way to be one.
type Member struct {
	// Node is the broker's id; NoBroker of a learner that nobody here knows.
	Node kafka.BrokerID `json:"node"`
	// PeerURL is http://HOST:PORT of its peer port.
	PeerURL string `json:"url"`
	// ID is etcd's number of the membership; 0: not known. A node that is removed and added again has another one.
	ID uint64 `json:"id,omitempty"`
}

// VoterStatus is what Voters tells of one member.
type VoterStatus struct {
	Member
	Learner bool // it has no vote yet
	Started bool // it has taken part once
	Healthy bool // it answered just now and knows a leader
	Leader  bool
	Applied uint64 // raft's index up to which it has applied; 0: it did not answer
	Bytes   int64  // size of its database; 0: it did not answer
}

// Members lists voters and learners by broker id, and does not ask them how they are.
func (c *Cluster) Members(ctx context.Context) ([]VoterStatus, error) { return c.members(ctx) }

// RemoveMember removes a member by etcd's number of its membership. Nothing is done when there is no such member.
func (c *Cluster) RemoveMember(ctx context.Context, id uint64) error {
	if err := c.drop(ctx, id); err != nil {
		return fmt.Errorf("remove member %x: %w", id, err)
	}
	return nil
}

// members lists all members and tells the broker of each.
func (c *Cluster) members(ctx context.Context) ([]VoterStatus, error) {
	if c.external {
		return nil, ErrExternal
	}
	var list []*pb.Member
	told := map[string]kafka.BrokerID{}
	err := c.ask(ctx, func(ctx context.Context) error {
		resp, err := c.client.MemberList(ctx)
		if err != nil {
			return err
		}
		hints, err := c.client.Get(ctx, keyVoters, clientv3.WithPrefix())
		if err != nil {
			return err
		}
		for _, kv := range hints.Kvs {
			if id, err := strconv.ParseInt(string(kv.Value), 10, 32); err == nil {
				told[string(kv.Key)] = kafka.BrokerID(id)
			}
		}
		list = resp.Members
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the voters: %w", err)
	}
	all := make([]VoterStatus, 0, len(list))
	for _, m := range list {
		v := VoterStatus{Member: Member{Node: memberNode(m.Name), ID: m.ID}, Learner: m.IsLearner, Started: m.Name != ""}
		if len(m.PeerURLs) > 0 {
			v.PeerURL = m.PeerURLs[0]
		}
		if id, ok := told[voterKey(v.PeerURL)]; ok && !v.Started {
			v.Node = id
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b VoterStatus) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// voterKey says which broker a member with this URL will be, for etcd knows no name before the member has started.
func voterKey(peerURL string) string {
	if u, err := url.Parse(peerURL); err == nil {
		return keyVoters + u.Host
	}
	return keyVoters + peerURL
}

// AddVoter adds m as a learner and returns all members, m with its ID: what StartJoining of that node needs. Called again it changes
// nothing, until m has started. A node that asks without an ID although it has started before has lost its disk and with it its votes:
// its old membership is removed and it gets a new one. While the voters are not all connected, or just were not, etcd refuses;
// AddVoter tries again until ctx ends.
func (c *Cluster) AddVoter(ctx context.Context, m Member) (all []Member, err error) {
	if err := c.requireImported(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("add broker %d as a voter: %w", m.Node, err)
		}
	}()
	err = c.ask(ctx, func(ctx context.Context) error {
		_, err := c.client.Put(ctx, voterKey(m.PeerURL), strconv.Itoa(int(m.Node)))
		return err
	})
	if err != nil {
		return nil, err
	}
	for {
		list, err := c.members(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(v VoterStatus) bool { return v.Node == m.Node || v.PeerURL == m.PeerURL })
		if i >= 0 {
			v := list[i]
			if !v.Started && v.PeerURL == m.PeerURL || v.Started && v.Node == m.Node && v.ID == m.ID {
				return plain(list), nil
			}
			if v.Started && v.Node != m.Node {
				return nil, fmt.Errorf("%s is the address of broker %d", m.PeerURL, v.Node)
			}
			if err := c.drop(ctx, v.ID); err != nil {
				return nil, err
			}
			continue
		}
		err = c.once(ctx, func(ctx context.Context) error {
			_, err := c.client.MemberAddAsLearner(ctx, []string{m.PeerURL})
			return err
		})
		switch {
		case err == nil || errors.Is(err, rpctypes.ErrPeerURLExist) || errors.Is(err, rpctypes.ErrMemberExist):
		// etcd makes the number of a membership from the address and the second. One that was removed in this second is not to be found.
		case !passing(err) && !errors.Is(err, rpctypes.ErrMemberNotFound):
			return nil, err
		default:
			if e := c.pause(ctx, askPause); e != nil {
				return nil, fmt.Errorf("%w: %w", e, err)
			}
		}
	}
}

func plain(list []VoterStatus) []Member {
	all := make([]Member, len(list))
	for i, v := range list {
		all[i] = v.Member
	}
	return all
}

// find returns the member of a broker.
func (c *Cluster) find(ctx context.Context, node kafka.BrokerID) (VoterStatus, error) {
	list, err := c.members(ctx)
	if err != nil {
		return VoterStatus{}, err
	}
	for _, v := range list {
		if v.Node == node {
			return v, nil
		}
	}
	return VoterStatus{}, fmt.Errorf("broker %d: %w", node, ErrNoSuchMember)
}

// Promote gives a learner its vote. It tries again until the learner has caught up and etcd agrees, or ctx ends. Nothing is done for a
// voter. Errors: ErrNoSuchMember.
func (c *Cluster) Promote(ctx context.Context, node kafka.BrokerID) error {
	for {
		v, err := c.find(ctx, node)
		if err != nil {
			return fmt.Errorf("promote: %w", err)
		}
		if !v.Learner {
			return nil
		}
		err = c.once(ctx, func(ctx context.Context) error {
			_, err := c.client.MemberPromote(ctx, v.ID)
			return err
		})
		if err == nil {
			return nil
		}
		if !passing(err) && !errors.Is(err, rpctypes.ErrMemberNotLearner) {
			return fmt.Errorf("promote broker %d: %w", node, err)
		}
		if e := c.pause(ctx, askPause); e != nil {
			return fmt.Errorf("promote broker %d: %w: %w", node, e, err)
		}
	}
}

// RemoveVoter removes a voter or learner for good; it may be this node. It tries again until etcd agrees, which never lets the voters
// lose their majority, or ctx ends. Nothing is done when there is no such member.
func (c *Cluster) RemoveVoter(ctx context.Context, node kafka.BrokerID) error {
	v, err := c.find(ctx, node)
	if errors.Is(err, ErrNoSuchMember) {
		return nil
	}
	if err == nil {
		err = c.drop(ctx, v.ID)
	}
	if err == nil {
		err = c.ask(ctx, func(ctx context.Context) error {
			_, err := c.client.Delete(ctx, voterKey(v.PeerURL))
			return err
		})
	}
	if err != nil && !(errors.Is(err, ErrRemoved) && node == c.opts.Node) {
		return fmt.Errorf("remove voter %d: %w", node, err)
	}
	return nil
}

func (c *Cluster) drop(ctx context.Context, id uint64) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.client.MemberRemove(ctx, id)
		return err
	})
	if errors.Is(err, rpctypes.ErrMemberNotFound) {
		return nil
	}
	return err
}

// Voters lists voters and learners by broker id and asks each how it is.
func (c *Cluster) Voters(ctx context.Context) ([]VoterStatus, error) {
	list, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	leads := c.Leadership().Controller
	var wg sync.WaitGroup
	for i := range list {
		v := &list[i]
		v.Leader = v.Started && v.Node == leads
		if v.Started {
			wg.Go(func() { c.examine(ctx, v) })
		}
	}
	wg.Wait()
	return list, nil
}

// quiet are the options for asking somebody who may well be dead, which is no news for the log.
func (c *Cluster) quiet() ClusterOptions {
	o := c.opts
	o.Logger = slog.New(slog.DiscardHandler)
	return o
}

// examine asks one member how it is.
func (c *Cluster) examine(ctx context.Context, v *VoterStatus) {
	if c.etcd != nil && v.ID == uint64(c.etcd.Server.MemberID()) {
		_ = c.once(ctx, func(context.Context) error {
			server := c.etcd.Server
			v.Healthy, v.Applied, v.Bytes = server.Leader() != 0, server.AppliedIndex(), server.Backend().Size()
			return nil
		})
		return
	}
	u, err := url.Parse(v.PeerURL)
	if err != nil {
		return
	}
	client, err := dialVoters(c.quiet(), u.Host)
	if err != nil {
		return
	}
	defer client.Close()
	_ = c.once(ctx, func(ctx context.Context) error {
		s, err := pb.NewMaintenanceClient(client.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
		if err == nil {
			v.Healthy, v.Applied, v.Bytes = s.Leader != 0, s.RaftAppliedIndex, s.DbSize
		}
		return err
	})
}
