package queue

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// txnBatch is a batch of a transaction, or its marker.
func txnBatch(t *testing.T, at kafka.Offset, producer kafka.ProducerID, marker string) []byte {
	t.Helper()
	o := record.PlainOptions()
	o.BaseOffset, o.ProducerID, o.ProducerEpoch, o.Transactional = at, producer, 0, true
	var b []byte
	var err error
	if marker != "" {
		b, err = record.BuildEndTxnMarker(nil, o, record.EndTxnMarker{Commit: marker == "commit"}, 1)
	} else {
		o.BaseSequence = 0
		b, err = record.Build(nil, o, []record.Record{{Offset: at}, {Offset: at + 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// With share.isolation.level=read_committed nothing of an aborted transaction is given out, from its first record to its marker and not beyond; markers
// are given out in neither isolation.
func TestAbortedTransactionsAreSkipped(t *testing.T) {
	var raw []byte
	for _, b := range [][]byte{
		txnBatch(t, 0, 7, ""), // committed
		txnBatch(t, 2, 8, ""), // aborted
		txnBatch(t, 4, 7, "commit"),
		txnBatch(t, 5, 8, "abort"),
		txnBatch(t, 6, 8, ""), // committed
		txnBatch(t, 8, 8, "commit"),
	} {
		raw = append(raw, b...)
	}
	for _, c := range []struct {
		aborted []partition.AbortedTxn
		want    []bool
	}{
		{nil, []bool{false, false, true, true, false, true}},
		{[]partition.AbortedTxn{{Producer: 8, First: 2}}, []bool{false, true, true, true, false, true}},
	} {
		a := newAborted(&partition.Read{Aborted: c.aborted})
		var got []bool
		for h, b := range record.Batches(raw).All() {
			got = append(got, a.has(&h, b))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("aborted %v: skipped %v, want %v", c.aborted, got, c.want)
		}
	}
}

// Where the log has no records, as after compaction, a share partition is told so and goes on; a stretch is never given up because the bytes that
// were read ended.
func TestGapsInTheLogAreToldApartFromItsEnd(t *testing.T) {
	plain := func(first kafka.Offset, n int) []byte {
		o := record.PlainOptions()
		o.BaseOffset = first
		recs := make([]record.Record, n)
		for i := range recs {
			recs[i].Offset = first + kafka.Offset(i)
		}
		b, err := record.Build(nil, o, recs)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sp := &sharePartition{m: &Manager{}}
	look := func(raw []byte, first, last kafka.Offset) (got []share.Batch) {
		return sp.lookInto(raw, share.Stretch{First: first, Last: last}, 0, false, &partition.Read{})
	}
	both := append(plain(5, 2), plain(10, 3)...)
	for _, c := range []struct {
		raw         []byte
		first, last kafka.Offset
		want        []share.Batch
	}{
		{both, 5, 12, []share.Batch{{First: 5, Last: 6}, {First: 7, Last: 9, IsGone: true}, {First: 10, Last: 12}}},
		{both, 3, 20, []share.Batch{{First: 3, Last: 4, IsGone: true}, {First: 5, Last: 6}, {First: 7, Last: 9, IsGone: true}, {First: 10, Last: 12}}},
		{both, 6, 8, []share.Batch{{First: 5, Last: 6}, {First: 7, Last: 8, IsGone: true}}},
		{both, 1, 2, []share.Batch{{First: 1, Last: 2, IsGone: true}}},
		{nil, 1, 2, []share.Batch{{First: 1, Last: 2, IsGone: true}}},
		{[]byte("damaged"), 1, 2, nil},
	} {
		got := look(c.raw, c.first, c.last)
		if !slices.EqualFunc(got, c.want, func(a, b share.Batch) bool { return a.First == b.First && a.Last == b.Last && a.IsGone == b.IsGone }) {
			t.Errorf("stretch %d-%d: %v, want %v", c.first, c.last, got, c.want)
		}
	}
}

// Records that the log loses while a share partition knows of them, by retention or DeleteRecords, are let go, whoever holds them.
func TestTrimmedRecordsAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		w.produce("jobs", 0, values("b")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		if _, err := w.partition("jobs", 0).TrimTo(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantTexts(t, m.fetch(0))
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 1, 1, share.AckAccept}), kafka.None)
		if s := w.states.of(p(1, 0)); s.start != 2 {
			t.Errorf("start offset %d", s.start)
		}
		w.produce("jobs", 0, values("c")...)
		if _, err := w.partition("jobs", 0).TrimTo(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		w.produce("jobs", 0, values("d")...)
		wantTexts(t, m.fetch(0), "d")
	})
}

// Known records that compaction has removed do not hold the start offset back for ever.
func TestCompactedRecordIsDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		w.produce("jobs", 0, values("b")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		m.close()
		m.fetch(0)
		sp, err := w.known(partitionKey{"g", p(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		sp.release("one")
		sp.mu.Lock()
		sp.discardLocked(time.Now(), []share.Batch{{First: 0, Last: 0, IsGone: true}}, 2)
		sp.changedLocked(time.Now())
		sp.mu.Unlock()
		synctest.Wait()
		if s := w.states.of(p(1, 0)); s.start != 1 {
			t.Errorf("start offset %d", s.start)
		}
		wantTexts(t, m.fetch(0), "b")
	})
}

// SHR-6: a leader without a lease gives no records, for another one may have had them accepted.
func TestNothingIsGivenWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		wantTexts(t, m.fetch(0), "a")
		w.produce("jobs", 0, values("b")...)
		w.deposed.Store(true)
		resp := m.send(m.ask(0))
		wantCode(t, kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode), kafka.NotLeaderOrFollower)
		w.deposed.Store(false)
		wantTexts(t, m.fetch(0), "b")
	})
}
