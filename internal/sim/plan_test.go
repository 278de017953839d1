package sim

import (
	"math/rand/v2"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// plan is what a run is like.
type plan struct {
	nodes   int
	minISR  int
	unclean bool
	length  time.Duration // of faults
	pace    time.Duration // between two of them, at most
	theme   theme
	repeats int           // of 1000 messages come twice
	reboot  time.Duration // a node without a disk is back after that, at most
}

// theme says what goes wrong most often.
type theme int8

const (
	mixed theme = iota
	operators
	disks
	network
	failovers
	themes
)

// mishap is a kind of fault.
type mishap int8

const (
	crash mishap = iota
	crashAll
	freeze
	cutOff
	cutLink
	loseMessages
	delayMessages
	slowDisk
	loseDisk
	electController
	stopNode
	reassign
	preferLeaders
	drain
	deleteRecords
	mishaps
)

// weights are how often each comes, by theme.
var weights = [themes][mishaps]int{
	mixed:     {crash: 18, crashAll: 2, freeze: 10, cutOff: 12, cutLink: 10, loseMessages: 5, delayMessages: 5, slowDisk: 5, loseDisk: 5, electController: 4, stopNode: 4, reassign: 8, preferLeaders: 7, drain: 5, deleteRecords: 12},
	operators: {crash: 4, freeze: 25, slowDisk: 5, delayMessages: 8, stopNode: 4, reassign: 45, preferLeaders: 5, drain: 4, deleteRecords: 20},
	disks:     {freeze: 10, delayMessages: 15, slowDisk: 10, loseDisk: 55, reassign: 10, deleteRecords: 8},
	network:   {freeze: 25, cutOff: 15, cutLink: 20, loseMessages: 10, delayMessages: 15, slowDisk: 10, electController: 5},
	failovers: {crash: 30, freeze: 20, cutOff: 10, slowDisk: 15, stopNode: 10, electController: 5, preferLeaders: 10, deleteRecords: 15},
}

// newPlan is what the dice say.
func newPlan(w *world) plan {
	p := plan{nodes: 3, minISR: 1 + w.dice.IntN(2), unclean: w.chance(200), length: w.between(4*time.Second, 9*time.Second), pace: w.between(200*time.Millisecond, 900*time.Millisecond), repeats: 10, reboot: time.Second}
	switch {
	case w.chance(250):
		p.nodes = 5
	case w.chance(200):
		p.nodes = 4
	}
	if p.theme = theme(w.dice.IntN(2 * int(themes))); p.theme >= themes {
		p.theme = mixed
	}
	return p
}

// under is the plan with a theme.
func (p plan) under(t theme) plan {
	if p.theme = t; t != mixed {
		p.repeats, p.reboot, p.pace = 50, 150*time.Millisecond, min(p.pace, 350*time.Millisecond)
	}
	return p
}

// newWorld makes a cluster and its clients. A mutant is run under the theme that it is for.
func newWorld(seed uint64, m mutant) *world {
	w := &world{seed: seed, mutant: m.name, dice: rand.New(rand.NewPCG(seed, 0x51b))}
	w.truth = truth{w: w}
	w.plan = newPlan(w)
	if m.theme != mixed {
		w.plan.theme = m.theme
	}
	w.plan = w.plan.under(w.plan.theme)
	w.say("seed %d mutant %q %+v", seed, m.name, w.plan)
	w.store = newStore(w)
	for i := range w.plan.nodes {
		n := newNode(w, i)
		w.nodes, w.ends = append(w.nodes, n), append(w.ends, n.endpoint)
	}
	w.bootstrap()
	w.employ()
	w.cut = make([][]bool, len(w.ends))
	for i := range w.cut {
		w.cut[i] = make([]bool, len(w.ends))
	}
	for _, n := range w.nodes {
		n.start()
	}
	w.store.watch()
	for _, c := range w.clients {
		c.start()
	}
	w.after(1500*time.Millisecond, w.disturb)
	return w
}

// bootstrap writes the first metadata: topics, whose replicas are everywhere.
func (w *world) bootstrap() {
	records := []metadata.Record{&metadata.ClusterRecord{ID: "sim"}}
	for _, n := range w.nodes {
		records = append(records, &metadata.BrokerRecord{Broker: metadata.Broker{ID: n.id, Epoch: 0, Fenced: true, Incarnation: w.newID()}})
		n.empty = false
	}
	topic := func(name string, partitions int, internal bool) {
		t := &metadata.TopicRecord{ID: w.newID(), Name: name, Internal: internal}
		var list []metadata.Partition
		for i := range partitions {
			var replicas []kafka.BrokerID
			for k := range 3 {
				replicas = append(replicas, nodeID((i+k)%len(w.nodes)))
			}
			list = append(list, metadata.Partition{Replicas: replicas, ISR: replicas, Leader: kafka.NoBroker, LeaderEpoch: 0, PartitionEpoch: 0})
		}
		t.Partitions = metadata.Runs(list)
		records = append(records, t)
	}
	topic("orders", 2, false)
	if w.plan.unclean {
		topic("unclean", 1, false)
	}
	topic(offsetsTopic, internalPartitions, true)
	topic(txnTopic, internalPartitions, true)
	topic(shareTopic, 1, true)
	img, _, err := metadata.Fold(w.store.image(), records)
	if err != nil {
		w.fail("%v", err)
	}
	w.store.log, w.store.images = append(w.store.log, records), append(w.store.images, img)
}

// employ makes the clients.
func (w *world) employ() {
	for i := range 2 {
		tp := kafka.TopicPartition{Topic: "orders", Partition: int32(i)}
		w.clients = append(w.clients, w.newProducer("producer "+string(rune('a'+i)), tp, true))
	}
	w.clients = append(w.clients, w.newProducer("careless", kafka.TopicPartition{Topic: "orders"}, false))
	orders := []kafka.TopicPartition{{Topic: "orders"}, {Topic: "orders", Partition: 1}}
	for _, name := range []string{"pipeline a", "pipeline b"} {
		w.clients = append(w.clients, w.newPipeline(name, orders))
	}
	w.clients = append(w.clients,
		w.newReader("reader of all", orders[0], partition.ReadUncommitted, true),
		w.newReader("reader of committed", orders[1], partition.ReadCommitted, false),
		w.newReader("reader anywhere", orders[1], partition.ReadCommitted, true),
		w.newCrew("crew", 3, len(orders)))
	for _, name := range []string{"sharer a", "sharer b"} {
		w.clients = append(w.clients, w.newSharer(name, orders[1]))
	}
	w.operator = w.newMachine("operator")
	if w.plan.unclean {
		w.clients = append(w.clients, w.newProducer("gambler", kafka.TopicPartition{Topic: "unclean"}, false))
	}
}
