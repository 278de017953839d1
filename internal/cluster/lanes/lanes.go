package lanes

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Conn is a Kafka connection of one's own: a peer.KafkaConn.
type Conn interface {
	// Do sends a request and waits for the answer. After an error the connection is not used any more.
	Do(ctx context.Context, q kmsg.Request) (kmsg.Response, error)
	Close() error
}

// Options of Lanes. Dial is required.
type Options struct {
	// Dial connects to a broker. It is called from several goroutines at a time.
	Dial func(ctx context.Context, broker kafka.BrokerID) (Conn, error)
	// Most is how many requests to one broker may be under way. [512]
	Most int
	// IdleTime is how long a connection is kept for the next request. [30 seconds]
	IdleTime time.Duration
}

// Lanes are the connections to all brokers. Its methods may be called from any goroutine.
type Lanes struct {
	opts Options

	mu      sync.Mutex // guards what follows, for memory work only; a leaf
	brokers map[kafka.BrokerID]*broker
	closed  bool
	timer   *time.Timer // closes what is idle; nil unless something may be
}

// broker is the connections to one.
type broker struct {
	turns chan struct{} // a token for each request under way
	idle  []idle        // the last one used is last
	busy  map[Conn]struct{}
	users int // requests under way or waiting
}

type idle struct {
	conn  Conn
	since time.Time
}

// New returns Lanes without connections.
func New(o Options) *Lanes {
	if o.Most <= 0 {
		o.Most = 512
	}
	if o.IdleTime <= 0 {
		o.IdleTime = 30 * time.Second
	}
	return &Lanes{opts: o, brokers: map[kafka.BrokerID]*broker{}}
}

var errClosed = kafka.Errorf(kafka.NetworkException, "this broker is shutting down")

// Kafka sends a request, in the version that it names, and returns the answer. If ctx ends the request may have its effect all the same.
//
// Errors: those of Dial and Do, NetworkException after Close, and ctx's while it waits for its turn.
func (l *Lanes) Kafka(ctx context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	b, err := l.enter(to)
	if err != nil {
		return nil, err
	}
	defer l.leave(to, b)
	select {
	case b.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, kafka.Errorf(kafka.RequestTimedOut, "too many requests to broker %d are under way: %w", to, context.Cause(ctx))
	}
	defer func() { <-b.turns }()
	conn, err := l.take(ctx, to, b)
	if err != nil {
		return nil, err
	}
	resp, err := conn.Do(ctx, q)
	l.giveBack(b, conn, err, ctx.Err() != nil)
	return resp, err
}

// Close ends all connections, and with them the requests under way. It may be called again.
func (l *Lanes) Close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	var all []Conn
	for _, b := range l.brokers {
		all = append(all, b.dropIdle(time.Time{})...)
		for c := range b.busy {
			all = append(all, c)
		}
	}
	l.mu.Unlock()
	closeAll(all)
}

// enter counts a request.
func (l *Lanes) enter(to kafka.BrokerID) (*broker, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	b := l.brokers[to]
	if b == nil {
		b = &broker{turns: make(chan struct{}, l.opts.Most), busy: map[Conn]struct{}{}}
		l.brokers[to] = b
	}
	b.users++
	return b, nil
}

// leave forgets a broker of which nothing is left.
func (l *Lanes) leave(to kafka.BrokerID, b *broker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.users--
	l.forgetLocked(to, b)
}

func (l *Lanes) forgetLocked(to kafka.BrokerID, b *broker) {
	if b.users == 0 && len(b.idle) == 0 && l.brokers[to] == b {
		delete(l.brokers, to)
	}
}

// take finds an idle connection, or makes one.
func (l *Lanes) take(ctx context.Context, to kafka.BrokerID, b *broker) (Conn, error) {
	l.mu.Lock()
	if n := len(b.idle); n > 0 {
		conn := b.idle[n-1].conn
		b.idle[n-1] = idle{}
		b.idle = b.idle[:n-1]
		b.busy[conn] = struct{}{}
		l.mu.Unlock()
		return conn, nil
	}
	l.mu.Unlock()
	conn, err := l.opts.Dial(ctx, to)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	if !l.closed {
		b.busy[conn] = struct{}{}
		l.mu.Unlock()
		return conn, nil
	}
	l.mu.Unlock()
	closeAll([]Conn{conn})
	return nil, errClosed
}

// giveBack keeps a connection for the next request, unless it has failed. gaveUp: only because who asked waited no longer.
func (l *Lanes) giveBack(b *broker, conn Conn, err error, gaveUp bool) {
	var broken []Conn
	l.mu.Lock()
	delete(b.busy, conn)
	switch {
	case err != nil && gaveUp:
		broken = []Conn{conn}
	case err != nil:
		broken = append(b.dropIdle(time.Time{}), conn)
	case l.closed:
		broken = []Conn{conn}
	default:
		b.idle = append(b.idle, idle{conn, time.Now()})
		l.scheduleLocked()
	}
	l.mu.Unlock()
	closeAll(broken)
}

// dropIdle takes off the connections that are idle since before then; the zero time: all.
func (b *broker) dropIdle(then time.Time) (dropped []Conn) {
	n := 0
	for n < len(b.idle) && (then.IsZero() || !b.idle[n].since.After(then)) {
		dropped = append(dropped, b.idle[n].conn)
		n++
	}
	b.idle = append([]idle(nil), b.idle[n:]...)
	return dropped
}

// scheduleLocked has what is idle looked after.
func (l *Lanes) scheduleLocked() {
	if l.timer == nil {
		l.timer = time.AfterFunc(l.opts.IdleTime, l.sweep)
	}
}

// sweep closes what was idle for too long.
func (l *Lanes) sweep() {
	var old []Conn
	l.mu.Lock()
	then := time.Now().Add(-l.opts.IdleTime)
	left := 0
	for to, b := range l.brokers {
		old = append(old, b.dropIdle(then)...)
		left += len(b.idle)
		l.forgetLocked(to, b)
	}
	if l.timer = nil; left > 0 && !l.closed {
		l.scheduleLocked()
	}
	l.mu.Unlock()
	closeAll(old)
}

func closeAll(conns []Conn) {
	for _, c := range conns {
		_ = c.Close() // nothing is lost with it
	}
}
