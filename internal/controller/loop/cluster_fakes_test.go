package loop

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// world is a cluster in one process and in the time of a synctest bubble: a store that all nodes share, a network between them, and the
// loops. Its calls and commits take random times, so that seeds give different orders.
type world struct {
	t    *testing.T
	seed uint64

	mu       sync.Mutex
	rng      *rand.Rand
	lead     kafka.BrokerID
	term     quorum.Term
	image    *metadata.Image
	batches  []quorum.Batch
	keep     int           // batches that Follow still has; 0: all
	moved    chan struct{} // closed and replaced whenever something here changes
	nodes    map[kafka.BrokerID]*member
	lossy    bool // a commit may fail without saying whether it happened
	slow     time.Duration
	onCommit func([]metadata.Record, *metadata.Image) // called without mu
}

// member is a node: its store, its connections and its loop.
type member struct {
	w    *world
	id   kafka.BrokerID
	loop *Loop
	rec  *recorder

	// Guarded by world.mu.
	dead     bool // the process is gone: refused
	cut      bool // nothing comes or goes
	stuck    bool // its follower does not get on
	hangs    bool // its commits are lost
	refuses  int  // so many connections, from now on
	lead     quorum.Leadership
	watchers []func(quorum.Leadership)
	at       quorum.Revision // followed
	follows  bool
	calls    map[string]int // made to it, by method
}

func newWorld(t *testing.T) *world {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	return &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 5)), lead: kafka.NoBroker, image: metadata.Empty(), moved: make(chan struct{}),
		nodes: map[kafka.BrokerID]*member{}, slow: 3 * time.Millisecond,
	}
}

func (w *world) changedLocked() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// pause takes a random time, as a network does.
func (w *world) pause() {
	w.mu.Lock()
	d := time.Duration(w.rng.Int64N(int64(w.slow) + 1))
	w.mu.Unlock()
	time.Sleep(d)
}

func (w *world) chance(percent int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(100) < percent
}

// until waits until something holds that is guarded by mu.
func (w *world) until(ctx context.Context, holds func() bool) error {
	for {
		w.mu.Lock()
		ok, moved := holds(), w.moved
		w.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// eventually waits, for a minute of the bubble's time at most.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("seed %d: never: %s", w.seed, what)
		}
	}
}

// elect makes a node the leader of the store's next term. Nodes hear of it after a while, those that are cut off when they are not any more.
func (w *world) elect(id kafka.BrokerID) {
	w.mu.Lock()
	w.lead, w.term = id, w.term+1
	w.changedLocked()
	w.mu.Unlock()
}

// tell keeps a node's view of the leadership up to date until ctx ends.
func (m *member) tell(ctx context.Context) {
	for {
		var now quorum.Leadership
		err := m.w.until(ctx, func() bool {
			now = quorum.Leadership{Controller: m.w.lead, Term: m.w.term, Here: m.w.lead == m.id}
			return !m.cut && !m.dead && now != m.lead
		})
		if err != nil {
			return
		}
		m.w.pause()
		m.w.mu.Lock()
		if m.cut || m.dead || now.Term != m.w.term {
			m.w.mu.Unlock()
			continue
		}
		m.lead = now
		list := slices.Clone(m.watchers)
		m.w.mu.Unlock()
		for _, fn := range list {
			fn(now)
		}
	}
}

// Load implements quorum.Store.
func (m *member) Load(ctx context.Context) (metadata.Snapshot, quorum.Revision, error) {
	if err := m.w.until(ctx, func() bool { return !m.cut }); err != nil {
		return metadata.Snapshot{}, 0, err
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return metadata.SnapshotOf(m.w.image), quorum.Revision(len(m.w.batches)), nil
}

// Follow implements quorum.Store.
func (m *member) Follow(ctx context.Context, after quorum.Revision, fn func(quorum.Batch) error) error {
	m.w.mu.Lock()
	m.at, m.follows = after, true
	m.w.mu.Unlock()
	defer func() {
		m.w.mu.Lock()
		m.follows = false
		m.w.changedLocked()
		m.w.mu.Unlock()
	}()
	for {
		if err := m.w.until(ctx, func() bool { return !m.cut && !m.stuck && int(m.at) < len(m.w.batches) }); err != nil {
			return err
		}
		if m.id != m.w.leader() {
			m.w.pause()
		}
		m.w.mu.Lock()
		if m.w.keep > 0 && len(m.w.batches)-int(m.at) > m.w.keep {
			m.w.mu.Unlock()
			return quorum.ErrTooFarBehind
		}
		b := m.w.batches[m.at]
		m.w.mu.Unlock()
		if err := fn(b); err != nil {
			return err
		}
		m.w.mu.Lock()
		m.at++
		m.w.changedLocked()
		m.w.mu.Unlock()
	}
}

func (w *world) leader() kafka.BrokerID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lead
}

var errLost = errors.New("the answer of the store is lost")

