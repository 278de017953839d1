package partition

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// writer is a producer with one request under way. Those with a transaction end it by markers, which a coordinator repeats until they are committed.
type writer struct {
	*cluster
	pid     kafka.ProducerID // 0: not idempotent; 1, 2: idempotent; 3, 4: transactional
	next    kafka.Sequence
	open    bool // a batch of its transaction was sent
	batch   record.Batches
	marker  *Marker
	sent    *send // being waited for
	retired bool
}

// send is a request under way.
type send struct {
	w      *writer
	node   *replicaNode
	waiter *AckWaiter
	sealed bool // nothing is missing since
	all    bool // acks=all
	raw    record.Batches
	base   kafka.Offset
}

// ackedBatch is in the log for good.
type ackedBatch struct {
	base kafka.Offset
	raw  string
}

// value is a record that is like no other.
func (c *cluster) value() string {
	c.tags++
	return fmt.Sprintf("v%06d", c.tags)
}

// step lets a writer send, or send again, to somebody who may be the leader.
func (w *writer) step() {
	if w.sent != nil {
		w.look()
		return
	}
	if w.retired {
		return
	}
	n := w.nodes[w.dice.IntN(len(w.nodes))]
	if l := w.current().Leader; l != kafka.NoBroker && w.dice.IntN(3) > 0 {
		n = w.nodes[l]
	}
	if !n.up {
		return
	}
	if w.batch == nil && w.marker == nil || w.pid == 0 {
		w.invent()
	}
	s := &send{w: w, node: n, waiter: NewAckWaiter(), all: w.pid > 0 || w.dice.IntN(2) == 0}
	s.waiter.Start()
	var err error
	if w.marker != nil {
		m := *w.marker
		m.Waiter = s.waiter
		s.base = kafka.NoOffset
		err = n.p.AppendMarker(m, w.now)
	} else {
		err = w.append(s)
	}
	s.sealed = s.waiter.Seal()
	if err != nil {
		w.refused(n, err)
		return
	}
	w.sent, w.sends = s, append(w.sends, s)
	w.look()
}

// invent makes up what to send.
func (w *writer) invent() {
	if w.pid >= 3 && w.open && w.dice.IntN(3) == 0 {
		w.marker = &Marker{Producer: w.pid, CoordinatorEpoch: 1, Commit: w.dice.IntN(2) == 0, Version: 1}
		return
	}
	o := record.PlainOptions()
	if w.pid > 0 {
		o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = w.pid, 0, w.next, w.pid >= 3
	}
	var recs []record.Record
	for range 1 + w.dice.IntN(3) {
		ms := int64(0)
		if w.pid < 3 && w.dice.IntN(6) == 0 {
			ms = w.dice.Int64N(5000)
		}
		recs = append(recs, later(w.value(), ms))
	}
	w.batch = batchOf(o, recs...)
	w.open = w.open || w.pid >= 3
}

func (w *writer) append(s *send) error {
	a := Append{Records: slices.Clone(w.batch), AllReplicas: s.all, Waiter: s.waiter}
	if w.pid >= 3 {
		h, _ := record.ParseHeader(w.batch)
		guard, _, err := s.node.p.GuardTxn(w.pid, 0, h.BaseSequence, false, 1)
		if err != nil {
			return err
		}
		a.Guard = guard
	}
	done, err := s.node.p.AppendAsLeader(a, w.now)
	if s.base = done.Base; err == nil {
		for _, e := range s.node.entries() { // as it was stamped
			if e.BaseOffset == done.Base {
				s.raw = slices.Clone(e.raw)
			}
		}
	}
	return err
}

// refused: only who leads knows what is right, and only of its own log.
func (w *writer) refused(n *replicaNode, err error) {
	r := w.current()
	if r.Leader != n.id || n.version != len(w.meta)-1 {
		return
	}
	switch kafka.CodeOf(err) {
	case kafka.NotEnoughReplicas, kafka.NotLeaderOrFollower:
	case kafka.OutOfOrderSequenceNumber:
		if n.partial { // as with Kafka: of this producer it knows no more than a marker
			w.retired = true
			return
		}
		fallthrough
	default:
		w.fail("the leader, broker %d, refuses producer %d: %v", n.id, w.pid, err)
	}
}

