package controller_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// world is a cluster in the small: one controller, whose decisions are those under test, and brokers that follow what it decided at their own
// pace, replicate, die, lose their disks and come back. A record counts as acknowledged by the rules of the replication protocol alone, so
// that a wrong election shows as what it is: a leader that does not have what was acknowledged.
type world struct {
	t     *testing.T
	seed  uint64
	step  int
	rng   *rand.Rand
	env   *controller.Env
	twin  *controller.Env // gives the same ids: every decision is made twice (CTL-1)
	img   *metadata.Image
	nodes map[kafka.BrokerID]*node
	acked map[place][]int // in order; what a leader must have
	next  int             // record
	proc  byte            // incarnation
	fewer bool            // an operator may be asking for fewer replicas
}

type place struct {
	topic kafka.UUID
	index int32
}

// node is a broker: what is on its disk, and while it runs, the image it knows and what it leads.
type node struct {
	id       kafka.BrokerID
	up       bool
	empty    bool // its disk is new since it was registered
	process  kafka.UUID
	epoch    int64           // -1: not registered
	view     *metadata.Image // nil: knows nothing
	logs     map[place][]int
	leads    map[place]*leading
	stopping bool
}

// leading is what a leader knows of its followers in its epoch.
type leading struct {
	epoch   kafka.LeaderEpoch
	begin   int // of the epoch: its log end then
	hw      int
	ends    map[kafka.BrokerID]controller.ISRMember // Epoch of the fetch
	at      map[kafka.BrokerID]int
	pending []kafka.BrokerID // proposed and not known to be refused
	since   int32            // partition epoch of the proposal
}

const uncleanTopic = "unclean"

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 17)), img: metadata.Empty(), nodes: map[kafka.BrokerID]*node{}, acked: map[place][]int{}}
	w.env, w.twin = modelEnv(), modelEnv()
	for id := range kafka.BrokerID(3 + w.rng.IntN(3)) {
		w.nodes[id] = &node{id: id, epoch: -1, logs: map[place][]int{}, leads: map[place]*leading{}}
	}
	w.decide(nil, func(*controller.Env) []metadata.Record {
		return []metadata.Record{&metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: 1}}
	})
	for id := range kafka.BrokerID(len(w.nodes)) {
		w.start(w.nodes[id])
	}
	return w
}

func modelEnv() *controller.Env {
	env := testEnv()
	env.MinISR = func(img *metadata.Image, topic string) int {
		n, err := strconv.Atoi(img.Configs.Topic(topic)["min.insync.replicas"])
		if err != nil {
			return 1
		}
		return n
	}
	env.Unclean = func(_ *metadata.Image, topic string) bool { return topic == uncleanTopic }
	return env
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d step %d: %s", w.seed, w.step, fmt.Sprintf(format, args...))
}

// decide makes a decision twice, folds its records one by one and checks each step. proposed is the ISR a leader has asked for.
func (w *world) decide(proposed []kafka.BrokerID, decision func(*controller.Env) []metadata.Record) {
	w.t.Helper()
	records := decision(w.env)
	if again := decision(w.twin); !reflect.DeepEqual(records, again) {
		w.fail("two decisions about one request differ (CTL-1)")
	}
	all, _, err := metadata.Fold(w.img, records) // CTL-6
	if err != nil {
		w.fail("%v", err)
	}
	for _, r := range records {
		before := w.img
		next, _, err := metadata.Fold(before, []metadata.Record{r})
		if err != nil {
			w.fail("%v", err)
		}
		w.img = next
		if change, ok := r.(*metadata.PartitionChangeRecord); ok {
			w.checkChange(before, change, proposed)
		}
	}
	if w.img.Offset != all.Offset {
		w.fail("folding together or one by one is not the same")
	}
	w.checkState()
}

// checkChange holds one change of a partition to the laws.
func (w *world) checkChange(before *metadata.Image, r *metadata.PartitionChangeRecord, proposed []kafka.BrokerID) {
	t := before.Topics.ByID(r.TopicID)
	was, is := t.Partitions[r.Partition], r.State
	name := fmt.Sprintf("%s-%d from %+v to %+v", t.Name, r.Partition, was, is)
	if is.PartitionEpoch != was.PartitionEpoch+1 { // CTL-3
		w.fail("the partition epoch of %s", name)
	}
	taken := slices.ContainsFunc(was.Replicas, func(id kafka.BrokerID) bool { return !slices.Contains(is.Replicas, id) })
	if changed := is.Leader != was.Leader || taken; changed != (is.LeaderEpoch == was.LeaderEpoch+1) || !changed && is.LeaderEpoch != was.LeaderEpoch {
		w.fail("the leader epoch of %s", name)
	}
	if is.Leader != was.Leader && is.Leader != kafka.NoBroker {
		if b := w.img.Brokers[is.Leader]; b == nil || b.Fenced || b.ShuttingDown { // CTL-4
			w.fail("broker %+v leads something new: %s", b, name)
		}
		eligible := slices.Concat(was.ISR, was.ELR, proposed)
		if t.Name != uncleanTopic && !slices.Contains(eligible, is.Leader) {
			w.fail("the leader was not eligible: %s", name)
		}
	}
	if before, after := len(was.Replicas)-len(was.Removing), len(is.Replicas)-len(is.Removing); after < before && !w.fewer {
		w.fail("replicas are lost: %s", name)
	}
	// What a reassignment takes away is taken when what it brings is in sync.
	if len(proposed) > 0 && len(is.Replicas) != len(was.Replicas) {
		for _, id := range is.Replicas {
			if !slices.Contains(is.ISR, id) || slices.Contains(was.Removing, id) {
				w.fail("a reassignment ended too early: %s", name)
			}
		}
		if len(is.Replicas) != len(was.Replicas)-len(was.Removing) || is.Reassigning() {
			w.fail("a reassignment ended elsewhere: %s", name)
		}
	}
}

