package share

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Partition is what one share group knows of one topic-partition: which record is available, held by whom, or done. It is pure and not safe for
// concurrent use: its host has a lock.
//
// How a host serves ShareFetch:
//
//	p.Expire(now)
//	look := share.Look{LogEnd: highWatermarkOrLSO}
//	for want > 0 {
//		at, ok := p.Next(now, look)
//		if !ok { break }                           // wait for more records, for p.NextWake(now), or for p.Woke() after an operation
//		read log batches from at.First to about at.Last, as far as bytes allow
//		got = p.Acquire(now, share.Ask{…, Max: want}, batches, got)
//		look.From, look.Again, look.Got = last offset read + 1, at.Again, got
//	}
//	answer the records of got, as Kafka: whole record batches plus the acquired ranges, both in the order of offsets: with RedeliverFirst false
//	got may have to be sorted by First
//
// After every operation:
//
//	if p.Changes(&w) {                                 // at most one write is under way per Partition; what happens meanwhile goes into the next one
//		send w to the share coordinator               // WriteShareGroupState with w.StateEpoch, the leader epoch, w.StartOffset, w.DeliveryComplete, w.Batches
//		p.Persisted(now, w.Ticket)                    // or p.PersistFailed(now, w.Ticket); both may make new Changes, dead letters and wake-ups
//	}                                              // FENCED_*: throw the Partition away
//
// Whoever called Acknowledge waits until Persisted or PersistFailed of its Ticket.
type Partition struct {
	settings Settings
	epoch    int32     // of the state
	base     time.Time // the first now: where mono times count from

	start, end kafka.Offset // start <= end; everything in between is in chunks
	chunks     []*chunk     // in the order of offsets, without gaps
	offered    kafka.Offset // the end at the time when Next last offered to read from there
	restored   []StateBatch // what was read of offsets from end on
	doneAhead  int          // of them, done

	// Sums over the window from start on (tally).
	inFlight, acquired, archiving, done int
	pendingDone                         int // acknowledgements under way that end in a done state
	fragments, tracked                  int // sums over chunks, as of their last recount

	keys      map[uint64]keyQueue
	locks     []lock // by number, from 1
	freeLocks []uint32
	deadlines []uint32 // heap of the locks that have not ended

	ticket    Ticket // of the last write
	acks      []span // acknowledgements for the next write
	dirty     []span // other changes for the next write
	dirtyMost int    // notes in dirty at which it is tidied
	writing   writing
	dead      []DeadLetter

	hasWoken   bool // until Woke
	hasEnded   bool // locks have, until Expire
	spare      [][]slot
	scratch    []span
	scratchIDs []uint32
}

// Restore makes the Partition of a state that was read. A StartOffset of -1 must have been replaced by the offset that share.auto.offset.reset
// means. What lies between start and end is read from the log again (Next begins at the start offset), so keys and times are known as before;
// back-off times are not kept.
// Error: batches that overlap, lie below the start or have an unknown state.
func Restore(s Settings, st State) (*Partition, error) {
	if err := st.check(); err != nil {
		return nil, err
	}
	p := &Partition{settings: s.withDefaults(), epoch: st.StateEpoch, start: st.StartOffset, end: st.StartOffset, offered: -1, restored: slices.Clone(st.Batches)}
	for _, b := range st.Batches {
		if b.State.isDone() {
			p.doneAhead += int(b.Last-b.First) + 1
		}
	}
	p.absorb()
	p.settle()
	return p, nil
}

// SetSettings takes effect for what happens from now on. KeyOrdering stays as it was: turning it on or off needs a new Partition (Restore).
func (p *Partition) SetSettings(s Settings) {
	s.KeyOrdering = p.settings.KeyOrdering
	p.settings = s.withDefaults()
	p.hasWoken = true
}

// at places now on both clocks.
func (p *Partition) at(now time.Time) instant {
	if p.base.IsZero() {
		p.base = now
	}
	return instant{wall: now.UnixMilli(), mono: int64(now.Sub(p.base))}
}

// Start is the first offset that is neither acknowledged nor archived (the share-partition start offset); it only rises. SHR-4.
func (p *Partition) Start() kafka.Offset { return p.start }

// End is the offset after the last one that the Partition has seen.
func (p *Partition) End() kafka.Offset { return p.end }

// StateEpoch is that of the state it was made of.
func (p *Partition) StateEpoch() int32 { return p.epoch }
