package queue

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

func keyed(key, value string) record.Record {
	return record.Record{Key: []byte(key), Value: []byte(value)}
}

// QUE-6: with share.ordering=key no two records of one key are with consumers at once, also across consumers, and records without a key are in nobody's
// way. Compressed batches are looked into, too.
func TestOneRecordOfAKeyAtATime(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Gzip} {
		t.Run(codec.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.set(func() { w.share.KeyOrdering = true })
				w.topic("jobs", 1, 1)
				w.produceAs(codec, "jobs", 0, keyed("k", "k1"), keyed("k", "k2"), keyed("l", "l1"), record.Record{Value: []byte("x1")}, record.Record{Value: []byte("x2")})
				one, two := w.member("one", p(1, 0)), w.member("two", p(1, 0))
				wantTexts(t, one.fetch(0), "k1", "l1", "x1", "x2")
				wantTexts(t, two.fetch(0))
				wantCode(t, one.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRelease}), kafka.None)
				wantTexts(t, two.fetch(0), "k1") // before k2
				wantCode(t, two.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.None)
				wantTexts(t, one.fetch(0), "k2")
			})
		})
	}
}

// produceAs appends one compressed batch.
func (w *world) produceAs(codec record.Codec, topic string, i int32, recs ...record.Record) {
	w.Helper()
	for j := range recs {
		recs[j].Offset, recs[j].Timestamp = kafka.Offset(j), kafka.Timestamp(time.Now().UnixMilli())
	}
	o := record.PlainOptions()
	o.Codec = codec
	b, err := record.Build(nil, o, recs)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.partition(topic, i).AppendAsLeader(partition.Append{Records: b, AllReplicas: true}, time.Now()); err != nil {
		w.Fatal(err)
	}
}

// Switching share.ordering on takes effect for what follows: the share partition begins anew from its state.
func TestOrderingCanBeTurnedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, keyed("k", "k1"), keyed("k", "k2"))
		m := w.member("one", p(1, 0))
		wantTexts(t, m.fetch(0), "k1", "k2")
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.None)
		w.produce("jobs", 0, keyed("k", "k3"))
		w.set(func() { w.share.KeyOrdering = true })
		wantTexts(t, m.fetch(0), "k2")
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 1, 1, share.AckAccept}), kafka.None)
		wantTexts(t, m.fetch(0), "k3")
	})
}

// A batch that decompresses to more than may be looked at is delivered as if its records had no keys, and costs no more memory than allowed.
func TestBombIsNotLookedInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set(func() { w.share.KeyOrdering = true })
		w.topic("jobs", 1, 1)
		w.produceAs(record.Zstd, "jobs", 0, keyed("k", "1"), keyed("k", string(bytes.Repeat([]byte("0"), maxUnpacked))))
		m := w.member("one", p(1, 0))
		if got := m.fetch(0); len(got) != 2 {
			t.Errorf("got %d records, want both", len(got))
		}
	})
}

// share.retry.backoff.ms: a released record rests, longer each time, and who waits gets it when it has rested.
func TestReleasedRecordRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.set(func() { w.share.RetryBackoff, w.share.RetryMultiple, w.share.RetryMax = time.Second, 3, 5*time.Second })
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		for _, want := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second} {
			wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRelease}), kafka.None)
			began := time.Now()
			wantTexts(t, m.fetch(time.Minute), "a")
			if took := time.Since(began); took < want || took > want+2*shortestWait {
				t.Errorf("delivered again after %v, want %v", took, want)
			}
		}
	})
}

// share.redelivery.priority=low: new records go before those that were delivered already.
func TestRedeliveryCanWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.set(func() { w.share.RedeliverFirst = false })
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRelease}), kafka.None)
		w.produce("jobs", 0, values("b")...)
		wantTexts(t, m.fetch(0), "b")
		wantTexts(t, m.fetch(0), "a")
	})
}
