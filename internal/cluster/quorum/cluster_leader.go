package quorum

import (
	"context"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// watchLeader keeps the leadership of a member up to date. etcd tells of a new leader but not of one that is gone, so its two numbers
// are looked at every tick, too.
func (c *Cluster) watchLeader() {
	server := c.etcd.Server
	tick := time.NewTicker(time.Duration(c.opts.TickMs) * time.Millisecond)
	defer tick.Stop()
	moved := false
	for {
		changed := server.LeaderChangedNotify()
		if c.gone.Load() || server.IsIDRemoved(uint64(server.MemberID())) {
			c.removed()
			return
		}
		c.setLeadership(c.observe())
		if !moved && c.isReady() {
			moved = true
			c.wg.Go(c.moveAddress)
		}
		select {
		case <-c.ctx.Done():
			c.tellWatchers()
			return
		case <-server.StoppingNotify():
			c.removed()
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

func (c *Cluster) isReady() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// setLeadership tells who leads. A transaction that was begun under another leadership is not waited for any longer: what became of it
// stands in the log.
func (c *Cluster) setLeadership(now Leadership) {
	c.mu.Lock()
	if f := c.flight; f != nil && c.leads != now {
		f.cancel()
	}
	c.mu.Unlock()
	c.lead(now)
}

// observe says who leads now. This node only once it has everything that was committed before.
func (c *Cluster) observe() Leadership {
	server := c.etcd.Server
	switch id := server.Leader(); id {
	case 0:
		return Leadership{Controller: kafka.NoBroker, Term: Term(server.Term())}
	case server.MemberID():
		return c.confirm()
	default:
		now := Leadership{Controller: kafka.NoBroker, Term: Term(server.Term())}
		if m := server.Cluster().Member(id); m != nil {
			now.Controller = memberNode(m.Name)
		}
		return now
	}
}

// confirm finds the term in which this node leads. etcd's Leader runs ahead of its Term, which is that of the last applied entry: for a
// moment a new leader shows the term of the one before it, and a commit of that term would be one of a term that was another's. So the
// term counts only when it stays the same over a read that a majority has confirmed, which a leader answers after it has applied the
// first entry of its own term.
func (c *Cluster) confirm() Leadership {
	server := c.etcd.Server
	was := c.Leadership()
	if was.Here && was.Term == Term(server.Term()) {
		return was
	}
	nobody := Leadership{Controller: kafka.NoBroker, Term: Term(server.Term())}
	for server.Leader() == server.MemberID() {
		term := server.Term()
		ctx, cancel := context.WithTimeout(c.ctx, c.opts.election())
		_, _, err := c.current(ctx)
		cancel()
		if err != nil {
			return nobody // looked at again at the next tick
		}
		if server.Term() == term && server.Leader() == server.MemberID() {
			return Leadership{Controller: c.opts.Node, Term: Term(term), Here: true}
		}
	}
	return nobody
}

// removed ends the store when this node is no member any longer. etcd then stops by itself, a second after it has applied the removal, or
// at once if another member tells it of that; it never does otherwise. By then nobody may be in there.
func (c *Cluster) removed() {
	err := ErrRemoved
	if drop := removeMarker(c.opts.Dir); drop != nil {
		err = fmt.Errorf("%w; %s still counts as one: %w", err, c.opts.Dir, drop)
	}
	c.finish(err)
	c.etcd.refuse()
	c.tellWatchers()
}

// moveAddress tells the other members the peer URL of this one when it is another one than before a restart.
func (c *Cluster) moveAddress() {
	id := c.etcd.Server.MemberID()
	m := c.etcd.Server.Cluster().Member(id)
	if m == nil || len(m.PeerURLs) == 1 && m.PeerURLs[0] == c.opts.PeerURL {
		return
	}
	err := c.ask(c.ctx, func(ctx context.Context) error {
		_, err := c.client.MemberUpdate(ctx, uint64(id), []string{c.opts.PeerURL})
		return err
	})
	if err != nil && c.ctx.Err() == nil {
		c.opts.Logger.Warn("the voters do not know the new peer address of this one", "url", c.opts.PeerURL, "error", err)
	}
}
