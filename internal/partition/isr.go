package partition

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/isr"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// ISRMember is a replica of a proposed ISR.
type ISRMember = isr.Member

// ISRProposal is the set of replicas in sync that a leader asks the controller for (AlterPartition).
type ISRProposal struct {
	Partition      storage.ID
	Epoch          kafka.LeaderEpoch
	PartitionEpoch int32 // of the metadata it is based on
	ISR            []ISRMember
}

// followed returns the role if a follower may fetch here. It has to name the epoch: a fetch that is late could otherwise count in another.
func (p *Partition) followed(r *ReadRequest) (*Role, error) {
	role, err := p.leader(r.CurrentEpoch)
	switch {
	case err != nil:
		return nil, err
	case r.CurrentEpoch == kafka.NoEpoch:
		return nil, kafka.Errorf(kafka.UnknownLeaderEpoch, "a follower's fetch must name the leader epoch")
	case r.Replica == role.Node || !slices.Contains(role.Replicas, r.Replica):
		return nil, kafka.Errorf(kafka.NotLeaderOrFollower, "broker %d has no replica of %s as far as is known here: refresh the metadata", r.Replica, p.id)
	}
	return role, nil
}

// followerHas notes that a follower has everything below r.From, of a log that ends at end. Its log was compared with this one.
func (p *Partition) followerHas(role *Role, r *ReadRequest, end kafka.Offset) error {
	now := p.host.Now()
	w := &p.waiting
	w.Lock()
	if w.isr == nil || p.role.Load().Epoch != role.Epoch {
		w.Unlock()
		return errNotLeader
	}
	if err := w.isr.Fetched(isr.Fetch{Replica: r.Replica, Epoch: r.ReplicaEpoch, From: r.From, End: end, At: now}); err != nil {
		w.Unlock()
		return err
	}
	w.trims.said(r.Replica, r.LogStart)
	wants := w.isr.Wants(now)
	p.advanceAndUnlock()
	if wants && p.host.OnISR != nil {
		p.host.OnISR(p)
	}
	return nil
}

// tellISR tells the host if ProposeISR is worth calling.
func (p *Partition) tellISR() {
	if p.host.OnISR == nil {
		return
	}
	p.waiting.Lock()
	wants := p.waiting.isr != nil && p.waiting.isr.Wants(p.host.Now())
	p.waiting.Unlock()
	if wants {
		p.host.OnISR(p)
	}
}

// ProposeISR returns the change that the ISR needs: without the members that have not been caught up for maxLag, or that lack something and whose brokers
// have been silent for Host.MaxSilence, or with the followers that have become so. There is none while one is under way (ISR-4), which it is until ISRAnswered or a newer role ends it; one of which nobody knows what became is
// returned again. It also lets the high watermark move that waited for a follower in vain, so it is to be called now and then for every
// partition that is led here.
func (p *Partition) ProposeISR(now time.Time, maxLag time.Duration) (ISRProposal, bool) {
	end := kafka.NoOffset // nobody lags behind a log that was not used yet
	p.mu.Lock()
	if p.opened {
		end = p.end
	}
	p.mu.Unlock()
	w := &p.waiting
	w.Lock()
	if w.isr == nil {
		w.Unlock()
		return ISRProposal{}, false
	}
	role := p.role.Load()
	proposal, ok := w.isr.Propose(end, now, isr.Patience{Lag: maxLag, Silence: p.host.MaxSilence, Heard: p.host.Heard})
	p.advanceAndUnlock()
	if !ok {
		return ISRProposal{}, false
	}
	return ISRProposal{Partition: p.id, Epoch: role.Epoch, PartitionEpoch: proposal.PartitionEpoch, ISR: proposal.ISR}, true
}

// ISRAnswered takes in what the controller said to a proposal; nil: it was accepted, which the metadata will tell. Only IneligibleReplica and
// OperationNotAttempted say that it was not carried out and never will be. After any other error, such as that no answer came in time, nobody
// knows: who was to join counts as in sync until newer metadata say otherwise, and ProposeISR returns the proposal again.
func (p *Partition) ISRAnswered(q ISRProposal, err error) {
	outcome := isr.Accepted
	switch kafka.CodeOf(err) {
	case kafka.None:
	case kafka.IneligibleReplica, kafka.OperationNotAttempted:
		outcome = isr.Refused
	default:
		outcome = isr.Unknown
	}
	w := &p.waiting
	w.Lock()
	if w.isr == nil || p.role.Load().Epoch != q.Epoch {
		w.Unlock()
		return
	}
	w.isr.Answered(q.PartitionEpoch, outcome, p.host.Now())
	p.advanceAndUnlock()
}
