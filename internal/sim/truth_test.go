package sim

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// truth is what the checkers know: everything that was ever committed, decided and acknowledged.
type truth struct {
	w     *world
	parts []*part
}

// part is what is known of one partition.
type part struct {
	tp        kafka.TopicPartition
	committed []stored // below a high watermark that some replica had, in order
	end       kafka.Offset
	wrote     map[written]uint32 // the CRC of each batch that was appended anywhere
	sequences map[kafka.ProducerID]*sequence
	acked     []ackedBatch
	proposed  []kafka.BrokerID // whom a leader has just found to be in sync
	lossy     bool             // a leader was elected uncleanly, as the settings allow
	asked     kafka.Offset     // below it records were asked to be deleted
	share     *shareTruth      // nil: no share group has read it
}

// written is where a batch was written: there is one leader in an epoch, so there is one such batch.
type written struct {
	epoch kafka.LeaderEpoch
	base  kafka.Offset
}

type sequence struct {
	epoch kafka.ProducerEpoch
	next  kafka.Sequence
	upto  kafka.Offset // behind the last batch
}

type ackedBatch struct {
	base kafka.Offset
	crc  uint32
}

func (t *truth) part(tp kafka.TopicPartition) *part {
	for _, p := range t.parts {
		if p.tp == tp {
			return p
		}
	}
	p := &part{tp: tp, wrote: map[written]uint32{}, sequences: map[kafka.ProducerID]*sequence{}}
	t.parts = append(t.parts, p)
	return p
}

// appended looks at each batch that is appended anywhere (SIM-2): what was written at an offset in an epoch is one batch, wherever it is.
func (t *truth) appended(l *diskLog, s *stored) {
	t.w.trace.mix(uint64(s.h.BaseOffset)<<32 | uint64(s.h.CRC))
	p := t.part(l.id.TopicPartition)
	at := written{s.h.LeaderEpoch, s.h.BaseOffset}
	if crc, ok := p.wrote[at]; ok && crc != s.h.CRC {
		t.w.fail("%s: two batches were written to %s at offset %d in epoch %d: there were two leaders, or one forgot", l.d.n, p.tp, s.h.BaseOffset, s.h.LeaderEpoch)
	}
	p.wrote[at] = s.h.CRC
}

// afterEvent looks at every high watermark (SIM-1, SIM-3).
func (t *truth) afterEvent() {
	for _, n := range t.w.nodes {
		if !n.up {
			continue
		}
		for _, r := range n.replicas {
			if hw := r.p.HighWatermark(); hw != r.hw {
				t.moved(r, hw)
				t.stays(r)
			}
		}
	}
}

// moved takes in a new high watermark of a replica.
func (t *truth) moved(r *replica, hw kafka.Offset) {
	n, p := r.n, t.part(r.tp)
	was := r.hw
	r.hw = hw
	l := r.log()
	if hw < was {
		if startsOver := l != nil && len(l.batches) == 0 && hw == r.p.LogStart(); !p.lossy && !startsOver {
			t.w.fail("%s: the high watermark of %s falls from %d to %d", n, r.tp, was, hw)
		}
		return
	}
	if l == nil || hw > max(l.end, r.p.LogStart()) {
		t.w.fail("%s: the high watermark of %s is %d and the log does not reach so far", n, r.tp, hw)
	}
	for _, b := range l.batches[l.at(was):] {
		if b.h.BaseOffset >= hw {
			break
		}
		if b.h.NextOffset() > hw && hw > l.start {
			t.w.fail("%s: the high watermark of %s, %d, lies within a batch", n, r.tp, hw)
		}
		t.commit(r, p, b)
	}
	if r.p.Role().IsLeader && !p.lossy {
		t.inSync(r, p, hw)
	}
}

// commit takes in a batch that a replica holds to be committed.
func (t *truth) commit(r *replica, p *part, b stored) {
	switch {
	case b.h.BaseOffset < p.end:
		if c := p.find(b.h.BaseOffset); (c == nil || c.h.CRC != b.h.CRC || c.h.LeaderEpoch != b.h.LeaderEpoch) && !p.lossy {
			t.w.fail("%s holds a batch of %s at offset %d (epoch %d) to be committed, and another one was committed there", r.n, r.tp, b.h.BaseOffset, b.h.LeaderEpoch)
		}
		return
	case b.h.BaseOffset > p.end && !p.lossy:
		t.w.fail("%s holds offset %d of %s to be committed, and %d is not there", r.n, b.h.BaseOffset, r.tp, p.end)
	}
	p.committed, p.end = append(p.committed, b), b.h.NextOffset()
	t.inSequence(r, p, &b)
}

