package partition

import (
	"cmp"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// How delayed records are released.
const (
	// deliverAhead is how long before its time a record is read from the log, so that many of one batch are read at once and none is late for it.
	deliverAhead = time.Second
	// deliverWindow is how far ahead is read at once: each time, every held batch with a record in it is unpacked.
	deliverWindow = 4 * time.Second
	// deliverPause lets records that are due within it share a batch.
	deliverPause = 2 * time.Millisecond
	// deliverRetry is how long after an error it is tried again.
	deliverRetry = 500 * time.Millisecond

	deliverRecords = 64 << 10 // at most so many records are looked at in one call
	deliverBytes   = 8 << 20  // and about so many bytes
	releaseRecords = 1000     // of one batch
	releaseBytes   = 1 << 20
	aheadStep      = 1 << 20 // of held batches are read ahead in one call
	heldOverhead   = 256     // bytes that a record takes in memory beside its own
)

// Delivered is what Deliver did.
type Delivered struct {
	Next     time.Time // when it should be called again; zero: when Host.OnDue says so
	Records  int       // how many were released
	InMemory int64     // bytes of records that were read ahead
}

// Deliver releases the delayed records whose time has come: each is appended once more, as one that consumers see (PAR-8). Calls do not overlap. It
// reads ahead while no more than room bytes are in memory for it. It waits for the disk to read, for nothing to be written, and does a bounded piece
// of work at a time.
//
// Errors: those of Read, and NotEnoughReplicas; it is to be called again at Next all the same.
func (p *Partition) Deliver(now time.Time, room int64) (Delivered, error) {
	if r := p.role.Load(); !r.IsLeader || r.Gone != nil {
		p.delivering.Lock()
		p.delivery = delivery{}
		p.delivering.Unlock()
		return Delivered{}, nil
	}
	l, err := p.load()
	if err != nil {
		return Delivered{Next: now.Add(deliverRetry)}, err
	}
	p.delivering.Lock()
	defer p.delivering.Unlock()
	d := &p.delivery
	ms := kafka.Timestamp(now.UnixMilli())
	done, err := p.deliverDue(l, ms, now)
	result := Delivered{Records: done, InMemory: d.bytes}
	if err != nil {
		result.Next = now.Add(deliverRetry)
		return result, err
	}
	if done > 0 && p.nextDue() <= ms {
		result.Next = now
		return result, nil
	}
	busy, err := p.readAhead(l, ms, room)
	result.InMemory = d.bytes
	top := p.nextDue()
	switch next := time.UnixMilli(int64(top)); {
	case err != nil:
		result.Next = now.Add(deliverRetry)
	case busy:
		result.Next = now
	case top == noDue:
		*d = delivery{}
		result.InMemory = 0
	case next.Sub(now) > deliverAhead:
		result.Next = next.Add(-deliverAhead)
	case done > 0 && next.Sub(now) < deliverPause:
		result.Next = now.Add(deliverPause)
	default:
		result.Next = next
	}
	return result, err
}

func (p *Partition) nextDue() kafka.Timestamp {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delays.top()
}

// deliverDue releases what is due, and says how many that were.
func (p *Partition) deliverDue(l *openLog, ms kafka.Timestamp, now time.Time) (done int, err error) {
	p.mu.Lock()
	list, _ := p.delays.until(ms, deliverRecords, deliverBytes)
	p.mu.Unlock()
	slices.SortFunc(list, inOrder)
	if len(list) == 0 {
		return 0, nil
	}
	var missing []waitingRecord
	for _, r := range list {
		if p.delivery.ready[r.offset] == nil {
			missing = append(missing, r)
		}
	}
	slices.SortFunc(missing, func(a, b waitingRecord) int { return cmp.Compare(a.offset, b.offset) })
	for len(missing) > 0 {
		if missing, err = p.fetchHeld(l, missing, aheadStep); err != nil {
			return 0, err
		}
	}
	s := p.settings.Load()
	batch := make([]heldRecord, 0, min(len(list), releaseRecords))
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := p.release(l, s, batch, now); err != nil {
			return err
		}
		for i := range batch {
			p.delivery.drop(batch[i].offset)
		}
		done += len(batch)
		batch, size = batch[:0], 0
		return nil
	}
	for _, w := range list {
		r := p.delivery.ready[w.offset]
		if r == nil {
			continue // it was parked
		}
		if len(batch) == releaseRecords || len(batch) > 0 && size+int(r.size) > releaseBytes {
			if err := flush(); err != nil {
				return done, err
			}
		}
		batch = append(batch, *r)
		size += int(r.size)
	}
	err = flush()
	return done, err
}

// release appends records to those that consumers see.
func (p *Partition) release(l *openLog, s *Settings, recs []heldRecord, now time.Time) error {
	batch, err := released(s, recs, kafka.Timestamp(now.UnixMilli()))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.mayAppend(s, true)
	if err != nil {
		return err
	}
	return p.releaseLocked(l, s, role, batch, recs, now)
}

// Delayed is how many records wait for their time, and the earliest of these times; NoTimestamp if there is none. It opens nothing: of a partition
// that was not used yet nothing is known.
func (p *Partition) Delayed() (records int, next kafka.Timestamp) {
	if !p.loaded.Load() {
		return 0, kafka.NoTimestamp
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if next = p.delays.top(); next == noDue {
		next = kafka.NoTimestamp
	}
	return p.delays.len(), next
}
