package queue

import (
	"errors"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// taken is what a fetch got of a share partition.
type taken struct {
	ranges  []share.AcquiredRange
	records []byte // whole batches in the order of offsets
	more    bool   // much was passed over and nothing taken; it is worth looking further
}

// How much one look at a share partition reads without finding anything to take: aborted transactions, records whose key is with somebody. What
// was passed over is known then, so the next look goes on behind it.
const (
	mostReads   = 32
	mostScanned = 16 << 20
)

// errGone says that a share partition was thrown away while it was used; there may be another one.
var errGone = errors.New("the share partition is gone")

// take gives a member up to ask.Max records that fit into maxBytes, but one batch at least if atLeastOne. n is how many.
//
// Errors: those of partition.Read, but for what only says that records are no more.
func (sp *sharePartition) take(s *slot, ask share.Ask, maxBytes int, atLeastOne bool) (n int, err error) {
	sp.reading.Lock()
	defer sp.reading.Unlock()
	s.taken.more = false
	look, isolation, err := sp.begin(s)
	if err != nil {
		return 0, err
	}
	scanned := 0
	for reads := 0; n < ask.Max && (len(s.taken.records) < maxBytes || atLeastOne && n == 0); reads++ {
		at, ok := sp.next(look)
		if !ok {
			break
		}
		if reads == mostReads || scanned > mostScanned {
			s.taken.more = n == 0
			break
		}
		read, err := sp.log.Read(partition.ReadRequest{
			From: at.First, MaxBytes: maxBytes - len(s.taken.records), AtLeastOne: atLeastOne && n == 0,
			CurrentEpoch: sp.epoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, Isolation: isolation,
		})
		if errors.Is(err, kafka.OffsetOutOfRange) {
			sp.trim()
			continue
		}
		if err != nil {
			return n, leaderError(err)
		}
		if read.Records == nil && !(atLeastOne && n == 0) {
			break // no room for the next batch
		}
		got, bytes, next, err := sp.acquire(s, ask, at, &read, n)
		if err != nil {
			return n, err
		}
		n, scanned = got, scanned+bytes
		look.From, look.Again, look.Got = next, at.Again, s.taken.ranges
	}
	return n, nil
}

// begin notes what is in the log now, so that what comes later wakes who finds nothing, and says how far records may be given.
func (sp *sharePartition) begin(s *slot) (look share.Look, isolation partition.Isolation, err error) {
	sp.mu.Lock()
	if sp.group.ReadCommitted {
		isolation = partition.ReadCommitted
	}
	sp.mu.Unlock()
	s.seen, err = sp.log.Read(partition.ReadRequest{From: sp.log.LogStart(), CurrentEpoch: sp.epoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, Isolation: isolation})
	if err == nil {
		err = sp.log.Leads(sp.epoch) // without a lease somebody else may lead, and have had them accepted (SHR-6)
	}
	if err != nil && !errors.Is(err, kafka.OffsetOutOfRange) { // out of range: trimmed at this moment
		s.saw = false
		return look, isolation, leaderError(err)
	}
	s.saw = true
	look.LogEnd = s.seen.HighWatermark
	if isolation == partition.ReadCommitted {
		look.LogEnd = s.seen.LastStable
	}
	s.upto = look.LogEnd
	now := sp.m.opts.Now()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil {
		return look, isolation, errGone
	}
	expired, trimmed := sp.expireLocked(now), s.seen.LogStart > sp.state.Start()
	if trimmed {
		sp.state.TrimTo(now, s.seen.LogStart)
	}
	if expired || trimmed {
		sp.changedLocked(now)
	}
	return look, isolation, nil
}

// leaderError makes of what a stale leader epoch is told what a client of a share group understands.
func leaderError(err error) error {
	switch kafka.CodeOf(err) {
	case kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch:
		return errNotLeader
	}
	return err
}

func (sp *sharePartition) next(look share.Look) (share.Stretch, bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil {
		return share.Stretch{}, false
	}
	return sp.state.Next(sp.m.opts.Now(), look)
}

// trim lets go of what the log has no more.
func (sp *sharePartition) trim() {
	now := sp.m.opts.Now()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone == nil {
		sp.state.TrimTo(now, sp.log.LogStart())
		sp.changedLocked(now)
	}
}

// acquire takes from what was read at a stretch; no Records: the log has none there. It returns how many records the fetch has now, how many
// bytes it has looked at, and the offset behind them.
func (sp *sharePartition) acquire(s *slot, ask share.Ask, at share.Stretch, read *partition.Read, had int) (n, bytes int, next kafka.Offset, err error) {
	var raw record.Batches
	if read.Records != nil {
		defer read.Records.Release()
		if raw, err = read.Records.Bytes(); err != nil {
			return had, 0, 0, kafka.Errorf(kafka.KafkaStorageError, "read %s-%d at %d: %w", sp.topic, sp.key.Partition, at.First, err)
		}
	}
	sp.mu.Lock()
	end, ordered := sp.state.End(), sp.settings.KeyOrdering
	sp.mu.Unlock()
	seen := sp.lookInto(raw, at, end, ordered, read)
	if len(seen) == 0 {
		return had, 0, 0, kafka.Errorf(kafka.KafkaStorageError, "what was read of %s-%d at %d is no batch", sp.topic, sp.key.Partition, at.First)
	}
	next = seen[len(seen)-1].Last + 1

	now := sp.m.opts.Now()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil {
		return had, len(raw), 0, errGone
	}
	had0 := len(s.taken.ranges)
	upto := kafka.NoOffset // where the ranges ended before: the last of them may be continued
	if had0 > 0 {
		upto = s.taken.ranges[had0-1].Last
	}
	ask.Max -= had
	s.taken.ranges = sp.state.Acquire(now, ask, seen, s.taken.ranges)
	n = had
	first, last := kafka.NoOffset, kafka.NoOffset
	for _, r := range s.taken.ranges[max(had0-1, 0):] {
		if r.First = max(r.First, upto+1); r.First > r.Last {
			continue
		}
		if n += int(r.Last-r.First) + 1; first == kafka.NoOffset {
			first = r.First
		}
		last = r.Last
	}
	sp.discardLocked(now, seen, end)
	if n > had {
		sp.m.stats.Acquired.Add(int64(n - had))
		s.taken.records = append(s.taken.records, batchesOf(raw, first, last)...)
		if s.place.listed { // the call is for somebody else
			sp.waiters.remove(&s.place)
		}
		sp.waiters.wakeOne()
	}
	sp.changedLocked(now)
	return n, len(raw), next, nil
}

// nobody holds, for a moment, records that the log has no more.
const nobody = ""

// discardLocked lets go of records that were known (below end) and that the log has no more, as compaction does to them: as when a consumer says that
// there is a gap.
func (sp *sharePartition) discardLocked(now time.Time, seen []share.Batch, end kafka.Offset) {
	for _, b := range seen {
		if !b.IsGone || b.First >= end {
			continue
		}
		b.Last, b.IsGone = min(b.Last, end-1), false
		for _, r := range sp.state.Acquire(now, share.Ask{Member: nobody, Max: int(b.Last-b.First) + 1}, []share.Batch{b}, nil) {
			// It holds what it has just been given, so this cannot fail.
			_, _ = sp.state.Acknowledge(now, nobody, []share.Ack{{First: r.First, Last: r.Last, Types: []int8{share.AckGap}}})
		}
	}
}

// batchesOf is the part of raw from the batch that has offset first to the one that has offset last.
func batchesOf(raw record.Batches, first, last kafka.Offset) record.Batches {
	from, to, at := -1, 0, 0
	for h, b := range raw.All() {
		if h.LastOffset() >= first && h.BaseOffset <= last {
			if from < 0 {
				from = at
			}
			to = at + len(b)
		}
		at += len(b)
	}
	return raw[max(from, 0):to]
}

// peek is how many bytes take could give now, up to most. It takes nothing.
func (sp *sharePartition) peek(s *slot, most int) int {
	sp.reading.Lock()
	defer sp.reading.Unlock()
	look, isolation, err := sp.begin(s)
	if err != nil {
		return most // take tells
	}
	at, ok := sp.next(look)
	if !ok {
		return 0
	}
	read, err := sp.log.Read(partition.ReadRequest{
		From: at.First, MaxBytes: most, AtLeastOne: true, CurrentEpoch: sp.epoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, Isolation: isolation,
	})
	if err != nil || read.Records == nil {
		return most
	}
	defer read.Records.Release()
	raw, err := read.Records.Bytes()
	if err != nil {
		return most
	}
	bytes := 0
	for h, b := range raw.All() {
		if h.BaseOffset > at.Last {
			return bytes
		}
		if bytes += len(b); h.NextOffset() > at.Last {
			return bytes
		}
	}
	return most // there is more, and it did not fit
}