// look sees what became of the request.
func (w *writer) look() {
	s := w.sent
	failed := s.waiter.Failed()
	switch {
	case !s.sealed && !s.waiter.Ready():
		if w.dice.IntN(40) == 0 { // its time is out
			s.waiter.Drop(len(s.node.p.Forget(s.waiter, nil)))
			w.forget(s)
		}
		return
	case len(failed) > 0:
		w.forget(s)
		return
	}
	if s.all && s.base != kafka.NoOffset {
		w.acked = append(w.acked, ackedBatch{s.base, string(s.raw)})
	}
	w.forget(s)
	if w.marker != nil {
		w.marker, w.open = nil, false
		return
	}
	h, _ := record.ParseHeader(w.batch)
	w.next, w.batch = h.BaseSequence.Add(h.LastOffsetDelta+1), nil
}

func (w *writer) forget(s *send) {
	w.sent = nil
	w.sends = slices.DeleteFunc(w.sends, func(o *send) bool { return o == s })
}

// step is one thing that happens.
func (c *cluster) step() {
	c.now = c.now.Add(time.Duration(c.dice.IntN(60)) * time.Millisecond)
	n := c.nodes[c.dice.IntN(len(c.nodes))]
	switch k := c.dice.IntN(100); {
	case k < 25:
		c.writers[c.dice.IntN(len(c.writers))].step()
	case k < 50:
		if n.up {
			if n.reply != nil {
				n.receive()
			} else {
				n.fetch()
			}
		}
	case k < 62:
		if n.up && n.log() != nil {
			n.settle()
		}
	case k < 72:
		n.hear()
	case k < 77:
		n.propose()
	case k < 83:
		c.decideAlter()
	case k < 85:
		if len(c.strays) > 0 {
			i := c.dice.IntN(len(c.strays))
			s := c.strays[i]
			c.strays = slices.Delete(c.strays, i, i+1)
			if s.to.up {
				s.to.serve(s.req)
			}
		}
	case k < 87:
		if n.up && n.p.loaded.Load() {
			n.p.maintenance.Lock()
			_ = n.p.checkpointLocked(context.Background(), 0)
			n.p.maintenance.Unlock()
		}
	case k < 89:
		n.trim()
	case k < 91:
		if n.up {
			_, _ = n.p.Deliver(c.now, 1<<20)
		}
	default:
		c.disturb(n)
	}
}

// settle makes some more of a log durable, up to the end of a batch.
func (n *replicaNode) settle() {
	l := n.log()
	upto := l.Bounds().Durable
	l.Each(func(h record.Header, _ record.Batches) {
		if h.NextOffset() > upto && n.dice.IntN(2) == 0 {
			upto = h.NextOffset()
		}
	})
	l.Settle(upto)
}

// hear lets a node that is not cut off know more of what was decided.
func (n *replicaNode) hear() {
	if last := len(n.meta) - 1; n.up && !n.cutOff && n.version < last {
		n.version += 1 + n.dice.IntN(last-n.version)
		n.learn()
	}
}

// propose has a leader ask for the ISR that it needs.
func (n *replicaNode) propose() {
	if !n.up {
		return
	}
	q, ok := n.p.ProposeISR(n.now, time.Second)
	if !ok {
		return
	}
	n.alters = append(n.alters, alter{by: n, p: n.p, q: q, at: n.now})
	if n.bug == "the minimal ISR counts" {
		n.p.ISRAnswered(q, kafka.IneligibleReplica)
	}
}

// decideAlter lets a request arrive at the controller, or get lost, or its answer. A leader may have given up waiting.
func (c *cluster) decideAlter() {
	if len(c.alters) == 0 {
		return
	}
	i := c.dice.IntN(len(c.alters))
	a := &c.alters[i]
	if !a.silent && c.noise(5) {
		a.silent = true
		a.p.ISRAnswered(a.q, kafka.RequestTimedOut)
		return
	}
	if c.now.Sub(a.at) > strayAlter || a.by.cutOff && c.dice.IntN(4) > 0 {
		if !a.silent {
			a.p.ISRAnswered(a.q, kafka.RequestTimedOut)
		}
	} else if err := c.answer(a); !a.silent {
		if c.noise(5) {
			err = kafka.NetworkException
		}
		a.p.ISRAnswered(a.q, err)
	}
	c.alters = slices.Delete(c.alters, i, i+1)
}

// noise is one of n, as long as there is any.
func (c *cluster) noise(n int) bool { return !c.calm && c.dice.IntN(n) == 0 }

// strayAlter is how long a request may be on its way.
const strayAlter = 5 * time.Second

// trim deletes records on the leader.
func (n *replicaNode) trim() {
	if !n.up || !n.p.Role().IsLeader || n.dice.IntN(3) > 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody is waited for
	n.keepTrimmed(func() {
		start, hw := n.p.LogStart(), n.p.HighWatermark()
		_, _ = n.p.TrimTo(ctx, start+kafka.Offset(n.dice.Int64N(int64(hw-start)+1)))
	})
}

