package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ctl is the controller's part of a node: what controller/loop does around the pure decisions.
type ctl struct {
	n       *node
	env     *controller.Env
	lead    quorum.Term // in which the store said that this node leads; 0: it does not
	decides bool
	term    quorum.Term
	waiting []decision
	busy    bool

	leases    []lease
	confirmed time.Time
	looked    time.Time
	upkept    time.Time
	quiet     metadata.Offset
	settling  bool
}

type decision struct {
	decide func(img *metadata.Image) []metadata.Record
	done   func(error)
}

// lease is of one registration, as in controller/loop.
type lease struct {
	id     kafka.BrokerID
	epoch  int64
	heard  time.Time
	offset metadata.Offset
	need   metadata.Offset
	gone   bool
}

var (
	errElsewhere = kafka.Errorf(kafka.NotController, "another broker decides")
	errVoid      = kafka.Errorf(kafka.NotController, "the decision was made on an older image or term, and is void")
	errUnknown   = kafka.Errorf(kafka.RequestTimedOut, "nobody knows whether it was committed")
)

func newCtl(n *node) *ctl {
	c := &ctl{n: n, quiet: -1}
	c.env = n.w.newEnv()
	c.keep()
	return c
}

// newEnv is what all decisions depend on.
func (w *world) newEnv() *controller.Env {
	return &controller.Env{
		Partitions: 1, Replication: 3, NewTopicID: w.newID,
		Inherited: func(_ *metadata.Image, _ metadata.Resource, name string) string {
			return map[string]string{"auto.leader.rebalance.enable": "true", "offsets.topic.replication.factor": "3"}[name]
		},
		MinISR: func(*metadata.Image, string) int { return w.plan.minISR },
		Unclean: func(_ *metadata.Image, topic string) bool {
			return w.plan.unclean && topic == "unclean" || w.mutant == "leaders from outside the ISR"
		},
	}
}

// elected is told that the store is led here.
func (c *ctl) elected(term quorum.Term) {
	if term <= c.lead || term < c.n.w.store.term {
		return
	}
	c.lead = term
	c.claim(term)
}

// deposed is told that the store is led elsewhere, in a later term.
func (c *ctl) deposed(term quorum.Term) {
	if c.lead < term {
		if c.n.w.mutant == "a stale controller commits" {
			return
		}
		c.lead = 0
		c.resign()
	}
}

// resign ends the time in which this node decides.
func (c *ctl) resign() {
	if !c.decides {
		return
	}
	c.n.w.say("%s decides no more", c.n)
	c.decides = false
	waiting := c.waiting
	c.waiting = nil
	for _, d := range waiting {
		d.done(errElsewhere)
	}
}

// superseded is told that the image has another controller.
func (c *ctl) superseded() {
	if c.decides && c.n.img.Controller != c.n.id && c.n.w.mutant != "a stale controller commits" {
		c.resign()
		if c.lead != 0 {
			c.claim(c.lead)
		}
	}
}

// claim makes sure that this node knows everything that was committed before the term, says that it decides, and does.
func (c *ctl) claim(term quorum.Term) {
	n := c.n
	if c.lead != term || c.decides {
		return
	}
	again := func() { n.after(50*time.Millisecond, func() { c.claim(term) }) }
	since := n.clock()
	n.w.store.commit(n, term, -1, nil, func(head quorum.Revision, err error) {
		if err != nil {
			if !errors.Is(err, quorum.ErrStaleTerm) {
				again()
			}
			return
		}
		c.await(head, func() {
			n.w.store.commit(n, term, head, controller.Claim(n.img, n.id), func(rev quorum.Revision, err error) {
				if errors.Is(err, quorum.ErrStaleTerm) {
					return
				}
				if err != nil {
					again()
					return
				}
				c.await(rev, func() { c.begin(term, since) })
			})
		})
	})
}

// await calls fn once the image has a revision.
func (c *ctl) await(rev quorum.Revision, fn func()) {
	n, life := c.n, c.n.life
	if n.applied >= rev {
		fn()
		return
	}
	n.w.until(func() bool {
		if n.life != life {
			return true
		}
		if n.applied < rev {
			return false
		}
		fn()
		return true
	})
}

