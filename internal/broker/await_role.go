package broker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

const (
	// rolePatience is how long a request waits for metadata that its sender has and this broker has not: the broker that led before tells clients
	// who leads now (KIP-951) as soon as it knows, which may be before the new leader does. Told to look elsewhere, a client would wait for its
	// next refresh of the metadata, which takes it between a quarter of a second and five. A leader that has no lease, because it or the controller
	// stood still, mostly has one again with its next heartbeat, and has writes wait for that as long.
	rolePatience = 100 * time.Millisecond
	// rolePause is until it is looked again whether the metadata has come.
	rolePause = 2 * time.Millisecond
	// mostAwaitRole is how many requests wait so at once. Those beyond are answered at once.
	mostAwaitRole = 256
)

// roleWaits counts the requests that wait for metadata.
type roleWaits struct{ n atomic.Int32 }

// await waits while late says that the metadata has not come, for rolePatience at most or until ctx ends. It reports whether it could: false if too many
// wait already.
func (w *roleWaits) await(ctx context.Context, most time.Duration, late func() bool) bool {
	if w.n.Add(1) > mostAwaitRole {
		w.n.Add(-1)
		return false
	}
	defer w.n.Add(-1)
	limit := time.NewTimer(min(most, rolePatience))
	defer limit.Stop()
	pause := time.NewTicker(rolePause)
	defer pause.Stop()
	for late() {
		select {
		case <-pause.C:
		case <-limit.C:
			return true
		case <-ctx.Done():
			return true
		}
	}
	return true
}

// mayLead reports whether a write that was refused is worth another try, because its partition may be led here any moment, or is by now.
func (b *Broker) mayLead(p *partition.Partition, err error) bool {
	return p != nil && kafka.CodeOf(err) == kafka.NotLeaderOrFollower && (p.Role().IsLeader || p.MayLeadSoon(b.opts.Now()))
}

// appendLate appends what was refused because its partition was not led here yet, or without a lease, when it is. Those that still are not are answered.
//
// As long as nobody else is known to lead, the answer names this broker, in the epoch that the client has. Some clients that are named nobody write nothing
// to the partition before their next refresh of the metadata, in five seconds; named the broker that they have asked, they ask again a moment later, and
// look for another meanwhile. Old ones ask at once, so this is only said to who has waited.
func (b *Broker) appendLate(req *ProduceRequest, a *produceAwait) {
	waited := b.roleWaits.await(context.Background(), req.Timeout, func() bool {
		now := b.opts.Now()
		for _, i := range a.early {
			if p := a.slots[i].partition; p.MayLeadSoon(now) || p.LacksLease() {
				return true
			}
		}
		return false
	})
	now := b.opts.Now()
	for _, i := range a.early {
		if len(a.admitted) > 0 && a.admitted[i].err != nil {
			a.admitted[i] = b.admitAgain(req, a, i, now)
		}
		if err := b.appendTo(req, i, a, now); err != nil {
			a.fail(i, err)
			if r := a.slots[i].partition.Role(); waited && r.IsLeader && kafka.CodeOf(err) == kafka.NotLeaderOrFollower {
				a.results[i].Leader, a.results[i].LeaderEpoch = r.Leader, r.Epoch
			}
		}
	}
	a.early = a.early[:0]
}

// awaitRole waits for the metadata that a fetch names and this broker has not, and reports whether it is worth reading again. Nothing is held
// meanwhile.
func (a *fetchAwait) awaitRole(ctx context.Context, results []FetchResult) bool {
	late := func() bool {
		for i := range results {
			p, epoch := a.slots[i].p, a.req.Partitions[i].LeaderEpoch
			if p != nil && kafka.CodeOf(results[i].Err) == kafka.UnknownLeaderEpoch && p.Role().Gone == nil && p.Role().Epoch < epoch {
				return true
			}
		}
		return false
	}
	if !late() {
		return false
	}
	releaseRecords(results)
	a.b.roleWaits.await(ctx, rolePatience, late)
	return true
}
