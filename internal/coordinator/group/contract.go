package group

// CONTRACT. One Shard holds the groups of one partition of __consumer_offsets. Three people write this package at the same time:
//   classic   owns: doc.go shard.go group.go records.go offsets_*.go classic_*.go list.go describe.go delete.go expire.go
//   consumer  owns: consumer_*.go (KIP-848), share_*.go (membership of share groups), regex.go, the package group/assign (uniform, range, simple)
//   streams   owns: streams_*.go (KIP-1071), the package group/assign/tasks
// Requests and answers are kmsg's structs as they came from the wire, whatever the version (the door has filled defaults): the package needs
// no vocabulary of its own for what Kafka's protocol defines, and gRPC and text doors build the same structs.
// An answer has its error code set; nothing here returns a Go error to verbs.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Client is who asks.
type Client struct{ ID, Host string }

// Env is what a shard is made with beside its registry.
type Env struct {
	// Config is what the settings of a group mean as of an image; "" gives the broker's defaults.
	Config func(img *metadata.Image, group string) config.GroupConfig
}

// Shard methods (exact names; the type of `later` answers is *coordinator.Reply[*kmsg.XResponse]):
//
//	classic (owner: classic)
//	  JoinGroup(op, Client, *kmsg.JoinGroupRequest, later)      SyncGroup(op, Client, *kmsg.SyncGroupRequest, later)
//	  Heartbeat(op, Client, *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse
//	  LeaveGroup(op, Client, *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse
//	  OffsetCommit(op, Client, *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse           // every kind of group
//	  TxnOffsetCommit(op, Client, *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse
//	  OffsetFetch(v coordinator.View, g *kmsg.OffsetFetchRequestGroup, requireStable bool) kmsg.OffsetFetchResponseGroup // topics by name or, from v10, by id: both are set where known
//	  OffsetDelete(op, *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse
//	  DeleteGroup(op, group string) kmsg.DeleteGroupsResponseGroup
//	  DescribeGroup(v, group string) kmsg.DescribeGroupsResponseGroup                           // v6 semantics: GROUP_ID_NOT_FOUND and message
//	  ListGroups(v, *kmsg.ListGroupsRequest) []kmsg.ListGroupsResponseGroup                     // filters of states and types are case-insensitive
//	  TopicsDeleted is part of Changed: offsets of removed topics go.
//	  Lags(v) iter.Seq[Committed]      // for metrics and `rafka group`: every committed offset with group, topic, partition, commit time
//	consumer (owner: consumer)
//	  ConsumerGroupHeartbeat(op, Client, *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse
//	  DescribeConsumerGroup(v, group string) kmsg.ConsumerGroupDescribeResponseGroup
//	  ShareGroupHeartbeat(op, Client, *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse
//	  DescribeShareGroup(v, group string) kmsg.ShareGroupDescribeResponseGroup
//	  ShareGroupInitialized / ShareGroupPartitions …: state-partition metadata (record type 15), effects InitShareState, DeleteShareState (below)
//	streams (owner: streams)
//	  StreamsGroupHeartbeat(op, Client, *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse
//	  DescribeStreamsGroup(v, group string) kmsg.StreamsGroupDescribeResponseGroup
//	  StreamsGroupTopologyDescriptionUpdate(op, …)
//
// Classic members in a consumer group (a group that is being upgraded or downgraded): classic's verbs look at the kind of the group first and
// hand over to consumer_classic.go (owner: consumer): consumerJoin, consumerSync, consumerHeartbeat, consumerLeave; the conversions
// (upgrade when a ConsumerGroupHeartbeat reaches a classic group whose members all use "consumer" protocol type; downgrade when the last
// consumer-protocol member leaves) are consumer's too; classic offers newClassicGroup / prepareRebalance as they need it.

// kind of a group, with Kafka's names in ListGroups.
type kind string

const (
	kindClassic  kind = "classic"
	kindConsumer kind = "consumer"
	kindShare    kind = "share"
	kindStreams  kind = "streams"
)

// group is one group of any kind. Shard.groups is *timeline.Map[string, group]; what is inside a group lives in timeline containers.
type group interface {
	name() string
	kind() kind
	// state is Kafka's name as of an epoch: Empty, Stable, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, NotReady, Dead.
	state(at coordinator.View) string
	// protocol is the protocol type and name for lists ("consumer", "range").
	protocol(at coordinator.View) (typ, name string)
	isEmpty() bool
	// checkCommit refuses a commit of a member (GRP-3): kafka.UnknownMemberID, IllegalGeneration, StaleMemberEpoch, FencedInstanceID, RebalanceInProgress …
	// member "" and epoch -1: an admin or simple consumer, allowed when the group is empty (or has no members of its kind).
	checkCommit(op *coordinator.Op, member string, instance *string, epoch int32, txn bool) error
	// checkFetch is the same for OffsetFetch v9+.
	checkFetch(v coordinator.View, member *string, epoch int32) error
	// checkDelete refuses DeleteGroups: kafka.NonEmptyGroup.
	checkDelete() error
	// remove emits the tombstones of everything but offsets.
	remove(op *coordinator.Op)
	// usesTopic reports whether a member subscribes to a topic: its offsets neither expire nor may be deleted then.
	usesTopic(topic string) bool
	// load is called when the shard has been loaded: sessions start.
	load(op *coordinator.Op)
	// imageChanged is called when topics changed.
	imageChanged(op *coordinator.Op, d *metadata.Delta)
}

// Effects of the share groups' membership, for the host: what Kafka's group coordinator asks of the share coordinator. The host answers with
// Shard.ShareStateInitialized(op, group, topic, partitions) when it is done; that emits record type 15.
type (
	InitShareState struct {
		Group      string
		Partitions []TopicIDPartitions
	}
	DeleteShareState struct {
		Group      string
		Partitions []TopicIDPartitions
	}
)

// TopicIDPartitions are partitions of one topic.
type TopicIDPartitions struct {
	TopicID    [16]byte
	Topic      string
	Partitions []int32
}

var _ = kmsg.JoinGroupRequest{}
