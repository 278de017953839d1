package partition

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

func (b *bench) withDelays() *bench {
	b.settings.Rules.Delays = true
	return b
}

// later is a record that asks for a delay in milliseconds; 0: for none.
func later(value string, ms int64) record.Record {
	r := record.Record{Value: []byte(value), Timestamp: 1_700_000_000_000, Headers: []record.RecordHeader{{Key: "own", Value: []byte("x")}}}
	if ms != 0 {
		r.Headers = append(r.Headers, record.RecordHeader{Key: record.DelayMs, Value: strconv.AppendInt(nil, ms, 10)})
	}
	return r
}

func batchOf(o record.BatchOptions, recs ...record.Record) record.Batches {
	for i := range recs {
		recs[i].Offset = kafka.Offset(i)
	}
	b, err := record.Build(nil, o, recs)
	if err != nil {
		panic(err)
	}
	return b
}

// seen are the records that a consumer gets.
func (b *bench) seen() (all []record.Record) {
	b.Helper()
	r, err := b.Read(ReadRequest{From: b.LogStart(), MaxBytes: 1 << 30, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	if err != nil {
		b.Fatal(err)
	}
	if r.Records == nil {
		return nil
	}
	bs, _ := r.Records.Bytes()
	for h, batch := range bs.All() {
		if h.IsControl() {
			continue
		}
		for rec, err := range record.Records(batch, 0) {
			if err != nil {
				b.Fatal(err)
			}
			if rec.Offset >= b.LogStart() {
				all = append(all, rec)
			}
		}
	}
	return all
}

func values(recs []record.Record) (all []string) {
	for _, r := range recs {
		all = append(all, string(r.Value))
	}
	return all
}

// deliver releases all that is due now.
func (b *bench) deliver() (next time.Time) {
	b.Helper()
	for range 10_000 {
		d, err := b.Deliver(b.now, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		if d.Records == 0 && (d.Next.IsZero() || d.Next.After(b.now)) {
			return d.Next
		}
	}
	b.Fatal("it never comes to an end")
	return next
}

func (b *bench) after(d time.Duration) { b.now = b.now.Add(d) }

// PAR-8: a record is seen from its time on and not before, once, in the order of the times; what the broker says of it in headers is true.
func TestDelayedRecordsAreReleasedInTheOrderOfTheirTimes(t *testing.T) {
	b := newBench(t).withDelays()
	at := later("d", 0)
	at.Headers = append(at.Headers, record.RecordHeader{Key: record.DeliverAt, Value: strconv.AppendInt(nil, b.now.UnixMilli()+1500, 10)})
	first := b.append(batchOf(record.PlainOptions(), later("a", 3000), later("b", 1000), later("c", 0), at, later("e", 1000)))
	if got := values(b.seen()); !slices.Equal(got, []string{"c"}) {
		t.Fatalf("at once: %q", got)
	}
	if next := b.deliver(); !next.After(b.now) || next.After(b.now.Add(time.Second)) {
		t.Errorf("next at %v", next.Sub(b.now))
	}
	b.after(999 * time.Millisecond)
	if next := b.deliver(); !next.Equal(b.now.Add(time.Millisecond)) || len(b.seen()) != 1 {
		t.Errorf("next at %v, seen %q", next.Sub(b.now), values(b.seen()))
	}
	b.after(time.Millisecond)
	b.deliver()
	if got := values(b.seen()); !slices.Equal(got, []string{"c", "b", "e"}) {
		t.Errorf("after a second: %q", got)
	}
	b.after(time.Hour)
	b.deliver()
	all := b.seen()
	if got := values(all); !slices.Equal(got, []string{"c", "b", "e", "d", "a"}) {
		t.Errorf("after all: %q", got)
	}
	a := all[4]
	want := []record.RecordHeader{{Key: "own", Value: []byte("x")}, {Key: record.DelayedOffset, Value: []byte(fmt.Sprint(first))}, {Key: record.DelayedTimestamp, Value: []byte("1700000000000")}}
	if !slices.EqualFunc(a.Headers, want, func(x, y record.RecordHeader) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) }) {
		t.Errorf("headers %q", a.Headers)
	}
	if a.Timestamp != kafka.Timestamp(b.now.UnixMilli()) || all[0].Timestamp != 1_700_000_000_000 {
		t.Errorf("timestamps %d and %d", a.Timestamp, all[0].Timestamp)
	}
	if n, next := b.Delayed(); n != 0 || next != kafka.NoTimestamp {
		t.Errorf("%d wait until %d", n, next)
	}
}

func TestDelaysThatAreRefused(t *testing.T) {
	header := func(key, value string) record.Record {
		r := later("v", 0)
		r.Headers = append(r.Headers, record.RecordHeader{Key: key, Value: []byte(value)})
		return r
	}
	null := header(record.DelayMs, "")
	null.Headers[1].Value = nil
	twice := header(record.DelayMs, "5")
	twice.Headers = append(twice.Headers, twice.Headers[1])
	for _, c := range []struct {
		name   string
		change func(*bench)
		rec    record.Record
		code   kafka.ErrorCode
	}{
		{"digits", nil, header(record.DelayMs, "0000000000000005000"), kafka.None},
		{"past", nil, header(record.DeliverAt, "0"), kafka.None},
		{"empty", nil, header(record.DelayMs, ""), kafka.InvalidRecord},
		{"null", nil, null, kafka.InvalidRecord},
		{"sign", nil, header(record.DelayMs, "-5"), kafka.InvalidRecord},
		{"letters", nil, header(record.DeliverAt, "soon"), kafka.InvalidRecord},
		{"too many digits", nil, header(record.DeliverAt, "00000000000000000005"), kafka.InvalidRecord},
		{"overflow", nil, header(record.DelayMs, "9223372036854775807"), kafka.InvalidRecord},
		{"beyond 64 bits", nil, header(record.DelayMs, "9999999999999999999"), kafka.InvalidRecord},
		{"twice", nil, twice, kafka.InvalidRecord},
		{"longer than retention", func(b *bench) { b.settings.RetentionTime = time.Second }, header(record.DelayMs, "1001"), kafka.InvalidRecord},
		{"as long as retention", func(b *bench) { b.settings.RetentionTime = time.Second }, header(record.DelayMs, "1000"), kafka.None},
		{"compacted", func(b *bench) { b.settings.Compact = true }, header(record.DelayMs, "1000"), kafka.InvalidRecord},
		{"not a topic with delays", func(b *bench) { b.settings.Rules.Delays = false }, header(record.DelayMs, "soon"), kafka.None},
	} {
		for _, codec := range []record.Codec{record.None, record.Zstd} {
			b := newBench(t).withDelays()
			if c.change != nil {
				c.change(b)
			}
			o := record.PlainOptions()
			o.Codec = codec
			_, err := b.AppendAsLeader(Append{Records: batchOf(o, later("first", 0), c.rec)}, b.now)
			if kafka.CodeOf(err) != c.code {
				t.Errorf("%s in %v: %v", c.name, codec, err)
			}
		}
	}
}

// A repeat of a batch that waits is not appended, and the sequence goes on after it. (PAR-3, PAR-8)
func TestDelayedBatchesAreIdempotent(t *testing.T) {
	b := newBench(t).withDelays()
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = 7, 0, 0
	first := b.append(batchOf(o, later("a", 1000), later("b", 2000)))
	if again := b.append(batchOf(o, later("a", 1000), later("b", 2000))); again != first {
		t.Errorf("the repeat is at %d, the batch at %d", again, first)
	}
	b.start()
	if again := b.append(batchOf(o, later("a", 1000), later("b", 2000))); again != first {
		t.Errorf("after a restart the repeat is at %d, the batch at %d", again, first)
	}
	o.BaseSequence = 2
	b.append(batchOf(o, later("c", 0)))
	b.after(time.Minute)
	b.deliver()
	if got := values(b.seen()); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("seen %q", got)
	}
}