// disturb is what happens to nodes.
func (c *cluster) disturb(n *replicaNode) {
	switch {
	case !n.up:
		if c.dice.IntN(3) == 0 {
			c.fence(n.id)
			c.births++
			n.epoch = c.births
			n.start()
		}
	case c.fenced[n.id]:
		if n.version == len(c.meta)-1 && !n.cutOff {
			c.fenced[n.id] = false
			c.elect()
		}
		n.cutOff = n.cutOff && c.dice.IntN(3) > 0
	case c.dice.IntN(4) == 0:
		c.fence(n.id) // alive, perhaps
	case c.dice.IntN(4) == 0:
		n.crash()
		if c.dice.IntN(2) == 0 {
			c.fence(n.id)
		}
	case c.dice.IntN(4) == 0:
		n.stop()
	case c.dice.IntN(3) == 0:
		n.cutOff = !n.cutOff
	}
}

// heal lets everything come to rest, and says in how many rounds.
func (c *cluster) heal() {
	c.strays, c.bug, c.calm = nil, "", true
	for round := range 200 {
		c.now = c.now.Add(300 * time.Millisecond)
		for _, n := range c.nodes {
			if n.cutOff = false; !n.up {
				c.fence(n.id)
				c.births++
				n.epoch = c.births
				n.start()
			}
			n.hear()
			if n.version == len(c.meta)-1 && c.fenced[n.id] {
				c.fenced[n.id] = false
				c.elect()
			}
			n.receive()
			n.fetch()
			if l := n.log(); l != nil {
				l.Settle(l.Bounds().End)
			}
			n.propose()
			_, _ = n.p.Deliver(c.now, 1<<20)
		}
		for range len(c.alters) {
			c.decideAlter()
		}
		if round > 60 && c.atRest() {
			return
		}
	}
	for _, n := range c.nodes {
		c.Logf("broker %d: %+v, high watermark %d, %+v", n.id, n.p.Role(), n.p.HighWatermark(), n.log().Bounds())
	}
	c.fail("the replicas do not come together")
}

func (c *cluster) atRest() bool {
	r := c.current()
	if r.Leader == kafka.NoBroker || len(r.ISR) != len(c.nodes) {
		return false
	}
	for _, n := range c.nodes {
		end := c.nodes[r.Leader].p.end
		if n.version != len(c.meta)-1 || n.p.end != end || n.p.HighWatermark() != end {
			return false
		}
	}
	return true
}

// run plays one history and says what was violated, if anything.
func runCluster(t testing.TB, seed uint64, bug string, steps int) (found violation) {
	c := newCluster(t, seed, bug)
	defer func() {
		if v := recover(); v != nil {
			var ok bool
			if found, ok = v.(violation); !ok {
				t.Logf("seed %d", seed)
				panic(v)
			}
		}
	}()
	for i := range steps {
		c.step()
		c.checkOffsets()
		if i%16 == 0 {
			c.checkLogs()
		}
	}
	c.heal()
	c.checkLogs()
	c.checkConsumers()
	return ""
}

// ISR-1..5, PAR-1..8: whatever happens to three replicas, what was acknowledged by all in sync is in the log of each that may lead, logs are equal as far
// as they are committed, no offset falls, and what is known of producers, transactions, epochs and delays is what the log says.
func TestClusterLosesNothing(t *testing.T) {
	first := seeded(t).Uint64()
	seeds := uint64(300)
	if testing.Short() {
		seeds = 50
	}
	for seed := first; seed < first+seeds; seed++ {
		if v := runCluster(t, seed, "", 500); v != "" {
			t.Fatalf("seed %d: %s", seed, v)
		}
	}
}

// The model finds what other brokers once got wrong, so it would find it here. ("join below the epoch start" is one more, which it finds in one of a
// thousand histories: too seldom for a test.)
func TestClusterModelFindsKnownBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	for _, bug := range []string{
		"truncate by watermark", "the minimal ISR counts", "the own end is enough", "fetch before the sync",
	} {
		t.Run(strings.ReplaceAll(bug, " ", "-"), func(t *testing.T) {
			first := seeded(t).Uint64()
			for seed := first; seed < first+1000; seed++ {
				if v := runCluster(t, seed, bug, 500); v != "" {
					t.Logf("after %d histories: %s", seed-first+1, v)
					return
				}
			}
			t.Error("not found")
		})
	}
}
