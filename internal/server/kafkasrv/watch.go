package kafkasrv

import (
	"context"
	"errors"
	"time"

	"github.com/rafka-io/rafka/internal/wire"
)

const (
	// watchTick is how often connections are looked at. Looking at all of them in turn costs less than a timer for each, which every
	// request would have to set anew.
	watchTick = 5 * time.Second
	// A frame that has begun is given frameTime, and a second more for every slowestRate bytes that have come: a slow line may take as
	// long as it needs, a client that sends a byte now and then may not.
	frameTime   = 30 * time.Second
	slowestRate = 32 << 10
	// gateStall is how long a client may not read an answer that holds memory which other answers need.
	gateStall = 30 * time.Second
	// crowdStall is how long a client may not take a megabyte while others cannot fetch because of that.
	crowdStall = 10 * time.Second
)

// Why the watcher closes a connection.
var (
	errIdle     = errors.New("idle for connections.max.idle.ms")
	errSlow     = errors.New("a request came too slowly")
	errNoReader = errors.New("the client does not read its answers")
)

type watcher struct {
	idle time.Duration
}

// sighting is what the watcher saw of a connection, and for how long that has not changed.
type sighting struct {
	received, frames, writes uint64
	began                    uint64 // received when the present frame was first seen
	idle, partial, stalled   time.Duration
}

// crowdedBroker is what a Broker may offer besides: whether fetched records that wait to be written keep other fetches from theirs.
type crowdedBroker interface{ FetchCrowded() bool }

// view is a connection at one moment.
type view struct {
	state                    wire.ReadState
	received, frames, writes uint64
	busy, writing, holding   bool
	crowding                 bool // what it is written keeps others from being written to
}

// look compares a connection with what was seen a tick ago and returns why it should be closed, or nil.
func (w watcher) look(seen *sighting, now view, tick time.Duration) error {
	if now.received != seen.received || now.frames != seen.frames || now.busy {
		seen.idle = 0
	} else {
		seen.idle += tick
	}
	switch {
	case now.state == wire.BetweenFrames || now.frames != seen.frames:
		seen.partial, seen.began = 0, now.received
	case now.state == wire.InFrame:
		seen.partial += tick
	}
	if now.writing && now.writes == seen.writes {
		seen.stalled += tick
	} else {
		seen.stalled = 0
	}
	seen.received, seen.frames, seen.writes = now.received, now.frames, now.writes

	came := time.Duration(now.received - seen.began)
	switch {
	case now.state == wire.InFrame && seen.partial > frameTime+came*time.Second/slowestRate:
		return errSlow
	case now.crowding && seen.stalled >= crowdStall, now.holding && seen.stalled > gateStall, seen.stalled > w.idle:
		return errNoReader
	case now.state == wire.BetweenFrames && seen.idle >= w.idle:
		return errIdle
	}
	return nil
}

// watch looks at every connection each tick until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := min(watchTick, max(s.opts.IdleTimeout/4, 10*time.Millisecond))
	t := time.NewTicker(tick)
	defer t.Stop()
	var conns []*conn
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		conns = s.appendConns(conns[:0])
		for _, c := range conns {
			if err := s.watcher.look(&c.seen, c.view(), tick); err != nil {
				c.fail(err)
			} else if c.seen.idle >= tick {
				c.rest()
			}
		}
		clear(conns)
	}
}

func (s *Server) appendConns(to []*conn) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		to = append(to, c)
	}
	return to
}

func (c *conn) view() view {
	v := view{writing: c.writing.Load(), holding: c.holding.Load(), writes: c.writes.Load(), busy: c.queue.busy() > 0}
	v.state, v.received, v.frames = c.frames.Progress()
	if b, ok := c.srv.broker.(crowdedBroker); ok && v.writing && b.FetchCrowded() {
		v.crowding = true
	}
	return v
}
