package partition

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
)

// seeded returns dice and says how to get the same again.
func seeded(t testing.TB) *rand.Rand {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// oracleBatch is a batch in the oracle's log.
type oracleBatch struct {
	pid     kafka.ProducerID
	epoch   kafka.ProducerEpoch
	first   int64
	count   int64
	base    kafka.Offset
	written kafka.Timestamp
}

// oracle answers what a broker must say by reading the whole log each time.
type oracle struct{ log []oracleBatch }

const sequences = int64(1) << 31

func (o *oracle) ask(pid kafka.ProducerID, epoch kafka.ProducerEpoch, first, count int64) (repeat kafka.Offset, code kafka.ErrorCode) {
	var mine []oracleBatch
	for _, b := range o.log {
		if b.pid != pid {
			continue
		}
		if len(mine) > 0 && mine[0].epoch != b.epoch {
			mine = nil
		}
		mine = append(mine, b)
	}
	if len(mine) == 0 {
		return -1, kafka.None
	}
	switch current := mine[0].epoch; {
	case epoch < current:
		return -1, kafka.InvalidProducerEpoch
	case epoch > current && first != 0:
		return -1, kafka.OutOfOrderSequenceNumber
	case epoch > current:
		return -1, kafka.None
	}
	for _, b := range mine[max(0, len(mine)-5):] {
		if b.first == first && b.count == count {
			return b.base, kafka.None
		}
	}
	last := mine[len(mine)-1]
	if first != (last.first+last.count)%sequences {
		return -1, kafka.OutOfOrderSequenceNumber
	}
	return -1, kafka.None
}

// guess makes up a batch that is often right and often nearly so.
func (o *oracle) guess(dice *rand.Rand) oracleBatch {
	b := oracleBatch{pid: kafka.ProducerID(dice.IntN(4)), count: int64(1 + dice.IntN(3)), first: int64(dice.IntN(3)), epoch: kafka.ProducerEpoch(dice.IntN(3))}
	if dice.IntN(2) == 0 {
		b.first = sequences - 1 - int64(dice.IntN(4)) // a new producer begins shortly before the wrap
	}
	var mine []oracleBatch
	for _, x := range o.log {
		if x.pid == b.pid {
			mine = append(mine, x)
		}
	}
	if len(mine) == 0 {
		return b
	}
	last := mine[len(mine)-1]
	switch dice.IntN(10) {
	case 0: // anything
	case 1: // a new epoch, rightly begun
		b.epoch, b.first = last.epoch+1, 0
	case 2, 3: // a repeat of some earlier batch
		x := mine[max(0, len(mine)-1-dice.IntN(8))]
		b.epoch, b.first, b.count = x.epoch, x.first, x.count
	case 4: // nearly a repeat
		b.epoch, b.first, b.count = last.epoch, last.first, last.count+1
	case 5: // a gap
		b.epoch, b.first = last.epoch, (last.first+last.count+1)%sequences
	default:
		b.epoch, b.first = last.epoch, (last.first+last.count)%sequences
	}
	return b
}

func (b *oracleBatch) header() record.Header {
	return record.Header{ProducerID: b.pid, ProducerEpoch: b.epoch, BaseSequence: kafka.Sequence(b.first), LastOffsetDelta: int32(b.count - 1), Records: int32(b.count), MaxTimestamp: b.written}
}

// plain is what a table knows, without its links.
func plain(t *producers) map[kafka.ProducerID]producer {
	all := map[kafka.ProducerID]producer{}
	n := 0
	for p := range t.all {
		q := *p
		q.older, q.newer = nil, nil
		clear(q.batches[q.count:])
		all[p.id] = q
		n++
	}
	if n != len(t.byID) || len(all) != n {
		panic("list and map differ")
	}
	return all
}

// PAR-3: random producers with repeats, gaps, wraps and epochs are answered as by an oracle that reads the whole log.
// PAR-7: a table made from a snapshot at any point and the batches behind it equals the one that saw everything.
func TestProducersAgreeWithOracle(t *testing.T) {
	dice := seeded(t)
	for range 200 {
		table, log := newProducers(), &oracle{}
		snapshot, snapshotAt := table.encode(0), 0
		next := kafka.Offset(0)
		for step := range 150 {
			b := log.guess(dice)
			h := b.header()
			wantRepeat, wantCode := log.ask(b.pid, b.epoch, b.first, b.count)
			repeat, isRepeat, err := table.check(&h)
			if code := kafka.CodeOf(err); code != wantCode || isRepeat != (wantRepeat >= 0) || isRepeat && repeat.base != wantRepeat {
				t.Fatalf("step %d: %+v answered (%v %d, %v), want (%d, %v)\nlog %+v", step, b, isRepeat, repeat.base, err, wantRepeat, wantCode, log.log)
			}
			if err == nil && !isRepeat {
				b.base, b.written = next, kafka.Timestamp(step)
				next += kafka.Offset(b.count)
				h = b.header()
				table.add(&h, b.base, b.written)
				log.log = append(log.log, b)
			}
			if dice.IntN(20) == 0 {
				snapshot, snapshotAt = table.encode(next), len(log.log)
			}
			if dice.IntN(20) == 0 {
				again, _, err := decodeProducers(snapshot)
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range log.log[snapshotAt:] {
					h := b.header()
					again.add(&h, b.base, b.written)
				}
				if got, want := plain(again), plain(table); !reflect.DeepEqual(got, want) {
					t.Fatalf("after a restart %+v, want %+v", got, want)
				}
				table = again
			}
		}
	}
}

func TestSequenceWrapsInsideABatch(t *testing.T) {
	table := newProducers()
	b := oracleBatch{first: math.MaxInt32 - 1, count: 4} // 2147483646, 2147483647, 0, 1
	h := b.header()
	table.add(&h, 100, 0)
	h.BaseSequence = 2
	if _, isRepeat, err := table.check(&h); isRepeat || err != nil {
		t.Errorf("sequence 2 after the wrap: repeat %v, err %v", isRepeat, err)
	}
	h.BaseSequence = 3
	if _, _, err := table.check(&h); !errors.Is(err, kafka.OutOfOrderSequenceNumber) {
		t.Errorf("sequence 3 after the wrap: err %v", err)
	}
}

// KIP-890: a marker may bring a new epoch. It fences the older ones, and the producer goes on at sequence 0.
func TestMarkerRaisesEpoch(t *testing.T) {
	table := newProducers()
	h := record.Header{ProducerID: 7, ProducerEpoch: 3, BaseSequence: kafka.NoSequence}
	table.end(&h, record.EndTxnMarker{CoordinatorEpoch: 4}, 0, 0)
	h.BaseSequence, h.ProducerEpoch = 0, 2
	if _, _, err := table.check(&h); !errors.Is(err, kafka.InvalidProducerEpoch) {
		t.Errorf("an older epoch: %v", err)
	}
	h.ProducerEpoch = 3
	if _, isRepeat, err := table.check(&h); isRepeat || err != nil {
		t.Errorf("the marker's epoch: %v %v", isRepeat, err)
	}
	h.BaseSequence = 5
	if _, _, err := table.check(&h); !errors.Is(err, kafka.OutOfOrderSequenceNumber) {
		t.Errorf("sequence 5 after the marker: %v", err)
	}
	if s := table.list(); len(s) != 1 || s[0].LastSequence != kafka.NoSequence || s[0].Coordinator != 4 || s[0].TxnStart != kafka.NoOffset {
		t.Errorf("listed as %+v", s)
	}
}

func TestSilentProducersAreForgottenInOrder(t *testing.T) {
	table := newProducers()
	table.limit = 3
	write := func(pid kafka.ProducerID, now kafka.Timestamp) {
		h := record.Header{ProducerID: pid}
		table.add(&h, 0, now)
	}
	for i := range kafka.ProducerID(3) {
		write(i, kafka.Timestamp(i))
	}
	write(0, 10)
	write(9, 11) // 1 has been silent longest
	if got := plain(table); len(got) != 3 || got[1].id == 1 || table.evicted != 1 {
		t.Errorf("at the limit %v are known", got)
	}
	if n := table.expire(10); n != 2 {
		t.Errorf("%d expired, want 2 and 0", n)
	}
	if got := plain(table); len(got) != 1 || got[9].id != 9 {
		t.Errorf("after expiry %v are known", got)
	}
}

func FuzzDecodeProducers(f *testing.F) {
	table := newProducers()
	f.Add(table.encode(0))
	for i := range kafka.ProducerID(3) {
		for n := range i {
			h := record.Header{ProducerID: i, ProducerEpoch: 1, BaseSequence: kafka.Sequence(n), MaxTimestamp: 5}
			table.add(&h, kafka.Offset(n), 77)
		}
	}
	f.Add(table.encode(42))
	table.add(&record.Header{ProducerID: 1, ProducerEpoch: 2, Attributes: 0x10, LastOffsetDelta: 3}, 10, 5)
	table.add(&record.Header{ProducerID: 2, ProducerEpoch: 2, Attributes: 0x10, LastOffsetDelta: 3}, 14, 5)
	f.Add(table.encode(42))
	table.end(&record.Header{ProducerID: 2, ProducerEpoch: 3}, record.EndTxnMarker{CoordinatorEpoch: 5}, 18, 6)
	f.Add(table.encode(42))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, offset, err := decodeProducers(b)
		if err != nil {
			return
		}
		again := table.encode(offset)
		if b[0] == producersVersion && !bytes.Equal(again, b) {
			t.Errorf("%x decodes to something that encodes to %x", b, again)
		}
		if _, _, err := decodeProducers(again); err != nil {
			t.Errorf("%x decodes to something that encodes to %x: %v", b, again, err)
		}
	})
}