func TestTransactionsHaveNoDelays(t *testing.T) {
	b := newBench(t).withDelays()
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = 7, 0, 0, true
	if _, err := b.AppendAsLeader(Append{Records: batchOf(o, later("a", 1000))}, b.now); kafka.CodeOf(err) != kafka.InvalidRecord {
		t.Error(err)
	}
}

// P6: beyond rafka.delivery.max.pending producers are told to come again.
func TestTooManyDelayedRecords(t *testing.T) {
	b := newBench(t).withDelays()
	b.settings.MaxDelayed = 3
	b.append(batchOf(record.PlainOptions(), later("a", 1000), later("b", 0), later("c", 1000)))
	if _, err := b.AppendAsLeader(Append{Records: batchOf(record.PlainOptions(), later("d", 1), later("e", 1))}, b.now); !kafka.CodeOf(err).Retriable() {
		t.Error(err)
	}
	b.after(time.Second)
	b.deliver()
	b.append(batchOf(record.PlainOptions(), later("d", 1), later("e", 1)))
}

// PAR-8: retention keeps what waits, and moves it out of the way if it is little.
func TestRetentionKeepsWhatWaits(t *testing.T) {
	for _, little := range []bool{true, false} {
		b := newBench(t).withDelays()
		b.settings.RetentionTime = time.Hour
		value := "wait"
		if !little {
			value = strings.Repeat("wait", 1000)
		}
		first := b.append(batchOf(record.PlainOptions(), later(value, 3600_000)))
		if little {
			for range 5 {
				b.append(plainBatch(20))
			}
		}
		end := b.Partition.end
		b.after(time.Hour - time.Millisecond)
		b.append(plainBatch(1))
		_ = b.log().Roll()
		b.append(plainBatch(1))
		b.after(2 * time.Millisecond)
		// The first segment is as old as its youngest record, so only size can make it go.
		b.settings.RetentionBytes = 0
		if err := b.Retain(context.Background(), b.now); err != nil {
			t.Fatal(err)
		}
		if n, _ := b.Delayed(); n != 1 {
			t.Fatalf("%d wait", n)
		}
		if kept := b.LogStart() == 0; kept == little {
			t.Errorf("little %v: the log starts at %d", little, b.LogStart())
		}
		b.start()
		b.deliver()
		all := b.seen()
		last := all[len(all)-1]
		if string(last.Value) != value {
			t.Errorf("little %v: seen %q", little, values(all))
		}
		if where := string(last.Headers[1].Value); where != "0" && !little || little && where[:2] != "0/" {
			t.Errorf("little %v: it waited at %s, was appended at %d, the log ended at %d", little, where, first, end)
		}
	}
}

