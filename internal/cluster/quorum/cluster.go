package quorum

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ClusterOptions of a Cluster.
type ClusterOptions struct {
	// Dir is where etcd keeps its files. It belongs to the Cluster alone and is made when it is absent. Unused by Connect.
	Dir string
	// Node is the broker's id.
	Node kafka.BrokerID
	// PeerURL is http://HOST:PORT of the peer port as other nodes reach it.
	PeerURL string
	// Logger hears etcd's warnings; nil: slog.Default.
	Logger *slog.Logger
	// TickMs is the interval of raft's heartbeats and ElectionMs the time without one after which voters elect another leader, in
	// milliseconds, the same on all members and at least five times TickMs; 0: 50 and 500.
	TickMs, ElectionMs uint
	// Dial reaches the peer port of a voter; nil: TCP. Connect and Voters use it; etcd's raft dials by itself.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// SnapshotBytes and SnapshotBatches are how far the log grows behind a snapshot before the leader makes the next one; 0: 4 MiB and
	// 5,000. It is never made before the log is larger than the last one.
	SnapshotBytes   int64
	SnapshotBatches int
}

func (o ClusterOptions) withDefaults() ClusterOptions {
	if o.TickMs == 0 {
		o.TickMs = 50
	}
	if o.ElectionMs == 0 {
		o.ElectionMs = 500
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 4 << 20
	}
	if o.SnapshotBatches == 0 {
		o.SnapshotBatches = 5000
	}
	if o.Dial == nil {
		dialer := &net.Dialer{Timeout: time.Second}
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }
	}
	o.Logger = loggerOr(o.Logger)
	return o
}

func (o ClusterOptions) election() time.Duration {
	return time.Duration(o.ElectionMs) * time.Millisecond
}

// Errors of a Cluster; errors.Is.
var (
	// ErrOutcomeUnknown: the leadership or the connection was lost before it was known whether the records were committed.
	ErrOutcomeUnknown = errors.New("it is not known whether the metadata was committed; look before trying again")
	// ErrRemoved: the other voters have removed this node. Its directory no longer counts (Exists).
	ErrRemoved = errors.New("this node is no longer a voter of its cluster; connect to the voters instead")
	// ErrIDTaken: another data directory owns the broker id.
	ErrIDTaken = errors.New("the broker id belongs to another data directory; choose another one, or release it first")
	// ErrNoSuchMember: no voter or learner has the id.
	ErrNoSuchMember = errors.New("no such voter")
	// ErrNotEmpty: Import found metadata.
	ErrNotEmpty = errors.New("the cluster has metadata of its own")
	// ErrNothingImported: what was asked for comes after Import or the first Commit.
	ErrNothingImported = errors.New("the cluster has no metadata yet; import it first")
)

// Cluster is the Store over etcd, which runs embedded in this process (a voter, or a learner on its way to be one) or is reached through
// the peer ports of the voters. What it knows of the metadata it has from a watch; its own commits come back to it the same way, so all
// nodes take the same batches in the same order (QUO-2).
type Cluster struct {
	feed
	opts   ClusterOptions
	etcd   *embedded // nil: a client
	client *clientv3.Client
	marker marker // what makes the directory count; not of a client
	// external: others run the etcd, and the controller is elected by a key in it.
	external bool

	ctx    context.Context // ends when Close begins or the store has failed
	cancel context.CancelFunc
	wg     sync.WaitGroup // reader, leadership; of a member also committer and compactor
	stop   sync.Once      // the end of etcd and of the client

	// asking is held for reading by whoever asks etcd in a goroutine that is not ours, and taken by Close, to wait for them.
	asking sync.RWMutex

	ready  chan struct{} // closed once the metadata is loaded
	commit chan struct{} // holds one token while the committer has something to look at
	shrink chan struct{} // the same for the compactor
	gone   atomic.Bool   // others said that this node is no member any more
	poke   chan struct{} // the same for a client that looks who leads

	// The rest is guarded by feed.mu.
	counts  bool // the directory has its marker
	at      position
	grown   growth
	waiting []*proposal
	flight  *flight
	rewatch context.CancelFunc // ends the load or the watch under way; nil before the first
}

// position is what the feed's head looks like in etcd.
type position struct {
	mod   int64 // ModRevision of keyHead; 0: absent
	term  Term  // in it
	value string
}

