package digest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// logOf is a log of batches of a few records each.
func logOf(rng *rand.Rand, n int) (log []Entry) {
	at := kafka.Offset(0)
	for range n {
		next := at + kafka.Offset(1+rng.IntN(4))
		log = append(log, Entry{at, next, rng.Uint64()})
		at = next
	}
	return log
}

// answer is what a replica with that log tells, as many batches as most.
func answer(log []Entry, damage []Damage, compacted, from kafka.Offset, most int) *Digest {
	end := log[len(log)-1].Next
	d := &Digest{End: end, HighWatermark: end, Compacted: compacted, From: from, Next: end}
	for _, e := range log {
		if e.Next <= from {
			continue
		}
		if len(d.Entries) == most {
			d.Next = e.Base
			break
		}
		d.Entries = append(d.Entries, e)
	}
	for _, x := range damage {
		if x.To > from && x.From < d.Next {
			d.Damage = append(d.Damage, x)
		}
	}
	return d
}

// compareAll compares to the end, in random steps.
func compareAll(t *testing.T, rng *rand.Rand, logs [][]Entry, damage [][]Damage, compacted []kafka.Offset) (all []Difference) {
	t.Helper()
	for from := kafka.Offset(0); ; {
		var list []Replica
		end := kafka.Offset(0)
		for i := range logs {
			d := answer(logs[i], damage[i], compacted[i], from, 1+rng.IntN(20))
			end = max(end, d.End)
			back, err := Decode(d.Encode())
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, Replica{Node: kafka.BrokerID(i + 1), Leads: i == 0, Digest: back})
		}
		r := Compare(list)
		all = append(all, r.Differences...)
		if r.Next >= end {
			return all
		}
		if r.Next <= from {
			t.Fatalf("no progress at offset %d: %+v", from, r)
		}
		from = r.Next
	}
}

// DIG-1, DIG-2.
func TestComparisonFindsExactlyWhatDiffers(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	for round := range 300 {
		n := 2 + rng.IntN(3)
		one := logOf(rng, 1+rng.IntN(60))
		logs, damage, compacted := make([][]Entry, n), make([][]Damage, n), make([]kafka.Offset, n)
		for i := range logs {
			logs[i] = slices.Clone(one)
		}
		if found := compareAll(t, rng, logs, damage, compacted); len(found) > 0 {
			t.Fatalf("round %d: equal logs: %+v", round, found)
		}
		who, at := rng.IntN(n), rng.IntN(len(one))
		want := Difference{From: one[at].Base, To: one[at].Next, Bad: []kafka.BrokerID{kafka.BrokerID(who + 1)}}
		kind := rng.IntN(4)
		switch kind {
		case 0: // other bytes
			logs[who][at].Sum++
			want.Rule = ByMajority
		case 1: // not there
			if at == len(one)-1 {
				continue // it is merely behind
			}
			logs[who] = slices.Delete(logs[who], at, at+1)
			want.Rule = ByMajority
		case 2: // damaged
			logs[who] = slices.Delete(slices.Clone(one), at, at+1)
			if len(logs[who]) == 0 {
				continue
			}
			if at == len(one)-1 {
				continue
			}
			damage[who] = []Damage{{From: one[at].Base, To: one[at].Next, Where: "there"}}
			want.Rule, want.Where = ByChecksum, "there"
		case 3: // compacted away, which is no difference
			logs[who][at].Sum++
			compacted[rng.IntN(n)] = one[at].Next
			want.Bad = nil
		}
		if n == 2 && want.Rule == ByMajority {
			want.Rule, want.Bad = ByLeader, []kafka.BrokerID{2}
		}
		found := compareAll(t, rng, logs, damage, compacted)
		if want.Bad == nil && len(found) > 0 || want.Bad != nil && (len(found) != 1 || !reflect.DeepEqual(found[0], want)) {
			t.Fatalf("round %d, kind %d, %d replicas: found %+v, want %+v", round, kind, n, found, want)
		}
	}
}

// DIG-2: a replica that is behind, and one that has deleted more, are compared as far as both have something.
func TestWhatAReplicaDoesNotHoldYetIsNoDifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	one := logOf(rng, 10)
	short := answer(one[:6], nil, 0, 0, 100)
	trimmed := answer(one[3:], nil, 0, 0, 100)
	trimmed.Start = one[3].Base
	r := Compare([]Replica{{1, true, answer(one, nil, 0, 0, 100)}, {2, false, short}, {3, false, trimmed}})
	if len(r.Differences) > 0 || r.Next != one[9].Next {
		t.Fatalf("%+v", r)
	}
}

// DIG-3.
func FuzzDecode(f *testing.F) {
	f.Add((&Digest{End: 5, Next: 5, Entries: []Entry{{0, 3, 1}, {4, 5, 2}}, Damage: []Damage{{3, 4, "x"}}}).Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(d.Encode())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(d) {
			t.Fatalf("%v is %v after encoding: %v", d, again, err)
		}
	})
}

// DIG-3.
func FuzzDecodeQuestion(f *testing.F) {
	f.Add(Question{Topic: kafka.UUID{1}, Partition: 3, From: 7, Below: kafka.NoOffset, Thorough: true}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := DecodeQuestion(b); err == nil && string(q.Encode()) != string(b) {
			t.Fatalf("%+v is not %x", q, b)
		}
	})
}

// DIG-3.
func FuzzDecodeCopy(f *testing.F) {
	f.Add(Copy{Start: 1, End: 9, HighWatermark: 8, Batches: []byte("batches")}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeCopy(b); err == nil && string(c.Encode()) != string(b) {
			t.Fatalf("%+v is not %x", c, b)
		}
	})
}
