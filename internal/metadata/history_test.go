package metadata

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// history makes random valid records. It keeps what it needs to know in plain maps and slices and so is the oracle of Fold, too.
type history struct {
	rng     *rand.Rand
	topics  []*Topic // deep copies of what should be there, in order of creation
	configs map[Resource]map[string]string
	brokers map[kafka.BrokerID]Broker
	next    kafka.ProducerID
	level   int16
	term    int64
	cluster string
}

func newHistory(seed uint64) *history {
	return &history{
		rng:     rand.New(rand.NewPCG(seed, 1)),
		configs: map[Resource]map[string]string{},
		brokers: map[kafka.BrokerID]Broker{},
	}
}

func (h *history) batch() []Record {
	records := make([]Record, 0, 6)
	for range 1 + h.rng.IntN(6) {
		records = append(records, h.record())
	}
	return records
}

func (h *history) record() Record {
	if len(h.topics) > 0 {
		i := h.rng.IntN(len(h.topics))
		switch t := h.topics[i]; h.rng.IntN(12) {
		case 0, 1:
			return h.addPartitions(t)
		case 2, 3, 4:
			return h.changePartition(t)
		case 5, 6:
			h.topics = slices.Delete(h.topics, i, i+1)
			delete(h.configs, Resource{ResourceTopic, t.Name})
			return &RemoveTopicRecord{ID: t.ID}
		}
	}
	switch h.rng.IntN(12) {
	case 0, 1, 2:
		return h.setConfig()
	case 3:
		b := Broker{ID: kafka.BrokerID(h.rng.IntN(4)), Epoch: h.rng.Int64N(100), Rack: h.word(), Fenced: h.rng.IntN(2) == 0}
		for range h.rng.IntN(3) {
			b.Endpoints = append(b.Endpoints, Endpoint{Listener: h.word(), Host: h.word(), Port: int32(h.rng.IntN(65536))})
		}
		if h.rng.IntN(2) == 0 {
			b.Incarnation, b.Peers, b.ShuttingDown, b.Draining = h.uuid(), []string{h.word()}, h.rng.IntN(2) == 0, h.rng.IntN(2) == 0
		}
		h.brokers[b.ID] = b
		return &BrokerRecord{Broker: b}
	case 8:
		if len(h.brokers) > 0 {
			id := slices.Min(slices.Collect(maps.Keys(h.brokers)))
			delete(h.brokers, id)
			return &RemoveBrokerRecord{ID: id}
		}
	case 4:
		h.next += kafka.ProducerID(h.rng.IntN(2000))
		return &ProducerIDsRecord{Next: h.next}
	case 5:
		h.level = 1
		return &FeatureLevelRecord{Name: FeatureVersion, Level: 1}
	case 6:
		h.term += h.rng.Int64N(3)
		return &ControllerRecord{Controller: 1, Term: h.term}
	case 7:
		h.cluster = "5L6g3nShT-eMCtK--X86sw"
		return &ClusterRecord{ID: h.cluster}
	}
	return h.addTopic()
}

func (h *history) addTopic() Record {
	for {
		name := fmt.Sprintf("%s%s%d", h.word(), []string{".", "_", "-"}[h.rng.IntN(3)], h.rng.IntN(30))
		if slices.ContainsFunc(h.topics, func(t *Topic) bool { return t.Name == name }) {
			continue
		}
		t := &Topic{ID: h.uuid(), Name: name, Internal: h.rng.IntN(9) == 0}
		for range 1 + h.rng.IntN(8) {
			t.Partitions = append(t.Partitions, h.partition())
		}
		h.topics = append(h.topics, t)
		return &TopicRecord{ID: t.ID, Name: name, Internal: t.Internal, Partitions: Runs(t.Partitions)}
	}
}

func (h *history) addPartitions(t *Topic) Record {
	r := &PartitionRecord{TopicID: t.ID, First: int32(len(t.Partitions))}
	var more []Partition
	for range 1 + h.rng.IntN(4) {
		more = append(more, h.partition())
	}
	r.Runs = Runs(more)
	t.Partitions = append(t.Partitions, more...)
	return r
}

func (h *history) changePartition(t *Topic) Record {
	i := h.rng.IntN(len(t.Partitions))
	p := t.Partitions[i]
	p.ISR = p.Replicas[:1+h.rng.IntN(len(p.Replicas))]
	p.Leader = p.ISR[0]
	p.LeaderEpoch += kafka.LeaderEpoch(h.rng.IntN(2))
	p.PartitionEpoch++
	p.ELR, p.Adding, p.Removing = nil, nil, nil
	if h.rng.IntN(2) == 0 {
		p.ELR = p.Replicas[len(p.ISR):]
	}
	if h.rng.IntN(2) == 0 {
		p.Adding, p.Removing = p.Replicas[:1], p.Replicas[1:]
	}
	t.Partitions[i] = p
	return &PartitionChangeRecord{TopicID: t.ID, Partition: int32(i), State: p}
}

func (h *history) setConfig() Record {
	r := Resource{Type: []ResourceType{ResourceBroker, ResourceGroup, ResourceTopic}[h.rng.IntN(3)], Name: h.word()}
	if r.Type == ResourceTopic && len(h.topics) > 0 {
		r.Name = h.topics[h.rng.IntN(len(h.topics))].Name
	}
	name := h.word()
	if h.rng.IntN(3) == 0 {
		delete(h.configs[r], name)
		if len(h.configs[r]) == 0 {
			delete(h.configs, r)
		}
		return &ConfigRecord{Resource: r, Name: name}
	}
	value := h.word()
	if h.configs[r] == nil {
		h.configs[r] = map[string]string{}
	}
	h.configs[r][name] = value
	return &ConfigRecord{Resource: r, Name: name, Value: &value}
}

func (h *history) partition() Partition {
	sets := [][]kafka.BrokerID{{1}, {1, 2, 3}, {2, 3, 1}}
	p := Partition{Replicas: slices.Clone(sets[h.rng.IntN(len(sets))])}
	p.ISR, p.Leader = p.Replicas, p.Replicas[0]
	return p
}

func (h *history) word() string { return []string{"a", "b", "orders", "x1", "..."}[h.rng.IntN(5)] }

func (h *history) uuid() (id kafka.UUID) {
	for i := range id {
		id[i] = byte(h.rng.Uint32())
	}
	return id
}
