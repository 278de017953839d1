package rafkatest

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/rafka-io/rafka"
)

// Broker is a broker for one test.
type Broker struct {
	// Addr is where clients connect, HOST:PORT.
	Addr string
	// Server is the broker itself.
	Server *rafka.Server
	// Dial connects to the broker whatever address it is given: for clients of a broker in memory (StartInMemory), whose network is not the
	// system's.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// stopWithin is how long a test's end waits for connections that are still open.
const stopWithin = 5 * time.Second

// Start starts a broker on a free port of 127.0.0.1. It keeps everything in memory unless an option names a data directory
// (rafka.WithDataDir(t.TempDir())). The test's end stops it; a broker that cannot start fails the test.
func Start(t testing.TB, opts ...rafka.Option) *Broker {
	t.Helper()
	all := append([]rafka.Option{rafka.InMemory(), rafka.WithKafkaAddr("127.0.0.1:0")}, opts...)
	var d net.Dialer
	return start(t, all, d.DialContext)
}

// StartOnDisk is Start with a data directory that goes with the test.
func StartOnDisk(t testing.TB, opts ...rafka.Option) *Broker {
	t.Helper()
	all := append([]rafka.Option{rafka.WithDataDir(t.TempDir()), rafka.WithKafkaAddr("127.0.0.1:0")}, opts...)
	var d net.Dialer
	return start(t, all, d.DialContext)
}

// StartInMemory starts a broker without any port: clients reach it by Dial only, as in kgo.Dialer(broker.Dial).
func StartInMemory(t testing.TB, opts ...rafka.Option) *Broker {
	t.Helper()
	l := newPipeListener()
	return start(t, append([]rafka.Option{rafka.InMemory(), rafka.WithKafkaListener(l)}, opts...), l.dial)
}

func start(t testing.TB, opts []rafka.Option, dial func(context.Context, string, string) (net.Conn, error)) *Broker {
	t.Helper()
	opts = append([]rafka.Option{rafka.WithLogger(slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))}, opts...)
	s, err := rafka.Start(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("stop the broker: %v", err)
		}
	})
	return &Broker{Addr: s.Addr(), Server: s, Dial: dial}
}
