package group

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
)

// A member hears of a change only when it sends a heartbeat: the protocol has no way to wake it. So how fast a group reassigns partitions is
// how often its members ask, and the broker tells them when to ask next. With Kafka's 5 s for all times, a change takes several of them: one
// until the owner hears that it must give up, one until the other hears that it may take over.
//
// Here a member is told to ask again soon while there is something it should hear of, and otherwise as often as the broker can bear:
//
//   - While something changed within the last paceWindow and the group, or the member, is not yet where it is to be: paceHurried for each 50
//     members in the shard. A rebalance then takes a few tenths of a second beside what consumers need to give up partitions.
//   - Otherwise paceCalm for each ten members in the shard, but no longer than the group's setting and no shorter than paceCalmest: a small
//     broker notices within half a second that it must give something up, and a full one asks for no more heartbeats than Kafka does.
//
// The cost is bounded: however many members there are, the calm ones of a shard send at most ten/paceCalm = 20 heartbeats a second, or what the
// group's setting asks for if that is more, and the hurried ones 50/paceHurried = 500, for a limited time. A member that takes minutes to give
// up a partition keeps its group hurried only for paceWindow.
const (
	paceHurried = 100 * time.Millisecond
	paceCalm    = 500 * time.Millisecond
	paceWindow  = 10 * time.Second

	hurriedCrowd = 50
	calmCrowd    = 10
)

// paceOf is when a member of a shard with so many members should ask again. configured is the group's setting, which is never exceeded.
func paceOf(hurried bool, crowd int, configured time.Duration) time.Duration {
	base, each := paceCalm, calmCrowd
	if hurried {
		base, each = paceHurried, hurriedCrowd
	}
	return min(base*time.Duration(max(1, (crowd+each-1)/each)), configured)
}

// pace is when the member should ask again.
func (g *consumerGroup) pace(op *coordinator.Op, m *consumerMember) time.Duration {
	h := g.head.Get()
	there := h.epoch == h.targetEpoch && h.settled == g.members.Len()
	recent := op.Now.Sub(g.stirred.Get()) < paceWindow
	return paceOf(!there && recent, g.s.crowd.Get(), g.config(op.Image).Consumer.HeartbeatInterval)
}
