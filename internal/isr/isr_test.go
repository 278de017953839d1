package isr

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

var t0 = time.UnixMilli(1_700_000_000_000)

var lag = Patience{Lag: 10 * time.Second}

func brokers(ids ...kafka.BrokerID) []kafka.BrokerID { return ids }

// leader is broker 1 of 1, 2, 3, whose epoch began at 100, with that ISR.
func leader(isr ...kafka.BrokerID) *Leader {
	l := New(1, 40)
	l.Metadata(Metadata{PartitionEpoch: 7, ISR: isr, Replicas: brokers(1, 2, 3)}, t0)
	l.Begin(100, 50)
	return l
}

func (l *Leader) fetch(t *testing.T, id kafka.BrokerID, from, end kafka.Offset, at time.Time) {
	t.Helper()
	if err := l.Fetched(Fetch{Replica: id, Epoch: 5, From: from, End: end, At: at}); err != nil {
		t.Fatal(err)
	}
}

func wantHW(t *testing.T, l *Leader, own kafka.Offset, least int, at time.Time, want kafka.Offset) {
	t.Helper()
	if hw := l.HighWatermark(own, least, at); hw != want {
		t.Errorf("high watermark %d, want %d", hw, want)
	}
}

// ISR-1, ISR-2: the smallest end counts, the leader's own included; who was not heard of holds everything; nothing falls.
func TestHighWatermarkIsTheSmallestEnd(t *testing.T) {
	l := leader(1, 2, 3)
	wantHW(t, l, 200, 1, t0, 50)
	l.fetch(t, 2, 150, 200, t0)
	wantHW(t, l, 200, 1, t0, 50)
	l.fetch(t, 3, 120, 200, t0)
	wantHW(t, l, 200, 1, t0, 120)
	l.fetch(t, 3, 200, 200, t0)
	wantHW(t, l, 130, 1, t0, 130)
	l.fetch(t, 2, 90, 200, t0) // it came back without its end
	wantHW(t, l, 200, 1, t0, 130)
}

// ISR-5: with too few in sync nothing moves; a topic of fewer replicas than min.insync.replicas asks for no more than there are.
func TestHighWatermarkNeedsEnoughInSync(t *testing.T) {
	l := leader(1)
	wantHW(t, l, 200, 2, t0, 50)
	wantHW(t, l, 200, 1, t0, 200)
	l = leader(1, 2, 3)
	l.fetch(t, 2, 200, 200, t0)
	l.fetch(t, 3, 200, 200, t0)
	wantHW(t, l, 200, 9, t0, 200)
}

// ISR-3: nobody joins below the high watermark, nor below the start of the epoch, where records may be committed of which the leader does not know
// that they are; nor before the log was opened.
func TestNobodyJoinsTooEarly(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, hw kafka.Offset
		ok       bool
	}{
		{"below the high watermark", 149, 150, false}, {"at it", 150, 150, true}, {"below the start of the epoch", 99, 50, false}, {"at it", 100, 50, true},
	} {
		l := leader(1)
		l.Known(c.hw)
		l.fetch(t, 2, c.from, 200, t0)
		if _, ok := l.Propose(200, t0, lag); ok != c.ok || l.Wants(t0) {
			t.Errorf("%s: proposed %v, want %v", c.name, ok, c.ok)
		}
	}
	l := New(1, 0)
	l.Metadata(Metadata{ISR: brokers(1), Replicas: brokers(1, 2)}, t0)
	l.fetch(t, 2, 0, 0, t0)
	if _, ok := l.Propose(kafka.NoOffset, t0, lag); ok {
		t.Error("a follower joins before anybody knows where the epoch begins")
	}
}

// ISR-2: who is about to join counts at once, who is about to leave counts until the metadata say that it has left.
func TestMaximalISRCounts(t *testing.T) {
	l := leader(1)
	l.fetch(t, 2, 150, 150, t0)
	q, ok := l.Propose(150, t0, lag)
	if want := []Member{{1, -1}, {2, 5}}; !ok || q.PartitionEpoch != 7 || !slices.Equal(q.ISR, want) {
		t.Fatalf("proposed %+v, %v", q, ok)
	}
	wantHW(t, l, 300, 1, t0.Add(time.Minute), 150)
	l.Answered(7, Accepted, t0)
	wantHW(t, l, 300, 1, t0.Add(time.Minute), 150)
	l.Metadata(Metadata{PartitionEpoch: 8, ISR: brokers(1, 2), Replicas: brokers(1, 2, 3)}, t0)

	late := t0.Add(time.Minute)
	if q, ok = l.Propose(300, late, lag); !ok || !slices.Equal(q.ISR, []Member{{1, -1}}) {
		t.Fatalf("proposed %+v, %v", q, ok)
	}
	wantHW(t, l, 300, 1, late, 150)
	l.Answered(8, Accepted, late)
	wantHW(t, l, 300, 1, late, 150)
	l.Metadata(Metadata{PartitionEpoch: 9, ISR: brokers(1), Replicas: brokers(1, 2, 3)}, late)
	wantHW(t, l, 300, 1, late, 300)
}

