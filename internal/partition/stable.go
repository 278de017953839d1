package partition

import (
	"github.com/rafka-io/rafka/internal/kafka"
)

// stability is what holds the last stable offset back (PAR-4). The lock of waiting guards it.
type stability struct {
	known bool         // producers are known, so that it can be said
	open  kafka.Offset // where the oldest open transaction began, noneOpen if none is
	ended []endedSpan  // ended transactions whose marker is not committed; first and last rise
	held  int64        // bytes that are committed and not stable
}

// endedSpan reaches from a transaction's first record to its marker.
type endedSpan struct{ first, last kafka.Offset }

// end notes a transaction whose marker has been appended. Those that it makes irrelevant go: who began later and is committed earlier holds
// nothing back that it does not.
func (s *stability) end(first, last kafka.Offset) {
	for len(s.ended) > 0 && s.ended[len(s.ended)-1].first >= first {
		s.ended = s.ended[:len(s.ended)-1]
	}
	s.ended = append(s.ended, endedSpan{first, last})
}

// last is the last stable offset under a high watermark, for a log that begins at start.
func (s *stability) last(hw, start kafka.Offset) kafka.Offset {
	for len(s.ended) > 0 && s.ended[0].last < hw {
		s.ended = s.ended[1:]
	}
	if len(s.ended) == 0 {
		s.ended = nil
	}
	unstable := s.open
	if len(s.ended) > 0 {
		unstable = min(unstable, s.ended[0].first)
	}
	return min(hw, max(unstable, start))
}

// LastStable is the offset below which every transaction is decided. It never falls. NoOffset while the partition has not been used by
// somebody who had to know.
func (p *Partition) LastStable() kafka.Offset { return kafka.Offset(p.stable.Load()) }

// raiseStableLocked moves the last stable offset to where it may be, and reports whether it moved. The lock of waiting is held.
func (p *Partition) raiseStableLocked() bool {
	s := &p.waiting.stability
	if !s.known {
		return false
	}
	lso := s.last(p.HighWatermark(), p.LogStart())
	if lso <= p.LastStable() {
		return false
	}
	p.stable.Store(int64(lso))
	return true
}

// readableLocked counts bytes that became committed, and what of it is stable now, and takes those off the list who have waited for
// enough. raised says that the last stable offset has moved.
//
// How many of the committed bytes are stable is known only when all are; until then too many count, and who is woken for it waits again.
func (p *Partition) readableLocked(bytes int, raised bool, dst []*FetchWaiter) []*FetchWaiter {
	w := &p.waiting
	hw, lso := p.HighWatermark(), p.LastStable()
	p.committed.Add(int64(bytes))
	w.stability.held += int64(bytes)
	settled := int64(0)
	if raised || lso == hw {
		settled = w.stability.held
		if raised {
			settled = max(settled, 1)
		}
		p.settled.Add(settled)
	}
	if lso == hw {
		w.stability.held = 0
	}
	return w.fetches.take(dst, arrivals{ReadUncommitted: {hw, bytes}, ReadCommitted: {lso, int(settled)}})
}

// restabilize moves the last stable offset after what holds it back has changed, and wakes who waits for that.
func (p *Partition) restabilize(change func(*stability)) {
	w := &p.waiting
	w.Lock()
	if change != nil {
		change(&w.stability)
	}
	var room [16]*FetchWaiter
	woken := room[:0]
	if p.raiseStableLocked() {
		woken = p.readableLocked(0, true, woken)
	}
	w.Unlock()
	for _, f := range woken {
		f.wake()
	}
}

// holdStable makes the last stable offset stay at or below first, where a transaction is about to begin. It is called before the append,
// for the high watermark may pass the batch before the append returns.
func (p *Partition) holdStable(first kafka.Offset) {
	p.waiting.Lock()
	p.waiting.stability.open = min(p.waiting.stability.open, first)
	p.waiting.Unlock()
}
