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
	// probeLooks is how often a process is looked for that neither answers nor refuses: the system closes what a large process had open one by one, so that
	// for a moment after its end it can still be dialled.
	probeLooks = 12
)

// OnClosed is told that a connection on which a broker called has ended, for peer.ServerOptions.OnClosed: if the broker's process is gone
// it is fenced without waiting for its lease. It returns at once.
func (l *Loop) OnClosed(c peer.Caller) {
	l.Suspect(c.Node)
}

// Suspect has the controller look at once whether a broker's process is gone. It returns at once, and does nothing elsewhere. That somebody
// suspects a broker is no reason to fence it: its process is, or its lease (LOP-7).
func (l *Loop) Suspect(id kafka.BrokerID) {
	if _, ok := l.decides(); !ok || id < 0 || id == l.opts.Node {
		return
	}
	if b := l.Image().Brokers[id]; b != nil && !b.Fenced {
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

// isGone reports whether nothing listens where a broker should, twice in a row. Who answers is there, and who says nothing at all may be frozen or cut
// off, for which its lease is.
func (l *Loop) isGone(id kafka.BrokerID) bool {
	refusals := 0
	for look := range probeLooks {
		if look > 0 && sleep(l.ctx, probePause, nil) != nil {
			return false
		}
		ctx, cancel := context.WithTimeout(l.ctx, probePatience)
		err := l.opts.Peers.Probe(ctx, id)
		silent := ctx.Err() != nil
		cancel()
		switch {
		case err == nil || silent:
			return false
		case errors.Is(err, syscall.ECONNREFUSED):
			refusals++
		default:
			refusals = 0
		}
		if refusals == 2 {
			return true
		}
	}
	return false
}
