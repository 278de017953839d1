package partition

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/isr"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Role is what this replica is to its partition, as the metadata have it. The slices are shared and never changed.
type Role struct {
	IsLeader       bool
	Epoch          kafka.LeaderEpoch
	PartitionEpoch int32            // rises with each change of the partition; a proposal for the ISR names the one it is based on
	Leader         kafka.BrokerID   // NoBroker: none
	Node           kafka.BrokerID   // this replica
	ISR            []kafka.BrokerID // the replicas in sync, this one included if it leads
	Replicas       []kafka.BrokerID // all of them
	// ELR are the replicas outside ISR that may be elected all the same (KIP-966). They have what is committed only as long as the high watermark stands
	// still, whatever this broker takes min.insync.replicas to be.
	ELR []kafka.BrokerID
	// Gone says why the partition is no longer here at all: deleted or closed. Nothing comes after it.
	Gone error
}

// NeededInSync is how many replicas must be in sync for acks=all when min.insync.replicas is least. It is never more than there are, as
// with Kafka: a topic of one replica takes writes whatever the cluster's default says.
func (r Role) NeededInSync(least int) int { return min(least, len(r.Replicas)) }

// idle is the role of a partition that nobody has given one.
var idle = Role{Epoch: kafka.NoEpoch}

var (
	errNotLeader = kafka.Errorf(kafka.NotLeaderOrFollower, "this broker does not lead the partition: refresh the metadata")
	errDeleted   = kafka.Errorf(kafka.UnknownTopicOrPartition, "the topic was deleted")
	errClosing   = kafka.Errorf(kafka.NotLeaderOrFollower, "the broker is shutting down: refresh the metadata")
	errDeposed   = kafka.Errorf(kafka.NotLeaderOrFollower, "this broker has no connection to the controller, so another may lead the partition by now: refresh the metadata")
	errCutting   = kafka.Errorf(kafka.NotLeaderOrFollower, "the log is being cut to what its last leader had: try again")
)

// Role is the role of this moment.
func (p *Partition) Role() Role { return *p.role.Load() }

// deposedFor is how long who asks the last leader certainly does so because he has not heard of the next one.
const deposedFor = time.Second

// MayLeadSoon reports whether this replica, which does not lead, may be elected any moment, or was elected and has not heard of it: it is in sync, and did
// not lead until just now.
func (p *Partition) MayLeadSoon(now time.Time) bool {
	r := p.role.Load()
	return !r.IsLeader && r.Gone == nil && slices.Contains(r.ISR, r.Node) && now.UnixNano()-p.deposed.Load() > int64(deposedFor)
}

// LacksLease reports whether this replica leads as far as it knows and may not, because the controller has not been heard of for too long.
func (p *Partition) LacksLease() bool { return p.role.Load().IsLeader && !p.leased() }

// SetRole changes the role. Who waits for an append of the old role is told that this replica does not lead, unless it still leads
// in the same epoch. Calls do not overlap.
//
// Who begins to lead does so at the end of its log, whatever of that is committed: the high watermark stays, and moves when followers fetch in the new
// epoch. Nothing is read or opened here.
func (p *Partition) SetRole(r Role) {
	p.mu.Lock()
	was := p.role.Load()
	if was.Gone != nil {
		p.mu.Unlock()
		return
	}
	p.role.Store(&r)
	if was.IsLeader && !r.IsLeader {
		p.deposed.Store(p.host.Now().UnixNano())
	}
	p.markEpochLocked()
	if r.Gone == nil {
		p.bookkeepLocked(was, &r)
	} else {
		p.waiting.Lock()
		p.waiting.trims.wake()
		p.waiting.Unlock()
	}
	p.mu.Unlock()
	switch {
	case r.Gone != nil:
		p.failWaiters(r.Gone)
		return
	case was.IsLeader && (!r.IsLeader || r.Epoch != was.Epoch):
		p.failWaiters(errNotLeader)
	}
	p.advance() // the ISR may have become smaller
	p.tellISR()
}

// markEpochLocked makes the leader's epoch begin at the end of its log, before anything is appended in it, and lets a follower forget epochs in
// which nothing was written. mu is held.
func (p *Partition) markEpochLocked() {
	e := p.epochs.Load()
	if e == nil {
		return // load does it
	}
	r := p.role.Load()
	next := e.truncate(p.end)
	if r.IsLeader {
		next = e.assign(r.Epoch, p.end)
	}
	p.epochs.Store(&next)
}

// bookkeepLocked begins the bookkeeping of a leader's followers, goes on with it or ends it. mu is held.
func (p *Partition) bookkeepLocked(was, r *Role) {
	w := &p.waiting
	w.Lock()
	defer w.Unlock()
	w.trims.wake()
	w.replicated = len(r.Replicas) > 1
	if !w.replicated || !r.IsLeader {
		w.isr = nil
		return
	}
	if w.isr == nil || r.Epoch != was.Epoch {
		w.trims.starts = nil
		w.isr = isr.New(r.Node, p.HighWatermark())
		if p.opened {
			w.isr.Begin(p.end, p.HighWatermark())
		}
	}
	w.isr.Metadata(isr.Metadata{PartitionEpoch: r.PartitionEpoch, ISR: r.ISR, Replicas: r.Replicas}, p.host.Now())
}

// served returns the role if the partition is here and epoch, unless it is NoEpoch, is the one it is in.
func (p *Partition) served(epoch kafka.LeaderEpoch) (*Role, error) {
	r := p.role.Load()
	switch {
	case r.Gone != nil:
		return nil, r.Gone
	case epoch != kafka.NoEpoch && epoch < r.Epoch:
		return nil, kafka.Errorf(kafka.FencedLeaderEpoch, "leader epoch %d is over, the partition is in epoch %d: refresh the metadata", epoch, r.Epoch)
	case epoch != kafka.NoEpoch && epoch > r.Epoch:
		return nil, kafka.Errorf(kafka.UnknownLeaderEpoch, "leader epoch %d is not known here yet, the partition is in epoch %d: try again", epoch, r.Epoch)
	case r == &idle:
		return nil, errNotLeader
	}
	return r, nil
}

// leader is served for a replica that leads.
func (p *Partition) leader(epoch kafka.LeaderEpoch) (*Role, error) {
	r, err := p.served(epoch)
	if err == nil && !r.IsLeader {
		return nil, errNotLeader
	}
	return r, err
}

// Leads is nil if this replica leads in an epoch and its broker has a lease: as long as that is so nobody else was elected because this broker was missed.
//
// Errors: NotLeaderOrFollower, FencedLeaderEpoch, UnknownLeaderEpoch.
func (p *Partition) Leads(epoch kafka.LeaderEpoch) error {
	if _, err := p.leader(epoch); err != nil {
		return err
	}
	if !p.leased() {
		return errNotLeader
	}
	return nil
}

// leased reports whether this broker may still speak for the partitions it leads.
func (p *Partition) leased() bool { return p.host.Lease == nil || p.host.Lease() }

// leave is the end of the role: no append begins after it, and nobody waits.
func (p *Partition) leave(why error) { p.SetRole(Role{Epoch: p.role.Load().Epoch, Gone: why}) }
