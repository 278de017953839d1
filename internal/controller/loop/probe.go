package loop

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// probePatience bounds one look for a process. A refusal is believed when it is repeated after probePause: a process that has just
	// started may not listen yet.
	probePatience = 200 * time.Millisecond
	probePause    = 25 * time.Millisecond
)

// OnClosed is told that a connection on which a broker called has ended, for peer.ServerOptions.OnClosed: if the broker's process is gone
// it is fenced without waiting for its lease. It returns at once.
func (l *Loop) OnClosed(c peer.Caller) {
	if _, ok := l.decides(); !ok || c.Node < 0 || c.Node == l.opts.Node {
		return
	}
	if b := l.Image().Brokers[c.Node]; b != nil && !b.Fenced {
		l.probe(b)
	}
}

// probeAll looks for the processes of all brokers, because none has a connection yet whose end would tell.
func (l *Loop) probeAll() {
	for id, b := range l.Image().Brokers {
		if id != l.opts.Node && !b.Fenced {
			l.probe(b)
		}
	}
}

// probe looks for a broker's process, on a goroutine of its own, one at a time for each broker.
func (l *Loop) probe(b *metadata.Broker) {
	since := l.opts.Now()
	if !l.leases.probe(b, since, l.Image()) {
		return
	}
	look := func() {
		if l.leases.probed(b.ID, b.Epoch, since, l.isGone(b.ID)) {
			l.keeper.wake()
		}
	}
	if !l.spawn(look) {
		l.leases.probed(b.ID, b.Epoch, since, false)
	}
}

// isGone reports whether nothing listens where a broker should, twice.
func (l *Loop) isGone(id kafka.BrokerID) bool {
	for try := range 2 {
		if try > 0 && sleep(l.ctx, probePause, nil) != nil {
			return false
		}
		ctx, cancel := context.WithTimeout(l.ctx, probePatience)
		err := l.opts.Peers.Probe(ctx, id)
		cancel()
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return true
}