// growth is how far the log has grown behind the last snapshot.
type growth struct {
	base    base
	baseMod int64 // ModRevision of keyBase; 0: absent
	bytes   int64
}

func newCluster(o ClusterOptions) *Cluster {
	c := &Cluster{
		feed:   newFeed(),
		opts:   o,
		ready:  make(chan struct{}),
		commit: make(chan struct{}, 1),
		shrink: make(chan struct{}, 1),
		poke:   make(chan struct{}, 1),
	}
	c.leads = Leadership{Controller: kafka.NoBroker}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// wake puts a token into one of the channels above.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Ready returns once this node has loaded the metadata, which needs a majority of the voters.
func (c *Cluster) Ready(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("load metadata from the voters: %w", ctx.Err())
	case <-c.ctx.Done():
		return c.endedWith()
	}
}

// endedWith says why the store no longer works.
func (c *Cluster) endedWith() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	return ErrClosed
}

// Load implements Store. It asks a majority of the voters for the last revision and waits until this node has it, so what it returns is
// never older than what any node was told before.
func (c *Cluster) Load(ctx context.Context) (metadata.Snapshot, Revision, error) {
	img, rev, err := c.current(ctx)
	if err != nil {
		return metadata.Snapshot{}, 0, err
	}
	return metadata.SnapshotOf(img), rev, nil
}

// current returns the image at a revision that was the last one after the call began, or at a later one.
func (c *Cluster) current(ctx context.Context) (*metadata.Image, Revision, error) {
	if err := c.Ready(ctx); err != nil {
		return nil, 0, err
	}
	last, err := c.lastHead(ctx)
	if err != nil {
		return nil, 0, err
	}
	var img *metadata.Image
	var rev Revision
	err = c.until(ctx, func() bool {
		img, rev = c.image, c.head
		return rev >= last.revision
	})
	return img, rev, err
}

// lastHead asks a majority.
func (c *Cluster) lastHead(ctx context.Context) (h head, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		resp, err := c.client.Get(ctx, keyHead)
		if err == nil && len(resp.Kvs) > 0 {
			h, err = decodeHead(resp.Kvs[0].Value)
		}
		return err
	})
	return h, err
}

// until waits for a condition, which is asked under feed.mu, for ctx or for the end of the store.
func (c *Cluster) until(ctx context.Context, ok func() bool) error {
	for {
		c.mu.Lock()
		done, ended, moved := ok(), c.ended, c.moved
		c.mu.Unlock()
		if ended != nil {
			return ended
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// pause waits between two tries.
func (c *Cluster) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return c.endedWith()
	}
}

// finish ends the store: Follow returns err once it has given everything, and so does everything else. The goroutine of the leadership
// tells the watchers.
func (c *Cluster) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	c.ended = err
	c.leads = Leadership{Controller: kafka.NoBroker, Term: c.leads.Term}
	c.notifyLocked()
	c.cancel()
}

// Close implements Store. A leader hands over to another voter first. Commits that are under way are refused, or end with
// ErrOutcomeUnknown.
func (c *Cluster) Close() error { return c.close(true) }

func (c *Cluster) close(grace bool) error {
	c.finish(ErrClosed)
	c.wg.Wait()
	c.asking.Lock()
	defer c.asking.Unlock()
	var err error
	c.stop.Do(func() {
		err = c.client.Close()
		if errors.Is(err, context.Canceled) {
			err = nil // what the client of an embedded etcd answers
		}
		if c.etcd != nil {
			err = errors.Join(err, c.etcd.stop(grace))
		}
	})
	return err
}

// RaftConn connects to the embedded etcd's socket for HTTP/1; an error when there is none, or it has ended.
func (c *Cluster) RaftConn() (net.Conn, error) { return c.dialEtcd(true) }

// ClientConn connects to the embedded etcd's socket for HTTP/2; an error when there is none, or it has ended.
func (c *Cluster) ClientConn() (net.Conn, error) { return c.dialEtcd(false) }

func (c *Cluster) dialEtcd(raft bool) (net.Conn, error) {
	if c.etcd == nil {
		return nil, errors.New("no etcd runs in this process")
	}
	return c.etcd.dial(raft)
}
