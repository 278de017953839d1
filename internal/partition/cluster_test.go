package partition

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// cluster is a partition with three replicas, over disks that lose what was not synced, and a controller that never errs. Messages between them are
// lost, late and repeated; nodes crash, are thought dead while they live, and learn late of what was decided.
type cluster struct {
	testing.TB
	dice   *rand.Rand
	now    time.Time
	bug    string // which known protocol bug is put in
	minISR int
	nodes  []*replicaNode

	// The controller's.
	meta   []Role // all it ever decided; the last one holds
	elr    []kafka.BrokerID
	fenced []bool
	births int64 // broker epochs given

	alters  []alter
	strays  []strayFetch
	sends   []*send
	acked   []ackedBatch
	writers []*writer
	tags    int64
	calm    bool // nothing is lost any more
}

type replicaNode struct {
	*cluster
	id      kafka.BrokerID
	engine  *partitiontest.Engine
	p       *Partition
	up      bool
	cutOff  bool  // from the controller
	epoch   int64 // its broker epoch
	version int   // of meta, as it knows it
	reply   *fetchReply

	below   []txnEntry // of its log, what was trimmed
	partial bool       // it never had what its leader had deleted by then
	hw      kafka.Offset
}

// violation is what a checker finds.
type violation string

func (c *cluster) fail(format string, args ...any) {
	panic(violation(fmt.Sprintf(format, args...)))
}

var clusterID = storage.ID{TopicPartition: kafka.TopicPartition{Topic: "orders"}, TopicID: kafka.UUID{1}}

func newCluster(t testing.TB, seed uint64, bug string) *cluster {
	c := &cluster{TB: t, dice: rand.New(rand.NewPCG(seed, 5)), now: time.UnixMilli(1_700_000_000_000), bug: bug}
	c.minISR = 1 + c.dice.IntN(2)
	c.meta = []Role{{Epoch: 1, PartitionEpoch: 1, Leader: 0, ISR: three, Replicas: three}}
	c.fenced = make([]bool, len(three))
	for _, id := range three {
		n := &replicaNode{cluster: c, id: id, engine: partitiontest.New()}
		n.engine.Hold = true
		n.engine.Now = func() time.Time { return c.now }
		c.nodes = append(c.nodes, n)
		c.births++
		n.epoch = c.births
		n.start()
	}
	for pid := range kafka.ProducerID(5) {
		c.writers = append(c.writers, &writer{cluster: c, pid: pid})
	}
	return c
}

// start begins a life of a node over the log it has.
func (n *replicaNode) start() {
	s := &Settings{MinISR: n.minISR, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
	s.Rules.Delays = true
	host := &Host{Engine: n.engine, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return n.now }, MaxSilence: 500 * time.Millisecond}
	host.Lease = func() bool { return !n.cutOff || n.dice.IntN(2) == 0 }
	n.p = New(clusterID, host, s, &Stats{})
	n.up, n.cutOff, n.reply, n.hw = true, false, nil, 0
	n.version = len(n.meta) - 1
	n.learn()
}

// learn gives the node the role of the version it knows.
func (n *replicaNode) learn() {
	r := n.meta[n.version]
	r.Node, r.IsLeader = n.id, r.Leader == n.id
	n.p.SetRole(r)
	if n.bug == "join below the epoch start" && r.IsLeader {
		if n.p.waiting.isr != nil {
			n.p.waiting.isr.Begin(0, n.p.HighWatermark())
		}
	}
	if n.bug == "the own end is enough" && r.IsLeader {
		n.p.waiting.replicated = false
	}
	if n.bug == "truncate by watermark" && !r.IsLeader {
		n.must(n.p.TruncateTo(r.Epoch, EpochEnd{Epoch: r.Epoch, End: n.p.HighWatermark()}))
	}
}

func (n *replicaNode) must(_ any, err error) {
	if err != nil {
		n.Fatalf("broker %d: %v", n.id, err)
	}
}

func (n *replicaNode) log() *partitiontest.Log { return n.engine.Log(clusterID) }

