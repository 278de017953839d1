package sim

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

const (
	shareTopic = "__share_group_state"
	shareGroup = "queue"
	// lockLength is share.record.lock.duration.ms.
	lockLength = 1500 * time.Millisecond
)

// sharePart is a share partition at the leader of its log, in one epoch, as in queue.
type sharePart struct {
	n       *node
	r       *replica
	life    int
	epoch   kafka.LeaderEpoch
	state   *share.Partition // nil: it is being loaded
	gone    bool
	writing bool
	waiting []shareWait
}

// shareWait is an acknowledgement whose write is not durable.
type shareWait struct {
	ticket share.Ticket
	reply  func(error)
}

// sharePart finds the share partition of a log that is led here, or begins to load it.
func (n *node) sharePart(tp kafka.TopicPartition) (*sharePart, error) {
	r := n.replica(tp)
	if r == nil || !r.p.Role().IsLeader {
		return nil, kafka.NotLeaderOrFollower
	}
	for _, sp := range n.shares {
		if sp.r == r && sp.epoch == r.p.Role().Epoch && !sp.gone {
			if sp.state == nil {
				return nil, kafka.CoordinatorLoadInProgress
			}
			return sp, nil
		}
	}
	n.shares = slices.DeleteFunc(n.shares, func(sp *sharePart) bool { return sp.r == r && sp.end() })
	sp := &sharePart{n: n, r: r, life: n.life, epoch: r.p.Role().Epoch}
	n.shares = append(n.shares, sp)
	sp.load()
	return nil, kafka.CoordinatorLoadInProgress
}

// end has nothing more happen in a share partition.
func (sp *sharePart) end() bool {
	sp.gone = true
	waiting := sp.waiting
	sp.waiting = nil
	for _, x := range waiting {
		x.reply(kafka.NotLeaderOrFollower)
	}
	return true
}

func (sp *sharePart) isOver() bool {
	role := sp.r.p.Role()
	return sp.gone || !role.IsLeader || role.Epoch != sp.epoch
}

// again does something after a while, if it is still this share partition's to do.
func (sp *sharePart) again(fn func()) {
	sp.n.after(sp.n.w.between(20*time.Millisecond, 120*time.Millisecond), func() {
		if !sp.isOver() {
			fn()
		}
	})
}

// askState asks the share coordinator of a share partition.
func askState[A any](sp *sharePart, fn func(s *share.Shard, op *coordinator.Op, topic kafka.UUID) A, done func(A, error)) {
	n, topic := sp.n, sp.r.p.ID().TopicID
	key := share.CoordinatorKey(shareGroup, topic, sp.r.tp.Partition)
	_, s, ok := n.img.Partition(kafka.TopicPartition{Topic: shareTopic})
	if !ok || s.Leader == kafka.NoBroker {
		var none A
		sp.again(func() { done(none, kafka.CoordinatorNotAvailable) })
		return
	}
	to := n.w.nodes[s.Leader-1]
	call(n.endpoint, to, request{what: "share state", patience: 700 * time.Millisecond}, func(reply func(A, error)) {
		ask(to.shareShard(key), reply, func(s *share.Shard, op *coordinator.Op) A { return fn(s, op, topic) })
	}, done)
}

// load reads the state, and begins it if nobody has.
func (sp *sharePart) load() {
	askState(sp, func(s *share.Shard, op *coordinator.Op, topic kafka.UUID) kmsg.ReadShareGroupStateResponseTopicPartition {
		q := kmsg.NewReadShareGroupStateRequestTopicPartition()
		q.Partition, q.LeaderEpoch = sp.r.tp.Partition, int32(sp.epoch)
		return s.Read(op, shareGroup, topic, &q)
	}, func(a kmsg.ReadShareGroupStateResponseTopicPartition, err error) {
		switch code := kafka.ErrorCode(a.ErrorCode); {
		case sp.isOver():
		case err != nil:
			sp.again(sp.load)
		case code == kafka.InvalidRequest:
			sp.initialize()
		case code == kafka.FencedLeaderEpoch:
			sp.end()
		case code != kafka.None:
			sp.again(sp.load)
		default:
			sp.restore(&a)
		}
	})
}

// initialize has the group begin, as its coordinator does.
func (sp *sharePart) initialize() {
	askState(sp, func(s *share.Shard, op *coordinator.Op, topic kafka.UUID) kmsg.InitializeShareGroupStateResponseTopicPartition {
		q := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
		q.Partition, q.StateEpoch, q.StartOffset = sp.r.tp.Partition, 0, -1
		return s.Initialize(op, shareGroup, topic, &q)
	}, func(kmsg.InitializeShareGroupStateResponseTopicPartition, error) {
		if !sp.isOver() {
			sp.again(sp.load)
		}
	})
}

func (sp *sharePart) restore(a *kmsg.ReadShareGroupStateResponseTopicPartition) {
	st := share.State{StateEpoch: a.StateEpoch, StartOffset: kafka.Offset(a.StartOffset)}
	for _, b := range a.StateBatches {
		st.Batches = append(st.Batches, share.StateBatch{First: kafka.Offset(b.FirstOffset), Last: kafka.Offset(b.LastOffset), State: share.RecordState(b.DeliveryState), Count: b.DeliveryCount})
	}
	if st.StartOffset < 0 { // what it begins with is written first
		st.StartOffset = sp.r.p.LogStart()
		sp.send(&share.Write{StateEpoch: st.StateEpoch, StartOffset: st.StartOffset}, func(err error) {
			if !sp.isOver() {
				sp.again(sp.load)
			}
		})
		return
	}
	if sp.n.w.mutant == "a share group skips what was not acknowledged" {
		st.StartOffset, st.Batches = max(st.StartOffset, sp.r.p.HighWatermark()), nil
	}
	state, err := share.Restore(share.Settings{MaxLocks: 100, DeliveryLimit: 30_000, LockDuration: lockLength}, st)
	if err != nil {
		sp.n.w.fail("%s cannot use the share state of %s: %v", sp.n, sp.r.tp, err)
	}
	sp.n.w.say("%s gives %s to share groups in epoch %d from %d", sp.n, sp.r.tp, sp.epoch, st.StartOffset)
	sp.n.w.truth.shareLoaded(sp, st.StartOffset)
	sp.state = state
	sp.state.TrimTo(sp.n.clock(), sp.r.p.LogStart())
	sp.changed()
	sp.tick()
}

