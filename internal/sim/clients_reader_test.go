package sim

import (
	"math"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// reader reads a partition from the beginning, from its leader or from any replica, and remembers what it saw.
type reader struct {
	*machine
	tp        kafka.TopicPartition
	isolation partition.Isolation
	anywhere  bool // from followers too (KIP-392)
	at        kafka.Offset
	last      kafka.LeaderEpoch
	saw       []sight
	skips     []skip
}

// skip is what a reader did not get because it was deleted before.
type skip struct{ from, to kafka.Offset }

type sight struct {
	base  kafka.Offset
	crc   uint32
	value []string
}

func (w *world) newReader(name string, tp kafka.TopicPartition, i partition.Isolation, anywhere bool) *reader {
	return &reader{machine: w.newMachine(name), tp: tp, isolation: i, anywhere: anywhere, last: kafka.NoEpoch}
}

func (r *reader) start() { r.fetch() }

func (r *reader) again(least, most time.Duration) { r.after(r.w.between(least, most), r.fetch) }

func (r *reader) fetch() {
	if r.anywhere && r.w.chance(600) {
		r.from(pick(r.w, r.w.nodes), true)
		return
	}
	r.leader(r.tp, func(to *node) { r.from(to, false) })
}

func (r *reader) from(to *node, follower bool) {
	q := partition.ReadRequest{
		From: r.at, MaxBytes: 100 + r.w.dice.IntN(3000), AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: r.last,
		Isolation: r.isolation, Replica: kafka.NoBroker, ReplicaEpoch: -1, FromFollower: follower,
	}
	call(r.endpoint, to, request{what: "read", patience: 500 * time.Millisecond}, func(reply func(fetched, error)) {
		p := to.replica(r.tp)
		if p == nil {
			reply(fetched{err: kafka.NotLeaderOrFollower}, nil)
			return
		}
		reply(p.read(q), nil)
	}, func(a fetched, err error) {
		if err == nil {
			err = a.err
		}
		switch {
		case kafka.CodeOf(err) == kafka.OffsetOutOfRange && r.at < a.start:
			r.skip(a.start)
			r.again(5*time.Millisecond, 60*time.Millisecond)
			return
		case err != nil:
			r.forget(r.tp)
			r.again(10*time.Millisecond, 100*time.Millisecond)
			return
		case a.diverging != nil && !follower && !r.w.truth.part(r.tp).lossy:
			r.w.fail("%s has read up to offset %d (epoch %d) of %s, and %s says that its log parts at epoch %d, %d", r.name, r.at, r.last, r.tp, to, a.diverging.Epoch, a.diverging.End)
		case a.diverging != nil:
			r.again(10*time.Millisecond, 100*time.Millisecond)
			return
		}
		r.take(a)
		r.again(5*time.Millisecond, 60*time.Millisecond)
	})
}

// skip goes on where the log starts by now (SIM-11): what is not there was asked to be deleted.
func (r *reader) skip(start kafka.Offset) {
	if p := r.w.truth.part(r.tp); start > p.asked && !p.lossy {
		r.w.fail("%s is told that %s starts at offset %d, and only what is below %d was asked to be deleted", r.name, r.tp, start, p.asked)
	}
	r.skips = append(r.skips, skip{r.at, start})
	r.at, r.last = start, kafka.NoEpoch
}

// skipped reports whether a reader did not get an offset.
func (r *reader) skipped(o kafka.Offset) bool {
	return slices.ContainsFunc(r.skips, func(s skip) bool { return s.from <= o && o < s.to })
}

// take remembers what came, without what belongs to aborted transactions.
func (r *reader) take(a fetched) {
	aborted := slices.Clone(a.aborted)
	gone := map[kafka.ProducerID]bool{}
	rest := a.records
	for len(rest) > 0 {
		h, ok := record.ParseHeader(rest)
		if !ok || h.Size() > len(rest) {
			break
		}
		raw := rest[:h.Size()]
		rest = rest[h.Size():]
		aborted = slices.DeleteFunc(aborted, func(t partition.AbortedTxn) bool {
			if t.First <= h.LastOffset() {
				gone[t.Producer] = true
				return true
			}
			return false
		})
		if h.IsControl() {
			delete(gone, h.ProducerID)
		}
		if h.NextOffset() > r.at && !h.IsControl() && !(h.IsTransactional() && gone[h.ProducerID]) {
			s := sight{base: h.BaseOffset, crc: h.CRC}
			for x := range record.Records(raw, math.MaxInt32) {
				if x.Offset >= r.at {
					s.value = append(s.value, string(x.Value))
				}
			}
			r.saw = append(r.saw, s)
		}
		r.at, r.last = max(r.at, h.NextOffset()), h.LeaderEpoch
	}
}

func (r *reader) atRest() string {
	if p := r.w.truth.part(r.tp); r.at < p.end && !p.lossy {
		return r.name + " has not read everything"
	}
	return ""
}

// finally sees that what was shown was committed and stays, once and in order; to who reads committed records, all of that and nothing else (SIM-3, SIM-7).
func (r *reader) finally() {
	p := r.w.truth.part(r.tp)
	if p.lossy {
		return
	}
	var values []string
	for _, s := range r.saw {
		if c := p.find(s.base); c == nil || c.h.CRC != s.crc {
			r.w.fail("%s was shown a batch at offset %d of %s that is not there at the end", r.name, s.base, r.tp)
		}
		values = append(values, s.value...)
	}
	if r.isolation != partition.ReadCommitted {
		return
	}
	if want := p.visibleTo(r.skipped); !slices.Equal(values, want) {
		i := 0
		for i < min(len(values), len(want)) && values[i] == want[i] {
			i++
		}
		r.w.fail("%s saw %d committed records of %s, there are %d; they differ from the one of index %d on: %v, want %v", r.name, len(values), r.tp, len(want), i,
			values[i:min(i+3, len(values))], want[i:min(i+3, len(want))])
	}
}
