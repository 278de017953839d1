package peer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Options of Peers. What may be left out says in brackets what holds then.
type Options struct {
	Self        func() (kafka.BrokerID, string)                          // own id (NoBroker: none yet) and cluster id ("": unknown), for the hello
	Addrs       func(kafka.BrokerID) []string                            // HOST:PORT of a broker's peer port, from the image; none: it is not known
	DialTimeout time.Duration                                            // for one address, the hello included [1 s]
	Dial        func(ctx context.Context, addr string) (net.Conn, error) // [TCP]
	MaxBody     int                                                      // bytes of a call's body and of its answer [64 MiB]
	Logger      *slog.Logger                                             // [nobody]
	Now         func() time.Time                                         // for back-off [time.Now]
}

const (
	// callTimeout bounds a call whose context has no deadline.
	callTimeout = 30 * time.Second
)

// Peers are the other brokers, as seen from this one. Errors have one of these codes, besides those that the other broker answers:
//
//   - BROKER_NOT_AVAILABLE: nothing was asked of it: it could not be reached, its address is not known, or it could not be reached a
//     moment ago (the circuit is open). errors.Is(err, syscall.ECONNREFUSED) if every address refused.
//   - NETWORK_EXCEPTION: the connection broke: what was asked may be done or not.
//   - REQUEST_TIMED_OUT: the context ended, or the time-out: the same. errors.Is tells the context's error.
//   - INCONSISTENT_CLUSTER_ID, UNSUPPORTED_VERSION: it does not want to speak with this one.
type Peers struct {
	opts   Options
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // dials and connections
	dice   func() float64

	pingEvery, maxSilence time.Duration

	mu      sync.Mutex // guards what follows; taken before link.mu, pipeline.mu and outbox.mu
	closed  bool
	remotes map[kafka.BrokerID]*remote
	own     map[*KafkaConn]struct{}
}

// New returns Peers that are connected to nobody yet.
func New(o Options) *Peers {
	if o.DialTimeout <= 0 {
		o.DialTimeout = time.Second
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Peers{
		opts: o, log: o.Logger, dice: rand.Float64, pingEvery: pingEvery, maxSilence: maxSilence,
		remotes: map[kafka.BrokerID]*remote{}, own: map[*KafkaConn]struct{}{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close ends all connections, those that Dial gave included, and waits for the goroutines. What is under way fails. It may be called
// again, and always returns nil.
func (p *Peers) Close() error {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	for _, r := range p.remotes {
		r.calls.drop()
		r.kafka.drop()
	}
	own := p.own
	p.own = nil
	p.mu.Unlock()
	for c := range own {
		_ = c.Close()
	}
	p.wg.Wait()
	return nil
}

// hold keeps Close from returning until a Done of p.wg; it fails after Close.
func (p *Peers) hold() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holdLocked()
}

func (p *Peers) holdLocked() error {
	if p.closed {
		return errPeersClosed
	}
	p.wg.Add(1)
	return nil
}