// crash ends the node's life; what it had not synced is lost.
func (n *replicaNode) crash() {
	n.up = false
	if l := n.log(); l != nil {
		l.Crash()
	}
	n.lost()
}

// stop ends it cleanly.
func (n *replicaNode) stop() {
	n.up = false
	n.must(nil, n.p.Close(context.Background()))
	n.lost()
}

// lost forgets the requests that the node was to answer: nobody knows what became of them.
func (n *replicaNode) lost() {
	n.sends = slices.DeleteFunc(n.sends, func(s *send) bool { return s.node == n })
	for _, w := range n.writers {
		if w.sent != nil && w.sent.node == n {
			w.sent = nil
		}
	}
}

// entries are the batches of a log, including those that were trimmed.
func (n *replicaNode) entries() []txnEntry {
	all := slices.Clone(n.below)
	l := n.log()
	if l == nil {
		return all
	}
	l.Each(func(h record.Header, raw record.Batches) {
		e := txnEntry{Header: h, raw: raw}
		if h.IsControl() && h.IsTransactional() {
			for r := range record.Records(raw, 0) {
				if m, ok, _ := record.ParseEndTxnMarker(&r); ok {
					e.marker = &m
				}
			}
		}
		if len(all) == 0 || h.BaseOffset >= all[len(all)-1].NextOffset() {
			all = append(all, e)
		}
	})
	return all
}

// current is what the controller has decided last.
func (c *cluster) current() *Role { return &c.meta[len(c.meta)-1] }

// decide makes a new version.
func (c *cluster) decide(change func(*Role)) {
	r := *c.current()
	r.PartitionEpoch++
	was := r.Leader
	change(&r)
	if r.Leader != was {
		r.Epoch++
	}
	c.meta = append(c.meta, r)
}

func (c *cluster) alive(ids []kafka.BrokerID) (alive []kafka.BrokerID) {
	for _, id := range ids {
		if !c.fenced[id] {
			alive = append(alive, id)
		}
	}
	return alive
}

// elect gives the partition a leader if it has none: of the ISR, else of those that left it when it was already too small (KIP-966).
func (c *cluster) elect() {
	r := c.current()
	if r.Leader != kafka.NoBroker {
		return
	}
	from := c.alive(r.ISR)
	if len(from) == 0 {
		from = c.alive(c.elr)
	}
	if len(from) == 0 {
		return
	}
	id := from[c.dice.IntN(len(from))]
	c.decide(func(r *Role) {
		r.Leader = id
		if !slices.Contains(r.ISR, id) {
			c.newISR(r, []kafka.BrokerID{id})
		}
	})
}

// newISR changes the ISR, and remembers who stays eligible.
func (c *cluster) newISR(r *Role, isr []kafka.BrokerID) {
	eligible := append(slices.Clone(c.elr), r.ISR...)
	r.ISR, c.elr = isr, nil
	if len(isr) >= r.NeededInSync(c.minISR) {
		return
	}
	for _, id := range eligible {
		if !slices.Contains(isr, id) && !slices.Contains(c.elr, id) {
			c.elr = append(c.elr, id)
		}
	}
}

// fence declares a node dead, which it may not be.
func (c *cluster) fence(id kafka.BrokerID) {
	c.fenced[id] = true
	if r := c.current(); slices.Contains(r.ISR, id) {
		c.decide(func(r *Role) {
			c.newISR(r, slices.DeleteFunc(slices.Clone(r.ISR), func(i kafka.BrokerID) bool { return i == id }))
			if r.Leader == id {
				r.Leader = kafka.NoBroker
			}
		})
	}
	c.elect()
}

// alter is a leader's request for another ISR.
type alter struct {
	by     *replicaNode
	p      *Partition // of that life
	q      ISRProposal
	at     time.Time
	silent bool // the leader has given up waiting for the answer
}