// begin starts to decide, with a fresh lease for everybody.
func (c *ctl) begin(term quorum.Term, since time.Time) {
	n := c.n
	if c.lead != term || c.decides {
		return
	}
	n.w.say("%s decides in term %d", n, term)
	now := n.clock()
	c.leases, c.confirmed, c.looked = nil, since, now
	c.upkept, c.quiet = now.Add(leaseLength-time.Second), -1
	for _, id := range brokerIDs(n.img) {
		c.lease(n.img.Brokers[id])
	}
	c.decides, c.term = true, term
	// Whoever's process is gone is known soon: a probe is refused.
	for _, o := range n.w.nodes {
		c.probe(o)
	}
}

// probe finds out whether a process is gone, by two refused connections.
func (c *ctl) probe(o *node) {
	n := c.n
	b := n.img.Brokers[o.id]
	if o == n || b == nil {
		return
	}
	e, since := b.Epoch, n.clock()
	n.after(30*time.Millisecond, func() {
		if !c.decides || o.up || !n.w.reaches(n.endpoint, o.endpoint) || !n.w.reaches(o.endpoint, n.endpoint) {
			return
		}
		if b := n.img.Brokers[o.id]; b != nil && b.Epoch == e {
			if l := c.lease(b); !l.heard.After(since) {
				l.gone = true
			}
		}
	})
}

