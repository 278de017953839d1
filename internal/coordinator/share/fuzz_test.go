package share

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Whatever a host or a client says, in any order and with any offsets: nothing panics, SHR-1 holds and no count goes wrong.
func FuzzPartition(f *testing.F) {
	f.Add([]byte("acquire, acknowledge, release, write, trim, restore and all that"))
	f.Add([]byte{0, 10, 1, 3, 2, 0, 4, 0, 5, 0, 3, 255, 6, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		byteOf := func() byte {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return b
		}
		offset := func() kafka.Offset {
			switch b := byteOf(); {
			case b < 250:
				return kafka.Offset(b)
			case b == 250:
				return -1
			case b == 251:
				return math.MaxInt64
			case b == 252:
				return math.MinInt64
			default:
				var n [8]byte
				for i := range n {
					n[i] = byteOf()
				}
				return kafka.Offset(binary.BigEndian.Uint64(n[:]))
			}
		}
		s := Settings{MaxLocks: int(byteOf()), DeliveryLimit: int(byteOf() % 8), LockDuration: time.Second, Renew: true, DeadLetter: byteOf()%2 == 0, KeyOrdering: byteOf()%2 == 0, RedeliverFirst: byteOf()%2 == 0, MaxFragments: int(byteOf()), MaxWindow: int(byteOf())}
		p, err := Restore(s, State{StartOffset: offset(), Batches: []StateBatch{{offset(), offset(), RecordState(byteOf() % 6), int16(byteOf())}}})
		if err != nil {
			p, _ = Restore(s, State{})
		}
		now := epoch
		var w Write
		member := func() string { return string('a' + rune(byteOf()%3)) }
		for len(script) > 0 {
			switch byteOf() % 10 {
			case 0, 1:
				at, ok := p.Next(now, Look{From: offset(), LogEnd: min(offset(), math.MaxInt64-1), Again: byteOf()%2 == 0})
				if !ok {
					continue
				}
				if at.Last < at.First || at.First < p.Start() {
					t.Fatalf("stretch %+v", at)
				}
				last := min(at.Last, at.First+kafka.Offset(byteOf()))
				b := Batch{First: at.First, Last: last}
				if byteOf()%2 == 0 {
					b.Records = []Record{}
					for o := b.First; o <= b.Last; o += 1 + kafka.Offset(byteOf()%3) {
						b.Records = append(b.Records, Record{Offset: o, Key: uint64(byteOf() % 4), NotBefore: kafka.Timestamp(now.UnixMilli() + int64(byteOf()) - 100), IsGone: byteOf() > 250})
					}
				}
				for _, a := range p.Acquire(now, Ask{Member: member(), Max: int(byteOf()), WholeBatches: byteOf()%2 == 0, BatchSize: int(byteOf())}, []Batch{b}, nil) {
					if a.First < p.Start() || a.Last >= p.End() || a.Last < a.First || a.Count < 1 {
						t.Fatalf("acquired %+v", a)
					}
				}
			case 2, 3:
				a := Ack{First: offset(), Last: offset()}
				for range byteOf() % 5 {
					a.Types = append(a.Types, int8(byteOf()%6))
				}
				_, _ = p.Acknowledge(now, member(), []Ack{a})
			case 4:
				p.Changes(&w)
			case 5:
				p.Persisted(now, w.Ticket)
			case 6:
				p.PersistFailed(now, w.Ticket)
			case 7:
				p.Release(now, member())
			case 8:
				p.DeadLetters(nil)
				p.DeadLettered(now, offset(), offset())
			case 9:
				if byteOf()%4 == 0 {
					p.TrimTo(now, offset())
				}
				now = now.Add(time.Duration(byteOf()) * 10 * time.Millisecond)
				p.Expire(now)
			}
			checkSums(t, p)
		}
	})
}

// checkSums counts everything anew.
func checkSums(t *testing.T, p *Partition) {
	at := p.Start()
	n := map[RecordState]int{}
	p.Each(func(b StateBatch, member string) bool {
		if b.First != at || b.Last < b.First || (b.State == Acquired) != (member != "") {
			t.Fatalf("%+v %q at %d", b, member, at)
		}
		n[b.State] += int(b.Last-b.First) + 1
		at = b.Last + 1
		return true
	})
	if at != p.End() || p.acquired != n[Acquired] || p.archiving != n[Archiving] || p.done != n[Acknowledged]+n[Archived] || p.inFlight < p.acquired+p.archiving || p.doneAhead < 0 || p.pendingDone < 0 {
		t.Fatalf("states %v up to %d; sums %d acquired, %d archiving, %d done, %d in flight, %d ahead, %d to be done, end %d", n, at, p.acquired, p.archiving, p.done, p.inFlight, p.doneAhead, p.pendingDone, p.End())
	}
	held := 0
	for i := range p.locks {
		held += p.locks[i].held
	}
	if held != p.acquired {
		t.Fatalf("%d held, %d acquired", held, p.acquired)
	}
}
