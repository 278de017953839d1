package metadata

import "github.com/rafka-io/rafka/internal/kafka"

// Record is one fact of the cluster's history. The concrete types are below; their bytes are in encode.go and decode.go and are
// described in docs/format/metadata.md. A Record handed to Fold or to a store is not written to afterwards.
type Record interface {
	kind() kind
	append(dst []byte, version uint64) []byte
}

// kind is the number of a record type on disk. Numbers are never reused.
type kind uint64

const (
	kindTopic           kind = 1
	kindPartitions      kind = 2
	kindPartitionChange kind = 3
	kindRemoveTopic     kind = 4
	kindConfig          kind = 5
	kindBroker          kind = 6
	kindCluster         kind = 7
	kindProducerIDs     kind = 8
	kindFeatureLevel    kind = 9
	kindController      kind = 10
	kindRemoveBroker    kind = 11
)

// TopicRecord creates a topic with all its partitions.
type TopicRecord struct {
	ID         kafka.UUID
	Name       string
	Internal   bool
	Partitions []PartitionRun
}

// PartitionRun is Count consecutive partitions that are alike. On one node a topic of 10,000 partitions is one run of a few bytes.
type PartitionRun struct {
	Count int32
	Partition
}

// PartitionRecord adds partitions to the end of a topic; First is the number of partitions it has before.
type PartitionRecord struct {
	TopicID kafka.UUID
	First   int32
	Runs    []PartitionRun
}

// PartitionChangeRecord puts a new state in place of that of one partition.
type PartitionChangeRecord struct {
	TopicID   kafka.UUID
	Partition int32
	State     Partition
}

// RemoveTopicRecord removes a topic, its partitions and its settings.
type RemoveTopicRecord struct {
	ID kafka.UUID
}

// ConfigRecord sets one setting of one resource; a nil Value removes it.
type ConfigRecord struct {
	Resource Resource
	Name     string
	Value    *string
}

// BrokerRecord registers a broker or replaces its registration.
type BrokerRecord struct {
	Broker Broker
}

// RemoveBrokerRecord forgets a broker. No partition has a replica there any more.
type RemoveBrokerRecord struct {
	ID kafka.BrokerID
}

// ClusterRecord names the cluster, once and for all.
type ClusterRecord struct {
	ID string
}

// ProducerIDsRecord says that every producer id below Next has been handed out.
type ProducerIDsRecord struct {
	Next kafka.ProducerID
}

// FeatureLevelRecord finalizes a feature at a level that is not below the one before (MET-4).
type FeatureLevelRecord struct {
	Name  string
	Level int16
}

// ControllerRecord says which broker decides, and in which term.
type ControllerRecord struct {
	Controller kafka.BrokerID
	Term       int64
}

func (*TopicRecord) kind() kind           { return kindTopic }
func (*PartitionRecord) kind() kind       { return kindPartitions }
func (*PartitionChangeRecord) kind() kind { return kindPartitionChange }
func (*RemoveTopicRecord) kind() kind     { return kindRemoveTopic }
func (*ConfigRecord) kind() kind          { return kindConfig }
func (*BrokerRecord) kind() kind          { return kindBroker }
func (*RemoveBrokerRecord) kind() kind    { return kindRemoveBroker }
func (*ClusterRecord) kind() kind         { return kindCluster }
func (*ProducerIDsRecord) kind() kind     { return kindProducerIDs }
func (*FeatureLevelRecord) kind() kind    { return kindFeatureLevel }
func (*ControllerRecord) kind() kind      { return kindController }

// Runs turns a list of partitions into as few runs as it takes.
func Runs(partitions []Partition) []PartitionRun {
	var runs []PartitionRun
	for _, p := range partitions {
		if n := len(runs); n > 0 && runs[n-1].Partition.equal(&p) {
			runs[n-1].Count++
			continue
		}
		runs = append(runs, PartitionRun{Count: 1, Partition: p})
	}
	return runs
}