// trimmed looks at each log that loses its beginning (SIM-11): nobody deletes what nobody has asked to be deleted.
func (t *truth) trimmed(l *diskLog) {
	p := t.part(l.id.TopicPartition)
	if l.start > p.asked && !p.lossy {
		t.w.fail("%s deletes %s up to offset %d, and only what is below %d was asked to be deleted", l.d.n, p.tp, l.start, p.asked)
	}
	l.deleted = max(l.deleted, l.start)
}

// deleted looks at a deletion that is done (SIM-11): whoever is in sync has made it.
func (t *truth) deleted(leader *replica, before kafka.Offset) {
	p := t.part(leader.tp)
	_, state, ok := t.w.store.image().Partition(leader.tp)
	if !ok || p.lossy {
		return
	}
	for _, id := range leader.p.Role().ISR {
		n := t.w.nodes[id-1]
		if n.empty || !slices.Contains(state.ISR, id) {
			continue
		}
		for _, l := range n.disk.logs {
			if l.id == leader.p.ID() && l.start < before && len(l.batches) > 0 {
				t.w.fail("%s says that %s is deleted below offset %d, and %s, which is in sync, has it from %d on", leader.n, p.tp, before, n, l.start)
			}
		}
	}
}

// stays looks at the log start of each replica (SIM-11): what a log has deleted it does not have again.
func (t *truth) stays(r *replica) {
	if l := r.log(); l != nil && r.p.InUse() && r.p.LogStart() < l.deleted && !t.part(r.tp).lossy {
		t.w.fail("%s: %s starts at offset %d, and was deleted below %d before", r.n, r.tp, r.p.LogStart(), l.deleted)
	}
}

// inSequence: idempotent producers are neither doubled nor reordered (SIM-5), but for batches that were deleted.
func (t *truth) inSequence(r *replica, p *part, b *stored) {
	if b.h.ProducerID < 0 || b.h.BaseSequence < 0 || p.lossy {
		return
	}
	s := p.sequences[b.h.ProducerID]
	if s == nil {
		s = &sequence{epoch: -1}
		p.sequences[b.h.ProducerID] = s
	}
	if b.h.ProducerEpoch != s.epoch {
		if b.h.ProducerEpoch < s.epoch {
			t.w.fail("%s: producer %d of %s goes back from epoch %d to %d at offset %d", r.n, b.h.ProducerID, p.tp, s.epoch, b.h.ProducerEpoch, b.h.BaseOffset)
		}
		*s = sequence{epoch: b.h.ProducerEpoch}
	}
	// Who has begun behind all that a producer wrote does not know it, as with Kafka, and takes any sequence: a batch that was deleted may be repeated.
	isForgotten := s.upto <= p.asked
	if b.h.BaseSequence != s.next && !isForgotten {
		t.w.fail("%s: producer %d of %s has sequence %d at offset %d, and %d comes next: doubled, lost or reordered", r.n, b.h.ProducerID, p.tp, b.h.BaseSequence, b.h.BaseOffset, s.next)
	}
	s.next, s.upto = b.h.BaseSequence.Add(b.h.LastOffsetDelta+1), b.h.NextOffset()
}

// find is the committed batch at an offset.
func (p *part) find(base kafka.Offset) *stored {
	i, ok := slices.BinarySearchFunc(p.committed, base, func(b stored, base kafka.Offset) int { return int(b.h.BaseOffset - base) })
	if !ok {
		return nil
	}
	return &p.committed[i]
}

// inSync: whoever the metadata hold to be in sync, or eligible, has everything below the high watermark, durable (SIM-4).
func (t *truth) inSync(r *replica, p *part, hw kafka.Offset) {
	_, state, ok := t.w.store.image().Partition(r.tp)
	if !ok {
		return
	}
	for _, id := range slices.Concat(state.ISR, state.ELR) {
		t.has(p, id, hw, "is in sync or eligible while the high watermark moves")
	}
}

