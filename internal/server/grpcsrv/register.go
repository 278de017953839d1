package grpcsrv

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
)

// maxRegistered bounds the clients, and the subscriptions, of one connection.
const maxRegistered = 1000

// connection is what a connection has told of itself. It is forgotten when the connection ends, so that what the metrics count is there.
type connection struct {
	mu            sync.Mutex // guards the rest
	clients       map[string]rafkapb.ClientType
	subscriptions map[string]string // consumer id to topic
	members       []*membership     // of groups
}

// connections is gRPC's notice of connections that begin and end.
type connections struct{ server *Server }

type connectionKey struct{}

// TagConn gives every connection a state of its own.
func (c *connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, &connection{clients: map[string]rafkapb.ClientType{}, subscriptions: map[string]string{}})
}

// HandleConn counts connections, and forgets the clients of those that end.
func (c *connections) HandleConn(ctx context.Context, s stats.ConnStats) {
	switch s.(type) {
	case *stats.ConnBegin:
		c.server.counts.connections.Add(1)
	case *stats.ConnEnd:
		c.server.counts.connections.Add(-1)
		conn := connectionOf(ctx)
		conn.mu.Lock()
		defer conn.mu.Unlock()
		for id, kind := range conn.clients {
			c.server.countClient(kind, -1)
			delete(conn.clients, id)
		}
	}
}

// TagRPC and HandleRPC are part of the interface; calls count themselves.
func (c *connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC does nothing.
func (c *connections) HandleRPC(context.Context, stats.RPCStats) {}

// connectionOf is the state of the connection that a call came by.
func connectionOf(ctx context.Context) *connection {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		return c
	}
	return &connection{clients: map[string]rafkapb.ClientType{}, subscriptions: map[string]string{}}
}

func (c *connection) topicOf(consumer string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subscriptions[consumer]
}

func (s *Server) countClient(kind rafkapb.ClientType, by int64) {
	switch kind {
	case rafkapb.ClientType_PRODUCER:
		s.counts.producers.Add(by)
	case rafkapb.ClientType_CONSUMER:
		s.counts.consumers.Add(by)
	}
}

// Register counts a client among those of its connection. Registering again changes its type.
func (s *Server) Register(ctx context.Context, req *rafkapb.RegisterRequest) (*rafkapb.RegisterResponse, error) {
	if req.GetClientId() == "" {
		return nil, s.fail(status.Error(codes.InvalidArgument, "a client needs a client_id"))
	}
	conn := connectionOf(ctx)
	conn.mu.Lock()
	defer conn.mu.Unlock()
	old, known := conn.clients[req.GetClientId()]
	if !known && len(conn.clients) >= maxRegistered {
		return nil, s.fail(status.Errorf(codes.ResourceExhausted, "%d clients are registered on this connection; use another one", maxRegistered))
	}
	if known {
		s.countClient(old, -1)
	}
	conn.clients[req.GetClientId()] = req.GetClientType()
	s.countClient(req.GetClientType(), 1)
	return &rafkapb.RegisterResponse{Success: true, Message: "registered for as long as this connection lasts"}, nil
}

// Subscribe remembers a consumer's topic for its Consume calls on the same connection, and creates the topic as first use does.
func (s *Server) Subscribe(ctx context.Context, req *rafkapb.SubscribeRequest) (*rafkapb.SubscribeResponse, error) {
	if req.GetConsumerId() == "" || req.GetTopic() == "" {
		return nil, s.fail(status.Error(codes.InvalidArgument, "a subscription needs a consumer_id and a topic"))
	}
	if s.verbs.Image().Topics.ByName(req.GetTopic()) == nil {
		for _, err := range s.verbs.EnsureTopics(ctx, session(ctx, req.GetConsumerId()), []string{req.GetTopic()}) {
			if err != nil {
				return nil, s.fail(err)
			}
		}
	}
	conn := connectionOf(ctx)
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if _, known := conn.subscriptions[req.GetConsumerId()]; !known && len(conn.subscriptions) >= maxRegistered {
		return nil, s.fail(status.Errorf(codes.ResourceExhausted, "%d consumers have subscribed on this connection; use another one", maxRegistered))
	}
	conn.subscriptions[req.GetConsumerId()] = req.GetTopic()
	return &rafkapb.SubscribeResponse{Success: true, Message: "subscribed for as long as this connection lasts"}, nil
}
