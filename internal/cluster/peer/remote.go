package peer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// keptRemotes is how many brokers are remembered without looking whether they have left the cluster.
const keptRemotes = 64

// remote is one other broker. Peers.mu guards it.
type remote struct {
	id      kafka.BrokerID
	breaker breaker
	gone    bool   // forgotten: a dial that is under way has nowhere to go
	good    string // the address that worked last
	calls   slot[*link]
	kafka   slot[*pipeline]
}

// shared is a connection that many use at a time.
type shared interface {
	// live reports whether the connection can be used by a node that is self. One that cannot ends when nobody waits for anything.
	live(self identity) bool
	// end breaks the connection; what is under way fails.
	end(err error)
}

// slot has the one connection of a kind to a broker. Peers.mu guards it.
type slot[C shared] struct {
	conn C
	has  bool
	dial *attempt[C] // under way; all who need the connection wait for it
}

// attempt is a dial that is under way.
type attempt[C shared] struct {
	done chan struct{} // closed when the rest is set
	conn C
	err  error
}

// drop ends the connection.
func (s *slot[C]) drop() {
	if s.has {
		s.conn.end(errClosed)
	}
	*s = slot[C]{dial: s.dial}
}

func whom(to kafka.BrokerID) string { return fmt.Sprintf("broker %d", to) }

// connect returns the connection of a kind to a broker, dialling if there is none. The dial does not end with ctx: others may wait for it.
func connect[C shared](ctx context.Context, p *Peers, to kafka.BrokerID, of func(*remote) *slot[C], open opener, build func(greeted) C) (c C, err error) {
	a, c, err := begin(p, to, of, open, build)
	if a == nil {
		return c, err
	}
	select {
	case <-a.done:
		return a.conn, a.err
	case <-ctx.Done():
		return c, ended(ctx, "cannot connect to "+whom(to))
	}
}

// begin returns the connection, the dial to wait for, or an error.
func begin[C shared](p *Peers, to kafka.BrokerID, of func(*remote) *slot[C], open opener, build func(greeted) C) (a *attempt[C], c C, err error) {
	self, addrs, now := p.self(), p.opts.Addrs(to), p.opts.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	r, addrs, err := p.remoteLocked(to, addrs)
	if err != nil {
		return nil, c, err
	}
	s := of(r)
	if s.has && s.conn.live(self) {
		return nil, s.conn, nil
	}
	if s.dial != nil {
		return s.dial, c, nil
	}
	trial, err := r.mayDial(now)
	if err != nil {
		return nil, c, err
	}
	if err := p.holdLocked(); err != nil {
		return nil, c, err
	}
	a = &attempt[C]{done: make(chan struct{})}
	s.dial = a
	go func() {
		defer p.wg.Done()
		won, err := p.race(p.ctx, whom(to), addrs, open)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err = p.dialledLocked(r, won, trial, err); err == nil {
			a.conn = build(won.conn)
			s.conn, s.has = a.conn, true
		}
		a.err, s.dial = err, nil
		close(a.done)
	}()
	return a, c, nil
}

// remoteLocked is the broker to, and its addresses in the order in which to try them.
func (p *Peers) remoteLocked(to kafka.BrokerID, addrs []string) (*remote, []string, error) {
	r := p.remotes[to]
	switch {
	case p.closed:
		return nil, nil, errPeersClosed
	case len(addrs) == 0:
		if r != nil {
			p.forgetLocked(r)
		}
		return nil, nil, errNoAddress(to)
	case r == nil:
		r = &remote{id: to}
		p.remotes[to] = r
		if len(p.remotes) > keptRemotes {
			p.wg.Go(p.sweep)
		}
	}
	r.breaker.about(strings.Join(addrs, " "))
	return r, order(addrs, r.good), nil
}

func errNoAddress(to kafka.BrokerID) error {
	return kafka.Errorf(kafka.BrokerNotAvailable, "%s has no known peer address: it is not registered, or this broker does not know yet", whom(to))
}

// mayDial asks the breaker.
func (r *remote) mayDial(now time.Time) (trial bool, err error) {
	trial, ok, left := r.breaker.allow(now)
	if !ok {
		return false, kafka.Errorf(kafka.BrokerNotAvailable, "%s could not be reached lately; the next attempt is made in %v", whom(r.id), left.Round(time.Millisecond))
	}
	return trial, nil
}

// dialledLocked notes what came of a dial. It returns why the connection cannot be used, and has closed it then.
func (p *Peers) dialledLocked(r *remote, won outcome, trial bool, err error) error {
	switch {
	case err == nil && p.closed:
		_ = won.conn.Close()
		return errPeersClosed
	case err == nil && r.gone:
		_ = won.conn.Close()
		return errNoAddress(r.id)
	case err == nil:
		if r.breaker.wait > 0 {
			p.log.Info("a broker can be reached again", "broker", r.id, "address", won.addr)
		}
		r.breaker.worked()
		r.good = won.addr
		return nil
	case p.closed:
		return errPeersClosed
	case kafka.CodeOf(err) == kafka.RequestTimedOut: // the one who dialled gave up
		r.breaker.gaveUp(trial)
		return err
	}
	open := r.breaker.wait > 0
	r.breaker.failed(p.opts.Now(), trial, p.dice())
	if !open && r.breaker.wait > 0 {
		p.log.Warn("a broker cannot be reached; calls to it fail at once now, and it is tried again from time to time", "broker", r.id, "error", err)
	}
	return err
}

// forgetLocked ends the connections to a broker that has left the cluster.
func (p *Peers) forgetLocked(r *remote) {
	r.gone = true
	r.calls.drop()
	r.kafka.drop()
	delete(p.remotes, r.id)
}

// sweep forgets the brokers that have left the cluster.
func (p *Peers) sweep() {
	p.mu.Lock()
	ids := slices.Collect(maps.Keys(p.remotes))
	p.mu.Unlock()
	for _, id := range ids {
		if len(p.opts.Addrs(id)) > 0 {
			continue
		}
		p.mu.Lock()
		if r := p.remotes[id]; r != nil {
			p.forgetLocked(r)
		}
		p.mu.Unlock()
	}
}