// checkState holds every partition to what is always true.
func (w *world) checkState() {
	for t := range w.img.Topics.All() {
		need := w.env.MinISR(w.img, t.Name)
		for i, p := range t.Partitions {
			name := fmt.Sprintf("%s-%d is %+v", t.Name, i, p)
			alive := func(id kafka.BrokerID) bool {
				b := w.img.Brokers[id]
				return b != nil && !b.Fenced && !b.ShuttingDown
			}
			if p.Leader != kafka.NoBroker {
				if !slices.Contains(p.ISR, p.Leader) { // CTL-2
					w.fail("the leader is not in sync: %s", name)
				}
				for _, id := range p.ISR {
					if b := w.img.Brokers[id]; b.Fenced || b.ShuttingDown && !w.img.Brokers[p.Leader].ShuttingDown {
						w.fail("broker %d is in sync: %s", id, name)
					}
				}
			} else if slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), alive) {
				w.fail("nobody leads, but somebody could: %s", name)
			}
			for _, list := range [][]kafka.BrokerID{p.ISR, p.ELR, p.Adding, p.Removing, p.Replicas} {
				if len(slices.Compact(slices.Sorted(slices.Values(list)))) != len(list) {
					w.fail("twice in a list: %s", name)
				}
				for _, id := range list {
					if !slices.Contains(p.Replicas, id) || w.img.Brokers[id] == nil {
						w.fail("no replica: %s", name)
					}
				}
			}
			if slices.ContainsFunc(p.ELR, func(id kafka.BrokerID) bool { return slices.Contains(p.ISR, id) }) || len(p.ELR) > 0 && len(p.ISR) >= min(need, len(p.Replicas)) {
				w.fail("eligible without need: %s", name)
			}
			if len(p.Replicas) == len(p.Removing) {
				w.fail("a reassignment to nobody: %s", name)
			}
		}
	}
}

// start has a node run and register, as a new process. A refusal because its old process is believed alive is fine: it tries again.
func (w *world) start(n *node) {
	w.proc++
	n.up, n.process, n.epoch, n.view, n.stopping = true, kafka.UUID{1, w.proc}, -1, nil, false
	clear(n.leads)
	w.register(n)
}

func (w *world) register(n *node) {
	r := controller.Registration{
		Broker:   metadata.Broker{ID: n.id, Incarnation: n.process, Rack: string(rune('a' + n.id%2))},
		Features: map[string]int16{metadata.FeatureVersion: 1}, EmptyDisk: n.empty, Replaces: n.id%2 == 0,
	}
	var epoch int64
	var err error
	w.decide(nil, func(env *controller.Env) (records []metadata.Record) {
		records, epoch, err = controller.RegisterBroker(env, w.img, r)
		return records
	})
	if err == nil {
		n.epoch, n.empty, n.view = epoch, false, w.img
	} else if kafka.CodeOf(err) != kafka.DuplicateBrokerRegistration {
		w.fail("%v", err)
	}
}

// look brings a node's image up to date. A node that leads from now on must have all that was acknowledged.
func (w *world) look(n *node) {
	if !n.up || n.epoch < 0 {
		return
	}
	n.view = w.img
	was := maps.Clone(n.leads)
	clear(n.leads)
	for t := range n.view.Topics.All() {
		for i, p := range t.Partitions {
			at := place{t.ID, int32(i)}
			if p.Leader != n.id {
				continue
			}
			if l := was[at]; l != nil && l.epoch == p.LeaderEpoch {
				if p.PartitionEpoch != l.since {
					l.pending = nil
				}
				n.leads[at] = l
				continue
			}
			log, acked := n.logs[at], w.acked[at]
			if t.Name != uncleanTopic && (len(log) < len(acked) || !slices.Equal(log[:len(acked)], acked)) {
				w.fail("broker %d leads %s-%d, %+v, with %v, but acknowledged are %v", n.id, t.Name, i, p, log, acked)
			}
			n.leads[at] = &leading{epoch: p.LeaderEpoch, begin: len(log), ends: map[kafka.BrokerID]controller.ISRMember{}, at: map[kafka.BrokerID]int{}}
		}
	}
}

