package kafkasrv

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/wire"
)

// counters are what the door counts. Any goroutine adds.
type counters struct {
	apis     [maxKey + 1]apiCounters
	opened   atomic.Uint64
	bytesIn  atomic.Uint64 // of connections that have ended
	bytesOut atomic.Uint64
	closed   [closeReasons]atomic.Uint64

	// mu guards when the last complaint was logged, so that a flood of bad connections is no flood of the log.
	mu       sync.Mutex
	lastSaid time.Time
	unsaid   int
}

type apiCounters struct {
	requests atomic.Uint64
	latency  broker.Latency
}

// observe counts a request that has been answered.
func (s *counters) observe(r *request, now time.Time, err error) {
	a := &s.apis[r.key]
	a.requests.Add(1)
	if err == nil {
		a.latency.Observe(now.Sub(r.began))
	}
}

// closeReason is why a connection ended.
type closeReason int

const (
	closedByClient closeReason = iota
	closedByUs
	closedIdle
	closedSlow
	closedNoReader
	closedFlood
	closedFrameSize
	closedMalformed
	closedUnsupported
	closedFailed // the connection broke, or an answer could not be finished
	closeReasons
)

var closeReasonNames = [closeReasons]string{"client", "shutdown", "idle", "slow", "not_reading", "flood", "frame_size", "malformed", "unsupported", "failed"}

func reasonOf(err error) closeReason {
	var broken net.Error
	switch {
	case errors.Is(err, io.EOF):
		return closedByClient
	case errors.Is(err, errDrained), errors.Is(err, errClosed), errors.Is(err, wire.ErrGateClosed), errors.Is(err, context.Canceled):
		return closedByUs
	case errors.Is(err, errIdle):
		return closedIdle
	case errors.Is(err, errSlow):
		return closedSlow
	case errors.Is(err, errNoReader):
		return closedNoReader
	case errors.Is(err, errFlood):
		return closedFlood
	case errors.Is(err, wire.ErrFrameSize):
		return closedFrameSize
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, io.ErrUnexpectedEOF):
		return closedMalformed
	case errors.Is(err, errUnsupported):
		return closedUnsupported
	case errors.As(err, &broken):
		return closedByClient
	}
	return closedFailed
}

func (s *counters) closedFor(err error) { s.closed[reasonOf(err)].Add(1) }

// sayEvery is how often a closed connection is explained in the log at most.
const sayEvery = time.Second

// explain logs why a connection was closed, if the client is to blame.
func (s *Server) explain(c *conn, err error) {
	level := slog.LevelInfo
	switch reasonOf(err) {
	case closedByClient, closedByUs, closedIdle:
		level = slog.LevelDebug
	}
	if !s.opts.Log.Enabled(context.Background(), level) {
		return
	}
	st := &s.stats
	now := s.opts.Now()
	st.mu.Lock()
	if now.Sub(st.lastSaid) < sayEvery {
		st.unsaid++
		st.mu.Unlock()
		return
	}
	unsaid := st.unsaid
	st.lastSaid, st.unsaid = now, 0
	st.mu.Unlock()
	session := c.session.Load()
	s.opts.Log.Log(context.Background(), level, "closed a Kafka connection",
		"reason", err, "client", session.Host, "client_id", session.ClientID, "software", session.Software, "others_not_logged", unsaid)
}

// Stats is what the door has counted, for the metrics page.
type Stats struct {
	Open     int               // connections
	Opened   uint64            // connections, ever
	Closed   map[string]uint64 // connections, by reason
	BytesIn  uint64            // requests
	BytesOut uint64            // answers
	APIs     []APIStats        // those that were asked, by key
	Frames   wire.BudgetStats  // memory of requests in flight
	Answers  wire.GateStats    // memory of large answers
	Sessions FetchSessionStats // KIP-227
}

// APIStats is one API's count. Latency is from the last byte of a request until its answer was handed to the connection; for a fetch
// this includes the time it was asked to wait.
type APIStats struct {
	Key      int16
	Name     string
	Requests uint64
	Latency  broker.LatencyCounts
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	st := Stats{
		Opened: s.stats.opened.Load(), Closed: map[string]uint64{},
		BytesIn: s.stats.bytesIn.Load(), BytesOut: s.stats.bytesOut.Load(),
		Frames: s.budget.Stats(), Answers: s.answers.Stats(), Sessions: s.sessions.stats(),
	}
	s.mu.Lock()
	st.Open = len(s.conns)
	for c := range s.conns {
		st.BytesIn += c.bytesIn()
	}
	s.mu.Unlock()
	for reason, name := range closeReasonNames {
		if n := s.stats.closed[reason].Load(); n > 0 {
			st.Closed[name] = n
		}
	}
	for _, a := range s.apis.list {
		c := &s.stats.apis[a.key]
		if n := c.requests.Load(); n > 0 {
			st.APIs = append(st.APIs, APIStats{Key: a.key, Name: a.name, Requests: n, Latency: c.latency.Counts()})
		}
	}
	return st
}
