package txn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// TestRandom runs producers of both protocols against one shard whose records, answers and markers are lost at will, and compares what
// became of every record with what the producers were told.
//
// TXN-1 TXN-2 TXN-3 TXN-4 TXN-5 TXN-6, and T3, T7, T8, T9 of the reliability requirements: a transaction of unknown outcome is whole, who was
// fenced neither commits nor adds, nothing late lands in the next transaction, and nothing stays open.
func TestRandom(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for range seeds {
		seed := int64(seed.Of(t))
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newWorld(t, seed).play(4000) }) {
			t.Fatalf("RAFKA_SEED=%d plays it again", seed)
		}
	}
}

// world is the producers and partitions around one shard.
type world struct {
	*bench
	rng        *rand.Rand
	apps       []*app
	partitions map[kafka.TopicPartition]map[kafka.ProducerID]*stored
	markers    []*sending
	nextID     kafka.ProducerID
	decisions  map[coordinator.Producer]State // committed Prepare… by producer and epoch of the record
	txns       []*transaction
	over       bool
	reached    int // transactions that came to an end known to their producer
}

// app is a transactional id.
type app struct {
	id        string
	instances []*instance
	newest    coordinator.Producer // the highest that InitProducerId told an instance
	fenced    int                  // time-outs and new instances so far: what may fence an instance
	// fencedWhen is what fenced was when a producer was initialized.
	fencedWhen map[coordinator.Producer]int
}

// instance is one start of an application: a producer as a client library is.
type instance struct {
	app      *app
	version2 bool
	p        coordinator.Producer
	fencedAt int // app.fenced when it was told its producer
	ready    bool
	dead     bool
	txn      *transaction
	asked    func() // looks whether the answer has come; nil: nothing is asked
	redo     func() // asks again
	old      []func()
}

// transaction is one as its producer sees it.
type transaction struct {
	p          coordinator.Producer
	partitions []kafka.TopicPartition
	records    []*sentRecord
	commit     bool // as asked
	ended      bool // told so
}

// sentRecord is one record.
type sentRecord struct {
	txn  *transaction
	fate string // "" while it is undecided
}

// stored is what a partition knows of a producer.
type stored struct {
	epoch   kafka.ProducerEpoch
	open    []*sentRecord
	markers int
}

// sending is a marker on its way.
type sending struct {
	m    SendMarkers
	left []kafka.TopicPartition
}

func newWorld(t *testing.T, seed int64) *world {
	w := &world{
		bench: newBench(t), rng: rand.New(rand.NewPCG(uint64(seed), 1)), nextID: 1,
		partitions: map[kafka.TopicPartition]map[kafka.ProducerID]*stored{}, decisions: map[coordinator.Producer]State{},
	}
	for i := range 4 {
		w.apps = append(w.apps, &app{id: fmt.Sprint("app-", i), fencedWhen: map[coordinator.Producer]int{}})
	}
	for i := range int32(3) {
		w.partitions[tp("t", i)] = map[kafka.ProducerID]*stored{}
	}
	w.emitted = w.checkEmitted
	w.onCommit = w.checkCommitted
	return w
}

func (w *world) freshID() kafka.ProducerID { w.nextID++; return w.nextID }

// checkEmitted is TXN-1 and TXN-4.
func (w *world) checkEmitted(id string, before, after *Transaction) {
	from := Empty
	if before != nil {
		from = before.State
	}
	if after == nil {
		if !Dead.mayFollow(from) {
			w.t.Fatalf("%s: forgotten in state %v", id, from)
		}
		return
	}
	fence := from == Ongoing && after.State == PrepareAbort && before.Epoch+1 < after.Epoch
	if !after.State.mayFollow(from) || fence && !PrepareEpochFence.mayFollow(from) {
		w.t.Fatalf("%s: from %v to %v", id, from, after.State)
	}
	switch {
	case after.State == Empty && (before == nil || older(before.owner(), after.owner())):
		a := w.appOf(id)
		a.fenced++
		a.fencedWhen[after.owner()] = a.fenced
	case after.State.isPrepared():
		if fence {
			w.appOf(id).fenced++
		}
	case from.isPrepared():
		for _, tp := range before.Partitions {
			if s := w.partitions[tp][before.ProducerID]; s == nil || s.epoch < before.Epoch || len(s.open) > 0 {
				w.t.Fatalf("%s: %v before the marker of %v", id, after.State, tp)
			}
		}
	}
}

