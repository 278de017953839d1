package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	// stagger is how long an address may keep silent before the next one is tried besides.
	stagger = 200 * time.Millisecond
	// maxAddrs is how many addresses of a broker are tried; more are left out.
	maxAddrs = 16
)

// identity is what a node says of itself when it connects.
type identity struct {
	node      kafka.BrokerID
	clusterID string
}

// self is the own identity at this moment.
func (p *Peers) self() identity {
	node, clusterID := p.opts.Self()
	return identity{node, clusterID}
}

// dialTCP opens a connection to one address within DialTimeout.
func (p *Peers) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.DialTimeout)
	defer cancel()
	nc, err := p.opts.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	tune(nc)
	return nc, nil
}

// greeted is a connection that is ready for use, and as whom this node introduced itself.
type greeted struct {
	net.Conn
	self identity
}

// dialKafka opens a connection for Kafka frames, which begin without a hello.
func (p *Peers) dialKafka(ctx context.Context, addr string) (greeted, error) {
	nc, err := p.dialTCP(ctx, addr)
	return greeted{nc, p.self()}, err
}

// dialCalls opens a connection for calls: it says hello and hears who answers, within DialTimeout in all. to is whom the address is said
// to be; NoBroker: anybody.
func (p *Peers) dialCalls(ctx context.Context, addr string, to kafka.BrokerID, flags byte) (greeted, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.DialTimeout)
	defer cancel()
	nc, err := p.dialTCP(ctx, addr)
	if err != nil {
		return greeted{}, err
	}
	g := greeted{Conn: nc, self: p.self()}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	err = g.greet(to, flags)
	if !stop() {
		err = errors.New("connected, and no answer came in time: the process may be frozen, or is no broker")
	}
	if err != nil {
		_ = nc.Close()
		return greeted{}, err
	}
	return g, nil
}

// greet exchanges hellos.
func (g greeted) greet(to kafka.BrokerID, flags byte) error {
	h := hello{lowest: lowestVersion, highest: highestVersion, flags: flags, node: g.self.node, clusterID: g.self.clusterID}
	if err := writeAll(g.Conn, h.appendTo(nil)); err != nil {
		return err
	}
	w, err := readWelcome(g.Conn)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the connection was closed before the hello was answered: the broker stops, or has too many connections")
	case err != nil:
		return err
	case w.code != kafka.None:
		return &kafka.Error{Code: w.code, Message: w.message}
	case w.version < lowestVersion || w.version > highestVersion:
		return kafka.Errorf(kafka.UnsupportedVersion, "it chose version %d of the peer protocol, which was not offered", w.version)
	case w.clusterID != "" && g.self.clusterID != "" && w.clusterID != g.self.clusterID:
		return kafka.Errorf(kafka.InconsistentClusterID, "it is of cluster %s, this broker is of cluster %s", w.clusterID, g.self.clusterID)
	case to != kafka.NoBroker && w.node != kafka.NoBroker && w.node != to:
		return kafka.Errorf(kafka.BrokerNotAvailable, "broker %d answers there, not broker %d", w.node, to)
	}
	return nil
}

// opener opens a connection to one address.
type opener func(ctx context.Context, addr string) (greeted, error)

// outcome is what came of dialling one address.
type outcome struct {
	conn greeted
	addr string
	err  error
}

// race opens a connection to one of addrs: in turn, the next one when the last has failed or has kept silent for a while. The first
// that succeeds wins, and what the others bring is closed. Each runs on a goroutine that Close waits for; the caller holds p open.
func (p *Peers) race(ctx context.Context, whom string, addrs []string, open opener) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome)
	begin := func(addr string) {
		p.wg.Go(func() {
			c, err := open(ctx, addr)
			select {
			case outcomes <- outcome{c, addr, err}:
			case <-ctx.Done():
				if err == nil {
					_ = c.Close()
				}
			}
		})
	}
	silence := time.NewTimer(stagger)
	defer silence.Stop()
	begin(addrs[0])
	begun := 1
	var failed []outcome
	for len(failed) < len(addrs) {
		select {
		case o := <-outcomes:
			if o.err == nil {
				return o, nil
			}
			failed = append(failed, o)
			if len(failed) < begun { // another one is under way
				continue
			}
		case <-silence.C:
		case <-ctx.Done():
			return outcome{}, ended(ctx, "cannot connect to "+whom)
		}
		if begun < len(addrs) {
			begin(addrs[begun])
			begun++
			silence.Reset(stagger)
		}
	}
	return outcome{}, dialFailed(whom, failed)
}

// order puts the address that worked last first, and leaves out what is too much.
func order(addrs []string, good string) []string {
	if i := slices.Index(addrs, good); i > 0 {
		addrs = slices.Concat(addrs[i:i+1], addrs[:i], addrs[i+1:])
	}
	return addrs[:min(len(addrs), maxAddrs)]
}
