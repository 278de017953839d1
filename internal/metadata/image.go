package metadata

import (
	"github.com/rafka-io/rafka/internal/kafka"
)

// Offset counts the metadata records of the cluster; image n is the fold of records up to n.
type Offset int64

// Image is everything the cluster knows at one Offset (MET-1). Get it once per request. Nothing in it may be written to.
type Image struct {
	Offset     Offset
	ClusterID  string
	Brokers    map[kafka.BrokerID]*Broker
	Topics     *Topics
	Configs    Configs
	Controller kafka.BrokerID   // NoBroker until one has registered
	Term       int64            // of the controller; rises at each change of it
	Features   map[string]int16 // finalized levels, only what was set (MET-4)

	// NextProducerID is the first producer id that no block has yet handed out.
	NextProducerID kafka.ProducerID
}

// Broker is a registered broker.
type Broker struct {
	ID        kafka.BrokerID
	Epoch     int64 // of the registration; rises with each
	Rack      string
	Endpoints []Endpoint
	Fenced    bool // leads nothing and is in sync with nothing until it has caught up with the metadata
	// Incarnation is the process that registered: a broker that comes back under its id has another. Zero on a cluster of one.
	Incarnation kafka.UUID
	// Peers are the addresses, HOST:PORT, at which other brokers reach it, the preferred one first. None on a cluster of one.
	Peers []string
	// ShuttingDown: it has asked to stop and gets no new leaderships.
	ShuttingDown bool
	// Draining: its replicas are to move to others (rafka cluster drain) and it gets no new ones.
	Draining bool
	// Features is the highest level of each feature that it understands. Nil if it registered before LevelBrokerFeatures was finalized.
	Features map[string]int16
}

// Endpoint is where clients reach a broker.
type Endpoint struct {
	Listener string // such as PLAINTEXT
	Host     string
	Port     int32
}

// Empty is the image of a cluster that has no records yet.
func Empty() *Image {
	return &Image{
		Brokers:    map[kafka.BrokerID]*Broker{},
		Topics:     &Topics{},
		Configs:    Configs{},
		Controller: kafka.NoBroker,
		Features:   map[string]int16{},
	}
}

// Partition returns the partition and its topic by name; ok is false when either does not exist.
func (i *Image) Partition(tp kafka.TopicPartition) (t *Topic, p Partition, ok bool) {
	t = i.Topics.ByName(tp.Topic)
	if t == nil || tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		return t, Partition{}, false
	}
	return t, t.Partitions[tp.Partition], true
}
