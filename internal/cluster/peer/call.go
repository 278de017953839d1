package peer

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Call calls a method of another broker and returns its answer, or the *kafka.Error of its handler, or one of those that Peers lists. All
// calls to a broker share a connection, and a slow one holds up no other. A call whose context has no deadline gets 30 s. When ctx ends
// the handler's context ends too, and the answer is dropped. body is not used any more when Call returns.
func (p *Peers) Call(ctx context.Context, to kafka.BrokerID, method string, body []byte) ([]byte, error) {
	if err := p.checkCall(method, body); err != nil {
		return nil, err
	}
	ctx, cancel := bound(ctx)
	defer cancel()
	for again := true; ; again = false {
		l, err := connect(ctx, p, to, callsOf, func(ctx context.Context, addr string) (greeted, error) { return p.dialCalls(ctx, addr, to, 0) }, p.newLink)
		if err != nil {
			return nil, err
		}
		answer, asked, err := l.call(ctx, method, body)
		if err != nil && !asked && again && ctx.Err() == nil {
			continue // the connection had broken before it was used: that is not the caller's concern
		}
		return answer, err
	}
}

func callsOf(r *remote) *slot[*link] { return &r.calls }

// CallAddr calls a method of whoever listens at addr (HOST:PORT), over a connection of its own: for nodes that do not know each other's
// ids yet. Otherwise it is like Call.
func (p *Peers) CallAddr(ctx context.Context, addr, method string, body []byte) ([]byte, error) {
	if err := p.checkCall(method, body); err != nil {
		return nil, err
	}
	ctx, cancel := bound(ctx)
	defer cancel()
	if err := p.hold(); err != nil {
		return nil, err
	}
	defer p.wg.Done()
	ctx, stop := p.untilClose(ctx)
	defer stop()
	won, err := p.race(ctx, addr, []string{addr}, func(ctx context.Context, addr string) (greeted, error) {
		return p.dialCalls(ctx, addr, kafka.NoBroker, onlyOnce)
	})
	if err != nil {
		return nil, err
	}
	l := p.newLink(won.conn)
	defer l.end(errClosed)
	answer, _, err := l.call(ctx, method, body)
	return answer, err
}

// Probe looks whether the process of a broker is there, by a connection of its own and whatever the circuit says: nil if it says hello at
// one of its addresses. errors.Is(err, syscall.ECONNREFUSED) tells that nothing listens at any of them: the process is gone. Any other
// error tells less: frozen, cut off, slow, or another broker has the address now.
func (p *Peers) Probe(ctx context.Context, to kafka.BrokerID) error {
	addrs := order(p.opts.Addrs(to), "")
	if len(addrs) == 0 {
		return errNoAddress(to)
	}
	if err := p.hold(); err != nil {
		return err
	}
	defer p.wg.Done()
	ctx, stop := p.untilClose(ctx)
	defer stop()
	won, err := p.race(ctx, whom(to), addrs, func(ctx context.Context, addr string) (greeted, error) {
		return p.dialCalls(ctx, addr, to, onlyOnce)
	})
	if err != nil {
		return err
	}
	_ = won.conn.Close()
	return nil
}

// checkCall refuses what could not be sent.
func (p *Peers) checkCall(method string, body []byte) error {
	switch {
	case method == "" || len(method) > maxMethod:
		return kafka.Errorf(kafka.InvalidRequest, "a method's name has 1 to %d bytes, this one %d", maxMethod, len(method))
	case len(body) > p.opts.MaxBody:
		return kafka.Errorf(kafka.MessageTooLarge, "the call of %s has %d bytes, allowed are %d", method, len(body), p.opts.MaxBody)
	}
	return nil
}

// bound gives a context without a deadline one.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}

// untilClose is ctx, ended by Close besides.
func (p *Peers) untilClose(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
