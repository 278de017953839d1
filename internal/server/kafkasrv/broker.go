package kafkasrv

import (
	"context"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Broker is the verbs that this door calls; *broker.Broker has them. Tests have a small one in memory.
type Broker interface {
	Image() *metadata.Image
	Produce(s *broker.Session, req *broker.ProduceRequest) broker.Await[[]broker.ProduceResult]
	Fetch(s *broker.Session, req *broker.FetchRequest) broker.Await[[]broker.FetchResult]
	ListOffsets(ctx context.Context, s *broker.Session, replica kafka.BrokerID, iso broker.Isolation, parts []broker.ListOffsetsPartition) []broker.ListOffsetsResult
	OffsetForLeaderEpoch(s *broker.Session, replica kafka.BrokerID, q []broker.EpochQuery) []broker.EpochAnswer
	DeleteRecords(ctx context.Context, s *broker.Session, parts []broker.TrimPartition) []broker.TrimResult
	InitProducerID(ctx context.Context, s *broker.Session, req broker.InitProducerIDRequest) (kafka.ProducerID, kafka.ProducerEpoch, error)
	DescribeProducers(s *broker.Session, tp kafka.TopicPartition) ([]broker.ProducerState, error)
	DescribeLogDirs(s *broker.Session, want func(kafka.TopicPartition) bool) []broker.LogDir

	CreateTopics(ctx context.Context, s *broker.Session, topics []broker.NewTopic, validateOnly bool) []broker.CreatedTopic
	DeleteTopics(ctx context.Context, s *broker.Session, topics []broker.TopicRef) []broker.DeletedTopic
	CreatePartitions(ctx context.Context, s *broker.Session, topics []broker.MorePartitions, validateOnly bool) []error
	EnsureTopics(ctx context.Context, s *broker.Session, names []string) []error
	DescribeConfigs(s *broker.Session, q []broker.ConfigQuery) []broker.ConfigAnswer
	AlterConfigs(ctx context.Context, s *broker.Session, r []broker.AlterResource, validateOnly bool) []error
	ListConfigResources(s *broker.Session, types []metadata.ResourceType) []metadata.Resource

	clusterVerbs
	groupVerbs
	txnVerbs
	shareVerbs
}

// clusterVerbs are about brokers and where partitions are.
type clusterVerbs interface {
	ElectLeaders(ctx context.Context, s *broker.Session, kind int8, partitions []kafka.TopicPartition) ([]broker.ElectedPartition, error)
	AlterReassignments(ctx context.Context, s *broker.Session, list []broker.Reassignment, allowReplicationChange bool) []error
	Reassigning(s *broker.Session) []broker.ReassigningPartition
	UpdateFeatures(ctx context.Context, s *broker.Session, updates []broker.FeatureUpdate, validateOnly bool) []error
	UnregisterBroker(ctx context.Context, s *broker.Session, id kafka.BrokerID) error
	DescribeQuorum(ctx context.Context, s *broker.Session) (broker.QuorumState, error)
	AddVoter(ctx context.Context, s *broker.Session, clusterID *string, v broker.NewVoter) error
	RemoveVoter(ctx context.Context, s *broker.Session, clusterID *string, id kafka.BrokerID, directory kafka.UUID) error
}

// readyAwait is what an Await may offer besides: whether Wait would return at once. Answers that are ready leave together in one write.
type readyAwait interface{ Ready() bool }

func isReady(await any) bool {
	r, ok := await.(readyAwait)
	return ok && r.Ready()
}
