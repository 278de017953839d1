package sim

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// shareTruth is what is known of a partition in the share group. By offset; looked up only.
type shareTruth struct {
	accepted map[kafka.Offset]bool // a member was told that its accept or reject is durable
	asked    map[kafka.Offset]bool // a member has asked for that
	held     map[kafka.Offset]holding
	start    kafka.Offset // the highest that was written
	begun    bool
	first    kafka.Offset // where the group began
}

// holding is a record that somebody has.
type holding struct {
	sp     *sharePart
	epoch  kafka.LeaderEpoch
	member string
	until  time.Duration
}

func (t *truth) share(tp kafka.TopicPartition) *shareTruth {
	p := t.part(tp)
	if p.share == nil {
		p.share = &shareTruth{accepted: map[kafka.Offset]bool{}, asked: map[kafka.Offset]bool{}, held: map[kafka.Offset]holding{}}
	}
	return p.share
}

// counts reports whether what a leader says counts: it leads by the metadata. One that is alive, was replaced, and has not heard of it yet, does not know.
func (t *truth) counts(sp *sharePart) bool {
	_, s, ok := t.w.store.image().Partition(sp.r.tp)
	return ok && (s.Leader == sp.n.id && s.LeaderEpoch == sp.epoch || t.w.store.image().Brokers[sp.n.id].Fenced)
}

// shareLoaded looks at where a share partition goes on (SIM-12): the start offset never goes back.
func (t *truth) shareLoaded(sp *sharePart, start kafka.Offset) {
	s := t.share(sp.r.tp)
	if !s.begun {
		s.begun, s.first = true, start
	}
	if start < s.start && t.counts(sp) {
		t.w.fail("%s begins to give %s to share groups at offset %d, and %d was reached", sp.n, sp.r.tp, start, s.start)
	}
}

// shareStarts takes in the start offset that was written.
func (t *truth) shareStarts(sp *sharePart, start kafka.Offset) {
	s := t.share(sp.r.tp)
	s.start = max(s.start, start)
}

// shareDelivered looks at what is given to a member (SIM-12): nothing that is done, and nothing that somebody has from the same leader.
func (t *truth) shareDelivered(sp *sharePart, member string, got []share.AcquiredRange) {
	s := t.share(sp.r.tp)
	for _, g := range got {
		t.w.trace.mix(uint64(g.First)<<32 | uint64(g.Last))
		for o := g.First; o <= g.Last; o++ {
			if s.accepted[o] && t.counts(sp) {
				t.w.fail("%s gives offset %d of %s to %s in epoch %d, and that is done", sp.n, o, sp.r.tp, member, sp.epoch)
			}
			if h := s.held[o]; h.sp != nil && h.epoch == sp.epoch && h.member != member && t.w.now < h.until && h.sp.life == sp.n.life {
				t.w.fail("%s gives offset %d of %s to %s in epoch %d, and %s has it", sp.n, o, sp.r.tp, member, sp.epoch, h.member)
			}
			s.held[o] = holding{sp, sp.epoch, member, t.w.now + lockLength*19/20}
		}
	}
}

// shareReturned takes in that a leader was told what is to become of records.
func (t *truth) shareReturned(sp *sharePart, acks []share.Ack) {
	s := t.share(sp.r.tp)
	for _, a := range acks {
		for o := a.First; o <= a.Last; o++ {
			delete(s.held, o)
		}
	}
}

// shareAsked takes in what a member asks for.
func (t *truth) shareAsked(tp kafka.TopicPartition, acks []share.Ack) {
	t.shareMark(t.share(tp).asked, acks)
}

// shareAccepted takes in that a member was told that it is so.
func (t *truth) shareAccepted(tp kafka.TopicPartition, acks []share.Ack) {
	t.shareMark(t.share(tp).accepted, acks)
}

func (t *truth) shareMark(in map[kafka.Offset]bool, acks []share.Ack) {
	for _, a := range acks {
		if a.Types[0] == share.AckRelease {
			continue
		}
		for o := a.First; o <= a.Last; o++ {
			in[o] = true
		}
	}
}

// shareComplete looks at the end for records that nobody has accepted or rejected, or deleted (SIM-12).
func (t *truth) shareComplete(tp kafka.TopicPartition) {
	p, s := t.part(tp), t.share(tp)
	for i := range p.committed {
		b := &p.committed[i]
		if b.h.IsControl() || p.lossy {
			continue
		}
		for o := max(b.h.BaseOffset, s.first, p.asked); o < b.h.NextOffset(); o++ {
			if !s.asked[o] {
				t.w.fail("offset %d of %s was passed over by the share group: nobody has accepted or rejected it", o, tp)
			}
		}
	}
}