// checkCommitted is TXN-3.
func (w *world) checkCommitted(r Record) {
	if t := r.Transaction; t != nil && t.State.isPrepared() && len(t.Partitions) > 0 && t.ClientVersion >= Version2 {
		p := coordinator.Producer{ID: t.ProducerID, Epoch: t.Epoch}
		if was, ok := w.decisions[p]; ok && was != t.State {
			w.t.Fatalf("%s: decided as %v, then as %v", r.ID, was, t.State)
		}
		w.decisions[p] = t.State
	}
}

func (w *world) appOf(id string) *app {
	return w.apps[slices.IndexFunc(w.apps, func(a *app) bool { return a.id == id })]
}

func (w *world) play(steps int) {
	for range steps {
		w.step()
	}
	w.settle()
}

func (w *world) step() {
	a := w.apps[w.rng.IntN(len(w.apps))]
	switch n := w.rng.IntN(100); {
	case n < 1 || len(a.instances) == 0 || n < 10 && a.instances[len(a.instances)-1].dead:
		w.start(a)
	case n < 50:
		w.act(a.instances[len(a.instances)-1])
	case n < 55:
		w.act(a.instances[w.rng.IntN(len(a.instances))])
	case n < 70:
		w.commit()
	case n < 90:
		w.deliver()
	case n < 92:
		w.advance(time.Duration(w.rng.IntN(50)) * time.Millisecond)
	}
	switch w.rng.IntN(300) {
	case 0:
		w.crash(w.rng.IntN(4))
		w.markers = nil
	case 1:
		w.failNext = true
	case 2:
		w.advance(time.Duration(w.rng.IntN(70)) * time.Second)
	}
	w.collect()
}

// collect takes the committed decisions (TXN-2: bench hands them out only then), and the answers that have left.
func (w *world) collect() {
	for _, m := range w.effects {
		if w.decisions[m.Producer] == Empty && m.Version >= Version2 {
			w.t.Fatalf("%s: markers of a decision that is not committed", m.ID)
		}
		w.markers = append(w.markers, &sending{m, slices.Clone(m.Partitions)})
	}
	w.effects = nil
	if w.over {
		return
	}
	for _, a := range w.apps {
		for _, i := range a.instances {
			if i.asked != nil {
				i.asked()
			}
		}
	}
}

// deliver writes one marker, or has the coordinator told that all of them are written; the telling may be lost and is repeated.
func (w *world) deliver() {
	if len(w.markers) == 0 {
		return
	}
	n := w.rng.IntN(len(w.markers))
	s := w.markers[n]
	if len(s.left) > 0 {
		w.write(s.left[0], s.m)
		s.left = s.left[1:]
		return
	}
	if w.rng.IntN(3) > 0 && w.run(func(op *coordinator.Op) { w.shard.MarkersWritten(op, s.m.ID, s.m.Producer) }) {
		w.markers = slices.Delete(w.markers, n, n+1)
	}
}

func (w *world) write(tp kafka.TopicPartition, m SendMarkers) {
	s := w.producerAt(tp, m.Producer.ID)
	switch {
	case m.Producer.Epoch < s.epoch:
		return // a late one, of a decision that was sent twice
	case m.Version >= Version2 && m.Producer.Epoch == s.epoch && len(s.open) > 0:
		w.t.Fatalf("%s: the marker of epoch %d would end the next transaction", m.ID, m.Producer.Epoch)
	}
	for _, r := range s.open {
		r.fate = map[bool]string{true: "committed", false: "aborted"}[m.Commit]
	}
	s.epoch, s.open = m.Producer.Epoch, nil
	s.markers++
}

func (w *world) producerAt(tp kafka.TopicPartition, id kafka.ProducerID) *stored {
	s := w.partitions[tp][id]
	if s == nil {
		s = &stored{epoch: noEpoch}
		w.partitions[tp][id] = s
	}
	return s
}

// start starts a new instance of an application; the ones before may go on and must find out.
func (w *world) start(a *app) {
	i := &instance{app: a, version2: w.rng.IntN(3) > 0}
	if len(a.instances) == 4 {
		a.instances = a.instances[1:]
	}
	a.instances = append(a.instances, i)
	w.init(i, nobody)
}

