package partition

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// delayOracle knows what every record that was sent may do.
type delayOracle struct {
	*bench
	dice  *rand.Rand
	sent  map[string]*sentRecord
	count int
	epoch kafka.LeaderEpoch

	sequence kafka.Sequence // of the one idempotent producer
	last     record.Batches // its last batch
	lastAt   kafka.Offset
}

type sentRecord struct {
	due  int64        // ms; of one that asks for nothing when it was sent
	at   kafka.Offset // what the producer was told
	base kafka.Offset // of the batch
	lost bool
	seen bool
}

func (o *delayOracle) newRecord(due *int64) record.Record {
	o.count++
	r := record.Record{Value: []byte(strconv.Itoa(o.count)), Timestamp: kafka.Timestamp(o.now.UnixMilli())}
	now := o.now.UnixMilli()
	*due = now
	ask := func(key string, v int64) {
		r.Headers = append(r.Headers, record.RecordHeader{Key: key, Value: strconv.AppendInt(nil, v, 10)})
	}
	switch o.dice.IntN(4) {
	case 0:
		ms := int64(o.dice.IntN(5000))
		*due = now + ms
		ask(record.DelayMs, ms)
	case 1:
		*due = now + int64(o.dice.IntN(6000)) - 1000
		ask(record.DeliverAt, *due)
	case 2:
		*due = now + 1000 // many at one moment
		ask(record.DelayMs, 1000)
	}
	return r
}

func (o *delayOracle) produce() {
	opts := record.PlainOptions()
	opts.Codec = record.Codec(o.dice.IntN(5))
	idempotent := o.dice.IntN(2) == 0
	if idempotent {
		opts.ProducerID, opts.ProducerEpoch, opts.BaseSequence = 3, 0, o.sequence
	}
	var recs []record.Record
	var sent []*sentRecord
	for range 1 + o.dice.IntN(6) {
		s := &sentRecord{}
		r := o.newRecord(&s.due)
		r.Offset = kafka.Offset(len(recs))
		recs = append(recs, r)
		sent = append(sent, s)
		o.sent[string(r.Value)] = s
	}
	batch, err := record.Build(nil, opts, recs)
	if err != nil {
		o.Fatal(err)
	}
	copied := slices.Clone(batch)
	base := o.append(batch)
	for i := range sent {
		sent[i].base, sent[i].at = base, base+kafka.Offset(i)
	}
	if idempotent {
		o.sequence = o.sequence.Add(int32(len(recs)))
		o.last, o.lastAt = copied, base
	}
}

func (o *delayOracle) repeat() {
	if o.last == nil {
		return
	}
	if at := o.append(slices.Clone(o.last)); at != o.lastAt {
		o.Fatalf("a repeat is at %d, its batch at %d", at, o.lastAt)
	}
}

// look checks what consumers see now: nothing early, nothing twice, nothing that was lost.
func (o *delayOracle) look() {
	o.Helper()
	inLog := map[string]bool{}
	last := kafka.NoOffset
	for _, r := range o.bench.seen() {
		s := o.sent[string(r.Value)]
		switch {
		case r.Offset <= last:
			o.Fatalf("offset %d comes after %d", r.Offset, last)
		case s == nil || s.lost:
			o.Fatalf("record %q is seen and was lost or never sent", r.Value)
		case inLog[string(r.Value)]:
			o.Fatalf("record %q is seen twice", r.Value)
		case o.now.UnixMilli() < s.due:
			o.Fatalf("record %q is seen %d ms early", r.Value, s.due-o.now.UnixMilli())
		}
		last = r.Offset
		inLog[string(r.Value)] = true
		s.seen = true
		for _, h := range r.Headers {
			if h.Key == record.DeliverAt && s.due > o.now.UnixMilli() {
				o.Fatalf("record %q still asks", r.Value)
			}
		}
	}
	for v, s := range o.sent {
		if s.seen && !inLog[v] && s.base >= o.LogStart() {
			o.Fatalf("record %q was seen and is no more; the log starts at %d", v, o.LogStart())
		}
	}
}

// complete checks that all has come that was to come by now.
func (o *delayOracle) complete() {
	o.Helper()
	o.deliver()
	o.log().Settle(o.Partition.end)
	o.look()
	for v, s := range o.sent {
		if !s.lost && !s.seen && s.due <= o.now.UnixMilli() {
			o.Fatalf("record %q, due %d ms ago, was not delivered; its batch was at %d", v, o.now.UnixMilli()-s.due, s.base)
		}
	}
}

