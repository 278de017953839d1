package httpsrv

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options of a Server; the defaults in brackets.
type Options struct {
	Version       string // of the program, for the page and rafka_build_info
	Profiles      bool   // serve /debug/pprof/: it tells much of the program and can slow it down
	MaxTopics     int    // with series of their own [1,000]
	MaxPartitions int    // with series of their own [2,000]
	Now           func() time.Time
}

// Deadlines and limits of a connection (HTP-4).
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 2 * time.Minute // a profile of a minute must fit
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	maxScrapes        = 4 // at a time; more get 503
)

// Server is the HTTP door.
type Server struct {
	sources Sources
	opts    Options
	started time.Time
	http    *http.Server
	// comparing is held by who compares replicas: one request at a time.
	comparing sync.Mutex
}

// New returns a Server over the sources of its numbers.
func New(sources Sources, o Options) *Server {
	o.MaxTopics = cmp.Or(max(o.MaxTopics, 0), 1000)
	o.MaxPartitions = cmp.Or(max(o.MaxPartitions, 0), 2000)
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{sources: sources, opts: o, started: o.Now()}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	return s
}

// Serve accepts connections until Shutdown; it then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown lets requests finish, and cuts them off when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// Handler is what the door serves, for a program that has a server of its own.
func (s *Server) Handler() http.Handler { return s.http.Handler }

func (s *Server) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&collector{sources: s.sources, maxTopics: s.opts.MaxTopics, maxPartitions: s.opts.MaxPartitions, version: s.opts.Version, now: s.opts.Now},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Registry: registry}))
	mux.HandleFunc("GET /livez", s.live)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /v1/status/ready", s.ready)
	mux.HandleFunc("GET /v1/explain", s.explain)
	mux.HandleFunc("GET /v1/verify", s.verify)
	mux.HandleFunc("GET /{$}", s.statusPage)
	if s.opts.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}