func brokerIDs(img *metadata.Image) (ids []kafka.BrokerID) {
	for id := range img.Brokers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// lease is that of a registration; a new one begins now.
func (c *ctl) lease(b *metadata.Broker) *lease {
	at := slices.IndexFunc(c.leases, func(l lease) bool { return l.id == b.ID })
	if at < 0 {
		c.leases = append(c.leases, lease{id: b.ID, epoch: -1})
		at = len(c.leases) - 1
	}
	if c.leases[at].epoch != b.Epoch {
		c.leases[at] = lease{id: b.ID, epoch: b.Epoch, heard: c.n.clock(), offset: -1, need: c.n.img.Offset}
	}
	return &c.leases[at]
}

func mayServe(b *metadata.Broker, l *lease) bool {
	return b.Fenced && !b.ShuttingDown && !l.gone && l.offset >= l.need
}

// heartbeat notes one.
func (c *ctl) heartbeat(id kafka.BrokerID, incarnation kafka.UUID, epoch int64, offset metadata.Offset) (pulse, error) {
	if !c.decides {
		return pulse{}, errElsewhere
	}
	b := c.n.img.Brokers[id]
	switch {
	case b == nil:
		return pulse{}, kafka.BrokerIDNotRegistered
	case b.Incarnation != incarnation:
		return pulse{}, kafka.DuplicateBrokerRegistration
	case b.Epoch != epoch:
		return pulse{}, kafka.StaleBrokerEpoch
	}
	now := c.n.clock()
	l := c.lease(b)
	l.heard, l.offset, l.gone = now, max(l.offset, offset), false
	return pulse{b.Fenced, now.Sub(c.confirmed) <= leaseConfirmed}, nil
}

// keep looks after the brokers for as long as the process lives.
func (c *ctl) keep() {
	c.n.after(beatEvery/2, func() {
		if c.decides {
			c.look()
		}
		c.keep()
	})
}

// look does what is due: it asks the store whether this node still decides, fences, unfences and keeps up.
func (c *ctl) look() {
	n, term, now := c.n, c.term, c.n.clock()
	if now.Sub(c.looked) > leaseLength/2 {
		n.w.say("%s stood still: fresh leases", n)
		for i := range c.leases {
			c.leases[i].heard = now
		}
	}
	c.looked = now
	n.w.store.commit(n, term, -1, nil, func(_ quorum.Revision, err error) {
		switch {
		case err == nil && c.decides && c.term == term && now.After(c.confirmed):
			c.confirmed = now
		case errors.Is(err, quorum.ErrStaleTerm):
			c.staleTerm(term)
		}
	})
	if c.settling {
		return
	}
	fence, unfence := c.due(n.img)
	switch {
	case len(fence) > 0:
		c.settleBrokers(true)
	case len(unfence) > 0:
		c.settleBrokers(false)
	case c.quiet != n.img.Offset && now.Sub(c.upkept) >= time.Second:
		c.upkeep()
	}
}

func (c *ctl) staleTerm(term quorum.Term) {
	if !c.decides || c.term != term || c.n.w.mutant == "a stale controller commits" {
		return
	}
	c.resign()
	if c.lead == term {
		c.lead = 0
		return
	}
	c.claim(c.lead) // it was elected again before it heard that it had been deposed
}

// due is whose lease has ended, and who may serve.
func (c *ctl) due(img *metadata.Image) (fence, unfence []kafka.BrokerID) {
	now := c.n.clock()
	for _, id := range brokerIDs(img) {
		b := img.Brokers[id]
		l := c.lease(b)
		ended := l.gone || now.Sub(l.heard) >= leaseLength
		switch {
		case !b.Fenced && ended:
			fence = append(fence, id)
		case !ended && mayServe(b, l):
			unfence = append(unfence, id)
		}
	}
	return fence, unfence
}

// settleBrokers fences who is due, or unfences, in one commit.
func (c *ctl) settleBrokers(fence bool) {
	c.settling = true
	var ids []kafka.BrokerID
	c.submit(func(img *metadata.Image) (all []metadata.Record) {
		gone, back := c.due(img)
		decide := controller.UnfenceBroker
		if ids = back; fence {
			ids, decide = gone, controller.FenceBroker
		}
		for _, id := range ids {
			records := decide(c.env, img, id)
			next, _, err := metadata.Fold(img, records)
			if err != nil {
				c.n.w.fail("a decision about broker %d does not fold: %v", id, err)
			}
			img, all = next, append(all, records...)
		}
		return all
	}, func(err error) {
		c.settling = false
		if err == nil && fence {
			for i := range c.leases {
				if slices.Contains(ids, c.leases[i].id) {
					c.leases[i].need = max(c.leases[i].need, c.n.img.Offset)
				}
			}
		}
	})
}

func (c *ctl) upkeep() {
	c.settling = true
	c.upkept = c.n.clock()
	quiet := metadata.Offset(-1)
	c.submit(func(img *metadata.Image) []metadata.Record {
		records, why := controller.Upkeep(c.env, img, 4)
		for _, line := range why {
			c.n.w.say("upkeep: %s", line)
		}
		if len(records) == 0 {
			quiet = img.Offset
		}
		return records
	}, func(err error) {
		c.settling = false
		if err == nil {
			c.quiet = quiet
		}
	})
}

// submit has something decided, and committed with what else waits; done is told what became of it: nil once this node's image has it.
func (c *ctl) submit(decide func(img *metadata.Image) []metadata.Record, done func(error)) {
	if !c.decides {
		done(errElsewhere)
		return
	}
	c.waiting = append(c.waiting, decision{decide, done})
	c.next()
}

// next decides everything that waits, as one commit.
func (c *ctl) next() {
	if c.busy || len(c.waiting) == 0 {
		return
	}
	c.busy = true
	n := c.n
	n.after(10*time.Microsecond, func() {
		group := c.waiting
		c.waiting = nil
		img, head, term := n.img, n.applied, c.term
		var all []metadata.Record
		for _, d := range group {
			records := d.decide(img)
			n.w.mutateRecords(img, records)
			next, _, err := metadata.Fold(img, records)
			if err != nil {
				n.w.fail("a decision does not fold: %v", err)
			}
			img, all = next, append(all, records...)
		}
		finish := func(err error) {
			for _, d := range group {
				d.done(err)
			}
			c.busy = false
			c.next()
		}
		n.w.store.commit(n, term, head, all, func(rev quorum.Revision, err error) {
			switch {
			case err == nil:
				c.await(rev, func() { finish(nil) })
			case errors.Is(err, quorum.ErrStaleTerm):
				c.staleTerm(term)
				finish(errVoid)
			case errors.Is(err, errCommit):
				finish(errUnknown)
			default:
				finish(errVoid)
			}
		})
	})
}