func (w *world) init(i *instance, expected coordinator.Producer) {
	i.redo = func() { w.init(i, expected) }
	r := w.askInit(i.app.id, 5, expected, w.freshID())
	i.asked = func() {
		a, err, ok := answered(r)
		if w.judge(i, err, ok, a == nil || a.ErrorCode == 0, func() kafka.ErrorCode { return kafka.ErrorCode(a.ErrorCode) }) {
			i.p, i.ready, i.txn = producer(a.ProducerID, a.ProducerEpoch), true, nil
			if older(i.app.newest, i.p) {
				i.app.newest = i.p
			}
			i.fencedAt = i.app.fencedWhen[i.p]
		}
	}
}

// judge takes an answer that may not have come, and reports whether it is the one that was wanted. A retriable error makes the instance ask
// again; a fatal one ends it, and must have a cause.
func (w *world) judge(i *instance, err error, came, good bool, code func() kafka.ErrorCode) bool {
	switch {
	case !came && w.givesUp():
		i.asked = i.redo
		return false
	case !came:
		return false
	case err != nil:
		i.asked = i.redo
		return false
	case good:
		i.asked = nil
		return true
	}
	switch c := code(); c {
	case kafka.ConcurrentTransactions, kafka.CoordinatorNotAvailable:
		i.asked = i.redo
	case kafka.ProducerFenced, kafka.InvalidProducerIDMapping:
		if i.ready && i.fencedAt == i.app.fenced {
			w.t.Fatalf("%s: producer %v is fenced without a cause: %v, the coordinator has %s", i.app.id, i.p, c, describe(w.state(i.app.id)))
		}
		i.asked, i.dead = nil, true
	case kafka.InvalidTxnState:
		// Only the end of a transaction that was decided otherwise, which an honest producer does not ask for.
		w.t.Fatalf("%s: %v for an honest request; the coordinator has %s", i.app.id, c, describe(w.state(i.app.id)))
	default:
		w.t.Fatalf("%s: %v", i.app.id, c)
	}
	return false
}

// givesUp reports whether the client has given up waiting, as it must when a load has lost its request.
func (w *world) givesUp() bool { return w.rng.IntN(150) == 0 }

// act lets an instance do the next thing.
func (w *world) act(i *instance) {
	if len(i.old) > 0 && w.rng.IntN(5) == 0 {
		i.old[w.rng.IntN(len(i.old))]() // something late comes again
	}
	switch {
	case i.dead || !i.ready || i.asked != nil:
	case i.txn == nil && w.rng.IntN(8) == 0:
		w.init(i, i.p)
	case i.txn == nil || w.rng.IntN(3) > 0:
		w.produce(i)
	default:
		w.end(i, w.rng.IntN(4) > 0)
	}
}

func (w *world) produce(i *instance) {
	if i.txn == nil {
		i.txn = &transaction{p: i.p}
		w.txns = append(w.txns, i.txn)
	}
	at := tp("t", int32(w.rng.IntN(3)))
	version := Version1
	if i.version2 {
		version = Version2
	}
	p, guard := i.p, w.producerAt(at, i.p.ID).markers
	x := i.txn
	i.redo = func() { i.asked = nil; w.add(i, x, at, version, p, guard) }
	w.add(i, x, at, version, p, guard)
}

func (w *world) add(i *instance, x *transaction, at kafka.TopicPartition, version int16, p coordinator.Producer, guard int) {
	newest := i.app.newest
	r := w.askAdd(i.app.id, p, version, at)
	i.asked = func() {
		code, err, ok := answered(r)
		if !w.judge(i, err, ok, code == kafka.None, func() kafka.ErrorCode { return code }) {
			return
		}
		w.checkNotFenced(p, newest, "added a partition")
		if !slices.Contains(x.partitions, at) {
			x.partitions = append(x.partitions, at)
		}
		w.append(i, x, at, version, p, guard)
	}
}

