package broker

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage/seglog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// pipeline is a transactional producer with its coordinator: it writes some numbers in each transaction, decides, and has the marker
// written until that is acknowledged. What it remembers is what the coordinator's log would have kept.
type pipeline struct {
	pid     kafka.ProducerID
	version int16
	dice    *rand.Rand

	mu      sync.Mutex
	epoch   kafka.ProducerEpoch
	number  int64
	decided *partition.Marker // to be acknowledged; nil: none
	numbers []int64           // of the transaction that decided ends
	wanted  []int64           // committed and acknowledged
}

// run makes transactions until the machine has crashed.
func (p *pipeline) run(w *world, stop <-chan struct{}) {
	next := kafka.Sequence(0)
	for p.finish(w, stop) {
		var numbers []int64
		for range 1 + p.dice.IntN(3) {
			p.mu.Lock()
			p.number++
			n := p.number
			p.mu.Unlock()
			numbers = append(numbers, n)
			req := produceRequest(-1, ProducePartition{Topic: "a", Records: p.batch(n, next)})
			req.TransactionalID, req.Transactions = "t", TransactionSupport(p.version)
			if !settled(w.Produce(anybody, req), stop) {
				break
			}
			next++
		}
		p.mu.Lock()
		m := partition.Marker{Producer: p.pid, Epoch: p.epoch, Commit: p.dice.IntN(2) == 0, Version: p.version}
		if p.version == 2 {
			m.Epoch++
			next = 0
		}
		select {
		case <-stop:
			m.Commit = false // not everything was acknowledged
		default:
		}
		p.decided, p.numbers = &m, numbers
		p.mu.Unlock()
	}
}

// settled waits for a produce, unless the machine crashes before.
func settled(a Await[[]ProduceResult], stop <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return a.Wait(ctx)[0].Err == nil
}

// finish writes the marker of what was decided.
func (p *pipeline) finish(w *world, stop <-chan struct{}) bool {
	p.mu.Lock()
	m := p.decided
	p.mu.Unlock()
	if m != nil {
		at, err := w.named("a", 0)
		if err != nil {
			w.Error(err)
			return false
		}
		waiter := partition.NewAckWaiter()
		waiter.Start()
		marker := *m
		marker.Waiter = waiter
		if err := at.AppendMarker(marker, time.Now()); err != nil {
			return false
		}
		if !waiter.Seal() {
			select {
			case <-waiter.Done():
			case <-stop:
				return false
			}
		}
		if len(waiter.Failed()) > 0 {
			return false
		}
		p.mu.Lock()
		p.acknowledged()
		p.mu.Unlock()
	}
	select {
	case <-stop:
		return false
	default:
		return true
	}
}

// acknowledged notes what a marker has decided.
func (p *pipeline) acknowledged() {
	if p.decided.Commit {
		p.wanted = append(p.wanted, p.numbers...)
	}
	p.epoch, p.decided, p.numbers = p.decided.Epoch, nil, nil
}

func (p *pipeline) batch(number int64, first kafka.Sequence) record.Batches {
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = p.pid, p.epoch, first, true
	value := binary.BigEndian.AppendUint64(nil, uint64(number)<<16|uint64(p.pid))
	b, err := record.Build(nil, o, []record.Record{{Value: append(value, make([]byte, number*7%2000)...), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}})
	if err != nil {
		panic(err)
	}
	return b
}

// pipelineState is what the coordinator's log holds at the moment of a crash.
type pipelineState struct {
	epoch   kafka.ProducerEpoch
	decided *partition.Marker
	numbers []int64
	wanted  int
}

