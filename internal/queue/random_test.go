package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
)

// history is what consumers saw, and the laws that it must keep.
type history struct {
	*world
	ordered bool

	mu       sync.Mutex
	keys     map[recordAt]string   // of every record produced
	accepted map[recordAt]bool     // confirmed
	said     map[recordAt]bool     // accepted, confirmed or not
	held     map[recordAt]holding  // by whom
	byKey    map[string][]recordAt // in the order of offsets
	broken   []string
}

type recordAt struct {
	tp     TopicPartition
	offset kafka.Offset
}

type holding struct {
	member string
	until  time.Time
}

func (h *history) fail(format string, args ...any) {
	h.broken = append(h.broken, fmt.Sprintf(format, args...))
}

// delivered checks what a member got: it was not confirmed as accepted, nobody else holds it, and with ordering nobody holds another of its key,
// whose earlier records are all done.
func (h *history) delivered(member string, got []fetched) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, f := range got {
		at := recordAt{f.tp, f.offset}
		if h.accepted[at] {
			h.fail("offset %d was delivered to %s after it had been accepted", f.offset, member)
		}
		if o, is := h.held[at]; is && o.member != member && now.Before(o.until) {
			h.fail("offset %d was delivered to %s while %s holds it", f.offset, member, o.member)
		}
		if key := h.keys[at]; h.ordered && key != "" {
			for _, other := range h.byKey[f.tp.Topic.String()+strconv.Itoa(int(f.tp.Partition))+key] {
				if other.offset < f.offset && !h.said[other] {
					h.fail("offset %d of key %s was delivered before offset %d was done", f.offset, key, other.offset)
				}
				if o, is := h.held[other]; is && other != at && now.Before(o.until) {
					h.fail("offset %d of key %s was delivered to %s while %s holds offset %d", f.offset, key, member, o.member, other.offset)
				}
			}
		}
		h.held[at] = holding{member, now.Add(h.share.LockDuration)}
	}
}

// saying is called before an acknowledgement is sent, and said when it is answered.
func (h *history) saying(at recordAt, typ int8) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, at)
	if typ == share.AckAccept {
		h.said[at] = true
	}
}

func (h *history) wasSaid(at recordAt, typ int8, code kafka.ErrorCode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if typ == share.AckAccept && code == kafka.None {
		h.accepted[at] = true
	}
}

// letGo forgets what a member, or everybody, holds.
func (h *history) letGo(member string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at, o := range h.held {
		if member == "" || o.member == member {
			delete(h.held, at)
		}
	}
}

func (h *history) left() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.keys) - len(h.accepted)
}

// turns are taken one by each consumer, and all by who restarts the manager. A mutex would hold up the clock of synctest.
type turns chan struct{}

const consumers = 8

func (t turns) take(n int) {
	for range n {
		t <- struct{}{}
	}
}

func (t turns) give(n int) {
	for range n {
		<-t
	}
}

// consume is one member's life until ctx ends: it fetches, acknowledges as it likes, forgets, loses its connection and comes back.
func (h *history) consume(ctx context.Context, r *rand.Rand, name string, turn turns, tps []TopicPartition) {
	m := h.member(name, tps...)
	for ctx.Err() == nil {
		turn.take(1)
		req := m.ask(time.Duration(r.IntN(200)) * time.Millisecond)
		req.MaxRecords, req.ShareAcquireMode = int32(1+r.IntN(20)), int8(r.IntN(2))
		resp := m.ShareFetch(ctx, m.conn, req)
		m.AnswerWritten(m.conn)
		if resp.ErrorCode != 0 {
			m.epoch = 0
			turn.give(1)
			continue
		}
		m.epoch = nextEpoch(m.epoch)
		got := m.got(resp)
		h.delivered(name, got)
		turn.give(1)
		pause(ctx, time.Duration(r.IntN(50))*time.Millisecond)

		turn.take(1)
		for _, f := range got {
			if m.epoch == 0 {
				break // a new session; what is left ends with its lock
			}
			at, typ := recordAt{f.tp, f.offset}, share.AckAccept
			switch d := r.IntN(20); {
			case d < 4:
				typ = share.AckRelease
			case d < 5:
				continue // forgotten: its lock ends
			}
			h.saying(at, typ)
			code := m.acknowledge(ackOf{f.tp, int64(f.offset), int64(f.offset), typ})
			h.wasSaid(at, typ, code)
			if code == kafka.ShareSessionNotFound || code == kafka.InvalidShareSessionEpoch {
				m.epoch = 0
			}
		}
		if r.IntN(30) == 0 {
			h.letGo(name)
			m.ConnectionClosed(m.conn)
			m.epoch, m.conn = 0, new(int)
		}
		turn.give(1)
	}
}