// has sees that a broker has all that is committed up to an offset, durable.
func (t *truth) has(p *part, id kafka.BrokerID, upto kafka.Offset, why string) {
	n := t.w.nodes[id-1]
	if n.empty || upto == 0 {
		return // its disk was lost, and it has not come back yet; or it was never there
	}
	var l *diskLog
	for _, o := range n.disk.logs {
		if o.id.TopicPartition == p.tp {
			l = o
		}
	}
	if l == nil {
		t.w.fail("%s %s and has nothing of %s, of which %d offsets are committed", n, why, p.tp, upto)
	}
	i := 0
	for _, c := range p.committed {
		if c.h.BaseOffset >= upto {
			break
		}
		if c.h.NextOffset() <= p.asked {
			continue
		}
		for i < len(l.batches) && l.batches[i].h.BaseOffset < c.h.BaseOffset {
			i++
		}
		if i == len(l.batches) || l.batches[i].h.CRC != c.h.CRC || l.batches[i].h.BaseOffset != c.h.BaseOffset {
			t.w.fail("%s %s and does not have what is committed at offset %d of %s (epoch %d; committed up to %d, its log ends at %d)", n, why, c.h.BaseOffset, p.tp, c.h.LeaderEpoch, upto, l.end)
		}
		if c.h.NextOffset() > l.durable {
			t.w.fail("%s %s and what is committed at offset %d of %s is not durable there", n, why, c.h.BaseOffset, p.tp)
		}
	}
}

// decided looks at every record of every decision of the controllers (SIM-6).
func (t *truth) decided(before, after *metadata.Image) {
	if after.Term < before.Term {
		t.w.fail("the controller's term falls from %d to %d", before.Term, after.Term)
	}
	d := metadata.Between(before, after)
	for i := range d.Topics {
		c := &d.Topics[i]
		if c.Before == nil || c.After == nil {
			continue
		}
		for _, index := range c.Partitions {
			t.changed(kafka.TopicPartition{Topic: c.After.Name, Partition: index}, &c.Before.Partitions[index], &c.After.Partitions[index], after)
		}
	}
}

func (t *truth) changed(tp kafka.TopicPartition, was, now *metadata.Partition, img *metadata.Image) {
	p := t.part(tp)
	defer func() { p.proposed = nil }()
	if now.PartitionEpoch <= was.PartitionEpoch {
		t.w.fail("%s changes and its partition epoch goes from %d to %d", tp, was.PartitionEpoch, now.PartitionEpoch)
	}
	if steps := now.LeaderEpoch - was.LeaderEpoch; steps < 0 || steps == 0 && now.Leader != was.Leader {
		t.w.fail("%s goes from leader %d to %d and from epoch %d to %d", tp, was.Leader, now.Leader, was.LeaderEpoch, now.LeaderEpoch)
	}
	if now.Leader == kafka.NoBroker {
		return
	}
	if !slices.Contains(now.ISR, now.Leader) {
		t.w.fail("%s is led by %d, which is not in sync: %v", tp, now.Leader, now.ISR)
	}
	if now.Leader != was.Leader {
		if b := img.Brokers[now.Leader]; b == nil || b.Fenced || b.ShuttingDown {
			t.w.fail("%s gets leader %d, which is fenced or about to stop", tp, now.Leader)
		}
		if !slices.Contains(was.ISR, now.Leader) && !slices.Contains(was.ELR, now.Leader) {
			// The end of a reassignment, or of a leader that stops, may make somebody the leader whom the old one has just found to be in sync.
			mayBeUnclean := t.w.plan.unclean && tp.Topic == "unclean"
			if !mayBeUnclean && !slices.Contains(p.proposed, now.Leader) {
				t.w.fail("%s gets leader %d, and in sync were %v, eligible %v", tp, now.Leader, was.ISR, was.ELR)
			}
			p.lossy = p.lossy || mayBeUnclean
		}
	}
	if p.lossy {
		return
	}
	for _, id := range slices.Concat(now.ISR, now.ELR) {
		t.has(p, id, p.end, "is made in sync, eligible or leader")
	}
}

// acknowledged takes in that a client was told that a batch is committed (SIM-1).
func (t *truth) acknowledged(who string, tp kafka.TopicPartition, base kafka.Offset, crc uint32) {
	p := t.part(tp)
	if p.lossy {
		return
	}
	if c := p.find(base); c == nil || c.h.CRC != crc {
		t.w.fail("%s is told that its batch at offset %d of %s is committed, and it is not", who, base, tp)
	}
	p.acked = append(p.acked, ackedBatch{base, crc})
}