// ISR-4: one at a time. A refusal ends it, metadata of the same or an older state do not, newer ones do; without an answer it is made again, and a
// refusal of the repeat does not count while the first may still arrive.
func TestOneProposalAtATime(t *testing.T) {
	l := leader(1)
	l.fetch(t, 2, 150, 150, t0)
	if _, ok := l.Propose(150, t0, lag); !ok {
		t.Fatal("not proposed")
	}
	l.fetch(t, 3, 150, 150, t0)
	again := func(at time.Time, want bool) {
		t.Helper()
		if _, ok := l.Propose(150, at, lag); ok != want {
			t.Errorf("proposed: %v, want %v", ok, want)
		}
	}
	again(t0.Add(time.Hour), false)
	l.Metadata(Metadata{PartitionEpoch: 7, ISR: brokers(1), Replicas: brokers(1, 2, 3)}, t0)
	l.Metadata(Metadata{PartitionEpoch: 6, ISR: brokers(1, 3), Replicas: brokers(1, 2, 3)}, t0)
	again(t0, false)
	l.Answered(6, Refused, t0)
	again(t0, false)
	l.Answered(7, Unknown, t0)
	again(t0.Add(repeatPatience-1), false)
	again(t0.Add(repeatPatience), true)
	again(t0.Add(time.Hour), false)
	l.Answered(7, Refused, t0.Add(time.Second))
	wantHW(t, l, 300, 1, t0.Add(time.Minute), 150) // it still counts
	again(t0.Add(2*time.Second), true)
	l.Answered(7, Refused, t0.Add(strayPatience))
	wantHW(t, l, 300, 1, t0.Add(time.Minute), 300)
	l.fetch(t, 2, 300, 300, t0.Add(time.Minute))
	again(t0.Add(time.Minute), true)
	l.Metadata(Metadata{PartitionEpoch: 8, ISR: brokers(1), Replicas: brokers(1, 2, 3)}, t0)
	again(t0.Add(time.Minute), true)
}

// A member leaves when it has not been caught up for maxLag: not while it has all there is, and not if each fetch reaches the end of the fetch before.
func TestWhoLagsLeaves(t *testing.T) {
	l := leader(1, 2, 3)
	at := t0
	for range 100 {
		at = at.Add(time.Second)
		end := kafka.Offset(at.Sub(t0) / time.Millisecond)
		l.fetch(t, 2, max(end-1000, 0), end, at) // a second behind, but no more
		l.fetch(t, 3, 300, max(end, 300), at)    // stands still
		if q, ok := l.Propose(end+10, at, lag); ok {
			if at.Sub(t0) < lag.Lag || !slices.Equal(q.ISR, []Member{{1, -1}, {2, 5}}) {
				t.Fatalf("after %v: %+v", at.Sub(t0), q)
			}
			return
		}
		if at.Sub(t0) > lag.Lag+2*time.Second {
			t.Fatal("broker 3 stays in the ISR")
		}
	}
}

