package peer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// KafkaConn is a Kafka connection of one's own to another broker: one request at a time, and a second caller waits. After an error of
// Do or Fetch that is not INVALID_REQUIRED_ACKS or UNSUPPORTED_VERSION it is broken: Close it and Dial again.
type KafkaConn struct {
	p      *Peers
	nc     net.Conn
	to     kafka.BrokerID
	format *kmsg.RequestFormatter
	turn   chan struct{} // capacity 1: holds a token while a request is under way

	// The holder of the turn has these.
	r           *bufio.Reader
	request     []byte // to be used again
	correlation int32
	shown       int // bytes: the largest answer so far

	closing sync.Once
	closed  chan struct{}
}

// keptRequest is the largest request buffer that a connection keeps, in bytes.
const keptRequest = 256 << 10

// Dial opens a Kafka connection of the caller's own, for long polls that would hold up others. It ends with its Close or that of Peers.
// The circuit holds here too.
func (p *Peers) Dial(ctx context.Context, to kafka.BrokerID) (*KafkaConn, error) {
	addrs, now := p.opts.Addrs(to), p.opts.Now()
	r, addrs, trial, err := p.beginDial(to, addrs, now)
	if err != nil {
		return nil, err
	}
	defer p.wg.Done()
	ctx, stop := p.untilClose(ctx)
	defer stop()
	won, err := p.race(ctx, whom(to), addrs, p.dialKafka)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.dialledLocked(r, won, trial, err); err != nil {
		return nil, err
	}
	c := &KafkaConn{p: p, nc: won.conn.Conn, to: to, format: formatter(won.conn.self), turn: make(chan struct{}, 1), closed: make(chan struct{})}
	c.r = bufio.NewReaderSize(c.nc, 4<<10)
	p.own[c] = struct{}{}
	return c, nil
}

// beginDial looks whether a dial may be made, and holds p open for it.
func (p *Peers) beginDial(to kafka.BrokerID, addrs []string, now time.Time) (r *remote, ordered []string, trial bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ordered, err = p.remoteLocked(to, addrs); err != nil {
		return nil, nil, false, err
	}
	if trial, err = r.mayDial(now); err != nil {
		return nil, nil, false, err
	}
	return r, ordered, trial, p.holdLocked()
}

// Do sends a request, in the version that it says, and returns the answer. It waits as long as the request allows for and 10 s, and no
// longer than ctx.
func (c *KafkaConn) Do(ctx context.Context, q kmsg.Request) (kmsg.Response, error) {
	if err := checkRequest(q); err != nil {
		return nil, err
	}
	frame, correlation, err := c.exchange(ctx, q)
	if err != nil {
		return nil, err
	}
	a, err := readAnswer(frame.b, q, correlation) // the buffer does not go back to its pool: the answer may alias it
	if err != nil {
		return nil, c.fail(q, err)
	}
	return a, nil
}

// Fetch is Do for a Fetch, but the answer's frame is a pooled buffer.
func (c *KafkaConn) Fetch(ctx context.Context, q *kmsg.FetchRequest) (*FetchFrame, error) {
	if err := checkRequest(q); err != nil {
		return nil, err
	}
	frame, correlation, err := c.exchange(ctx, q)
	if err != nil {
		return nil, err
	}
	a, err := readAnswer(frame.b, q, correlation)
	if err != nil {
		frame.free()
		return nil, c.fail(q, err)
	}
	return &FetchFrame{Response: a.(*kmsg.FetchResponse), frame: frame}, nil
}

// Close ends the connection; a request that is under way fails. It may be called again and by anybody, and always returns nil.
func (c *KafkaConn) Close() error {
	c.closing.Do(func() {
		close(c.closed)
		_ = c.nc.Close()
		c.p.mu.Lock()
		defer c.p.mu.Unlock()
		delete(c.p.own, c)
	})
	return nil
}

// exchange sends a request and reads the frame of its answer.
func (c *KafkaConn) exchange(ctx context.Context, q kmsg.Request) (*buffer, int32, error) {
	select {
	case c.turn <- struct{}{}:
	case <-c.closed:
		return nil, 0, c.fail(q, errClosed)
	case <-ctx.Done():
		return nil, 0, ended(ctx, requestName(q, c.to))
	}
	defer func() { <-c.turn }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // what comes afterwards would be taken for the next answer
	frame, err := c.roundTrip(q)
	if !stop() {
		if frame != nil {
			frame.free()
		}
		return nil, 0, ended(ctx, requestName(q, c.to))
	}
	if err != nil {
		return nil, 0, c.fail(q, err)
	}
	return frame, c.correlation, nil
}

func (c *KafkaConn) roundTrip(q kmsg.Request) (*buffer, error) {
	c.correlation++
	c.request = c.format.AppendRequest(c.request[:0], q, c.correlation)
	err := writeAll(c.nc, c.request)
	if cap(c.request) > keptRequest {
		c.request = nil
	}
	if err != nil {
		return nil, err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(allowance(q))); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(c.r, length[:]); err != nil {
		return nil, err
	}
	n, err := checkSize(length)
	if err != nil {
		return nil, err
	}
	frame, err := readBuffer(progress{c.r, c.nc}, n, c.shown)
	c.shown = max(c.shown, n)
	return frame, err
}

// progress reads through r and gives the connection requestTimeout for each piece.
type progress struct {
	r  io.Reader
	nc net.Conn
}

func (p progress) Read(b []byte) (int, error) {
	if err := p.nc.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// fail ends the connection and returns the error of a request.
func (c *KafkaConn) fail(q kmsg.Request, err error) error {
	_ = c.Close()
	return failed(requestName(q, c.to), err)
}

// failed is the error of a Kafka request whose connection broke, or whose answer took too long.
func failed(what string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return kafka.Errorf(kafka.RequestTimedOut, "%s: no answer came in time: %w", what, err)
	}
	return broken(what, err)
}