// atRest says what is not at rest yet; "": everything is (SIM-9).
func (t *truth) atRest() string {
	w := t.w
	img := w.store.image()
	for _, id := range brokerIDs(img) {
		if b := img.Brokers[id]; b.Fenced || b.ShuttingDown {
			return w.nodes[id-1].String() + " is fenced or about to stop"
		}
	}
	for _, n := range w.nodes {
		if n.applied != w.store.head() {
			return n.String() + " lags behind the metadata"
		}
		if !n.lease() {
			return n.String() + " has no lease"
		}
	}
	for _, topic := range img.Topics.Sorted() {
		for i := range topic.Partitions {
			tp := kafka.TopicPartition{Topic: topic.Name, Partition: int32(i)}
			if why := t.partAtRest(tp, &topic.Partitions[i]); why != "" {
				return tp.String() + " " + why
			}
		}
	}
	for _, n := range w.nodes {
		for _, h := range n.coords.groups {
			if h.phase != phaseActive {
				return n.String() + " does not serve groups that it coordinates"
			}
		}
		for _, h := range n.coords.shares {
			if h.phase != phaseActive {
				return n.String() + " does not serve share groups that it coordinates"
			}
		}
		for _, h := range n.coords.txns {
			if h.phase != phaseActive {
				return n.String() + " does not serve transactions that it coordinates"
			}
		}
	}
	for _, c := range w.clients {
		if why := c.atRest(); why != "" {
			return why
		}
	}
	return ""
}

func (t *truth) partAtRest(tp kafka.TopicPartition, s *metadata.Partition) string {
	switch {
	case s.Leader == kafka.NoBroker:
		return "has no leader"
	case s.Reassigning():
		return "is being reassigned"
	case len(s.ISR) != len(s.Replicas):
		return "has replicas that are not in sync"
	}
	leader := t.w.nodes[s.Leader-1].replica(tp)
	if leader == nil || leader.log() == nil {
		return "" // never used
	}
	end := max(leader.log().end, leader.p.LogStart())
	for _, id := range s.Replicas {
		r := t.w.nodes[id-1].replica(tp)
		switch {
		case r != nil && r.log() != nil && r.p.LogStart() != max(leader.p.LogStart(), t.part(tp).asked):
			return "has replicas that have not deleted what was asked for"
		case r == nil || r.log() == nil || max(r.log().end, r.p.LogStart()) != end:
			return "has replicas of different lengths"
		case r.p.HighWatermark() != end:
			return "is not all committed on all replicas"
		case id == s.Leader && r.p.LastStable() >= 0 && r.p.LastStable() != end:
			return "has an open transaction"
		}
	}
	return ""
}

// finally looks at what is left when everything is at rest: acknowledged is contained, and replicas are equal, byte for byte.
func (t *truth) finally() {
	for _, p := range t.parts {
		_, s, ok := t.w.store.image().Partition(p.tp)
		if !ok {
			continue
		}
		var first *diskLog
		for _, id := range s.Replicas {
			r := t.w.nodes[id-1].replica(p.tp)
			if r == nil || r.log() == nil {
				continue
			}
			l := r.log()
			if first == nil {
				first = l
			}
			if !slices.EqualFunc(first.batches, l.batches, func(a, b stored) bool { return string(a.raw) == string(b.raw) }) {
				t.w.fail("at the end brokers %d and %d have different logs of %s", first.d.n.id, id, p.tp)
			}
		}
		if first == nil || p.lossy {
			continue
		}
		i := 0
		for _, b := range first.batches {
			for i < len(p.committed) && p.committed[i].h.NextOffset() <= p.asked && p.committed[i].h.BaseOffset < b.h.BaseOffset {
				i++
			}
			if i < len(p.committed) && p.committed[i].h.BaseOffset == b.h.BaseOffset && p.committed[i].h.CRC == b.h.CRC {
				i++
			}
		}
		if i != len(p.committed) && p.committed[i].h.NextOffset() > p.asked {
			t.w.fail("at the end what was committed at offset %d of %s is gone", p.committed[i].h.BaseOffset, p.tp)
		}
		for _, a := range p.acked {
			if c := p.find(a.base); c == nil || c.h.CRC != a.crc {
				t.w.fail("at the end what was acknowledged at offset %d of %s is gone", a.base, p.tp)
			}
		}
	}
	for _, c := range t.w.clients {
		c.finally()
	}
}

// quietPatience is how long in virtual time everything may take to come to rest after the last fault.
const quietPatience = 90 * time.Second
