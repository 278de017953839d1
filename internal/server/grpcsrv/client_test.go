package grpcsrv

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
)

var _ Verbs = (*brokertest.Broker)(nil)

// start serves a broker in memory; everything has ended when the test has.
func start(t *testing.T, o Options) (*brokertest.Broker, *Server, *grpc.ClientConn) {
	t.Helper()
	b := brokertest.New()
	t.Cleanup(b.StartGroups())
	s := New(b, o)
	l := bufconn.Listen(64 << 10)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///rafka", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return b, s, conn
}

func publish(t *testing.T, c rafkapb.BrokerServiceClient, topic string, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if _, err := c.Publish(t.Context(), &rafkapb.PublishRequest{Topic: topic, Payload: p}); err != nil {
			t.Fatal(err)
		}
	}
}

// exampleServer serves a broker in memory on a free port.
func exampleServer() (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := New(brokertest.New(), Options{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	return l.Addr().String(), func() {
		s.Shutdown(context.Background())
		<-served
	}
}
