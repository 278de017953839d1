package sim

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// disturb lets something go wrong, again and again until the plan's time is over.
func (w *world) disturb() {
	if w.calm {
		return
	}
	w.fault()
	w.after(w.between(10*time.Millisecond, w.plan.pace), w.disturb)
}

func (w *world) fault() {
	if slices.ContainsFunc(w.nodes, func(n *node) bool { return n.empty }) {
		return
	}
	n, list := pick(w, w.nodes), &weights[w.plan.theme]
	total := 0
	for _, weight := range list {
		total += weight
	}
	at, kind := w.dice.IntN(total), mishap(0)
	for at >= list[kind] {
		at -= list[kind]
		kind++
	}
	switch kind {
	case crash:
		w.crash(n, w.chance(700), 4*time.Second)
	case crashAll:
		for _, n := range w.nodes {
			w.crash(n, true, 2*time.Second)
		}
	case freeze:
		w.freeze(n)
	case cutOff:
		w.isolate(n, w.dice.IntN(3), w.between(50*time.Millisecond, 4*time.Second))
	case cutLink:
		w.cutLink(pick(w, w.ends), pick(w, w.ends), w.chance(500), w.between(50*time.Millisecond, 4*time.Second))
	case loseMessages:
		w.loss = w.dice.IntN(120)
		w.say("of 1000 messages %d are lost", w.loss)
		w.after(w.between(100*time.Millisecond, 2*time.Second), func() { w.loss = 0 })
	case delayMessages:
		w.extra = w.between(time.Millisecond, 300*time.Millisecond)
		w.say("messages take up to %v longer", w.extra)
		w.after(w.between(100*time.Millisecond, 2*time.Second), func() { w.extra = 0 })
	case slowDisk:
		d := n.disk
		d.slow = w.between(time.Millisecond, 400*time.Millisecond)
		w.say("syncs of %s take up to %v longer", n, d.slow)
		w.after(w.between(100*time.Millisecond, 2*time.Second), func() { d.slow = 0 })
	case loseDisk:
		w.replaceDisk(n)
	case electController:
		w.store.elect()
	case stopNode:
		w.stop(n)
	case deleteRecords:
		w.deleteRecords(kafka.TopicPartition{Topic: "orders", Partition: int32(w.dice.IntN(2))}, 0)
	default:
		w.operate(kind)
	}
}

// crash ends a process, which is started again after a while.
func (w *world) crash(n *node, losing bool, most time.Duration) {
	if n.up {
		n.crash(losing)
		w.restart(n, w.between(5*time.Millisecond, most))
	}
}

// freeze has a process stand still for a while.
func (w *world) freeze(n *node) {
	if !n.up || n.frozen {
		return
	}
	w.say("%s freezes", n)
	n.frozen = true
	life := n.life
	w.after(w.between(20*time.Millisecond, 5*time.Second), func() {
		if n.life == life && n.frozen {
			w.say("%s goes on", n)
			n.thaw()
		}
	})
}

// stop ends a process in order, and has it started again.
func (w *world) stop(n *node) {
	if !n.up || n.frozen || n.stopping {
		return
	}
	life := n.life
	n.stop(func() {
		if n.life == life && n.up {
			n.shutdown()
			w.restart(n, w.between(5*time.Millisecond, 2*time.Second))
		}
	})
}

// shutdown ends the process in order: logs are closed with all they have.
func (n *node) shutdown() {
	n.w.truth.afterEvent()
	n.w.say("%s ends", n)
	for _, r := range n.replicas {
		r.gen++ // its fetcher has ended
	}
	for _, r := range n.replicas {
		if err := r.p.Close(n.context()); err != nil {
			n.w.fail("%s cannot close %s: %v", n, r.tp, err)
		}
	}
	for _, l := range n.disk.logs {
		_ = l.Sync(n.context(), l.end)
	}
	n.up, n.frozen, n.missed = false, false, nil
	n.life++
	n.disk.crash(false)
}

func (w *world) restart(n *node, later time.Duration) {
	w.after(later, func() {
		if !n.up {
			n.start()
		}
	})
}

// isolate cuts a node off: from everybody, so that nobody hears it, or so that it hears nobody.
func (w *world) isolate(n *node, how int, for_ time.Duration) {
	w.say("%s is cut off, way %d", n, how)
	for _, e := range w.ends {
		if e != n.endpoint {
			w.cutFor(n.endpoint, e, how != 1, for_)
			w.cutFor(e, n.endpoint, how != 2, for_)
		}
	}
}

func (w *world) cutLink(a, b *endpoint, both bool, for_ time.Duration) {
	if a == b {
		return
	}
	w.say("the link from %s to %s is cut, both ways %v", a, b, both)
	w.cutFor(a, b, true, for_)
	w.cutFor(b, a, both, for_)
}

func (w *world) cutFor(a, b *endpoint, really bool, for_ time.Duration) {
	if !really || w.cut[a.index][b.index] {
		return
	}
	w.cut[a.index][b.index] = true
	w.after(for_, func() { w.cut[a.index][b.index] = false })
}

// replaceDisk gives a node an empty disk, where somebody who is well has everything that is on it: what only a lost disk has is lost, and that is
// nobody's mistake. Until the broker has come back nothing else goes wrong (fault).
func (w *world) replaceDisk(n *node) {
	for t := range w.store.image().Topics.All() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			have := p.ISR
			if w.plan.minISR > 1 {
				have = slices.Concat(p.ISR, p.ELR)
			}
			if w.plan.minISR == 1 && p.Leader == n.id {
				return // it may just have asked to be alone in sync
			}
			if (slices.Contains(p.ISR, n.id) || slices.Contains(p.ELR, n.id)) && !slices.ContainsFunc(have, func(id kafka.BrokerID) bool { return id != n.id && w.nodes[id-1].isWell() }) {
				return
			}
		}
	}
	if n.up {
		n.crash(true)
	}
	n.loseDisk()
	w.restart(n, w.between(5*time.Millisecond, w.plan.reboot))
}

// isWell reports whether nothing is wrong with a node that would soon have it fenced.
func (n *node) isWell() bool {
	return n.up && n.ready && !n.frozen && !n.stopping && n.lease() && !slices.Contains(n.w.cut[n.index], true)
}