// tick ends locks whose time is over.
func (sp *sharePart) tick() {
	sp.n.after(250*time.Millisecond, func() {
		if !sp.isOver() {
			sp.state.Expire(sp.n.clock())
			sp.changed()
			sp.tick()
		}
	})
}

// changed has written what is not written yet.
func (sp *sharePart) changed() {
	w := &share.Write{}
	if sp.writing || !sp.state.Changes(w) {
		return
	}
	sp.writing = true
	sp.send(w, func(err error) {
		sp.writing = false
		if sp.isOver() {
			sp.end()
			return
		}
		if err == nil {
			sp.state.Persisted(sp.n.clock(), w.Ticket)
			sp.n.w.truth.shareStarts(sp, w.StartOffset)
		} else {
			sp.state.PersistFailed(sp.n.clock(), w.Ticket)
			if sp.n.w.mutant == "a failed write makes a share partition begin anew" {
				sp.end()
				return
			}
		}
		waiting := sp.waiting
		sp.waiting = nil
		for _, x := range waiting {
			if x.ticket == w.Ticket {
				x.reply(err)
			} else {
				sp.waiting = append(sp.waiting, x)
			}
		}
		if err == nil {
			sp.changed()
		}
	})
}

// send writes a change to the share coordinator. Whoever is fenced has ended.
func (sp *sharePart) send(w *share.Write, done func(error)) {
	askState(sp, func(s *share.Shard, op *coordinator.Op, topic kafka.UUID) kafka.ErrorCode {
		q := kmsg.NewWriteShareGroupStateRequestTopicPartition()
		q.Partition, q.LeaderEpoch, q.StateEpoch, q.StartOffset, q.DeliveryCompleteCount = sp.r.tp.Partition, int32(sp.epoch), w.StateEpoch, int64(w.StartOffset), w.DeliveryComplete
		for _, b := range w.Batches {
			q.StateBatches = append(q.StateBatches, kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch{
				FirstOffset: int64(b.First), LastOffset: int64(b.Last), DeliveryState: int8(b.State), DeliveryCount: b.Count,
			})
		}
		a := s.Write(op, shareGroup, topic, &q)
		return kafka.ErrorCode(a.ErrorCode)
	}, func(code kafka.ErrorCode, err error) {
		if err == nil && code != kafka.None {
			err = code
		}
		if code == kafka.FencedLeaderEpoch || code == kafka.FencedStateEpoch {
			sp.end()
		}
		done(err)
	})
}

// acquire gives a member records of a share partition.
func (n *node) acquire(tp kafka.TopicPartition, member string, most int) (got []share.AcquiredRange, err error) {
	sp, err := n.sharePart(tp)
	if err != nil {
		return nil, err
	}
	if sp.r.p.Leads(sp.epoch) != nil && n.w.mutant != "a share partition is given without a lease" {
		return nil, kafka.NotLeaderOrFollower
	}
	now, p := n.clock(), sp.r.p
	sp.state.Expire(now)
	sp.state.TrimTo(now, p.LogStart())
	look := share.Look{LogEnd: p.HighWatermark()}
	taken := 0
	for range 8 {
		at, ok := sp.state.Next(now, look)
		if !ok || taken >= most {
			break
		}
		read := sp.r.read(partition.ReadRequest{From: at.First, MaxBytes: 1500, AtLeastOne: true, CurrentEpoch: sp.epoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
		if read.err != nil || len(read.records) == 0 {
			break
		}
		var batches []share.Batch
		for h := range record.Batches(read.records).All() {
			batches = append(batches, share.Batch{First: h.BaseOffset, Last: h.LastOffset(), IsGone: h.IsControl()})
		}
		before := len(got)
		got = sp.state.Acquire(now, share.Ask{Member: member, Max: most - taken}, batches, got)
		for _, g := range got[before:] {
			taken += int(g.Last-g.First) + 1
		}
		look.From, look.Again, look.Got = batches[len(batches)-1].Last+1, at.Again, got
	}
	n.w.truth.shareDelivered(sp, member, got)
	sp.changed()
	return got, nil
}

// acknowledge takes what a member says of records, and answers when that is durable.
func (n *node) acknowledge(tp kafka.TopicPartition, member string, acks []share.Ack, reply func(error)) {
	sp, err := n.sharePart(tp)
	if err != nil {
		reply(err)
		return
	}
	ticket, err := sp.state.Acknowledge(n.clock(), member, acks)
	if err == nil {
		n.w.truth.shareReturned(sp, acks)
	}
	if err != nil || ticket == 0 || n.w.mutant == "an acknowledgement is answered before it is written" {
		reply(err)
	} else {
		sp.waiting = append(sp.waiting, shareWait{ticket, reply})
	}
	sp.changed()
}

func (n *node) shareShard(key string) *shard[*share.Shard] {
	return shardOf(n.coords.shares, key, 1)
}