// fetch has a follower ask its leader, if both take each other for that.
func (w *world) fetch(n *node, at place) {
	t, p := partitionOf(n.view, at)
	if !n.up || t == nil || p.Leader == kafka.NoBroker || p.Leader == n.id || !slices.Contains(p.Replicas, n.id) {
		return
	}
	leader := w.nodes[p.Leader]
	l := leader.leads[at]
	if !leader.up || l == nil || l.epoch != p.LeaderEpoch {
		return
	}
	_, lp := partitionOf(leader.view, at)
	if !slices.Contains(lp.Replicas, n.id) {
		return
	}
	theirs, ours := leader.logs[at], n.logs[at]
	same := 0
	for same < len(theirs) && same < len(ours) && theirs[same] == ours[same] {
		same++
	}
	l.ends[n.id], l.at[n.id] = controller.ISRMember{ID: n.id, Epoch: n.epoch}, same
	n.logs[at] = append(slices.Clone(ours[:same]), theirs[same:min(len(theirs), same+1+w.rng.IntN(3))]...)
	w.commit(leader, at, l, &lp)
}

// commit raises the watermark as far as everybody in the maximal ISR has the log (ISR-2), if enough are in sync (ISR-5).
func (w *world) commit(n *node, at place, l *leading, p *metadata.Partition) {
	t, _ := partitionOf(n.view, at)
	if len(p.ISR) < min(w.env.MinISR(n.view, t.Name), len(p.Replicas)) {
		return
	}
	hw := len(n.logs[at])
	for _, id := range slices.Concat(p.ISR, l.pending) {
		if id != n.id {
			hw = min(hw, l.at[id])
		}
	}
	l.hw = max(l.hw, hw)
	if log := n.logs[at][:l.hw]; t.Name != uncleanTopic && len(log) > len(w.acked[at]) {
		if !slices.Equal(log[:len(w.acked[at])], w.acked[at]) {
			w.fail("two leaders have acknowledged different things at one offset of %s", t.Name)
		}
		w.acked[at] = slices.Clone(log)
	}
}

// propose has a leader ask for another ISR, on the state it knows. The answer may be lost.
func (w *world) propose(n *node, at place, everybody bool) {
	l := n.leads[at]
	t, p := partitionOf(n.view, at)
	if !n.up || l == nil || t == nil || l.pending != nil {
		return
	}
	q := controller.ISRChange{TopicID: at.topic, Partition: at.index, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}
	var ids []kafka.BrokerID
	for _, id := range p.Replicas {
		end, fetched := l.at[id]
		switch {
		case id == n.id:
			q.ISR = append(q.ISR, controller.ISRMember{ID: id, Epoch: n.epoch})
		case slices.Contains(p.ISR, id) && (everybody || w.rng.IntN(3) > 0):
			q.ISR = append(q.ISR, controller.ISRMember{ID: id, Epoch: -1})
		case !slices.Contains(p.ISR, id) && fetched && end >= l.begin && end >= l.hw: // ISR-3
			q.ISR = append(q.ISR, l.ends[id])
		default:
			continue
		}
		ids = append(ids, id)
	}
	l.pending, l.since = ids, p.PartitionEpoch
	var err error
	w.decide(ids, func(env *controller.Env) []metadata.Record {
		records, errs := controller.AlterPartition(env, w.img, n.id, n.epoch, []controller.ISRChange{q})
		err = errs[0]
		return records
	})
	if kafka.CodeOf(err) == kafka.UnknownServerError || kafka.CodeOf(err) == kafka.InvalidRequest {
		w.fail("%v", err)
	}
	if err == nil && t.Name != uncleanTopic {
		w.checkJoined(at, &p)
	}
	if err != nil && kafka.CodeOf(err) != kafka.NewLeaderElected && w.rng.IntN(2) == 0 {
		l.pending = nil // refused for good, and that is known
	}
}

// checkJoined looks whether who has joined an ISR has what was acknowledged. Nobody can know that a disk was lost before its broker registers
// again.
func (w *world) checkJoined(at place, was *metadata.Partition) {
	t, p := partitionOf(w.img, at)
	for _, id := range p.ISR {
		acked, log := w.acked[at], w.nodes[id].logs[at]
		if !slices.Contains(was.ISR, id) && !w.nodes[id].empty && (len(log) < len(acked) || !slices.Equal(log[:len(acked)], acked)) {
			w.fail("broker %d joins the ISR of %s-%d with %v, but acknowledged are %v", id, t.Name, at.index, log, acked)
		}
	}
}

func partitionOf(img *metadata.Image, at place) (*metadata.Topic, metadata.Partition) {
	if img == nil {
		return nil, metadata.Partition{}
	}
	t := img.Topics.ByID(at.topic)
	if t == nil || int(at.index) >= len(t.Partitions) {
		return nil, metadata.Partition{}
	}
	return t, t.Partitions[at.index]
}
