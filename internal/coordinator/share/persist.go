package share

import (
	"cmp"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Ticket numbers the writes of a Partition, from 1. 0: nothing is to be written, so nobody waits.
type Ticket uint64

// Write is what is to be written to the share coordinator.
type Write struct {
	Ticket           Ticket
	StateEpoch       int32
	StartOffset      kafka.Offset
	DeliveryComplete int32        // records from the start offset on that are acknowledged or archived
	Batches          []StateBatch // reused by the next Changes with this Write
}

// writing is the one write under way.
type writing struct {
	ticket Ticket // 0: none
	acks   []span // records whose acknowledgement it has
	dirty  []span // records that came back or were archived by themselves; if it fails the next one has them
}

// Changes fills w with what is not written yet and says whether there is any. False also while a write is under way.
func (p *Partition) Changes(w *Write) bool {
	if p.writing.ticket != 0 || len(p.acks) == 0 && len(p.dirty) == 0 {
		return false
	}
	p.ticket++
	p.writing.ticket = p.ticket
	p.acks, p.writing.acks = p.writing.acks[:0], p.acks
	p.dirty, p.writing.dirty = p.writing.dirty[:0], p.dirty
	p.scratch = append(append(p.scratch[:0], p.writing.acks...), p.writing.dirty...)
	slices.SortFunc(p.scratch, func(a, b span) int { return cmp.Compare(a.first, b.first) })

	w.Ticket, w.StateEpoch, w.StartOffset = p.ticket, p.epoch, p.startAfter()
	// Everything from the start to the start of w is done, or will be.
	w.DeliveryComplete = int32(min(int64(p.done+p.pendingDone+p.doneAhead)-int64(w.StartOffset-p.start), maxComplete))
	w.Batches = w.Batches[:0]
	at := w.StartOffset
	for _, sp := range p.scratch {
		for walk := p.walk(max(sp.first, at), sp.last); ; {
			r, ok := walk.next()
			if !ok {
				break
			}
			if state, count, ok := r.s.written(); ok {
				w.Batches = addBatch(w.Batches, StateBatch{r.first(), r.last(), state, count})
			}
		}
		at = max(at, sp.last+1)
	}
	return true
}

const maxComplete = 1<<31 - 1

// written is how a slot is written: what is acquired as it was before.
func (s slot) written() (_ RecordState, count int16, ok bool) {
	if s.state == Acquired && s.pending == 0 {
		s.state, s.count = Available, s.count-1
	}
	return s.after(), s.count, s.isWritten()
}

func addBatch(batches []StateBatch, b StateBatch) []StateBatch {
	if n := len(batches); n > 0 {
		if last := &batches[n-1]; last.Last+1 == b.First && last.State == b.State && last.Count == b.Count {
			last.Last = b.Last
			return batches
		}
	}
	return append(batches, b)
}

// startAfter is the start offset once all that is under way is durable.
func (p *Partition) startAfter() kafka.Offset {
	for w := p.walk(p.start, p.end-1); ; {
		r, ok := w.next()
		if !ok {
			return p.end
		}
		if !r.s.after().isDone() {
			return r.first()
		}
	}
}

// touch notes that records have changed by themselves. While writes fail again and again the notes stay as few as there are records.
func (p *Partition) touch(first, last kafka.Offset) {
	p.dirty = addSpan(p.dirty, first, last)
	if len(p.dirty) < max(p.dirtyMost, 4*chunkSize) {
		return
	}
	slices.SortFunc(p.dirty, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	kept := p.dirty[:0]
	for _, sp := range p.dirty {
		if n := len(kept); n > 0 && sp.first <= kept[n-1].last+1 {
			kept[n-1].last = max(kept[n-1].last, sp.last)
		} else if sp.last >= p.start {
			kept = append(kept, sp)
		}
	}
	p.dirty, p.dirtyMost = kept, 2*len(kept)
}

// Woke says, once, that records may have become available, or room for more, since the last call: let the fetches that wait look again.
func (p *Partition) Woke() bool {
	woke := p.hasWoken
	p.hasWoken = false
	return woke
}

// Persisted says that the write is durable: acknowledgements take effect, keys move on, the start offset rises, dead letters come. Another
// ticket than that of the write under way is ignored.
func (p *Partition) Persisted(now time.Time, ticket Ticket) {
	if ticket == 0 || ticket != p.writing.ticket {
		return
	}
	t := p.at(now)
	p.eachIntended(func(r run) {
		p.unhold(r.s.lock, r.len())
		s := slot{state: r.s.after(), count: r.s.count, reason: r.s.reason}
		if s.state == Available {
			if p.putBack(r, t); r.c.at(r.i).state != Available {
				p.touch(r.first(), r.last()) // DeliveryLimit has been lowered since
			}
		} else {
			p.set(r, s)
		}
	})
	p.tellArchiving(p.writing.acks)
	p.tellArchiving(p.writing.dirty)
	p.endWriting()
}

// PersistFailed says that the write failed: acknowledgements in it are undone (the member holds the records as before, unless its lock has run
// out or the member has left by now), what else it said goes into the next write.
func (p *Partition) PersistFailed(now time.Time, ticket Ticket) {
	if ticket == 0 || ticket != p.writing.ticket {
		return
	}
	t := p.at(now)
	p.eachIntended(func(r run) {
		if p.locks[r.s.lock].place == 0 {
			p.release(r, t)
			return
		}
		s := r.s
		s.pending, s.reason = 0, 0
		p.set(r, s)
	})
	for _, sp := range p.writing.dirty {
		p.touch(sp.first, sp.last)
	}
	p.endWriting()
}

func (p *Partition) endWriting() {
	p.writing.ticket = 0
	p.writing.acks, p.writing.dirty = shrink(p.writing.acks), shrink(p.writing.dirty)
	p.hasWoken = true
	p.settle()
}

// shrink empties a list of spans and lets go of one that has become large.
func shrink(spans []span) []span {
	if cap(spans) > 4*chunkSize {
		return nil
	}
	return spans[:0]
}

// eachIntended visits the records whose acknowledgement is in the write under way and that have not gone meanwhile.
func (p *Partition) eachIntended(fn func(run)) {
	for _, sp := range p.writing.acks {
		for w := p.walk(sp.first, sp.last); ; {
			r, ok := w.next()
			if !ok {
				break
			}
			if r.s.pending != 0 {
				fn(r)
			}
		}
	}
}
