package controller_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// Whatever brokers and operators do, the laws hold after each record (CTL-1 to CTL-6), a broker that leads has all that was acknowledged
// unless unclean elections are allowed, and when everybody is back, upkeep brings the cluster to rest: everything led, moved and even.
func TestRandomClustersKeepTheLaws(t *testing.T) {
	seeds, steps := 60, 700
	if testing.Short() {
		seeds = 10
	}
	for range seeds {
		w := newWorld(t, seed.Of(t))
		for w.step = range steps {
			w.act()
		}
		w.rest()
	}
}

// act does one random thing; the ordinary ones are more frequent.
func (w *world) act() {
	n := w.nodes[kafka.BrokerID(w.rng.IntN(len(w.nodes)))]
	at, some := w.anywhere()
	switch k := w.rng.IntN(100); {
	case k < 25:
		if some {
			for range 4 {
				w.fetch(w.nodes[kafka.BrokerID(w.rng.IntN(len(w.nodes)))], at)
			}
		}
	case k < 40:
		if l := n.leads[at]; some && n.up && l != nil {
			w.next++
			n.logs[at] = append(slices.Clone(n.logs[at]), w.next)
			_, p := partitionOf(n.view, at)
			w.commit(n, at, l, &p)
		}
	case k < 58:
		w.look(n)
	case k < 70:
		if some {
			if _, p := partitionOf(w.img, at); p.Leader != kafka.NoBroker {
				w.propose(w.nodes[p.Leader], at, w.rng.IntN(2) == 0)
			}
			w.propose(n, at, false) // of one that is deposed, perhaps
		}
	case k < 74:
		w.fence(n)
	case k < 82:
		w.comeBack(n)
	case k < 84:
		n.up = false
		if w.rng.IntN(4) == 0 {
			n.empty, n.logs = true, map[place][]int{}
		}
	case k < 86:
		w.stop(n)
	case k < 90:
		w.upkeep(3)
	default:
		w.operate(n, at, some)
	}
}

func (w *world) fence(n *node) {
	if n.up && w.rng.IntN(3) > 0 {
		return // mostly those that are dead
	}
	w.decide(nil, func(env *controller.Env) []metadata.Record { return controller.FenceBroker(env, w.img, n.id) })
}

// comeBack does what is next for a node on its way back: start, register, catch up, be unfenced.
func (w *world) comeBack(n *node) {
	switch b := w.img.Brokers[n.id]; {
	case !n.up:
		w.start(n)
	case n.epoch < 0:
		w.register(n)
	case b != nil && b.Fenced && b.Epoch == n.epoch && n.view != nil && n.view.Brokers[n.id].Epoch == n.epoch:
		w.decide(nil, func(env *controller.Env) []metadata.Record { return controller.UnfenceBroker(env, w.img, n.id) })
	}
}

func (w *world) stop(n *node) {
	if b := w.img.Brokers[n.id]; !n.up || b == nil || b.Epoch != n.epoch {
		return
	}
	n.stopping = true
	var done bool
	w.decide(nil, func(env *controller.Env) (records []metadata.Record) {
		records, done = controller.StopBroker(env, w.img, n.id)
		return records
	})
	if done {
		n.up = false
	}
}

func (w *world) upkeep(limit int) (idle bool) {
	w.decide(nil, func(env *controller.Env) []metadata.Record {
		records, why := controller.Upkeep(env, w.img, limit)
		if len(records) > 0 && len(why) == 0 {
			w.fail("upkeep does %d things and does not say why", len(records))
		}
		idle = len(records) == 0
		return records
	})
	return idle
}