// A member that lacks something leaves when its broker has asked for nothing for Silence: not while it has all there is, not before it had the time to ask
// since it is a member, and not while its broker asks for other partitions.
func TestWhoIsSilentLeaves(t *testing.T) {
	asked := t0
	silent := Patience{Lag: 30 * time.Second, Silence: 3 * time.Second, Heard: func(id kafka.BrokerID) time.Time {
		if id == 2 {
			return asked
		}
		return t0
	}}
	want := func(l *Leader, end kafka.Offset, at time.Time, y Patience, want ...Member) {
		t.Helper()
		if q, ok := l.Propose(end, at, y); ok != (want != nil) || !slices.Equal(q.ISR, want) {
			t.Errorf("%v after the last fetch: %+v, %v", at.Sub(t0), q.ISR, ok)
		}
	}
	l := leader(1, 2, 3)
	l.fetch(t, 2, 200, 200, t0)
	l.fetch(t, 3, 200, 200, t0)
	want(l, 200, t0.Add(time.Hour), silent)
	want(l, 201, t0.Add(3*time.Second), silent)
	asked = t0.Add(time.Second)
	want(l, 201, t0.Add(4*time.Second), Patience{Lag: 30 * time.Second})
	want(l, 201, t0.Add(4*time.Second), silent, Member{1, -1}, Member{2, 5})

	l = leader(1, 2) // a new epoch in which nobody has asked yet
	asked = t0.Add(-time.Hour)
	want(l, 200, t0.Add(3*time.Second), silent)
	l.fetch(t, 2, 150, 200, t0.Add(3*time.Second)) // it is behind, and asks
	want(l, 200, t0.Add(6*time.Second), silent)
	want(l, 200, t0.Add(7*time.Second), silent, Member{1, -1})
	l.Answered(7, Accepted, t0.Add(7*time.Second))
	l.Metadata(Metadata{PartitionEpoch: 8, ISR: brokers(1), Replicas: brokers(1, 2, 3)}, t0.Add(7*time.Second))
	want(l, 200, t0.Add(time.Minute), silent)
	l.fetch(t, 2, 200, 200, t0.Add(time.Minute)) // it comes back as usual
	want(l, 200, t0.Add(time.Minute), silent, Member{1, -1}, Member{2, 5})

	l = leader(1, 2)
	l.fetch(t, 2, 150, 200, t0)
	want(l, 200, t0.Add(4*time.Second), Patience{Lag: 30 * time.Second, Silence: 3 * time.Second}, Member{1, -1}) // without Heard the partition's own count
}

func TestWhoHasEverythingStays(t *testing.T) {
	l := leader(1, 2)
	l.fetch(t, 2, 200, 200, t0)
	if q, ok := l.Propose(200, t0.Add(time.Hour), lag); ok {
		t.Errorf("proposed %+v", q)
	}
	if _, ok := l.Propose(201, t0.Add(time.Hour), lag); !ok {
		t.Error("who lags since long stays")
	}
}

// Under a stream of records no fetch of a follower reaches the high watermark by itself: it waits for one that is close, but not for one that has died.
func TestWhoIsCloseCanJoin(t *testing.T) {
	l := leader(1)
	at := t0
	for end := kafka.Offset(1000); ; end += 1000 {
		if end > 10_000 {
			t.Fatal("the follower never joins")
		}
		l.fetch(t, 2, end-1000, end, at)
		if _, ok := l.Propose(end, at, lag); ok {
			break
		}
		at = at.Add(100 * time.Millisecond)
		l.HighWatermark(end+900, 1, at)
	}
	l = leader(1)
	l.fetch(t, 2, 150, 200, t0)
	l.fetch(t, 2, 200, 250, t0)
	wantHW(t, l, 250, 1, t0, 200)
	wantHW(t, l, 250, 1, t0.Add(joinPatience), 250)
}

// The high watermark does not wait for a follower that was refused, as who stops is, until that one fetches again when it may be proposed again.
func TestNobodyWaitsForWhoWasRefused(t *testing.T) {
	l := leader(1)
	l.fetch(t, 2, 150, 150, t0)
	q, ok := l.Propose(150, t0, lag)
	if !ok {
		t.Fatal("not proposed")
	}
	l.Answered(q.PartitionEpoch, Refused, t0)
	l.fetch(t, 2, 150, 150, t0.Add(refusedPatience-1)) // its last one
	wantHW(t, l, 200, 1, t0.Add(refusedPatience-1), 200)
	wantHW(t, l, 250, 1, t0.Add(refusedPatience+1), 250)
	l.fetch(t, 2, 240, 300, t0.Add(refusedPatience+2)) // it goes on
	l.fetch(t, 2, 300, 300, t0.Add(refusedPatience+3))
	wantHW(t, l, 350, 1, t0.Add(refusedPatience+4), 300)
}

// REP-4: an earlier life of a broker, and who has no replica, changes nothing. A member that was taken out counts again only once it fetches.
func TestWhoIsNotHeard(t *testing.T) {
	l := leader(1, 2)
	l.fetch(t, 2, 120, 200, t0)
	for _, f := range []Fetch{{Replica: 2, Epoch: 4, From: 200}, {Replica: 9, Epoch: 5, From: 200}, {Replica: 1, Epoch: 5, From: 200}} {
		if err := l.Fetched(f); kafka.CodeOf(err) != kafka.NotLeaderOrFollower {
			t.Errorf("%+v: %v", f, err)
		}
	}
	wantHW(t, l, 200, 1, t0, 120)
	l.Metadata(Metadata{PartitionEpoch: 8, ISR: brokers(1), Replicas: brokers(1, 2, 3)}, t0)
	if _, ok := l.Propose(200, t0, lag); ok {
		t.Error("who was taken out joins by what it had before")
	}
	l.fetch(t, 2, 200, 200, t0)
	if _, ok := l.Propose(200, t0, lag); !ok {
		t.Error("who fetches again does not join")
	}
}

