package join

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
)

// tryToFound founds a cluster if this node is the one to do it and all others promise themselves to it now.
func (n *Node) tryToFound(ctx context.Context, others []seen, missing error) error {
	me := n.status()
	if err := mayFound(me, others, len(n.opts.Addrs), missing); err != nil {
		return err
	}
	self := promise{Founder: me.Directory, Peer: me.Peer}
	if err := n.promised(self); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(others))
	for i, o := range others {
		wg.Go(func() {
			soon, cancel := context.WithTimeout(ctx, askPatience)
			defer cancel()
			_, errs[i] = n.opts.Call(soon, o.at, methodPromise, encode(self))
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			n.giveUp(ctx, self, others)
			return fmt.Errorf("%s did not promise itself: %w", others[i].at, err)
		}
	}
	f, err := n.foundation(me, others)
	if err != nil {
		n.giveUp(ctx, self, others)
		return err
	}
	a, _ := f.of(me.Directory)
	n.mu.Lock()
	err = n.belongLocked(a, f.Nodes)
	n.mu.Unlock()
	if err != nil {
		return err // written or not: the promises stay, and the next round decides
	}
	n.opts.Logger.Info("founded a cluster", "cluster", f.ClusterID, "nodes", len(f.Nodes), "voters", len(f.Voters))
	for _, o := range others { // who does not hear it asks
		wg.Go(func() {
			soon, cancel := context.WithTimeout(ctx, askPatience)
			defer cancel()
			if _, err := n.opts.Call(soon, o.at, methodFound, encode(f)); err != nil {
				n.opts.Logger.Info("a node was not told that its cluster was founded, and will ask", "node", o.at, "err", err)
			}
		})
	}
	wg.Wait()
	return nil
}

// mayFound reports what speaks against founding a cluster now.
func mayFound(me status, others []seen, addrs int, missing error) error {
	if me.Expect <= 0 {
		if missing == nil {
			return errors.New("none of the addresses belongs to a cluster; give --bootstrap-expect to found one")
		}
		return fmt.Errorf("none of the addresses belongs to a cluster; give --bootstrap-expect to found one (%w)", missing)
	}
	need := max(me.Expect, addrs/2+1)
	if have := len(others) + 1; have < need {
		if missing == nil {
			return fmt.Errorf("%d nodes are there, %d are needed to found a cluster", have, need)
		}
		return fmt.Errorf("%d nodes are there, %d are needed to found a cluster (%w)", have, need, missing)
	}
	for _, o := range others {
		switch {
		case o.Expect != me.Expect:
			return fmt.Errorf("%s expects %d nodes and this one %d: give every node the same --bootstrap-expect", o.at, o.Expect, me.Expect)
		case o.Peer == me.Peer:
			return fmt.Errorf("%s and this node have the same peer address: give each its own --peer-addr", o.at)
		case o.Peer < me.Peer:
			return fmt.Errorf("waiting for %s, which has the lowest address, to found the cluster", o.at)
		case !o.Promised.IsZero() && o.Promised != me.Directory:
			return fmt.Errorf("%s is promised to another founder", o.at)
		}
	}
	return nil
}

// giveUp ends a round that has failed. Our own promise goes first, so that whoever asks sees that this round is over (JOI-4).
func (n *Node) giveUp(ctx context.Context, self promise, others []seen) {
	if err := n.released(self); err != nil {
		return // the next round tries again; nobody else can found meanwhile
	}
	var wg sync.WaitGroup
	for _, o := range others {
		wg.Go(func() {
			soon, cancel := context.WithTimeout(ctx, askPatience)
			defer cancel()
			_, _ = n.opts.Call(soon, o.at, methodRelease, encode(self)) // who does not hear it sees it
		})
	}
	wg.Wait()
}

// foundation gives every node its id and chooses who keeps the store.
func (n *Node) foundation(me status, others []seen) (founding, error) {
	all := []status{me}
	for _, o := range others {
		all = append(all, o.status)
	}
	slices.SortFunc(all, func(a, b status) int { return cmp.Compare(a.Peer, b.Peer) })
	taken := map[kafka.BrokerID]string{}
	for _, s := range all {
		if s.Node == kafka.NoBroker {
			continue
		}
		if other, has := taken[s.Node]; has {
			return founding{}, fmt.Errorf("%s and %s both want node id %d: give each its own --node-id", other, s.Peer, s.Node)
		}
		taken[s.Node] = s.Peer
	}
	f := founding{Founder: me.Directory, ClusterID: n.opts.ClusterID}
	if f.ClusterID == "" {
		f.ClusterID = n.opts.NewID().String()
	}
	next := kafka.BrokerID(1)
	for _, s := range all {
		id := s.Node
		if id == kafka.NoBroker {
			for taken[next] != "" {
				next++
			}
			id = next
			taken[id] = s.Peer
		}
		f.Nodes = append(f.Nodes, Member{Node: id, Directory: s.Directory, Peer: s.Peer})
	}
	f.Voters = f.Nodes[:voters(len(f.Nodes), n.opts.Voters)]
	return f, nil
}

// voters is how many of so many nodes vote: an odd number if there is a choice, because an even one tolerates no more failures than one less.
func voters(nodes, most int) int {
	v := min(nodes, most)
	if v > 2 && v%2 == 0 {
		v--
	}
	return v
}