// operate is what people ask for.
func (w *world) operate(n *node, at place, some bool) {
	names := []string{"a", "b", uncleanTopic, "__consumer_offsets"}
	name := names[w.rng.IntN(len(names))]
	tp := kafka.TopicPartition{Topic: name, Partition: at.index}
	if t := w.img.Topics.ByID(at.topic); some && t != nil {
		tp.Topic = t.Name
	}
	switch k := w.rng.IntN(10); {
	case k < 2:
		topic := controller.NewTopic{Name: name, Partitions: int32(1 + w.rng.IntN(4)), Replication: int16(1 + w.rng.IntN(3))}
		if w.rng.IntN(2) == 0 {
			topic.Configs = []controller.ConfigEntry{{Name: "min.insync.replicas", Value: value("2")}}
		}
		w.decide(nil, func(env *controller.Env) []metadata.Record {
			records, _ := controller.CreateTopics(env, w.img, []controller.NewTopic{topic})
			return records
		})
	case k < 5:
		r := controller.Reassignment{TopicPartition: tp}
		for _, id := range w.rng.Perm(len(w.nodes))[:w.rng.IntN(4)] {
			r.Replicas = append(r.Replicas, kafka.BrokerID(id))
		}
		w.fewer = true
		w.decide(nil, func(env *controller.Env) []metadata.Record {
			records, errs := controller.AlterReassignments(env, w.img, []controller.Reassignment{r, r}, true)
			if kafka.CodeOf(errs[0]) == kafka.UnknownServerError {
				w.fail("%v", errs[0])
			}
			return records
		})
		w.fewer = false
	case k < 7:
		kind := controller.PreferredElection
		if tp.Topic == uncleanTopic {
			kind = controller.UncleanElection
		}
		w.decide(nil, func(env *controller.Env) []metadata.Record {
			records, _ := controller.ElectLeaders(env, w.img, kind, []kafka.TopicPartition{tp, tp})
			return records
		})
	case k < 8:
		least := strconv.Itoa(1 + w.rng.IntN(3))
		w.decide(nil, func(env *controller.Env) []metadata.Record {
			records, _ := controller.AlterConfigs(env, w.img, []controller.AlterResource{{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: name},
				Changes: []controller.ConfigChange{{Name: "min.insync.replicas", Value: &least}}}})
			return records
		})
	case k < 9:
		on := w.rng.IntN(3) == 0
		w.decide(nil, func(env *controller.Env) []metadata.Record {
			records, _ := controller.DrainBroker(env, w.img, n.id, on)
			return records
		})
	case w.rng.IntN(5) == 0:
		w.decide(nil, func(env *controller.Env) []metadata.Record {
			records, _ := controller.DeleteTopics(env, w.img, []controller.TopicRef{{Name: name}})
			return records
		})
	}
}

func (w *world) anywhere() (place, bool) {
	topics := w.img.Topics.Sorted()
	if len(topics) == 0 {
		return place{}, false
	}
	t := topics[w.rng.IntN(len(topics))]
	return place{t.ID, int32(w.rng.IntN(len(t.Partitions)))}, true
}

// rest brings everybody back and waits until upkeep finds nothing more to do.
func (w *world) rest() {
	for _, id := range w.ordered() {
		n := w.nodes[id]
		for range 6 {
			if b := w.img.Brokers[n.id]; n.stopping || b != nil && b.ShuttingDown || n.up && b != nil && n.epoch != b.Epoch {
				n.up = false
				w.fence(n)
			}
			w.comeBack(n)
			w.look(n)
			w.decide(nil, func(env *controller.Env) []metadata.Record {
				records, err := controller.DrainBroker(env, w.img, n.id, false)
				if err != nil {
					w.fail("%v", err)
				}
				return records
			})
		}
		if b := w.img.Brokers[n.id]; b.Fenced || b.ShuttingDown {
			w.fail("broker %d did not come back: %+v, %+v", id, b, n)
		}
	}
	for round := 0; ; round++ {
		w.settle()
		if w.upkeep(3) {
			break
		}
		if round == 400 {
			w.fail("upkeep never rests")
		}
	}
	for t := range w.img.Topics.All() {
		for i, p := range t.Partitions {
			if p.Leader == kafka.NoBroker && len(p.ISR)+len(p.ELR) == 0 && t.Name != uncleanTopic {
				continue // its disks are gone
			}
			if p.Leader == kafka.NoBroker || len(p.ISR) != len(p.Replicas) || p.Reassigning() || t.Internal && len(p.Replicas) < 3 {
				w.fail("at rest %s-%d is %+v", t.Name, i, p)
			}
		}
	}
}

// settle lets everybody look, replicate and say so until nothing changes.
func (w *world) settle() {
	for range 12 {
		for _, id := range w.ordered() {
			w.look(w.nodes[id])
		}
		for _, t := range w.img.Topics.Sorted() {
			for i := range t.Partitions {
				at := place{t.ID, int32(i)}
				for range 1 + w.longest(at) {
					for _, id := range w.ordered() {
						w.fetch(w.nodes[id], at)
					}
				}
				if _, p := partitionOf(w.img, at); p.Leader != kafka.NoBroker && len(p.ISR) < len(p.Replicas) {
					n := w.nodes[p.Leader]
					if l := n.leads[at]; l != nil {
						l.pending = nil
					}
					w.propose(n, at, true)
				}
			}
		}
	}
}

func (w *world) longest(at place) (most int) {
	for _, n := range w.nodes {
		most = max(most, len(n.logs[at]))
	}
	return most
}

func (w *world) ordered() []kafka.BrokerID {
	var ids []kafka.BrokerID
	for id := range kafka.BrokerID(len(w.nodes)) {
		ids = append(ids, id)
	}
	return ids
}
