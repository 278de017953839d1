package route

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Local is the verbs of this broker that doors call; broker.Broker has them.
type Local interface {
	broker.PublishVerbs
	broker.TailVerbs
	broker.OffsetVerbs
	broker.TotalsVerbs
	InitProducerID(ctx context.Context, s *broker.Session, req broker.InitProducerIDRequest) (kafka.ProducerID, kafka.ProducerEpoch, error)
	CreateTopics(ctx context.Context, s *broker.Session, topics []broker.NewTopic, validateOnly bool) []broker.CreatedTopic
	DeleteTopics(ctx context.Context, s *broker.Session, topics []broker.TopicRef) []broker.DeletedTopic
	AlterConfigs(ctx context.Context, s *broker.Session, resources []broker.AlterResource, validateOnly bool) []error
	ListGroups(ctx context.Context, s *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse
	JoinGroup(ctx context.Context, s *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse
	SyncGroup(ctx context.Context, s *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse
	Heartbeat(ctx context.Context, s *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse
	ShareGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse
	ShareGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse
	ShareFetch(ctx context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse
	ShareFetchWritten(s *broker.Session)
	ShareAcknowledge(ctx context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse
	ReadShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse
	DescribeShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse
	SessionClosed(s *broker.Session)
}

var _ Local = (*broker.Broker)(nil)

// Peers asks other brokers. An answer must not have to wait for that of an earlier request: some wait for minutes.
type Peers interface {
	Kafka(ctx context.Context, broker kafka.BrokerID, q kmsg.Request) (kmsg.Response, error)
}

// Conn is a Kafka connection of one's own to another broker.
type Conn interface {
	// Do sends a request and waits for the answer. After an error the connection is not used any more.
	Do(ctx context.Context, q kmsg.Request) (kmsg.Response, error)
	Close() error
}

// States reads the state of share groups wherever it is kept; queue.ClusterStates is one.
type States interface {
	ReadShareGroupState(context.Context, *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse
}

// Options of Verbs. All of it is required.
type Options struct {
	Local  Local
	NodeID kafka.BrokerID
	Peers  Peers
	// Dial connects to another broker for a member of a share group: what it holds is given back when its connection ends.
	Dial   func(ctx context.Context, broker kafka.BrokerID) (Conn, error)
	States States
}

// Verbs are the verbs of Local for a whole cluster. Its methods may be called from any goroutine.
type Verbs struct {
	Local // the verbs that need no route: topics and settings, which the controller has anyway
	opts  Options

	ctx     context.Context // of what goes on in the background; stop ends it
	stop    context.CancelFunc
	running sync.WaitGroup

	publishing publishing
	members    members
}

// New returns Verbs that do nothing yet.
func New(o Options) *Verbs {
	v := &Verbs{Local: o.Local, opts: o}
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.publishing.init()
	v.members.init()
	return v
}

// Close ends what is under way: messages that are not stored yet are answered with an error. Doors are closed before.
func (v *Verbs) Close() {
	v.publishing.close()
	v.stop()
	v.running.Wait()
	v.members.close()
}

// Here implements broker.LocalVerbs.
func (v *Verbs) Here() broker.TotalsVerbs { return v.opts.Local }

// place is where a partition is led, as of an image.
type place struct {
	leader   kafka.BrokerID // NoBroker: nobody
	replicas int
}

// find looks a partition up, by its topic's id if name is empty. Errors: UnknownTopicOrPartition, UnknownTopicID.
func find(img *metadata.Image, name string, id kafka.UUID, partition int32) (place, error) {
	var t *metadata.Topic
	if name != "" {
		t = img.Topics.ByName(name)
	} else {
		t = img.Topics.ByID(id)
	}
	switch {
	case t == nil && name == "":
		return place{}, kafka.Errorf(kafka.UnknownTopicID, "there is no topic %s", id)
	case t == nil:
		return place{}, kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no topic %q", name)
	case partition < 0 || int(partition) >= len(t.Partitions):
		return place{}, kafka.Errorf(kafka.UnknownTopicOrPartition, "topic %s has no partition %d; it has 0 to %d", t.Name, partition, len(t.Partitions)-1)
	}
	p := &t.Partitions[partition]
	return place{p.Leader, len(p.Replicas)}, nil
}

// errNoLeader is about a partition that nobody leads at the moment.
var errNoLeader = kafka.Errorf(kafka.LeaderNotAvailable, "the partition has no leader at the moment: try again")

// unreached is why another broker did not answer.
func unreached(to kafka.BrokerID, err error) error {
	return kafka.Errorf(kafka.NetworkException, "broker %d was not reached: %w", to, err)
}

// strange is about an answer that is not one to what was asked.
func strange(to kafka.BrokerID) error {
	return kafka.Errorf(kafka.NetworkException, "broker %d did not answer what it was asked", to)
}

// coordinatorOf is the broker that coordinates a group; this one while nobody knows, for its verbs say then what there is to do.
func (v *Verbs) coordinatorOf(group string) kafka.BrokerID {
	t := v.Image().Topics.ByName("__consumer_offsets")
	if t == nil || len(t.Partitions) == 0 {
		return v.opts.NodeID
	}
	return t.Partitions[coordinator.PartitionOf(group, int32(len(t.Partitions)))].Leader
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// How long to rest before something is tried again: doubled each time up to a ceiling.
const (
	firstPause = 20 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)
