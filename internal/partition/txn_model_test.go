package partition

import (
	"cmp"
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// txnOracle knows a log batch by batch, and answers everything by going through all of it.
type txnOracle struct {
	log []txnEntry
}

type txnEntry struct {
	record.Header
	raw    record.Batches
	marker *record.EndTxnMarker
}

// state is a producer as the log has it.
type txnState struct {
	epoch       kafka.ProducerEpoch
	next        kafka.Sequence
	coordinator int32
	first       kafka.Offset // of its open transaction, -1
	known       bool
}

func (o *txnOracle) state(pid kafka.ProducerID) txnState {
	s := txnState{coordinator: -1, first: -1}
	for _, e := range o.log {
		if e.ProducerID != pid {
			continue
		}
		if s.known = true; e.ProducerEpoch != s.epoch {
			s.epoch, s.next = e.ProducerEpoch, 0
		}
		if e.marker != nil {
			s.coordinator, s.first = e.marker.CoordinatorEpoch, -1
			continue
		}
		s.next = e.BaseSequence.Add(e.LastOffsetDelta + 1)
		if e.IsTransactional() && s.first < 0 {
			s.first = e.BaseOffset
		}
	}
	return s
}

// fate is what became of the transaction that a batch is part of: the marker's place in the log, or nil.
func (o *txnOracle) fate(i int) *txnEntry {
	for j := i + 1; j < len(o.log); j++ {
		if o.log[j].ProducerID == o.log[i].ProducerID && o.log[j].marker != nil {
			return &o.log[j]
		}
	}
	return nil
}

func (o *txnOracle) stable(hw, start kafka.Offset) kafka.Offset {
	lso := hw
	for i, e := range o.log {
		if e.marker != nil || !e.IsTransactional() {
			continue
		}
		if end := o.fate(i); end == nil || end.BaseOffset >= hw {
			lso = min(lso, max(e.BaseOffset, start))
		}
	}
	return lso
}

// visible are the batches that a consumer must get from an offset on.
func (o *txnOracle) visible(from, hw, start kafka.Offset, i Isolation) (bases []kafka.Offset) {
	limit := hw
	if i == ReadCommitted {
		limit = o.stable(hw, start)
	}
	if from >= limit {
		return nil
	}
	for n, e := range o.log {
		if e.marker != nil || e.NextOffset() <= from || e.BaseOffset >= limit {
			continue
		}
		if i == ReadCommitted && e.IsTransactional() {
			if end := o.fate(n); end == nil || !end.marker.Commit {
				continue // without an end it begins below the log start
			}
		}
		bases = append(bases, e.BaseOffset)
	}
	return bases
}

// consume reads as a client does, a few batches at a time.
func (b *bench) consume(from kafka.Offset, i Isolation, bytes int) (bases []kafka.Offset) {
	b.Helper()
	for {
		r, err := b.Read(ReadRequest{From: from, MaxBytes: bytes, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, Isolation: i, FromFollower: b.fromFollower})
		if err != nil {
			b.Fatal(err)
		}
		if r.LastStable > r.HighWatermark {
			b.Fatalf("LSO %d above the high watermark %d", r.LastStable, r.HighWatermark)
		}
		if r.Records == nil {
			return bases
		}
		all, _ := r.Records.Bytes()
		skip := map[kafka.ProducerID]bool{}
		aborted := slices.Clone(r.Aborted)
		slices.SortFunc(aborted, func(x, y AbortedTxn) int { return cmp.Compare(x.First, y.First) })
		for h, raw := range all.All() {
			for len(aborted) > 0 && aborted[0].First <= h.LastOffset() {
				skip[aborted[0].Producer] = true
				aborted = aborted[1:]
			}
			from = h.NextOffset()
			switch {
			case h.IsControl():
				for rec := range record.Records(raw, 0) {
					if m, ok, _ := record.ParseEndTxnMarker(&rec); ok && !m.Commit {
						skip[h.ProducerID] = false
					}
				}
			case i == ReadCommitted && h.IsTransactional() && skip[h.ProducerID]:
			default:
				bases = append(bases, h.BaseOffset)
			}
		}
	}
}

// txnBench plays producers and their coordinator.
type txnBench struct {
	*bench
	oracle txnOracle
	dice   *rand.Rand
}

var readAll = storage.ReadLimit{MaxBytes: 1, Below: kafka.NoOffset}

const txnPIDs = 5 // the last one writes no transactions; those from 2 on have a new epoch for each

func txnBatch(pid kafka.ProducerID, epoch kafka.ProducerEpoch, first kafka.Sequence, n int) record.Batches {
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = pid, epoch, first, true
	return batch(o, n, 1_700_000_000_000)
}

func (b *txnBench) write(pid kafka.ProducerID) {
	b.Helper()
	s := b.oracle.state(pid)
	n := 1 + b.dice.IntN(3)
	if pid == txnPIDs-1 {
		b.took(producerBatch(pid, s.epoch, s.next, n), TxnGuard{})
		return
	}
	guard, needed, err := b.GuardTxn(pid, s.epoch, s.next, pid >= 2, 1)
	if err != nil || needed != (s.first < 0) || b.TxnOngoing(pid, s.epoch) == needed {
		b.Fatalf("producer %d, open since %d: needed %v, %v", pid, s.first, needed, err)
	}
	raw := txnBatch(pid, s.epoch, s.next, n)
	if needed && b.dice.IntN(6) == 0 {
		_, err := b.AppendAsLeader(Append{Records: slices.Clone(raw)}, b.now)
		wantCode(b.TB, err, kafka.InvalidTxnState)
	}
	b.took(raw, guard)
}

func (b *txnBench) took(raw record.Batches, guard TxnGuard) {
	b.Helper()
	if _, err := b.AppendAsLeader(Append{Records: raw, Guard: guard}, b.now); err != nil {
		b.Fatal(err)
	}
	h, _ := record.ParseHeader(raw)
	b.oracle.log = append(b.oracle.log, txnEntry{Header: h, raw: slices.Clone(raw)})
}

// finish ends the producer's transaction, which may not be open.
func (b *txnBench) finish(pid kafka.ProducerID, commit bool) {
	b.Helper()
	s := b.oracle.state(pid)
	m := Marker{Producer: pid, Epoch: s.epoch, CoordinatorEpoch: max(s.coordinator, 3), Commit: commit, Version: 1}
	if pid >= 2 {
		m.Epoch, m.Version = s.epoch+1, 2
	}
	if b.dice.IntN(10) == 0 {
		m.CoordinatorEpoch++
	}
	end := b.log().Bounds().End
	if err := b.AppendMarker(m, b.now); err != nil {
		b.Fatal(err)
	}
	if s.known && s.first < 0 && m.Epoch == s.epoch && m.CoordinatorEpoch == s.coordinator {
		if b.log().Bounds().End != end {
			b.Fatal("a repeated marker was appended")
		}
		return
	}
	raw := b.last()
	h, _ := record.ParseHeader(raw)
	if h.BaseOffset != end || !h.IsControl() {
		b.Fatalf("no marker at %d", end)
	}
	b.oracle.log = append(b.oracle.log, txnEntry{Header: h, raw: raw, marker: &record.EndTxnMarker{Commit: commit, CoordinatorEpoch: m.CoordinatorEpoch}})
	if b.dice.IntN(3) == 0 { // again, and from those who have no say
		if err := b.AppendMarker(m, b.now); err != nil {
			b.Fatal(err)
		}
		stale := m
		stale.CoordinatorEpoch--
		wantCode(b.TB, b.AppendMarker(stale, b.now), kafka.TransactionCoordinatorFenced)
		if m.Epoch > 0 {
			stale = m
			stale.Epoch--
			wantCode(b.TB, b.AppendMarker(stale, b.now), kafka.InvalidProducerEpoch)
		}
		if b.log().Bounds().End != h.NextOffset() {
			b.Fatal("a repeated or refused marker was appended")
		}
	}
}

// last is the last batch of the log.
func (b *txnBench) last() (last record.Batches) {
	end := b.log().Bounds().End
	x, err := b.log().Read(end-1, readAll)
	if err != nil || x == nil {
		b.Fatal(err)
	}
	last, _ = x.Bytes()
	return slices.Clone(last)
}

// check compares everything with the oracle.
func (b *txnBench) check() {
	b.Helper()
	b.log() // known again
	want := newProducers()
	for _, e := range b.oracle.log {
		if err := want.fold(&e.Header, e.raw, 0); err != nil {
			b.Fatal(err)
		}
	}
	want.aborted.trim(b.LogStart())
	if got, want := b.known(), plain(want); !reflect.DeepEqual(got, want) {
		b.Fatalf("known %+v\nwant %+v", got, want)
	}
	if got, want := b.producers.aborted.entries, want.aborted.entries; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		b.Fatalf("aborted %+v\nwant %+v", got, want)
	}
	hw, start := b.HighWatermark(), b.LogStart()
	if got, want := b.LastStable(), b.oracle.stable(hw, start); got != want {
		b.Fatalf("last stable offset %d, want %d", got, want)
	}
	for _, i := range []Isolation{ReadUncommitted, ReadCommitted} {
		from := start + kafka.Offset(b.dice.Int64N(int64(hw-start)+1))
		got, want := b.consume(from, i, 100+b.dice.IntN(1000)), b.oracle.visible(from, hw, start, i)
		if !slices.Equal(got, want) {
			b.Fatalf("isolation %d from %d: read %v, want %v", i, from, got, want)
		}
		limit := hw
		if i == ReadCommitted {
			limit = b.LastStable()
		}
		at, err := b.FindOffset(OffsetQuery{At: AtLatest, CurrentEpoch: kafka.NoEpoch, Isolation: i})
		if err != nil || at.Offset != limit {
			b.Fatalf("isolation %d: latest %d, %v, want %d", i, at.Offset, err, limit)
		}
	}
}