func (o *delayOracle) checkpoint() {
	o.maintenance.Lock()
	defer o.maintenance.Unlock()
	if err := o.checkpointLocked(context.Background(), 0); err != nil {
		o.Fatal(err)
	}
}

func (o *delayOracle) restart() {
	o.epoch++
	o.start()
	o.SetRole(Role{IsLeader: true, Epoch: o.epoch, ISR: alone, Replicas: alone})
	if _, err := o.load(); err != nil {
		o.Fatal(err)
	}
}

// settleSome makes some more batches durable.
func (o *delayOracle) settleSome() {
	l := o.log()
	b := l.Bounds()
	upto := b.Durable
	_ = eachBatch(l, b.Durable, b.End, func(h *record.Header, _ []byte) error {
		upto = h.NextOffset()
		if o.dice.IntN(3) == 0 {
			return errEnough
		}
		return nil
	})
	if upto > b.Durable {
		l.Settle(upto)
	}
}

func (o *delayOracle) crash() {
	l := o.log()
	keep := l.Bounds().Durable
	l.Crash()
	for _, s := range o.sent {
		if s.base >= keep {
			s.lost = true
		}
	}
	if o.lastAt >= keep {
		o.last = nil
		o.sequence = 0
		// The producer's sequence is what the log has of it.
		o.restart()
		if p := o.producers.byID[3]; p != nil && p.count > 0 {
			o.sequence = p.batches[p.count-1].nextSequence()
		}
		return
	}
	o.restart()
}

// waits is what waits, by offset.
func waits(d *delays) map[kafka.Offset]waitingRecord {
	all := map[kafka.Offset]waitingRecord{}
	for r := range d.all {
		all[r.offset] = r
	}
	return all
}

// foldsItself checks that what is remembered is the fold of the whole log. (PAR-8)
func (o *delayOracle) foldsItself() {
	o.Helper()
	l, err := o.load()
	if err != nil {
		o.Fatal(err)
	}
	b := l.Bounds()
	all := newDelays()
	all.floor = b.Start
	err = eachBatch(l, b.Start, b.End, func(h *record.Header, batch []byte) error { return all.fold(h, batch) })
	if err != nil {
		o.Fatal(err)
	}
	if got, want := waits(o.delays), waits(all); !reflect.DeepEqual(got, want) {
		o.Fatalf("what waits is\n%v, the log says\n%v", got, want)
	}
	if o.delays.len() != all.len() {
		o.Fatalf("%d records wait, the log says %d", o.delays.len(), all.len())
	}
}

// PAR-8, PAR-3: over repeats, crashes, restarts, snapshots good and damaged, and trims, every record that was not lost with the end of the log is seen
// exactly once, and never before its time.
func TestDelayedRecordsAgainstAnOracle(t *testing.T) {
	dice := seeded(t)
	for range 150 {
		b := newBench(t).withDelays()
		b.engine.Hold = true
		o := &delayOracle{bench: b, dice: dice, sent: map[string]*sentRecord{}, epoch: 5, lastAt: kafka.NoOffset}
		for range 80 {
			switch dice.IntN(16) {
			case 0, 1, 2, 3:
				o.produce()
			case 4:
				o.repeat()
			case 5, 6:
				o.after(time.Duration(dice.IntN(1500)) * time.Millisecond)
				o.deliver()
			case 7:
				o.after(time.Duration(dice.IntN(1500)) * time.Millisecond)
				if _, err := o.Deliver(o.now, 1<<20); err != nil {
					t.Fatal(err)
				}
			case 8, 9:
				o.settleSome()
			case 10:
				o.crash()
			case 11:
				if err := o.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				o.restart()
			case 12:
				o.checkpoint()
			case 13:
				if l := o.log(); l.Blobs[delaysBlob] != nil && dice.IntN(2) == 0 {
					l.Blobs[delaysBlob] = nil
					o.restart()
				}
			case 14:
				o.look()
				if hw := o.HighWatermark(); hw > 0 && dice.IntN(2) == 0 {
					if _, err := o.TrimTo(context.Background(), kafka.Offset(dice.Int64N(int64(hw)+1))); err != nil {
						t.Fatal(err)
					}
				}
			case 15:
				o.foldsItself()
			}
			o.look()
		}
		o.complete()
		o.foldsItself()
		o.after(time.Hour)
		o.complete()
		if n, _ := o.Delayed(); n != 0 {
			t.Fatalf("%d still wait", n)
		}
	}
}