// What cannot be read does not hold up what can.
func TestDamagedRecordsAreParked(t *testing.T) {
	b := newBench(t).withDelays()
	b.append(batchOf(record.PlainOptions(), later("a", 1000)))
	b.append(batchOf(record.PlainOptions(), later("b", 1000)))
	b.mu.Lock()
	b.delays.add(waitingRecord{due: kafka.Timestamp(b.now.UnixMilli()), offset: b.Partition.end - 1 + 5, size: 1})
	b.mu.Unlock()
	b.append(plainBatch(9))
	b.after(time.Second)
	b.deliver()
	if got := values(b.seen()); !slices.Equal(got[len(got)-2:], []string{"a", "b"}) {
		t.Errorf("seen %q", got)
	}
	if n, _ := b.Delayed(); n != 1 {
		t.Errorf("%d wait", n)
	}
}

// The earliest are found without being taken out, whatever was taken before.
func TestDueListsTheEarliest(t *testing.T) {
	dice := seeded(t)
	for range 200 {
		d := newDelays()
		var want []waitingRecord
		for i := range dice.IntN(200) {
			r := waitingRecord{due: kafka.Timestamp(dice.IntN(50)), offset: kafka.Offset(i), size: uint32(dice.IntN(100))}
			d.add(r)
			want = append(want, r)
		}
		for range dice.IntN(len(want) + 1) {
			i := dice.IntN(len(want))
			d.take(want[i].offset, 0)
			want = slices.Delete(want, i, i+1)
		}
		slices.SortFunc(want, inOrder)
		until, most := kafka.Timestamp(dice.IntN(60)), dice.IntN(100)
		got := d.due(until, most, 1<<40)
		n := 0
		for n < len(want) && n < most && want[n].due <= until {
			n++
		}
		if !slices.Equal(got, want[:n]) && n > 0 || len(got) != n {
			t.Fatalf("due by %d at most %d: %v, want %v", until, most, got, want[:n])
		}
		all, reached := d.until(until, max(most, 1), 1<<40)
		slices.SortFunc(all, inOrder)
		n = 0
		for n < len(want) && want[n].due <= reached {
			n++
		}
		if len(want) > 0 && want[0].due <= until && len(all) == 0 || reached > until || len(all) > max(most, 1) || !slices.Equal(all, want[:min(n, len(all))]) || len(all) < min(n, max(most, 1)) {
			t.Fatalf("until %d, reached %d, at most %d: %v of %v", until, reached, most, all, want)
		}
		if d.len() != len(want) {
			t.Fatalf("%d wait, want %d", d.len(), len(want))
		}
	}
}

func FuzzDecodeDelays(f *testing.F) {
	d := newDelays()
	for i := range 5 {
		d.add(waitingRecord{due: kafka.Timestamp(37 * i % 100), offset: kafka.Offset(i), size: 9})
	}
	f.Add(d.encode(9))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, offset, err := decodeDelays(b, 0)
		if err == nil && len(d.encode(offset)) != len(b) {
			t.Error("what was read is not what is written")
		}
	})
}