// SHR-2, QUE-2, QUE-3, QUE-6: many consumers that accept, release, forget, vanish and come back, over a share coordinator that fails at times and a manager
// that is restarted: every record is delivered until it is accepted, none after that was confirmed, none to two at once; with share.ordering=key no
// two of one key at once and none before the earlier ones are done.
func TestQueuesKeepTheirPromises(t *testing.T) {
	seed := seed.Of(t)
	for i := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed+i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { live(t, seed+i, i%2 == 0) })
		})
	}
}

func live(t *testing.T, seed uint64, ordered bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	w.topic("jobs", 1, 2)
	tps := []TopicPartition{p(1, 0), p(1, 1)}
	w.set(func() {
		w.share.KeyOrdering, w.share.DeliveryCountLimit, w.share.LockDuration = ordered, 10_000, 5*time.Second
		w.share.RedeliverFirst = r.IntN(2) == 0
		if r.IntN(2) == 0 {
			w.share.RetryBackoff, w.share.RetryMultiple, w.share.RetryMax = 20*time.Millisecond, 2, time.Second
		}
		w.share.MaxRecordLocks = 100 + r.IntN(200)
	})
	h := &history{
		world: w, ordered: ordered, keys: map[recordAt]string{}, accepted: map[recordAt]bool{}, said: map[recordAt]bool{}, held: map[recordAt]holding{}, byKey: map[string][]recordAt{},
	}
	turn := make(turns, consumers)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range consumers {
		own := rand.New(rand.NewPCG(seed, uint64(i)+2))
		running.Go(func() { h.consume(ctx, own, fmt.Sprint("member-", i), turn, tps) })
	}
	next := [2]kafka.Offset{}
	for range 120 {
		part := r.IntN(2)
		recs := make([]record.Record, 1+r.IntN(8))
		h.mu.Lock()
		for i := range recs {
			key := fmt.Sprint("k", r.IntN(12))
			at := recordAt{tps[part], next[part]}
			if next[part]++; r.IntN(4) > 0 {
				recs[i].Key = []byte(key)
				h.keys[at] = key
				name := tps[part].Topic.String() + strconv.Itoa(part) + key
				h.byKey[name] = append(h.byKey[name], at)
			} else {
				h.keys[at] = ""
			}
			recs[i].Value = []byte("v")
		}
		h.mu.Unlock()
		w.produce("jobs", int32(part), recs...)
		switch r.IntN(25) {
		case 0:
			turn.take(consumers)
			w.Manager.Close()
			h.letGo("")
			w.start()
			turn.give(consumers)
		case 1, 2:
			w.states.mu.Lock()
			w.states.fail = kafka.CoordinatorLoadInProgress
			w.states.mu.Unlock()
			pause(ctx, time.Duration(r.IntN(300))*time.Millisecond)
			w.states.mu.Lock()
			w.states.fail = kafka.None
			w.states.mu.Unlock()
		}
		pause(ctx, time.Duration(r.IntN(60))*time.Millisecond)
	}
	for began := time.Now(); h.left() > 0 && time.Since(began) < 10*time.Minute; {
		pause(ctx, 100*time.Millisecond)
	}
	stop()
	running.Wait()
	if n := h.left(); n > 0 {
		t.Errorf("%d of %d records were never accepted", n, len(h.keys))
	}
	for i, law := range h.broken {
		if i == 5 {
			t.Errorf("... and %d more", len(h.broken)-i)
			break
		}
		t.Error(law)
	}
	synctest.Wait()
	for i, tp := range tps {
		if s := w.states.of(tp); kafka.Offset(s.start) != next[i] {
			t.Errorf("start offset %d of partition %d, which has %d records", s.start, i, next[i])
		}
	}
}
