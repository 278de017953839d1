package textsrv

import (
	"cmp"
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
)

// Verbs are what the door calls; a broker.Broker has them.
type Verbs interface {
	broker.PublishVerbs
	broker.TailVerbs
	broker.OffsetVerbs
	queueVerbs
	ListGroups(ctx context.Context, s *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse
	CreateTopics(ctx context.Context, s *broker.Session, topics []broker.NewTopic, validateOnly bool) []broker.CreatedTopic
	DeleteTopics(ctx context.Context, s *broker.Session, topics []broker.TopicRef) []broker.DeletedTopic
}

// queueVerbs are about share groups. A Session stands for its connection: all of a connection's come with the same one.
type queueVerbs interface {
	AlterConfigs(ctx context.Context, s *broker.Session, resources []broker.AlterResource, validateOnly bool) []error
	ShareGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse
	ShareGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse
	ShareFetch(ctx context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse
	// ShareFetchWritten says that the records of the last ShareFetch were written: until then they count against the broker's memory.
	ShareFetchWritten(s *broker.Session)
	ShareAcknowledge(ctx context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse
	ReadShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse
	DescribeShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse
	// SessionClosed says that the connection has ended: what its members hold is free for others.
	SessionClosed(s *broker.Session)
}

// Options of a Server; the defaults in brackets.
type Options struct {
	MaxLine      int           // bytes of a line without its end [1 MiB + 4 KiB]; what max.message.bytes allows is less or more
	LongLines    int           // lines above 64 KiB that are read at the same time, over all connections [64]
	IdleTimeout  time.Duration // a connection without commands and answers is closed [10 min]
	LineTimeout  time.Duration // a long line must have arrived whole by then [30 s]
	WriteTimeout time.Duration // a peer that takes nothing for so long is closed [5 min]
	Now          func() time.Time
}

// Server serves the line protocol.
type Server struct {
	verbs     Verbs
	opts      Options
	publisher *broker.Publisher
	delivery  broker.Latency
	longLines chan struct{} // one token for each long line being read
	counts    counters
}

type counters struct {
	connections, consumers, commands, failures, delivered, deliveredBytes atomic.Int64
}

// New returns a Server over the broker's verbs.
func New(verbs Verbs, o Options) *Server {
	o.MaxLine = cmp.Or(max(o.MaxLine, 0), 1<<20+4<<10)
	o.LongLines = cmp.Or(max(o.LongLines, 0), 64)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 10*time.Minute)
	o.LineTimeout = cmp.Or(o.LineTimeout, 30*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 5*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{verbs: verbs, opts: o, publisher: broker.NewPublisher(verbs, o.Now), longLines: make(chan struct{}, o.LongLines)}
}

// Serve talks to one client until it leaves, and closes conn. When ctx ends, what was published is still answered.
func (s *Server) Serve(ctx context.Context, conn net.Conn, session *broker.Session) {
	s.counts.connections.Add(1)
	defer s.counts.connections.Add(-1)
	newConnection(ctx, s, conn, session).serve()
}

// Stats are what the door has counted since it was made.
type Stats struct {
	Connections    int64 // open now
	Consumers      int64 // CONSUMEs under way now
	Commands       int64
	Failures       int64 // commands answered with an error
	Delivered      int64 // records
	DeliveredBytes int64 // of their keys and values
	Publish        broker.LatencyCounts
	Delivery       broker.LatencyCounts // age of records when they were read while following
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{
		Connections: c.connections.Load(), Consumers: c.consumers.Load(), Commands: c.commands.Load(), Failures: c.failures.Load(),
		Delivered: c.delivered.Load(), DeliveredBytes: c.deliveredBytes.Load(),
		Publish: s.publisher.Latency.Counts(), Delivery: s.delivery.Counts(),
	}
}