// Commit implements quorum.Store.
func (m *member) Commit(ctx context.Context, term quorum.Term, guards []quorum.Guard, records []metadata.Record) (quorum.Revision, error) {
	m.w.pause()
	patience, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := m.w.until(patience, func() bool { return !m.cut && !m.hangs }); err != nil {
		return 0, errLost
	}
	lost := len(records) > 0 && m.w.lossy && m.w.chance(10)
	if lost && m.w.chance(50) {
		return 0, errLost
	}
	m.w.mu.Lock()
	if m.w.lead != m.id || m.w.term != term {
		m.w.mu.Unlock()
		return 0, quorum.ErrStaleTerm
	}
	for _, g := range guards {
		if int(g.Head) != len(m.w.batches) {
			m.w.mu.Unlock()
			return 0, quorum.ErrGuard
		}
	}
	revision := quorum.Revision(len(m.w.batches))
	if len(records) > 0 {
		img, _, err := metadata.Fold(m.w.image, records)
		if err != nil {
			m.w.mu.Unlock()
			m.w.t.Errorf("seed %d: a decision contradicts the metadata: %v", m.w.seed, err)
			return 0, err
		}
		revision++
		m.w.image = img
		m.w.batches = append(m.w.batches, quorum.Batch{Revision: revision, Records: records})
		m.w.changedLocked()
		hook := m.w.onCommit
		m.w.mu.Unlock()
		if hook != nil {
			hook(records, img)
		}
	} else {
		m.w.mu.Unlock()
	}
	m.w.pause()
	if lost {
		return 0, errLost
	}
	return revision, m.w.until(ctx, func() bool { return !m.follows || m.at >= revision })
}

// Leadership implements quorum.Store.
func (m *member) Leadership() quorum.Leadership {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.lead
}

// Watch implements quorum.Store.
func (m *member) Watch(fn func(quorum.Leadership)) (stop func()) {
	m.w.mu.Lock()
	now := m.lead
	m.watchers = append(m.watchers, fn)
	m.w.mu.Unlock()
	fn(now)
	return func() {}
}

// Close implements quorum.Store.
func (m *member) Close() error { return nil }

// add starts a node and returns when it has joined.
func (w *world) add(id kafka.BrokerID) *member {
	w.t.Helper()
	m := w.prepare(id)
	if err := m.join(); err != nil {
		w.t.Fatalf("seed %d: broker %d: %v", w.seed, id, err)
	}
	return m
}

// prepare makes a node that has not joined.
func (w *world) prepare(id kafka.BrokerID) *member {
	m := &member{w: w, id: id, rec: &recorder{t: w.t}, lead: quorum.Leadership{Controller: kafka.NoBroker}, calls: map[string]int{}}
	m.loop = New(Options{
		Store: m, Env: environment(), Publishers: []metadata.Publisher{m.rec}, Peers: m, Node: id, Logger: slog.New(slog.DiscardHandler),
	})
	w.mu.Lock()
	w.nodes[id] = m
	if w.lead == kafka.NoBroker {
		w.lead, w.term = id, 1
	}
	w.changedLocked()
	w.mu.Unlock()
	w.background(m.tell)
	w.t.Cleanup(m.loop.Close)
	return m
}

func (m *member) join() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return m.loop.Join(ctx, m.registration())
}

func (m *member) registration() controller.Registration {
	return controller.Registration{
		Broker:    metadata.Broker{ID: m.id, Incarnation: kafka.NewUUID(), Peers: []string{"h:1"}},
		ClusterID: "test", Features: map[string]int16{metadata.FeatureVersion: metadata.SupportedLevel(metadata.FeatureVersion)},
	}
}

// environment replicates, unlike options.
func environment() controller.Env {
	e := options(nil).Env
	e.Replication = 3
	return e
}

// kill ends a node at once. The others see its connections break, if it is the controller that sees it.
func (m *member) kill() {
	m.w.mu.Lock()
	m.dead = true
	m.w.changedLocked()
	var others []*member
	for _, o := range m.w.nodes {
		if o != m && !o.dead {
			others = append(others, o)
		}
	}
	m.w.mu.Unlock()
	m.loop.Close()
	for _, o := range others {
		o.loop.OnClosed(peer.Caller{Node: m.id})
	}
}

func (m *member) setCut(cut bool) {
	m.w.mu.Lock()
	m.cut = cut
	m.w.changedLocked()
	m.w.mu.Unlock()
}

// own is the registration as the store has it.
func (w *world) own(id kafka.BrokerID) metadata.Broker {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.image.Brokers[id]; b != nil {
		return *b
	}
	return metadata.Broker{ID: kafka.NoBroker}
}

// ledBy counts the partitions that a broker leads.
func (w *world) ledBy(id kafka.BrokerID) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for topic := range w.image.Topics.All() {
		for _, p := range topic.Partitions {
			if p.Leader == id {
				n++
			}
		}
	}
	return n
}

// same waits until all living nodes have the image of the store, and compares them (QUO-2, MET-2).
func (w *world) same() {
	w.t.Helper()
	w.mu.Lock()
	img := w.image
	w.mu.Unlock()
	want := string(metadata.AppendRecords(nil, metadata.SnapshotOf(img).Records))
	for _, m := range w.living() {
		w.eventually("the image of a node is that of the store", func() bool { return m.loop.Image().Offset >= img.Offset })
		got := m.loop.Image()
		if got.Offset == img.Offset && string(metadata.AppendRecords(nil, metadata.SnapshotOf(got).Records)) != want {
			w.t.Errorf("seed %d: node %d has another image of offset %d", w.seed, m.id, img.Offset)
		}
	}
}

// living are the nodes whose process runs.
func (w *world) living() (list []*member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.nodes {
		if !m.dead {
			list = append(list, m)
		}
	}
	return list
}

// background runs f until the test ends.
func (w *world) background(f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
}