// answer decides on a request.
func (c *cluster) answer(a *alter) error {
	r := c.current()
	switch {
	case a.q.Epoch != r.Epoch || r.Leader != a.by.id || c.fenced[a.by.id]:
		return kafka.FencedLeaderEpoch
	case a.q.PartitionEpoch != r.PartitionEpoch:
		return kafka.InvalidUpdateVersion
	}
	var isr []kafka.BrokerID
	for _, m := range a.q.ISR {
		if c.fenced[m.ID] || m.Epoch >= 0 && m.Epoch != c.nodes[m.ID].epoch {
			return kafka.IneligibleReplica
		}
		isr = append(isr, m.ID)
	}
	c.decide(func(r *Role) { c.newISR(r, isr) })
	return nil
}

// strayFetch is a follower's fetch that arrives again, late.
type strayFetch struct {
	to  *replicaNode
	req ReadRequest
}

// fetchReply is what a leader answered, on its way.
type fetchReply struct {
	epoch     kafka.LeaderEpoch
	from      kafka.Offset
	err       error
	diverging *EpochEnd
	hw, start kafka.Offset
	records   []byte
}

// fetch has a follower ask its leader for more.
func (n *replicaNode) fetch() {
	role := n.p.Role()
	if role.IsLeader || role.Leader == kafka.NoBroker || n.reply != nil {
		return
	}
	point, err := n.p.FollowPoint()
	n.must(nil, err)
	if n.bug != "fetch before the sync" {
		n.must(nil, n.p.SyncFollower(context.Background(), point.Offset))
	}
	to := n.nodes[role.Leader]
	req := ReadRequest{
		From: point.Offset, MaxBytes: n.dice.IntN(300), AtLeastOne: n.dice.IntN(4) > 0, CurrentEpoch: point.Epoch, FetchedEpoch: point.LastEpoch,
		Replica: n.id, ReplicaEpoch: n.epoch,
	}
	if n.bug == "truncate by watermark" {
		req.FetchedEpoch = point.Epoch // so that nothing is compared
	}
	if n.dice.IntN(8) == 0 {
		n.strays = append(n.strays, strayFetch{to, req})
	}
	if !to.up || n.noise(10) {
		return
	}
	reply := to.serve(req)
	if !n.noise(10) {
		n.reply = reply
	}
}

func (n *replicaNode) serve(req ReadRequest) *fetchReply {
	read, err := n.p.Read(req)
	reply := &fetchReply{epoch: req.CurrentEpoch, from: req.From, err: err, diverging: read.Diverging, hw: read.HighWatermark, start: read.LogStart}
	if read.Records != nil {
		b, _ := read.Records.Bytes()
		reply.records = bytes.Clone(b)
		read.Records.Release()
	}
	return reply
}

// receive takes in an answer. It may be one of an epoch that is over here.
func (n *replicaNode) receive() {
	r := n.reply
	if n.reply = nil; r == nil {
		return
	}
	stale := n.p.Role().Epoch != r.epoch || n.p.Role().IsLeader
	check := func(err error) bool {
		if err != nil && !(stale && kafka.CodeOf(err) != kafka.CorruptMessage) {
			n.fail("broker %d cannot follow in epoch %d: %v", n.id, r.epoch, err)
		}
		return err == nil
	}
	switch {
	case kafka.CodeOf(r.err) == kafka.OffsetOutOfRange && r.from < r.start:
		if check(n.p.StartAt(r.epoch, r.start)) {
			n.below, n.partial = nil, true
		}
	case r.err != nil:
	case r.diverging != nil:
		_, err := n.p.TruncateTo(r.epoch, *r.diverging)
		check(err)
	default:
		if len(r.records) > 0 {
			if _, err := n.p.AppendAsFollower(r.epoch, r.records); !check(err) {
				return
			}
		}
		if n.noise(3) {
			return // the fetcher was stopped
		}
		if r.start > n.p.LogStart() || n.p.startsLate.Load() {
			n.keepTrimmed(func() { check(n.p.LeaderSaid(r.epoch, r.hw, r.start)) })
		} else {
			check(n.p.LeaderSaid(r.epoch, r.hw, r.start))
		}
	}
}

// keepTrimmed remembers what fn trims.
func (n *replicaNode) keepTrimmed(fn func()) {
	before := n.entries()
	fn()
	start := n.p.LogStart()
	n.below = slices.DeleteFunc(before, func(e txnEntry) bool { return e.NextOffset() > start })
}