// T1, T2, T3, PAR-4, PAR-7 over a real log: transactions are cut off by crashes at any moment, their coordinators finish them afterwards (what was
// decided as it was decided, what was not by an abort), and who reads committed records finds every number of a committed transaction once
// and in order, and none of an aborted one.
func TestCrashKeepsTransactionsWhole(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewMem()
	var pipelines []*pipeline
	for i := range kafka.ProducerID(4) {
		pipelines = append(pipelines, &pipeline{pid: i, version: 1 + int16(i%2), dice: rand.New(rand.NewPCG(seed, uint64(i)+1))})
	}
	for range 8 {
		engine, err := seglog.Open(fs, []string{"data"}, seglog.Options{
			HotBytes: 8 << 20, JournalBytes: 8 << 20, DirectBytes: 8 << 10, FlushAge: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorldOver(t, engine)
		w.opts.Transactions = yes{}
		w.topic("a", 1, 1)
		checkPipelines(t, w, pipelines)

		stop := make(chan struct{})
		var after *vfs.Mem
		var kept []pipelineState
		left, mode := 20+dice.IntN(200), vfs.CrashMode(dice.IntN(3))
		var crash sync.Mutex
		fs.OnSync(func(string) {
			crash.Lock()
			defer crash.Unlock()
			if left--; left != 0 {
				return
			}
			for _, p := range pipelines {
				p.mu.Lock()
				kept = append(kept, pipelineState{p.epoch, p.decided, p.numbers, len(p.wanted)})
				p.mu.Unlock()
			}
			after = fs.Crash(dice, mode)
			close(stop)
		})
		var all sync.WaitGroup
		for _, p := range pipelines {
			all.Go(func() { p.run(w, stop) })
		}
		all.Wait()
		for i, p := range pipelines {
			s := kept[i]
			p.epoch, p.decided, p.numbers, p.wanted = s.epoch, s.decided, s.numbers, p.wanted[:s.wanted]
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
		fs = after
		fs.OnSync(nil)
	}
}

// checkPipelines finishes what the crash has cut off and reads what is committed.
func checkPipelines(t *testing.T, w *world, pipelines []*pipeline) {
	t.Helper()
	for _, p := range pipelines {
		if p.decided == nil {
			m := partition.Marker{Producer: p.pid, Epoch: p.epoch, Version: p.version}
			m.Epoch++ // as a new instance has it, of either version: it fences whatever is on its way
			p.decided = &m
		}
		if !p.finish(w, nil) {
			t.Fatal("a transaction cannot be ended")
		}
		if p.version == 1 {
			// The sequence goes on in an epoch; begin a new one instead.
			p.decided = &partition.Marker{Producer: p.pid, Epoch: p.epoch + 1, Version: 1}
			if !p.finish(w, nil) {
				t.Fatal("a transaction cannot be ended")
			}
		}
	}
	found := make([][]int64, len(pipelines))
	for at := kafka.Offset(0); ; {
		req := fetchRequest(0, 1, from("a", 0, at))
		req.Isolation = ReadCommitted
		r := w.fetch(req)[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Records == nil {
			if r.LastStable != r.HighWatermark {
				t.Fatalf("every transaction has ended, but the last stable offset is %d of %d", r.LastStable, r.HighWatermark)
			}
			break
		}
		all, err := r.Records.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		at = readCommitted(t, all, r.Aborted, found)
		r.Records.Release()
	}
	for i, p := range pipelines {
		if !slices.Equal(found[i], p.wanted) {
			t.Fatalf("producer %d: committed %v\nfound %v", i, p.wanted, found[i])
		}
	}
}

// readCommitted takes the numbers that a client would show, and returns the offset after them.
func readCommitted(t *testing.T, all record.Batches, aborted []AbortedTxn, found [][]int64) (next kafka.Offset) {
	t.Helper()
	skip := map[kafka.ProducerID]bool{}
	slices.SortFunc(aborted, func(a, b AbortedTxn) int { return int(a.First - b.First) })
	for h, raw := range all.All() {
		next = h.NextOffset()
		for len(aborted) > 0 && aborted[0].First <= h.LastOffset() {
			skip[aborted[0].Producer] = true
			aborted = aborted[1:]
		}
		for rec, err := range record.Records(raw, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if h.IsControl() {
				if m, ok, _ := record.ParseEndTxnMarker(&rec); ok && !m.Commit {
					skip[h.ProducerID] = false
				}
				continue
			}
			if v := binary.BigEndian.Uint64(rec.Value); !skip[h.ProducerID] {
				found[v&0xffff] = append(found[v&0xffff], int64(v>>16))
			}
		}
	}
	return next
}

// yes is a coordinator that knows every transaction.
type yes struct{}

func (yes) AddPartitions(_ context.Context, _ string, _ kafka.ProducerID, _ kafka.ProducerEpoch, partitions []kafka.TopicPartition, _ bool) []error {
	return make([]error, len(partitions))
}
