package share

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Acknowledgement types, as in ShareAcknowledge.
const (
	AckGap     int8 = 0 // there is no such record for the client: archived
	AckAccept  int8 = 1
	AckRelease int8 = 2
	AckReject  int8 = 3 // archived, by way of the dead-letter topic if there is one
	AckRenew   int8 = 4 // KIP-1222: the lock runs for another LockDuration; nothing is written
)

// Ack acknowledges offsets First to Last: Types has one type for all, or one per offset. Anything else is InvalidRequest.
type Ack struct {
	First, Last kafka.Offset
	Types       []int8
}

// Acknowledge takes what a member says of records. All of it holds or nothing. Ticket: the write that makes it durable; answer the client then.
// Errors: InvalidRecordState (not held by this member, an acknowledgement of it is under way, its lock has run out, or renewal is not allowed),
// InvalidRequest (types, order, offsets beyond what was acquired). Offsets below the start are ignored, as in Kafka, and so are those of which
// the broker itself knows that there is no record.
func (p *Partition) Acknowledge(now time.Time, member string, acks []Ack) (Ticket, error) {
	t := p.at(now)
	p.expire(t)
	if err := p.checkAcks(member, acks); err != nil {
		return 0, err
	}
	renewed := uint32(noLock)
	ticket := Ticket(0)
	for i := range acks {
		a := &acks[i]
		for w := p.walk(a.First, a.Last); ; {
			r, ok := w.next()
			if !ok {
				break
			}
			if r.s.state != Acquired {
				continue
			}
			for lo := r.i; lo < r.j; {
				typ, hi := a.typeRun(r, lo)
				part := r.part(lo, hi)
				if typ == AckRenew {
					if renewed == noLock {
						renewed = p.newLock(member, t)
					}
					p.renew(part, renewed)
				} else {
					p.intend(part, typ)
					ticket = p.ticket + 1
				}
				lo = hi
			}
		}
	}
	return ticket, nil
}

// checkAcks refuses what Acknowledge must not do at all.
func (p *Partition) checkAcks(member string, acks []Ack) error {
	next := kafka.Offset(0)
	for i := range acks {
		a := &acks[i]
		n := int64(a.Last-a.First) + 1
		switch {
		case a.First < next:
			return kafka.Errorf(kafka.InvalidRequest, "acknowledgement of offsets %d to %d: batches must not overlap and come in the order of offsets", a.First, a.Last)
		case a.Last < a.First:
			return kafka.Errorf(kafka.InvalidRequest, "acknowledgement of offsets %d to %d: the last lies before the first", a.First, a.Last)
		case a.Last >= p.end:
			return kafka.Errorf(kafka.InvalidRequest, "acknowledgement of offsets %d to %d: nothing from offset %d on has been acquired", a.First, a.Last, p.end)
		case len(a.Types) != 1 && int64(len(a.Types)) != n:
			return kafka.Errorf(kafka.InvalidRequest, "acknowledgement of offsets %d to %d: %d types; give one for all or one per offset", a.First, a.Last, len(a.Types))
		}
		next = a.Last + 1
		hasRenewal := false
		for _, typ := range a.Types {
			if typ < AckGap || typ > AckRenew {
				return kafka.Errorf(kafka.InvalidRequest, "acknowledgement of offsets %d to %d: type %d; give 0 gap, 1 accept, 2 release, 3 reject or 4 renew", a.First, a.Last, typ)
			}
			hasRenewal = hasRenewal || typ == AckRenew
		}
		if hasRenewal && !p.settings.Renew {
			return kafka.Errorf(kafka.InvalidRecordState, "renewing locks is not enabled for the group: set share.renew.acknowledge.enable")
		}
		if err := p.checkHeld(member, a); err != nil {
			return err
		}
	}
	return nil
}

// checkHeld refuses records that the member does not hold.
func (p *Partition) checkHeld(member string, a *Ack) error {
	mine := uint32(noLock)
	for w := p.walk(a.First, a.Last); ; {
		r, ok := w.next()
		switch {
		case !ok:
			return nil
		case r.s.state == Archived && r.s.count == 0:
		case r.s.state != Acquired:
			return kafka.Errorf(kafka.InvalidRecordState, "offset %d is %v, not acquired: its lock has run out or it has been acknowledged", r.first(), r.s.state)
		case r.s.pending != 0:
			return kafka.Errorf(kafka.InvalidRecordState, "offset %d: an acknowledgement of it is under way", r.first())
		case r.s.lock != mine && p.locks[r.s.lock].member != member:
			return kafka.Errorf(kafka.InvalidRecordState, "offset %d is held by another member", r.first())
		default:
			mine = r.s.lock
		}
	}
}

// typeRun is the type of the record at i of the run, and up to where the type is the same.
func (a *Ack) typeRun(r run, i int64) (int8, int64) {
	if len(a.Types) == 1 {
		return a.Types[0], r.j
	}
	at := int64(r.c.first-a.First) + i
	typ := a.Types[at]
	j := i + 1
	for ; j < r.j && a.Types[at+j-i] == typ; j++ {
	}
	return typ, j
}

// renew moves records to a newer lock.
func (p *Partition) renew(r run, lock uint32) {
	p.hold(lock, r.first(), r.last())
	old := r.s.lock
	s := r.s
	s.lock = lock
	p.set(r, s)
	p.unhold(old, r.len())
}

// intend notes what an acknowledgement asks for; it takes effect when it is durable.
func (p *Partition) intend(r run, typ int8) {
	s := r.s
	var to RecordState
	switch typ {
	case AckAccept:
		to = Acknowledged
	case AckRelease:
		if to = p.returned(s.count); to == Archiving {
			s.reason = UsedUp
		}
	case AckReject:
		if to = p.archived(); to == Archiving {
			s.reason = Rejected
		}
	default:
		to = Archived
	}
	s.pending = uint8(to) + 1
	p.set(r, s)
	p.acks = addSpan(p.acks, r.first(), r.last())
}
