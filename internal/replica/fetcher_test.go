package replica

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// idleFetcher has so many partitions of two topics that are ready, and no goroutine.
func idleFetcher(partitions int) *fetcher {
	o := &Options{NodeID: 2, Now: time.Now}
	o.setFetchDefaults()
	f := newFetcher(newFetchers(o, context.Background(), &sync.WaitGroup{}), 1)
	for i := range partitions {
		x := &followed{p: &partition.Partition{}, key: followKey{kafka.UUID{byte(i % 2)}, int32(i)}, epoch: 3, point: partition.FollowPoint{Offset: 10, LastEpoch: 2, Epoch: 3}}
		f.parts[x.key] = x
		f.enter(x, ready)
		f.mark(x)
	}
	return f
}

func named(q *kmsg.FetchRequest) (n int) {
	for _, t := range q.Topics {
		n += len(t.Partitions)
	}
	return n
}

// A session names everything once, then what changed, then what is no longer wanted.
func TestRequestsNameWhatChanged(t *testing.T) {
	f := idleFetcher(100)
	one, two := f.parts[followKey{kafka.UUID{1}, 1}], f.parts[followKey{kafka.UUID{0}, 2}]
	f.build(time.Second)
	if q := &f.req; named(q) != 100 || q.SessionID != 0 || q.SessionEpoch != 0 || q.MaxWaitMillis != 1000 || q.MinBytes != 1 || q.ReplicaState.ID != 2 || q.GetVersion() != 17 {
		t.Fatalf("%d partitions in %+v", named(&f.req), f.req)
	}
	f.session.next(7)
	f.build(1)
	if q := &f.req; named(q) != 0 || q.SessionID != 7 || q.SessionEpoch != 1 || q.MaxWaitMillis != 1 {
		t.Fatalf("%d partitions in %+v", named(q), q)
	}
	f.session.next(7)
	one.point.Offset = 20
	f.mark(one)
	f.mark(one)
	f.setAside(two, time.Now())
	f.build(0)
	p := f.req.Topics[0].Partitions[0]
	if named(&f.req) != 1 || p.Partition != 1 || p.FetchOffset != 20 || p.CurrentLeaderEpoch != 3 || p.LastFetchedEpoch != 2 {
		t.Fatalf("%+v", f.req.Topics)
	}
	if g := f.req.ForgottenTopics; len(g) != 1 || g[0].TopicID != two.key.topic || len(g[0].Partitions) != 1 || g[0].Partitions[0] != 2 || f.active != 99 {
		t.Fatalf("%+v, %d active", g, f.active)
	}
	// What comes back before the leader was told that it went is told anew, with all else: what the leader said of it meanwhile is lost.
	f.session.next(7)
	f.setAside(one, time.Now())
	f.enter(one, ready)
	f.mark(one)
	f.build(0)
	if named(&f.req) != 99 || f.req.SessionEpoch != 0 || f.req.SessionID != 7 || len(f.req.ForgottenTopics) != 0 {
		t.Fatalf("%+v", f.req)
	}
	// The leader does not know the session, or has no room for one: everything is named again.
	f.session.forget()
	f.build(0)
	if named(&f.req) != 99 || f.req.SessionID != 0 || f.req.SessionEpoch != 0 {
		t.Fatalf("%d in %+v", named(&f.req), f.req)
	}
	f.session.next(0)
	f.build(0)
	if named(&f.req) != 99 {
		t.Fatal("without a session not everything is named")
	}
}

// KIP-227: an answer of another session is not taken, and the count of requests wraps to 1.
func TestSessionCountsItsRequests(t *testing.T) {
	var s session
	if !s.next(5) || s.id != 5 || s.epoch != 1 {
		t.Errorf("%+v", s)
	}
	s.epoch = 1<<31 - 1
	if !s.next(5) || s.epoch != 1 {
		t.Errorf("%+v", s)
	}
	if s.next(6) || s.epoch != 0 || s.id != 0 {
		t.Errorf("%+v", s)
	}
	s = session{id: 5, epoch: 3}
	s.begin()
	if s.id != 5 || s.epoch != 0 {
		t.Errorf("the old session is not ended by the first request of the new one: %+v", s)
	}
}

// Where nothing changes, a round allocates nothing, however many partitions there are.
func TestIdleRoundAllocatesNothing(t *testing.T) {
	f := idleFetcher(1000)
	f.build(time.Second)
	answer := &kmsg.FetchResponse{SessionID: 3}
	f.answered(answer)
	one := f.parts[followKey{kafka.UUID{1}, 1}]
	for range 2 {
		if n := testing.AllocsPerRun(100, func() {
			f.build(time.Second)
			f.answered(answer)
			one.point.Offset++
			f.mark(one)
			ctx := f.waiting.begin(time.Minute)
			if f.waiting.end() || ctx.Err() != nil || f.look() {
				t.Error("ended")
			}
			f.revive(time.Time{})
			f.open(time.Time{})
			f.sync(time.Time{})
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// A limit ends with its time, with its parent, or when it is interrupted, and is as new afterwards.
func TestLimitEndsAndBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(context.Background())
		l := limit{parent: parent}
		defer l.close()
		l.interrupt()
		ctx := l.begin(time.Second)
		time.Sleep(999 * time.Millisecond)
		if ctx.Err() != nil || l.end() {
			t.Error("ended early")
		}
		time.Sleep(time.Hour)
		if again := l.begin(time.Second); again != ctx || ctx.Err() != nil {
			t.Error("a context that has not ended was made anew")
		}
		<-ctx.Done()
		if l.end() {
			t.Error("time was out, and it counts as interrupted")
		}
		ctx = l.begin(time.Hour)
		if ctx.Err() != nil || !l.busy() {
			t.Error("not made anew")
		}
		go l.interrupt()
		<-ctx.Done()
		if !l.end() || l.busy() {
			t.Error("not interrupted")
		}
		ctx = l.begin(time.Hour)
		stop()
		<-ctx.Done()
		l.end()
	})
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	for range 100 {
		var b backoff
		for _, most := range []time.Duration{10, 20, 40, 80, 100, 100} {
			if d := b.next(10, 100); d > most || d < most-most/4 {
				t.Fatalf("%d, want %d less a quarter at most", d, most)
			}
		}
		b.reset()
		if d := b.next(10, 100); d > 10 {
			t.Fatal(d)
		}
	}
}