// PAR-3, PAR-4, PAR-7, TXN-5, T1, T2: transactions of several producers of both versions, with markers repeated and markers of stale
// coordinators, clean stops, crashes that cut the log, snapshots, trims through open transactions and damaged sidecars: consumers of both
// isolations get what an oracle says that goes through the whole log, and what is known equals the fold of the log.
func TestTransactionsAgreeWithOracle(t *testing.T) {
	dice := seeded(t)
	for range 60 {
		b := &txnBench{bench: newBench(t), dice: dice}
		b.engine.Hold = true
		ctx := context.Background()
		stable := kafka.Offset(0)
		for range 80 {
			pid := kafka.ProducerID(dice.IntN(txnPIDs))
			switch n := dice.IntN(24); {
			case n < 10:
				b.write(pid)
			case n < 14 && pid < txnPIDs-1:
				b.finish(pid, dice.IntN(2) == 0)
			case n < 18:
				if bounds := b.log().Bounds(); bounds.End > bounds.Durable {
					var ends []kafka.Offset
					for _, e := range b.oracle.log {
						if e.NextOffset() > bounds.Durable {
							ends = append(ends, e.NextOffset())
						}
					}
					b.log().Settle(ends[dice.IntN(len(ends))])
				}
			case n == 18:
				b.restart(false)
			case n == 19:
				durable := b.log().Bounds().Durable
				b.restart(true)
				for n := len(b.oracle.log); n > 0 && b.oracle.log[n-1].BaseOffset >= durable; n-- {
					b.oracle.log = b.oracle.log[:n-1]
				}
			case n == 20:
				b.log()
				b.maintenance.Lock()
				err := b.checkpointLocked(ctx, 0)
				b.maintenance.Unlock()
				if err != nil {
					t.Fatal(err)
				}
			case n == 21 && dice.IntN(3) == 0:
				if hw := b.HighWatermark(); hw > 0 {
					if _, err := b.TrimTo(ctx, kafka.Offset(dice.Int64N(int64(hw)+1))); err != nil {
						t.Fatal(err)
					}
				}
			case n == 22:
				if l := b.log(); l.Bounds().Start == 0 && len(l.Blobs) == 2 {
					l.Blobs[producersBlob] = nil
					b.restart(false)
				}
			case n == 23:
				b.forgotten(pid)
			}
			b.check()
			if lso := b.LastStable(); lso < stable {
				t.Fatalf("the last stable offset fell from %d to %d", stable, lso)
			} else {
				stable = lso
			}
		}
	}
}