// append is what a partition does with a batch of a transaction (KIP-890): the first one is verified or added, and no marker may have come
// since before that.
func (w *world) append(i *instance, x *transaction, at kafka.TopicPartition, version int16, p coordinator.Producer, guard int) {
	s := w.producerAt(at, p.ID)
	switch {
	case p.Epoch < s.epoch, len(s.open) > 0 && p.Epoch > s.epoch:
		return
	case len(s.open) == 0:
		if guard != s.markers {
			return
		}
		if version == Version1 && w.shard.VerifyPartitions(w.view(), i.app.id, p, []kafka.TopicPartition{at})[0] != kafka.None {
			return
		}
	}
	r := &sentRecord{txn: x}
	s.epoch, s.open = p.Epoch, append(s.open, r)
	x.records = append(x.records, r)
}

// checkNotFenced is T7: what was asked after a newer instance had been told its producer must not succeed.
func (w *world) checkNotFenced(p, newest coordinator.Producer, what string) {
	if older(p, newest) {
		w.t.Fatalf("producer %v %s, but %v had followed it", p, what, newest)
	}
}

// older: producer ids and epochs of one transactional id only rise.
func older(a, b coordinator.Producer) bool {
	return a.ID < b.ID || a.ID == b.ID && a.Epoch < b.Epoch
}

func (w *world) end(i *instance, commit bool) {
	x, p := i.txn, i.p
	if len(x.partitions) == 0 {
		i.txn = nil
		return
	}
	x.commit = commit
	version := int16(4)
	if i.version2 {
		version = 5
	}
	w.askToEnd(i, x, p, version, commit)
	i.old = append(i.old, func() { w.endLate(i, x, p, version, commit) })
	if len(i.old) > 5 {
		i.old = i.old[1:]
	}
}

func (w *world) askToEnd(i *instance, x *transaction, p coordinator.Producer, version int16, commit bool) {
	newest := i.app.newest
	i.redo = func() { w.askToEnd(i, x, p, version, commit) }
	r := w.askEnd(i.app.id, p, version, commit, w.freshID())
	i.asked = func() {
		a, err, ok := answered(r)
		if !w.judge(i, err, ok, a == nil || a.ErrorCode == 0, func() kafka.ErrorCode { return kafka.ErrorCode(a.ErrorCode) }) {
			return
		}
		w.checkNotFenced(p, newest, "ended a transaction")
		x.ended = true
		w.reached++
		if i.txn == x {
			i.txn = nil
		}
		if i.version2 {
			i.p = producer(a.ProducerID, a.ProducerEpoch)
		}
	}
}

// endLate is T8: an EndTxn that comes once more decides nothing. Version 1 cannot tell it from the next transaction's, so it is left out.
func (w *world) endLate(i *instance, x *transaction, p coordinator.Producer, version int16, commit bool) {
	if version < 5 || !x.ended {
		return
	}
	from := len(w.log)
	var a *kmsg.EndTxnResponse
	r := w.askEnd(i.app.id, p, version, commit, w.freshID())
	if a, _, _ = answered(r); a != nil && a.ErrorCode != 0 {
		return
	}
	if len(w.log) != from {
		w.t.Fatalf("%s: an EndTxn of epoch %d that came late wrote something", i.app.id, p.Epoch)
	}
}

// settle lets everything come to its end and judges every record.
func (w *world) settle() {
	for n := range 60 {
		w.over = n >= 40 // no producer asks for anything more
		w.commit()
		w.collect()
		for len(w.markers) > 0 {
			w.deliver()
		}
		w.advance(10 * time.Second)
	}
	for _, a := range w.apps {
		if t := w.state(a.id); t != nil && !t.State.isIdle() {
			w.t.Fatalf("%s stays %v (TXN-6)", a.id, t.State)
		}
	}
	for at, producers := range w.partitions {
		for id, s := range producers {
			if len(s.open) > 0 {
				w.t.Fatalf("the transaction of producer %d epoch %d stays open in %v (T9)", id, s.epoch, at)
			}
		}
	}
	for _, x := range w.txns {
		for _, r := range x.records {
			want := x.records[0].fate
			if x.ended {
				want = map[bool]string{true: "committed", false: "aborted"}[x.commit]
			}
			if r.fate != want {
				w.t.Fatalf("a record of the transaction of %v is %q; ended: %v, so it should be %q", x.p, r.fate, x.ended, want)
			}
		}
	}
	if w.reached == 0 {
		w.t.Fatal("no transaction came to its end: the test tests nothing")
	}
}
