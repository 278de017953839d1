package sim

import (
	"bytes"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// fetched is a leader's answer to a follower, or to a consumer.
type fetched struct {
	err       error
	diverging *partition.EpochEnd
	hw, lso   kafka.Offset
	start     kafka.Offset
	records   []byte
	aborted   []partition.AbortedTxn
}

// follow fetches from the leader of an epoch until the role changes, as replica's fetchers do.
func (r *replica) follow(epoch kafka.LeaderEpoch) {
	gen := r.gen
	r.n.after(r.n.w.between(100*time.Microsecond, 3*time.Millisecond), func() {
		if r.gen != gen {
			return
		}
		if r.n.w.mutant == "a follower truncates to its high watermark" {
			point, err := r.p.FollowPoint()
			if err == nil && point.Epoch == epoch {
				_, _ = r.p.TruncateTo(epoch, partition.EpochEnd{Epoch: epoch, End: r.p.HighWatermark()})
			}
		}
		r.fetch(gen)
	})
}

// rest fetches again after a while.
func (r *replica) rest(gen int, least, most time.Duration) {
	r.n.after(r.n.w.between(least, most), func() { r.fetch(gen) })
}

// fetch asks the leader for more, once what is here is durable.
func (r *replica) fetch(gen int) {
	n := r.n
	if r.gen != gen {
		return
	}
	if !n.ready {
		r.rest(gen, 5*time.Millisecond, 20*time.Millisecond)
		return
	}
	point, err := r.p.FollowPoint()
	if err != nil {
		n.w.fail("%s cannot follow %s: %v", n, r.tp, err)
	}
	if n.w.mutant != "a follower fetches before its sync" {
		if l := r.log(); point.Offset > max(l.durable, l.start) && point.Offset <= l.end {
			l.whenDurable(point.Offset, func() { r.fetch(gen) })
			return
		}
	}
	leader := n.w.nodes[r.p.Role().Leader-1]
	q := partition.ReadRequest{
		From: point.Offset, MaxBytes: 100 + n.w.dice.IntN(2000), AtLeastOne: true, CurrentEpoch: point.Epoch, FetchedEpoch: point.LastEpoch,
		Replica: n.id, ReplicaEpoch: n.epoch, LogStart: point.LogStart,
	}
	if m := n.w.mutant; m == "a follower truncates to its high watermark" || m == "a follower does not compare epochs" {
		q.FetchedEpoch = point.Epoch
	}
	if n.w.mutant == "a deletion is answered before the followers make it" {
		q.LogStart = point.Offset
	}
	if n.w.mutant == "broker epochs are not looked at" {
		q.ReplicaEpoch = -1
	}
	id := r.p.ID()
	call(n.endpoint, leader, request{what: "fetch", patience: 600 * time.Millisecond}, func(reply func(fetched, error)) {
		l := leader.replica(r.tp)
		if l == nil || l.p.ID() != id {
			reply(fetched{err: kafka.UnknownTopicOrPartition}, nil)
			return
		}
		a := l.read(q)
		l.mutateServed(&q)
		reply(a, nil)
	}, func(a fetched, err error) {
		if r.gen != gen && n.w.chance(500) {
			return // the fetcher has let go of the partition
		}
		switch {
		case err != nil:
			r.rest(gen, 20*time.Millisecond, 100*time.Millisecond)
		default:
			r.took(gen, q, a)
		}
	})
}

// read reads as leader, or for a consumer as follower, and copies what it found.
func (r *replica) read(q partition.ReadRequest) fetched {
	read, err := r.p.Read(q)
	a := fetched{err: err, diverging: read.Diverging, hw: read.HighWatermark, lso: read.LastStable, start: read.LogStart, aborted: read.Aborted}
	if read.Records != nil {
		b, _ := read.Records.Bytes()
		a.records = bytes.Clone(b)
		read.Records.Release()
	}
	return a
}

// took takes in an answer, as replica's fetchers do.
func (r *replica) took(gen int, q partition.ReadRequest, a fetched) {
	n := r.n
	failed := func(err error) bool {
		if err == nil {
			return false
		}
		if kafka.CodeOf(err) == kafka.CorruptMessage && r.gen == gen {
			n.w.fail("%s cannot follow %s in epoch %d: %v", n, r.tp, q.CurrentEpoch, err)
		}
		r.rest(gen, 20*time.Millisecond, 200*time.Millisecond)
		return true
	}
	switch {
	case kafka.CodeOf(a.err) == kafka.OffsetOutOfRange:
		if a.start < 0 || a.start <= q.From && q.FetchedEpoch != kafka.NoEpoch {
			r.rest(gen, 20*time.Millisecond, 200*time.Millisecond)
			return
		}
		if !failed(r.p.StartAt(q.CurrentEpoch, a.start)) {
			r.rest(gen, 10*time.Microsecond, 100*time.Microsecond)
		}
	case a.err != nil:
		r.rest(gen, 20*time.Millisecond, 200*time.Millisecond)
	case a.diverging != nil:
		n.w.say("%s cuts %s at epoch %d, %d (it ends at %d, high watermark %d)", n, r.tp, a.diverging.Epoch, a.diverging.End, q.From, r.p.HighWatermark())
		if _, err := r.p.TruncateTo(q.CurrentEpoch, *a.diverging); !failed(err) {
			r.rest(gen, 10*time.Microsecond, 100*time.Microsecond)
		}
	default:
		if len(a.records) > 0 {
			if _, err := r.p.AppendAsFollower(q.CurrentEpoch, a.records); failed(err) {
				return
			}
		}
		if n.w.mutant == "a follower deletes what it has read" {
			a.start = a.hw
		}
		if failed(r.p.LeaderSaid(q.CurrentEpoch, a.hw, a.start)) {
			return
		}
		if len(a.records) > 0 {
			r.rest(gen, 10*time.Microsecond, 100*time.Microsecond)
		} else {
			r.rest(gen, 5*time.Millisecond, 30*time.Millisecond)
		}
	}
}

// maxLag is replica.lag.time.max.ms.
const maxLag = time.Second

// proposals looks at everything that is led here, now and then.
func (n *node) proposals() {
	n.after(n.w.between(300*time.Millisecond, 500*time.Millisecond), func() {
		n.propose()
		n.proposals()
	})
}

// proposeSoon looks in a moment, because a follower has caught up.
func (n *node) proposeSoon() {
	if n.noted {
		return
	}
	n.noted = true
	n.after(n.w.between(10*time.Microsecond, time.Millisecond), func() {
		n.noted = false
		n.propose()
	})
}

// propose asks for what the partitions led here want of their replicas in sync.
func (n *node) propose() {
	if !n.ready {
		return
	}
	for _, r := range n.replicas {
		if role := r.p.Role(); !role.IsLeader || len(role.Replicas) < 2 {
			continue
		}
		q, ok := r.mutatePropose()
		if !ok {
			q, ok = r.p.ProposeISR(n.clock(), maxLag)
		}
		if ok {
			r.ask(q)
		}
	}
}

// ask asks the controller for another ISR.
func (r *replica) ask(q partition.ISRProposal) {
	n := r.n
	if n.w.mutant == "who is about to join does not count" {
		r.p.ISRAnswered(q, kafka.IneligibleReplica)
	}
	to, by := n.decider(n.w.dice.IntN(2)), n.epoch
	call(n.endpoint, to, request{what: "alter", control: true, patience: 1500 * time.Millisecond}, func(reply func(error, error)) {
		var refused error
		to.ctl.submit(func(img *metadata.Image) []metadata.Record {
			var proposed []kafka.BrokerID
			c := controller.ISRChange{TopicID: q.Partition.TopicID, Partition: q.Partition.Partition, LeaderEpoch: q.Epoch, PartitionEpoch: q.PartitionEpoch}
			for _, m := range q.ISR {
				c.ISR = append(c.ISR, controller.ISRMember{ID: m.ID, Epoch: m.Epoch})
				proposed = append(proposed, m.ID)
			}
			n.w.mutateAlter(img, &c)
			records, errs := controller.AlterPartition(to.ctl.env, img, n.id, by, []controller.ISRChange{c})
			if refused = errs[0]; len(records) > 0 {
				n.w.truth.part(q.Partition.TopicPartition).proposed = proposed
			}
			return records
		}, func(err error) {
			if err == nil {
				err = refused
			}
			reply(err, nil)
		})
	}, func(answer, err error) {
		if err == nil {
			err = answer
		}
		if err != nil {
			n.w.say("%s is refused the ISR %v of %s: %v", n, q.ISR, r.tp, kafka.CodeOf(err).Name())
		}
		r.p.ISRAnswered(q, err)
	})
}
