package sim

import (
	"log/slog"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

// node is a broker: a machine with a disk and a clock, and the process on it, if it runs.
type node struct {
	*endpoint
	id    kafka.BrokerID
	disk  *disk
	empty bool // the disk is new since the broker was registered
	base  time.Duration
	rate  float64 // of its clock

	// Of this life.
	applied     quorum.Revision
	img         *metadata.Image
	following   bool
	host        partition.Host
	replicas    []*replica
	incarnation kafka.UUID
	epoch       int64 // of the registration, -1: none
	registering bool
	leaseEnd    time.Time
	beatFailed  int
	stopping    bool
	left        bool
	ready       bool // it has joined: registered, not fenced, with a lease
	ctl         *ctl
	noted       bool // proposals of ISRs are to be looked at
	coords      coordinators
	shares      []*sharePart
}

// clock is what the node takes the time to be.
func (n *node) clock() time.Time {
	return epoch.Add(n.base + time.Duration(float64(n.w.now)*n.rate))
}

func newNode(w *world, i int) *node {
	n := &node{endpoint: &endpoint{w: w, index: i, name: "broker " + string(rune('1'+i))}, id: nodeID(i), empty: true}
	n.node = n
	n.disk = &disk{n: n}
	n.base = w.between(0, 3*time.Second)
	n.rate = 1 + (w.dice.Float64()-0.5)/25
	return n
}

// start begins a life of the process.
func (n *node) start() {
	w := n.w
	n.up, n.frozen, n.missed = true, false, nil
	n.life++
	n.applied, n.img = 0, metadata.Empty()
	n.following, n.registering, n.noted, n.stopping, n.left, n.ready = false, false, false, false, false, false
	n.replicas, n.shares = nil, nil
	n.incarnation, n.epoch, n.leaseEnd, n.beatFailed = w.newID(), -1, time.Time{}, 0
	n.host = partition.Host{
		Engine: n.disk, Logger: slog.New(slog.DiscardHandler), Now: n.clock,
		OnISR: func(*partition.Partition) { n.proposeSoon() },
		Lease: n.lease,
	}
	n.ctl = newCtl(n)
	n.coords = newCoordinators(n)
	w.say("%s starts, empty disk %v", n, n.empty)
	n.load()
	n.beat()
	n.proposals()
}

// load gets the metadata as they are, as soon as the store can be reached.
func (n *node) load() {
	n.after(n.w.between(time.Millisecond, 60*time.Millisecond), func() {
		if !n.w.store.has(n) {
			n.load()
			return
		}
		s := n.w.store
		n.publish(s.head(), s.image(), metadata.Between(n.img, s.image()))
		n.followSoon()
		n.register()
	})
}

// crash ends the process; losing: and what the operating system had not written.
func (n *node) crash(losing bool) {
	n.w.truth.afterEvent() // what it has told so far counts
	n.w.say("%s crashes, losing %v", n, losing)
	n.up, n.frozen, n.missed = false, false, nil
	n.life++
	n.disk.crash(losing)
}

// loseDisk puts an empty disk into a node that is down.
func (n *node) loseDisk() {
	n.w.say("%s loses its disk", n)
	n.empty = true
	for _, l := range n.disk.logs {
		l.removed = true
	}
	n.disk = &disk{n: n}
}

// followSoon has the node take in the next batch of the store.
func (n *node) followSoon() {
	if !n.up || n.following || n.applied == 0 || n.applied >= n.w.store.head() {
		return
	}
	n.following = true
	d := n.w.between(200*time.Microsecond, 8*time.Millisecond)
	if !n.w.calm && n.w.chance(20) {
		d = n.w.between(0, 700*time.Millisecond)
	}
	n.after(d, func() {
		n.following = false
		s := n.w.store
		if !s.has(n) {
			n.after(50*time.Millisecond, n.followSoon)
			return
		}
		if n.applied >= s.head() {
			return
		}
		next := n.applied + 1
		if s.head() > next && n.w.chance(30) { // what it missed is no longer kept: it loads all anew
			n.publish(s.head(), s.image(), metadata.Between(n.img, s.image()))
			return
		}
		img, delta, err := metadata.Fold(n.img, s.log[next])
		if err != nil {
			n.w.fail("%s cannot fold batch %d: %v", n, next, err)
		}
		n.publish(next, img, delta)
		n.followSoon()
	})
}

// publish makes img the image, as loop and replica do.
func (n *node) publish(rev quorum.Revision, img *metadata.Image, d *metadata.Delta) {
	before := n.img
	n.applied, n.img = rev, img
	for i := range d.Topics {
		t := &d.Topics[i]
		list := t.Partitions
		if t.Before == nil {
			list = nil
			for p := range t.After.Partitions {
				list = append(list, int32(p))
			}
		}
		for _, p := range list {
			n.apply(t.After, p)
		}
	}
	n.coords.published(d)
	if before.Controller != img.Controller {
		n.ctl.superseded()
	}
	if own := img.Brokers[n.id]; own != nil && own != before.Brokers[n.id] && n.epoch >= 0 {
		n.sendHeartbeat()
	}
	n.join()
}

// settings are those of every topic.
func (n *node) settings() *partition.Settings {
	s := &partition.Settings{
		MinISR: n.w.plan.minISR, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour,
	}
	if n.w.mutant == "the high watermark ignores min.insync.replicas" {
		s.MinISR = 1
	}
	return s
}

// replica is a partition on this node.
type replica struct {
	n      *node
	tp     kafka.TopicPartition
	p      *partition.Partition
	gen    int // counts roles, so that what was asked for an older one is known
	hw     kafka.Offset
	joiner kafka.BrokerID // of a mutant: who is proposed too early
}

func (n *node) replica(tp kafka.TopicPartition) *replica {
	for _, r := range n.replicas {
		if r.tp == tp {
			return r
		}
	}
	return nil
}

func (r *replica) log() *diskLog { return r.n.disk.find(r.p.ID()) }

// apply gives the node its part of a partition, as replica.Manager does.
func (n *node) apply(t *metadata.Topic, index int32) {
	s := &t.Partitions[index]
	tp := kafka.TopicPartition{Topic: t.Name, Partition: index}
	r := n.replica(tp)
	if !slices.Contains(s.Replicas, n.id) {
		if r != nil {
			n.w.say("%s drops its replica of %s", n, tp)
			r.gen++
			n.replicas = slices.DeleteFunc(n.replicas, func(o *replica) bool { return o == r })
			if err := r.p.Delete(); err != nil {
				n.w.fail("%s cannot delete %s: %v", n, tp, err)
			}
		}
		return
	}
	if r == nil {
		r = &replica{n: n, tp: tp, joiner: kafka.NoBroker}
		r.p = partition.New(storage.ID{TopicPartition: tp, TopicID: t.ID}, &n.host, n.settings(), &partition.Stats{})
		n.replicas = append(n.replicas, r)
	}
	was := r.p.Role()
	role := partition.Role{
		IsLeader: s.Leader == n.id, Epoch: s.LeaderEpoch, PartitionEpoch: s.PartitionEpoch,
		Leader: s.Leader, Node: n.id, ISR: s.ISR, Replicas: s.Replicas, ELR: s.ELR,
	}
	if n.w.mutant == "the high watermark ignores min.insync.replicas" {
		role.ELR = nil
	}
	r.mutateRole(&was, &role)
	r.p.SetRole(role)
	if role.IsLeader && !was.IsLeader {
		n.w.say("%s leads %s in epoch %d", n, tp, role.Epoch)
		r.mutateLeader()
	}
	if role.Leader != was.Leader || role.Epoch != was.Epoch {
		r.gen++
		if !role.IsLeader && role.Leader != kafka.NoBroker {
			r.follow(role.Epoch)
		}
	}
}

// lease reports whether the node may believe that nobody else leads what it leads.
func (n *node) lease() bool {
	if n.w.mutant == "a deposed leader goes on" {
		return true
	}
	return !n.left && n.clock().Before(n.leaseEnd)
}

const (
	leaseLength = 2500 * time.Millisecond
	beatEvery   = 250 * time.Millisecond
	// leaseMargin and leaseConfirmed are as in controller/loop.
	leaseMargin    = leaseLength / 4
	leaseConfirmed = leaseLength / 5
)

// decider is whom to ask, as far as this node knows. Attempts alternate between what the store and what the image says.
func (n *node) decider(try int) *node {
	s := n.w.store
	if s.leader != nil && s.has(n) && try%2 == 0 {
		return s.leader
	}
	if c := n.img.Controller; c >= 1 {
		return n.w.nodes[c-1]
	}
	return pick(n.w, n.w.nodes)
}

// register says who it is to the controller, until it is known.
func (n *node) register() {
	if n.registering {
		return
	}
	n.registering = true
	n.tryRegister(0)
}

func (n *node) tryRegister(try int) {
	again := func() {
		n.after(n.w.between(20*time.Millisecond, 200*time.Millisecond), func() { n.tryRegister(try + 1) })
	}
	r := controller.Registration{
		Broker:   metadata.Broker{ID: n.id, Incarnation: n.incarnation, Peers: []string{n.name}},
		Replaces: true, EmptyDisk: n.empty,
	}
	if n.w.mutant == "an empty disk counts as a full one" {
		r.EmptyDisk = false
	}
	to := n.decider(try)
	call(n.endpoint, to, request{what: "register", control: true, patience: 2 * time.Second, once: true}, func(reply func(int64, error)) {
		var e int64
		var refused error
		to.ctl.submit(func(img *metadata.Image) (records []metadata.Record) {
			records, e, refused = controller.RegisterBroker(to.ctl.env, img, r)
			return records
		}, func(err error) {
			if err == nil {
				err = refused
			}
			reply(e, err)
		})
	}, func(e int64, err error) {
		if err != nil {
			n.w.say("%s is not registered yet: %v", n, err)
			again()
			return
		}
		n.registering = false
		n.epoch, n.empty = e, false
		n.leaseEnd = time.Time{}
		n.w.say("%s is registered, epoch %d", n, e)
		n.sendHeartbeat()
	})
}

// beat sends heartbeats for as long as the process lives.
func (n *node) beat() {
	n.after(beatEvery, func() {
		n.sendHeartbeat()
		n.beat()
	})
}

type pulse struct{ fenced, confirmed bool }

func (n *node) sendHeartbeat() {
	if n.epoch < 0 {
		return
	}
	to := n.decider(n.beatFailed)
	sent, e, offset, incarnation := n.clock(), n.epoch, n.img.Offset, n.incarnation
	call(n.endpoint, to, request{what: "heartbeat", control: true, patience: leaseLength}, func(reply func(pulse, error)) {
		reply(to.ctl.heartbeat(n.id, incarnation, e, offset))
	}, func(a pulse, err error) {
		if err != nil {
			n.beatFailed++
			if e != n.epoch {
				return
			}
			switch kafka.CodeOf(err) {
			case kafka.StaleBrokerEpoch, kafka.BrokerIDNotRegistered:
				n.register()
			case kafka.DuplicateBrokerRegistration:
				n.w.fail("%s is told that another process has its id", n)
			}
			return
		}
		n.beatFailed = 0
		if a.confirmed && !a.fenced && e == n.epoch {
			if end := sent.Add(leaseLength - leaseMargin); end.After(n.leaseEnd) {
				n.leaseEnd = end
			}
			n.join()
		}
	})
}

// join opens the doors as soon as the broker serves by its own image, and has a lease.
func (n *node) join() {
	if own := n.img.Brokers[n.id]; !n.ready && own != nil && !own.Fenced && own.Epoch == n.epoch && n.lease() {
		n.ready = true
		n.w.say("%s has joined", n)
	}
}

// stop leaves in order: it hands over, then says that it ends.
func (n *node) stop(done func()) {
	n.stopping = true
	n.w.say("%s is to stop", n)
	n.tryStop(0, done)
}

func (n *node) tryStop(try int, done func()) {
	to, e := n.decider(try), n.epoch
	call(n.endpoint, to, request{what: "stop", control: true, patience: 1500 * time.Millisecond}, func(reply func(bool, error)) {
		var moved bool
		to.ctl.submit(func(img *metadata.Image) (records []metadata.Record) {
			if b := img.Brokers[n.id]; b == nil || b.Epoch != e {
				moved = true
				return nil
			}
			records, moved = controller.StopBroker(to.ctl.env, img, n.id)
			return records
		}, func(err error) { reply(moved, err) })
	}, func(moved bool, err error) {
		if err == nil && moved {
			n.left = true
			n.leave(done)
			return
		}
		if try > 40 {
			done()
			return
		}
		n.after(n.w.between(50*time.Millisecond, 200*time.Millisecond), func() { n.tryStop(try+1, done) })
	})
}

func (n *node) leave(done func()) {
	to, e := n.decider(0), n.epoch
	call(n.endpoint, to, request{what: "leave", control: true, patience: time.Second}, func(reply func(bool, error)) {
		to.ctl.submit(func(img *metadata.Image) []metadata.Record {
			if b := img.Brokers[n.id]; b == nil || b.Epoch != e {
				return nil
			}
			return controller.FenceBroker(to.ctl.env, img, n.id)
		}, func(err error) { reply(true, err) })
	}, func(bool, error) { done() })
}
