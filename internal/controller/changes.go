package controller

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxChanges bounds the partitions that one decision changes where it may stop half-way: at some 40 bytes each they are a few megabytes,
// which a commit holds. Who asked asks again, and Upkeep does what nobody asks for.
const maxChanges = 50_000

// standing is what a broker may do at present.
type standing int8

const (
	absent  standing = iota // not registered, or fenced: leads nothing and is in sync with nothing
	leaving                 // shutting down: serves what it leads until others can, and gets nothing new (CTL-4)
	alive
)

func standingOf(b *metadata.Broker) standing {
	switch {
	case b == nil || b.Fenced:
		return absent
	case b.ShuttingDown:
		return leaving
	}
	return alive
}

// changes collects what one decision does to partitions. Lists that are alike are one list, so that 10,000 partitions of a broker that dies
// cost a few small lists and not 10,000.
type changes struct {
	env      *Env
	img      *metadata.Image
	standing map[kafka.BrokerID]standing // as after the decision
	records  []metadata.Record

	room    []metadata.PartitionChangeRecord // of which records are taken
	lists   map[string][]kafka.BrokerID
	scratch []kafka.BrokerID
	// made holds what this decision has changed already, so that one that names a partition twice sees it; nil: each is looked at once.
	made map[partitionKey]metadata.Partition

	topic   *metadata.Topic // whose settings follow
	least   int             // min.insync.replicas
	unclean bool
}

type partitionKey struct {
	topic kafka.UUID
	index int32
}

func newChanges(env *Env, img *metadata.Image) *changes {
	c := &changes{env: env, img: img, standing: make(map[kafka.BrokerID]standing, len(img.Brokers)), lists: map[string][]kafka.BrokerID{}}
	for id, b := range img.Brokers {
		c.standing[id] = standingOf(b)
	}
	return c
}

// broker puts another registration in place, for the partitions that are looked at afterwards too.
func (c *changes) broker(b metadata.Broker) {
	c.standing[b.ID] = standingOf(&b)
	c.records = append(c.records, &metadata.BrokerRecord{Broker: b})
}

// full reports that no more partitions should be changed by this decision.
func (c *changes) full() bool { return len(c.records) >= maxChanges }

func (c *changes) alive(id kafka.BrokerID) bool  { return c.standing[id] == alive }
func (c *changes) serves(id kafka.BrokerID) bool { return c.standing[id] != absent }

// partition is a partition as this decision has it so far; nil: the topic has none of that index.
func (c *changes) partition(t *metadata.Topic, index int32) *metadata.Partition {
	if index < 0 || int(index) >= len(t.Partitions) {
		return nil
	}
	if len(c.made) > 0 {
		if made, changed := c.made[partitionKey{t.ID, index}]; changed {
			p := made // so that only this branch puts one on the heap
			return &p
		}
	}
	return &t.Partitions[index]
}

// put records the next state of a partition.
func (c *changes) put(t *metadata.Topic, index int32, next metadata.Partition) {
	if c.made != nil {
		c.made[partitionKey{t.ID, index}] = next
	}
	if len(c.room) == 0 {
		c.room = make([]metadata.PartitionChangeRecord, min(max(2*len(c.records), 1), 1024))
	}
	r := &c.room[0]
	c.room = c.room[1:]
	r.TopicID, r.Partition, r.State = t.ID, index, next
	c.records = append(c.records, r)
}

// settleIf brings every partition to which touched applies to rest, in the order of topic names (CTL-1), until the decision is full.
func (c *changes) settleIf(touched func(p *metadata.Partition) bool, g func(p *metadata.Partition) goal) {
	for _, t := range topicsWith(c.img, touched) {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if !touched(p) {
				continue
			}
			if c.full() {
				return
			}
			if next, changed := c.settle(t, p, g(p)); changed {
				c.put(t, int32(i), next)
			}
		}
	}
}

// topicsWith are the topics that have such a partition, by name.
func topicsWith(img *metadata.Image, such func(p *metadata.Partition) bool) []*metadata.Topic {
	var list []*metadata.Topic
	for t := range img.Topics.All() {
		for i := range t.Partitions {
			if such(&t.Partitions[i]) {
				list = append(list, t)
				break
			}
		}
	}
	slices.SortFunc(list, func(a, b *metadata.Topic) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// settings looks a topic's settings up once for all its partitions.
func (c *changes) settings(t *metadata.Topic) {
	if c.topic == t {
		return
	}
	c.topic, c.least, c.unclean = t, 1, false
	if c.env.MinISR != nil {
		c.least = c.env.MinISR(c.img, t.Name)
	}
	if c.env.Unclean != nil {
		c.unclean = c.env.Unclean(c.img, t.Name)
	}
}

// keep returns the ids for which ok holds, in their order, as a list that nobody writes to; nil: none.
func (c *changes) keep(ids []kafka.BrokerID, ok func(kafka.BrokerID) bool) []kafka.BrokerID {
	c.scratch = c.scratch[:0]
	for _, id := range ids {
		if ok(id) {
			c.scratch = append(c.scratch, id)
		}
	}
	if len(c.scratch) == len(ids) {
		return ids
	}
	return c.shared(c.scratch)
}

// shared is the list with these ids that was made first.
func (c *changes) shared(ids []kafka.BrokerID) []kafka.BrokerID {
	if len(ids) == 0 {
		return nil
	}
	var buf [64]byte
	key := buf[:0]
	for _, id := range ids {
		key = binary.BigEndian.AppendUint32(key, uint32(id))
	}
	if same, known := c.lists[string(key)]; known {
		return same
	}
	list := slices.Clone(ids)
	c.lists[string(key)] = list
	return list
}

// sameMembers compares lists without repetitions, whatever their order.
func sameMembers(a, b []kafka.BrokerID) bool {
	if len(a) != len(b) {
		return false
	}
	for _, id := range a {
		if !slices.Contains(b, id) {
			return false
		}
	}
	return true
}