// forgotten takes the state of a moment ago, as a full disk makes a snapshot do, and folds the rest of the log into it: transactions and
// aborted ranges are those of the whole log.
func (b *txnBench) forgotten(kafka.ProducerID) {
	durable := b.log().Bounds().Durable
	blob := b.producers.below(durable).encode(durable)
	again, upto, err := decodeProducers(blob)
	if err != nil || upto != durable {
		b.Fatalf("snapshot of %d: %d, %v", durable, upto, err)
	}
	for _, e := range b.oracle.log {
		if e.BaseOffset >= durable {
			if err := again.fold(&e.Header, e.raw, 0); err != nil {
				b.Fatal(err)
			}
		}
	}
	again.aborted.trim(b.LogStart())
	if got, want := again.aborted.entries, b.producers.aborted.entries; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		b.Fatalf("aborted %+v\nwant %+v", got, want)
	}
	for p := range b.producers.all {
		got := again.byID[p.id]
		if p.isOpen && (got == nil || !got.isOpen || got.txnStart != p.txnStart) || got != nil && got.isOpen != p.isOpen {
			b.Fatalf("producer %d: %+v\nwant %+v", p.id, got, p)
		}
		if got != nil && got.epoch != p.epoch {
			b.Fatalf("producer %d: %+v\nwant %+v", p.id, got, p)
		}
	}
}
