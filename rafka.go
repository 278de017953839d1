package rafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/rafka-io/rafka/internal/app"
	"github.com/rafka-io/rafka/internal/config"
)

// Server is a broker in this process. Its methods may be called from any goroutine.
type Server struct {
	opts options

	mu  sync.Mutex // guards app
	app *app.App
}

// New returns a Server that is not started yet. An unknown or invalid setting is reported by Start.
func New(opts ...Option) *Server {
	s := &Server{opts: options{settings: map[string]string{"rafka.grpc.address": "", "rafka.http.address": ""}}}
	for _, o := range opts {
		o(&s.opts)
	}
	if s.opts.logger == nil {
		s.opts.logger = slog.New(slog.DiscardHandler)
	}
	return s
}

// Start is New and Start in one.
func Start(ctx context.Context, opts ...Option) (*Server, error) {
	s := New(opts...)
	return s, s.Start(ctx)
}

// Start opens the broker and returns when clients are served. After an error nothing is left running. ctx is for starting only.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app != nil {
		return fmt.Errorf("rafka: the server was started already")
	}
	static, _, err := config.Load(config.Sources{Values: s.opts.settings})
	if err != nil {
		return fmt.Errorf("rafka: %w", err)
	}
	a, err := app.Start(ctx, app.Options{
		Static: static, Ephemeral: s.opts.memory, KafkaListener: s.opts.listener, Logger: s.opts.logger, Level: new(slog.LevelVar), Version: "embedded",
	})
	if err != nil {
		return fmt.Errorf("rafka: %w", err)
	}
	s.app = a
	return nil
}

// Addr is the address for clients of Kafka's protocol, HOST:PORT; empty before Start and when that door is closed.
func (s *Server) Addr() string {
	if a := s.running(); a != nil && len(a.Addrs().Kafka) > 0 {
		return a.Addrs().Kafka[0].Addr.String()
	}
	return ""
}

// GRPCAddr is the address of the gRPC door, or empty.
func (s *Server) GRPCAddr() string {
	if a := s.running(); a != nil && a.Addrs().GRPC != nil {
		return a.Addrs().GRPC.String()
	}
	return ""
}

// HTTPAddr is the address of the HTTP door, or empty.
func (s *Server) HTTPAddr() string {
	if a := s.running(); a != nil && a.Addrs().HTTP != nil {
		return a.Addrs().HTTP.String()
	}
	return ""
}

// Done is closed when the broker can no longer work, because of its disk for example; Err says why. While the server does not run, before
// Start and after Shutdown, it is nil, on which nobody receives.
func (s *Server) Done() <-chan struct{} {
	if a := s.running(); a != nil {
		return a.Done()
	}
	return nil
}

// Err is why the broker stopped by itself, or nil.
func (s *Server) Err() error {
	if a := s.running(); a != nil {
		return a.Err()
	}
	return nil
}

// Shutdown stops the broker: no new connections, requests in flight are answered, logs are closed so that the next start has nothing to
// recover. When ctx ends, connections are cut off instead of waited for. A second call does nothing.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	a := s.app
	s.app = nil
	s.mu.Unlock()
	if a == nil {
		return nil
	}
	return a.Shutdown(ctx)
}

func (s *Server) running() *app.App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app
}