// ISR-1..5 over random histories, against one who remembers every set that may count.
func TestRandomHistories(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		history(t, dice)
	}
}

func history(t *testing.T, dice *rand.Rand) {
	start := kafka.Offset(dice.IntN(50))
	hw := kafka.Offset(dice.IntN(int(start) + 1))
	l := New(0, hw)
	least := 1 + dice.IntN(3)
	all := brokers(0, 1, 2, 3)
	committed, version := brokers(0), int32(1)
	var open *Proposal // the one that may still be carried out
	ends := map[kafka.BrokerID]kafka.Offset{}
	now, end, own := t0, start, start
	var silence time.Duration
	if dice.IntN(2) == 0 {
		silence = 3 * time.Second
	}
	asked := map[kafka.BrokerID]time.Time{} // for whatever partition
	heard := func(id kafka.BrokerID) time.Time { return asked[id] }
	l.Metadata(Metadata{version, committed, all}, now)
	l.Begin(start, hw)
	fail := func(format string, args ...any) {
		t.Fatalf("ISR %v, proposal %+v, ends %v, start %d: %s", committed, open, ends, start, fmt.Sprintf(format, args...))
	}
	for range 300 {
		now = now.Add(time.Duration(dice.IntN(2000)) * time.Millisecond)
		switch dice.IntN(8) {
		case 0, 1:
			end += kafka.Offset(dice.IntN(20))
		case 2:
			own += kafka.Offset(dice.IntN(int(end-own) + 1))
		case 3, 4:
			id := kafka.BrokerID(1 + dice.IntN(3))
			if asked[id] = now; dice.IntN(4) == 0 {
				break // for another one
			}
			from := max(end-kafka.Offset(dice.IntN(30)), 0)
			if dice.IntN(3) == 0 {
				from = end
			}
			ends[id] = from
			l.fetch(t, id, from, end, now)
		case 5:
			if q, ok := l.Propose(end, now, Patience{Lag: 5 * time.Second, Silence: silence, Heard: heard}); ok {
				if open != nil && (open.PartitionEpoch != q.PartitionEpoch || len(open.ISR) != len(q.ISR)) {
					fail("a second proposal: %+v", q)
				}
				for _, id := range committed {
					stays := slices.ContainsFunc(q.ISR, func(m Member) bool { return m.ID == id })
					if from, ok := ends[id]; ok && from >= end && open == nil && !stays {
						fail("broker %d leaves, which lacks nothing", id)
					}
				}
				for _, m := range q.ISR {
					if !slices.Contains(committed, m.ID) && open == nil && (ends[m.ID] < hw || ends[m.ID] < start) {
						fail("broker %d joins below %d", m.ID, hw)
					}
				}
				open = &q
			}
		case 6:
			if open == nil {
				break
			}
			switch dice.IntN(4) {
			case 0:
				l.Answered(open.PartitionEpoch, Refused, now)
				open = nil // unless the leader knows that an earlier one may still be carried out
				if l.pending != nil {
					open = &Proposal{l.pending.version, l.pending.isr}
				}
			case 1:
				l.Answered(open.PartitionEpoch, Unknown, now)
			default:
				committed = nil
				for _, m := range open.ISR {
					committed = append(committed, m.ID)
				}
				version++
				if dice.IntN(2) == 0 {
					l.Answered(open.PartitionEpoch, Accepted, now)
				}
				l.Metadata(Metadata{version, committed, all}, now)
				open = nil
			}
		case 7:
			if dice.IntN(4) == 0 { // the controller takes somebody out
				id := kafka.BrokerID(1 + dice.IntN(3))
				committed = slices.DeleteFunc(slices.Clone(committed), func(i kafka.BrokerID) bool { return i == id })
				version++
				open = nil
				l.Metadata(Metadata{version, committed, all}, now)
			}
		}
		next := l.HighWatermark(own, least, now)
		switch {
		case next < hw:
			fail("the high watermark falls from %d to %d", hw, next)
		case next > hw && next > own:
			fail("the high watermark %d passes the leader's own end, %d", next, own)
		case next > hw && len(committed) < least:
			fail("the high watermark moves with %d of %d in sync", len(committed), least)
		}
		counts := slices.Clone(committed)
		if open != nil {
			for _, m := range open.ISR {
				counts = append(counts, m.ID)
			}
		}
		for _, id := range counts {
			if from, ok := ends[id]; id != 0 && next > hw && (!ok || next > from) {
				fail("the high watermark goes to %d, broker %d is at %d", next, id, from)
			}
		}
		hw = next
	}
}
