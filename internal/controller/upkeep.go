package controller

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// maxHandovers bounds the leaders that one call of Upkeep moves to please a preference: each costs its clients a moment.
	maxHandovers = 500
	// tolerance is the difference that is not worth a move: two, or a tenth of what the busiest has.
	tolerance, toleranceDivisor = 2, 10
)

// Upkeep is what the controller does by itself, one bounded step at a time; it is called again and again, and nil means that all is well.
// In this order: partitions that a decision before left half done are finished, and led again where somebody can; replicas move away from
// draining brokers; internal topics get as many replicas as their setting says (three), as far as there are brokers; leaders go back to the
// first of their replicas where more than a tenth of a broker's are elsewhere (auto.leader.rebalance.enable); replicas, and who is first
// among them, are evened out by their number and by the load, of topics that rafka.balance.enable is on for; topics that may grow get
// more partitions.
//
// limit is how many reassignments may be under way at a time, those included that operators have asked for; what waits for a dead broker
// does not count. why explains, in a sentence each, what the records do and what cannot be done.
func Upkeep(env *Env, img *metadata.Image, limit int) (records []metadata.Record, why []string) {
	u := newUpkeep(env, img, limit)
	u.heal()
	u.drain()
	u.raiseInternal()
	if u.setting("auto.leader.rebalance.enable") != "false" {
		u.preferLeaders()
		if !env.Restless {
			u.spreadLeaders()
		}
	}
	if !env.Restless {
		u.spreadReplicas()
		u.spreadLoad()
	}
	u.grow()
	return u.c.records, u.why
}

// upkeep is one call of Upkeep. It sees what it has changed already, through changes.made.
type upkeep struct {
	c      *changes
	topics []*metadata.Topic // by name
	takers []kafka.BrokerID  // alive and not draining: who may get something, by id
	holds  map[kafka.BrokerID]int
	leads  map[kafka.BrokerID]int // of how many partitions it is the first replica
	moves  int                    // reassignments that may still begin
	hands  int                    // leaders that may still be moved
	// balance is what rafka.balance.enable is for topics of which nothing else is said.
	balance bool
	why     []string
}

func newUpkeep(env *Env, img *metadata.Image, limit int) *upkeep {
	u := &upkeep{c: newChanges(env, img), topics: img.Topics.Sorted(), holds: map[kafka.BrokerID]int{}, leads: map[kafka.BrokerID]int{}, moves: limit, hands: maxHandovers}
	u.c.made = map[partitionKey]metadata.Partition{}
	u.balance = u.setting(balanceKey) != "false"
	for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
		if u.c.alive(id) && !img.Brokers[id].Draining {
			u.takers = append(u.takers, id)
		}
	}
	for _, t := range u.topics {
		for i := range t.Partitions {
			u.count(&t.Partitions[i], 1)
			if p := &t.Partitions[i]; p.Reassigning() && u.c.alive(p.Leader) && !slices.ContainsFunc(p.Adding, func(id kafka.BrokerID) bool { return !u.c.alive(id) }) {
				u.moves--
			}
		}
	}
	return u
}

// count adds a partition to what its brokers hold, or will once its reassignment is done, or takes it off.
func (u *upkeep) count(p *metadata.Partition, n int) {
	first := true
	for _, id := range p.Replicas {
		if slices.Contains(p.Removing, id) {
			continue
		}
		u.holds[id] += n
		if first {
			u.leads[id] += n
		}
		first = false
	}
}

func (u *upkeep) put(t *metadata.Topic, index int32, was *metadata.Partition, next metadata.Partition) {
	u.count(was, -1)
	u.count(&next, 1)
	u.c.put(t, index, next)
}

func (u *upkeep) note(format string, args ...any) {
	u.why = append(u.why, fmt.Sprintf(format, args...))
}

// setting is what the cluster's brokers have set; "": not known here.
func (u *upkeep) setting(name string) string {
	if u.c.env.Inherited == nil {
		return ""
	}
	return u.c.env.Inherited(u.c.img, metadata.Resource{Type: metadata.ResourceBroker}, name)
}

// each visits every partition as it is by now, by topic and index, until visit says false.
func (u *upkeep) each(visit func(t *metadata.Topic, index int32, p *metadata.Partition) bool) {
	for _, t := range u.topics {
		for i := range t.Partitions {
			if u.c.full() || !visit(t, int32(i), u.c.partition(t, int32(i))) {
				return
			}
		}
	}
}

// heal finishes what is half done: a broker that died had more partitions than one decision changes, unclean elections are allowed by
// now, a reassignment is at its goal.
func (u *upkeep) heal() {
	healed := 0
	u.each(func(t *metadata.Topic, index int32, p *metadata.Partition) bool {
		if u.c.alive(p.Leader) && len(p.ELR) == 0 && !p.Reassigning() && !slices.ContainsFunc(p.ISR, func(id kafka.BrokerID) bool { return !u.c.alive(id) }) {
			return true
		}
		if next, changed := u.c.settle(t, p, asIs(p)); changed {
			u.put(t, index, p, next)
			healed++
		}
		return true
	})
	if healed > 0 {
		u.note("%d partitions have another leader or other replicas in sync, because of which brokers are alive by now", healed)
	}
}

// factors are the settings that say how many replicas an internal topic gets.
var factors = map[string]string{
	offsetsTopic:      "offsets.topic.replication.factor",
	transactionsTopic: "transaction.state.log.replication.factor",
	shareStateTopic:   "share.coordinator.state.topic.replication.factor",
}

// raiseInternal gives internal topics the replicas they could not have when there were fewer brokers. Who is first among them is spread,
// since all were on the one broker that there was.
func (u *upkeep) raiseInternal() {
	for _, t := range u.topics {
		if !t.Internal {
			continue
		}
		factor, err := strconv.Atoi(u.setting(factors[t.Name]))
		if err != nil || factor < 1 {
			factor = 3
		}
		factor = min(factor, len(u.takers))
		for i := range t.Partitions {
			p := u.c.partition(t, int32(i))
			if u.moves <= 0 {
				return
			}
			if len(p.Replicas) >= factor || p.Reassigning() || !u.c.alive(p.Leader) {
				continue
			}
			target := slices.Clone(p.Replicas)
			for len(target) < factor {
				to, found := u.taker(target)
				if !found {
					break
				}
				target = append(target, to)
			}
			if len(target) == len(p.Replicas) {
				continue
			}
			u.lightestFirst(target, p.Replicas[0])
			u.move(t, int32(i), p, target, "the cluster's own topics have %d replicas where there are as many brokers", factor)
		}
	}
}

// lightestFirst puts that taker to the front which is first the least often, not counting that now is it here.
func (u *upkeep) lightestFirst(target []kafka.BrokerID, now kafka.BrokerID) {
	best := 0
	others := func(i int) int {
		n := u.leads[target[i]]
		if target[i] == now {
			n--
		}
		return n
	}
	for i := range target {
		if slices.Contains(u.takers, target[i]) && (others(i) < others(best) || !slices.Contains(u.takers, target[best])) {
			best = i
		}
	}
	target[0], target[best] = target[best], target[0]
}
