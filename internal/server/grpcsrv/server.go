package grpcsrv

import (
	"cmp"
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
)

// Verbs are what the door calls; a broker.Broker has them.
type Verbs interface {
	broker.PublishVerbs
	broker.TailVerbs
	broker.TotalsVerbs
	broker.OffsetVerbs
	JoinGroup(ctx context.Context, s *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse
	SyncGroup(ctx context.Context, s *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse
	Heartbeat(ctx context.Context, s *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse
}

// Options of a Server; the defaults in brackets.
type Options struct {
	MaxMessageBytes int          // of one request [4 MiB, gRPC's own default]; the topic's max.message.bytes may be less
	MaxConnections  int          // open at a time; more wait to be accepted [10,000]
	MaxStreams      uint32       // calls at a time on one connection [1,000]
	Ready           func() error // why the broker cannot serve yet, or nil [always ready]
	Now             func() time.Time
}

// Server is the gRPC door.
type Server struct {
	rafkapb.UnimplementedBrokerServiceServer // answers calls that a later proto adds

	verbs     Verbs
	opts      Options
	publisher *broker.Publisher
	delivery  broker.Latency
	grpc      *grpc.Server
	totals    totalsCache
	stopping  context.Context // ends when Shutdown begins
	stop      context.CancelFunc
	counts    struct{ connections, producers, consumers, streams, published, failures, delivered, deliveredBytes atomic.Int64 }
}

// New returns a Server over the broker's verbs.
func New(verbs Verbs, o Options) *Server {
	o.MaxMessageBytes = cmp.Or(max(o.MaxMessageBytes, 0), 4<<20)
	o.MaxConnections = cmp.Or(max(o.MaxConnections, 0), 10_000)
	o.MaxStreams = cmp.Or(o.MaxStreams, 1000)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	s := &Server{verbs: verbs, opts: o, publisher: broker.NewPublisher(verbs, o.Now), totals: totalsCache{counting: make(chan struct{}, 1)}}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(o.MaxMessageBytes),
		grpc.MaxConcurrentStreams(o.MaxStreams),
		grpc.MaxHeaderListSize(16<<10),
		grpc.ConnectionTimeout(10*time.Second),
		// A peer that vanished without a word is noticed within half a minute, and its streams end.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.StatsHandler(&connections{s}),
	)
	rafkapb.RegisterBrokerServiceServer(s.grpc, s)
	grpc_health_v1.RegisterHealthServer(s.grpc, health{server: s})
	reflection.Register(s.grpc)
	return s
}

// Serve accepts connections until Shutdown; it then returns nil.
func (s *Server) Serve(l net.Listener) error {
	return s.grpc.Serve(netutil.LimitListener(l, s.opts.MaxConnections))
}

// Shutdown ends streams with UNAVAILABLE, lets other calls finish, and returns when all have or, cutting them off, when ctx ends.
func (s *Server) Shutdown(ctx context.Context) {
	s.stop()
	defer context.AfterFunc(ctx, s.grpc.Stop)()
	s.grpc.GracefulStop()
}

// Stats are what the door has counted since it was made.
type Stats struct {
	Connections    int64 // open now
	Producers      int64 // registered on them
	Consumers      int64 // registered on them
	Streams        int64 // Consume calls under way now
	Published      int64
	Failures       int64 // calls answered with an error
	Delivered      int64 // records
	DeliveredBytes int64 // of their keys and payloads
	Publish        broker.LatencyCounts
	Delivery       broker.LatencyCounts // age of records when they were read while following
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{
		Connections: c.connections.Load(), Producers: c.producers.Load(), Consumers: c.consumers.Load(), Streams: c.streams.Load(), Published: c.published.Load(),
		Failures: c.failures.Load(), Delivered: c.delivered.Load(), DeliveredBytes: c.deliveredBytes.Load(),
		Publish: s.publisher.Latency.Counts(), Delivery: s.delivery.Counts(),
	}
}
