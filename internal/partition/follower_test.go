package partition

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// leads makes b the leader of an epoch with two followers, of which those are in sync.
func (b *bench) leads(epoch kafka.LeaderEpoch, version int32, isr ...kafka.BrokerID) {
	b.SetRole(Role{IsLeader: true, Epoch: epoch, PartitionEpoch: version, ISR: isr, Replicas: three})
}

// follows makes b a follower in an epoch.
func (b *bench) follows(epoch kafka.LeaderEpoch) {
	b.SetRole(Role{Epoch: epoch, PartitionEpoch: int32(epoch), Leader: 1, ISR: three, Replicas: three})
}

// asks is a fetch of a follower that has what is here below from.
func (b *bench) asks(id kafka.BrokerID, epoch kafka.LeaderEpoch, from kafka.Offset) (Read, error) {
	last := kafka.NoEpoch
	if e := b.epochs.Load(); e != nil && from > b.LogStart() && from <= b.Partition.end {
		last = e.at(from - 1)
	}
	return b.Read(ReadRequest{From: from, MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: epoch, FetchedEpoch: last, Replica: id, ReplicaEpoch: 1})
}

func (b *bench) has(id kafka.BrokerID, epoch kafka.LeaderEpoch, from kafka.Offset) {
	b.Helper()
	if _, err := b.asks(id, epoch, from); err != nil {
		b.Fatal(err)
	}
}

// replicated builds a batch as a leader has it.
func replicated(b record.Batches, base kafka.Offset, epoch kafka.LeaderEpoch) record.Batches {
	record.Stamp(b, base, epoch)
	return b
}

// appendFrom appends as a follower.
func (b *bench) appendFrom(epoch kafka.LeaderEpoch, batches ...record.Batches) kafka.Offset {
	b.Helper()
	next, err := b.AppendAsFollower(epoch, slices.Concat(batches...))
	if err != nil {
		b.Fatal(err)
	}
	return next
}

func (b *bench) point() FollowPoint {
	b.Helper()
	p, err := b.FollowPoint()
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// ISR-2, and what acks mean: all waits for every replica in sync, 1 for the leader's own disk only. A follower gets what is not committed, and not even
// durable on the leader.
func TestAcksOfAReplicatedPartition(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	b.leads(6, 1, 0, 1)
	all, one := NewAckWaiter(), NewAckWaiter()
	if b.appendFor(all, plainBatch(2)) {
		t.Fatal("complete before anything is durable")
	}
	one.Start()
	if _, err := b.AppendAsLeader(Append{Records: plainBatch(1), Waiter: one}, b.now); err != nil || one.Seal() {
		t.Fatal("acks=1 is complete before anything is durable", err)
	}
	if bases, r := b.read(0); len(bases) > 0 || r.HighWatermark != 0 {
		t.Errorf("a consumer gets %v, high watermark %d", bases, r.HighWatermark)
	}
	r, err := b.asks(1, 6, 0)
	if err != nil || r.Records == nil || r.Records.Len() != len(plainBatch(2))+len(plainBatch(1)) {
		t.Errorf("a follower gets %+v, %v", r, err)
	}
	b.log().Settle(3)
	if !signalled(one.Done()) || signalled(all.Done()) {
		t.Error("durable on the leader: acks=1 should be complete, acks=all should not")
	}
	b.has(1, 6, 2)
	if !signalled(all.Done()) || b.HighWatermark() != 2 {
		t.Errorf("the follower has it: high watermark %d", b.HighWatermark())
	}
	one.Start()
	done, err := b.AppendAsLeader(Append{Records: plainBatch(1), Waiter: one}, b.now)
	one.Seal()
	if slots := b.Forget(one, nil); err != nil || done.Base != 3 || len(slots) != 1 {
		t.Errorf("forgot %v, %v", slots, err)
	}
}

// A follower tells of the producers that its own log knows, with what they have open: kafka-transactions find-hanging --broker-id asks for all replicas of one
// broker. One that has left tells nothing.
func TestFollowersTellOfProducers(t *testing.T) {
	b := newBench(t)
	b.follows(6)
	b.appendFrom(6, replicated(txnBatch(7, 2, 0, 3), 0, 6))
	states, err := b.Producers()
	if err != nil || len(states) != 1 || states[0].ID != 7 || states[0].Epoch != 2 || states[0].LastSequence != 2 || states[0].TxnStart != 0 {
		t.Errorf("%+v, %v", states, err)
	}
	gone := kafka.Errorf(kafka.UnknownTopicOrPartition, "gone")
	b.leave(gone)
	_, err = b.Producers()
	wantCode(t, err, kafka.UnknownTopicOrPartition)
}

// Followers are woken by appends, consumers by what is committed.
func TestFollowersWaitForTheLogEnd(t *testing.T) {
	b := newBench(t)
	b.leads(6, 1, 0, 1)
	follower, consumer := NewFetchWaiter(), NewFetchWaiter()
	await := func(w *FetchWaiter, r Read, from kafka.Offset) bool {
		w.Start(1, 1)
		return w.Await(b.Partition, from, &r)
	}
	early, _ := b.asks(1, 6, 0)
	_, seen := b.read(0)
	if !await(follower, early, 0) || !await(consumer, seen, 0) {
		t.Fatal("nothing to wait for")
	}
	b.append(plainBatch(1))
	if !signalled(follower.Done()) || signalled(consumer.Done()) {
		t.Error("an append should wake the follower and not the consumer")
	}
	follower.Stop()
	if await(follower, early, 0) {
		t.Error("waits for what came since it read")
	}
	b.has(1, 6, 1)
	if !signalled(consumer.Done()) {
		t.Error("what is committed does not wake the consumer")
	}
	later, _ := b.asks(1, 6, 1)
	if !await(follower, later, 1) {
		t.Fatal("nothing to wait for")
	}
	b.follows(7)
	if !signalled(follower.Done()) {
		t.Error("nobody tells the follower that the leader changed")
	}
}

// PAR-1, REP-4: who is no follower, or fetches in another epoch, from another place or with another log, changes nothing.
func TestFetchesThatDoNotCount(t *testing.T) {
	b := newBench(t)
	b.append(plainBatch(5))
	b.leads(6, 1, 0, 1)
	b.append(plainBatch(5))
	ask := func(change func(*ReadRequest)) error {
		r := ReadRequest{From: 10, CurrentEpoch: 6, FetchedEpoch: kafka.NoEpoch, Replica: 1, ReplicaEpoch: 1}
		change(&r)
		read, err := b.Read(r)
		if err == nil && read.Diverging == nil {
			return nil
		}
		return err
	}
	for name, c := range map[string]struct {
		change func(*ReadRequest)
		want   kafka.ErrorCode
	}{
		"another broker":    {func(r *ReadRequest) { r.Replica = 7 }, kafka.NotLeaderOrFollower},
		"the leader":        {func(r *ReadRequest) { r.Replica = 0 }, kafka.NotLeaderOrFollower},
		"an older epoch":    {func(r *ReadRequest) { r.CurrentEpoch = 5 }, kafka.FencedLeaderEpoch},
		"a later epoch":     {func(r *ReadRequest) { r.CurrentEpoch = 7 }, kafka.UnknownLeaderEpoch},
		"no epoch":          {func(r *ReadRequest) { r.CurrentEpoch = kafka.NoEpoch }, kafka.UnknownLeaderEpoch},
		"beyond the end":    {func(r *ReadRequest) { r.From = 11 }, kafka.OffsetOutOfRange},
		"another log":       {func(r *ReadRequest) { r.FetchedEpoch = 5 }, kafka.None},
		"an unknown record": {func(r *ReadRequest) { r.FetchedEpoch = 9 }, kafka.OffsetOutOfRange},
	} {
		wantCode(t, ask(c.change), c.want)
		if hw := b.HighWatermark(); hw != 5 {
			t.Errorf("%s moves the high watermark to %d", name, hw)
		}
	}
	wantCode(t, ask(func(r *ReadRequest) { r.ReplicaEpoch = 3; r.From = 6 }), kafka.None)
	wantCode(t, ask(func(r *ReadRequest) { r.ReplicaEpoch = 2 }), kafka.NotLeaderOrFollower)
	if hw := b.HighWatermark(); hw != 6 {
		t.Errorf("high watermark %d, want 6", hw)
	}
}

// ISR-5: with too few in sync acks=all is refused, acks=1 is taken, and nothing becomes visible until there are enough.
func TestTooFewInSync(t *testing.T) {
	b := newBench(t)
	b.Configure(&Settings{MinISR: 2})
	b.leads(6, 1, 0, 1)
	w := NewAckWaiter()
	b.appendFor(w, plainBatch(1))
	b.leads(6, 2, 0)
	_, err := b.AppendAsLeader(Append{Records: plainBatch(1), AllReplicas: true}, b.now)
	wantCode(t, err, kafka.NotEnoughReplicas)
	b.append(plainBatch(1))
	if b.HighWatermark() != 0 || signalled(w.Done()) {
		t.Errorf("high watermark %d with one of two in sync", b.HighWatermark())
	}
	b.has(2, 6, 2)
	b.leads(6, 3, 0, 2)
	if b.HighWatermark() != 2 || !signalled(w.Done()) {
		t.Errorf("high watermark %d", b.HighWatermark())
	}
}

// ISR-5: while replicas outside the ISR are eligible, the high watermark stands still, also where this broker would be content with fewer.
func TestEligibleReplicasHoldTheHighWatermark(t *testing.T) {
	b := newBench(t)
	role := Role{IsLeader: true, Epoch: 6, PartitionEpoch: 1, ISR: []kafka.BrokerID{0}, ELR: []kafka.BrokerID{1}, Replicas: three}
	b.SetRole(role)
	b.append(plainBatch(3))
	if b.HighWatermark() != 0 {
		t.Errorf("high watermark %d with an eligible replica that has nothing", b.HighWatermark())
	}
	role.PartitionEpoch, role.ELR = 2, nil
	b.SetRole(role)
	if b.HighWatermark() != 3 {
		t.Errorf("high watermark %d of 3", b.HighWatermark())
	}
}

// A leader that may have been deposed takes nothing and acknowledges nothing.
func TestWithoutItsLease(t *testing.T) {
	b := newBench(t)
	leased := true
	b.host.Lease = func() bool { return leased }
	b.leads(6, 1, 0)
	b.engine.Hold = true
	w := NewAckWaiter()
	b.appendFor(w, plainBatch(1))
	leased = false
	b.log().Settle(1)
	if signalled(w.Done()) || b.HighWatermark() != 0 {
		t.Error("acknowledged without the lease")
	}
	_, err := b.AppendAsLeader(Append{Records: plainBatch(1)}, b.now)
	wantCode(t, err, kafka.NotLeaderOrFollower)
	leased = true
	b.ProposeISR(b.now, time.Second)
	if !signalled(w.Done()) {
		t.Error("not acknowledged though the lease is back")
	}
}

// ISR-3, ISR-4: the host is told when a follower has caught up, and it joins when the metadata say so.
func TestProposals(t *testing.T) {
	b := newBench(t)
	told := 0
	b.host.OnISR = func(*Partition) { told++ }
	b.append(plainBatch(3))
	b.leads(6, 4, 0)
	b.append(plainBatch(1))
	b.has(1, 6, 2)
	if _, ok := b.ProposeISR(b.now, time.Second); ok || told > 0 {
		t.Error("a follower below the start of the epoch is proposed")
	}
	b.has(1, 6, 4)
	q, ok := b.ProposeISR(b.now, time.Second)
	if want := []ISRMember{{ID: 0, Epoch: -1}, {ID: 1, Epoch: 1}}; !ok || told == 0 || q.Epoch != 6 || q.PartitionEpoch != 4 || q.Partition != b.id || !slices.Equal(q.ISR, want) {
		t.Fatalf("proposed %+v %v, told %d times", q, ok, told)
	}
	b.append(plainBatch(1))
	if b.HighWatermark() != 4 {
		t.Errorf("high watermark %d: who is about to join does not count", b.HighWatermark())
	}
	b.ISRAnswered(q, errors.New("no answer"))
	b.now = b.now.Add(time.Second)
	if again, ok := b.ProposeISR(b.now, time.Second); !ok || !slices.Equal(again.ISR, q.ISR) {
		t.Errorf("again: %+v %v", again, ok)
	}
	b.now = b.now.Add(20 * time.Second)
	b.ISRAnswered(q, kafka.IneligibleReplica)
	if b.HighWatermark() != 5 {
		t.Errorf("high watermark %d: who was refused still counts", b.HighWatermark())
	}
	b.leads(6, 5, 0, 1)
	b.now = b.now.Add(20 * time.Second)
	b.append(plainBatch(1))
	if q, ok := b.ProposeISR(b.now, time.Second); !ok || q.PartitionEpoch != 5 || len(q.ISR) != 1 {
		t.Errorf("shrink: %+v %v", q, ok)
	}
	b.follows(7)
	if _, ok := b.ProposeISR(b.now, time.Second); ok {
		t.Error("a follower proposes")
	}
}

// A follower whose broker is silent leaves long before it would for its lag, and not while its broker asks for other partitions.
func TestASilentFollowerIsProposedToLeave(t *testing.T) {
	b := newBench(t)
	var heard time.Time
	b.host.MaxSilence, b.host.Heard = 3*time.Second, func(kafka.BrokerID) time.Time { return heard }
	b.append(plainBatch(1))
	b.leads(6, 4, 0, 1)
	b.has(1, 6, 1)
	b.now = b.now.Add(time.Hour)
	if q, ok := b.ProposeISR(b.now, 30*time.Second); ok {
		t.Errorf("it has everything: %+v", q)
	}
	b.has(1, 6, 1)
	b.append(plainBatch(1))
	b.now = b.now.Add(4 * time.Second)
	heard = b.now.Add(-time.Second)
	if q, ok := b.ProposeISR(b.now, 30*time.Second); ok {
		t.Errorf("its broker asks: %+v", q)
	}
	b.now = b.now.Add(3 * time.Second)
	if q, ok := b.ProposeISR(b.now, 30*time.Second); !ok || len(q.ISR) != 1 {
		t.Errorf("its broker is silent: %+v, %v", q, ok)
	}
}

// KIP-207: a new leader does not say where the log ends before it knows.
func TestNewLeaderDoesNotGuessOffsets(t *testing.T) {
	b := newBench(t)
	b.follows(6)
	b.appendFrom(6, replicated(plainBatch(4), 0, 6))
	b.leads(7, 8, 0, 1)
	find := func(q OffsetQuery) (FoundOffset, error) {
		q.CurrentEpoch = kafka.NoEpoch
		return b.FindOffset(q)
	}
	_, err := find(OffsetQuery{At: AtLatest})
	wantCode(t, err, kafka.OffsetNotAvailable)
	_, err = find(OffsetQuery{At: 1_600_000_000_000})
	wantCode(t, err, kafka.OffsetNotAvailable)
	if at, err := find(OffsetQuery{At: AtLatest, Replica: true}); err != nil || at.Offset != 4 {
		t.Errorf("a follower is told %+v, %v", at, err)
	}
	if at, err := find(OffsetQuery{At: AtEarliest}); err != nil || at.Offset != 0 {
		t.Errorf("the earliest is %+v, %v", at, err)
	}
	b.has(1, 7, 4)
	if at, err := find(OffsetQuery{At: AtLatest}); err != nil || at.Offset != 4 {
		t.Errorf("the latest is %+v, %v", at, err)
	}
}

// A follower takes what continues its log and nothing else, and says what its leader said.
func TestAppendAsFollower(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	b.follows(6)
	if p := b.point(); p != (FollowPoint{Offset: 0, LastEpoch: kafka.NoEpoch, LogStart: 0, Epoch: 6}) {
		t.Errorf("begins at %+v", p)
	}
	first := replicated(plainBatch(3), 0, 4)
	if next := b.appendFrom(6, first, replicated(plainBatch(1), 7, 5)); next != 8 { // compaction leaves gaps
		t.Errorf("ends at %d", next)
	}
	if next := b.appendFrom(6, first); next != 8 {
		t.Errorf("a repeat is appended: the log ends at %d", next)
	}
	if p := b.point(); p.Offset != 8 || p.LastEpoch != 5 {
		t.Errorf("goes on at %+v", p)
	}
	damaged := bytes.Clone(replicated(plainBatch(1), 8, 6))
	damaged[len(damaged)-1] ^= 1
	for name, c := range map[string]struct {
		epoch kafka.LeaderEpoch
		b     record.Batches
		want  kafka.ErrorCode
	}{
		"damaged":          {6, damaged, kafka.CorruptMessage},
		"cut":              {6, replicated(plainBatch(1), 8, 6)[:70], kafka.CorruptMessage},
		"an older epoch":   {6, replicated(plainBatch(1), 8, 4), kafka.CorruptMessage},
		"a later epoch":    {6, replicated(plainBatch(1), 8, 7), kafka.CorruptMessage},
		"overlapping":      {6, replicated(plainBatch(2), 7, 6), kafka.CorruptMessage},
		"out of order":     {6, slices.Concat(replicated(plainBatch(2), 9, 6), replicated(plainBatch(1), 8, 6)), kafka.CorruptMessage},
		"of the last role": {5, replicated(plainBatch(1), 8, 5), kafka.FencedLeaderEpoch},
		"of the next role": {7, replicated(plainBatch(1), 8, 7), kafka.UnknownLeaderEpoch},
	} {
		if _, err := b.AppendAsFollower(c.epoch, c.b); kafka.CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p := b.point(); p.Offset != 8 {
		t.Errorf("something was appended: %+v", p)
	}
	if err := b.SyncFollower(context.Background(), 8); err != nil || b.log().Bounds().Durable != 8 {
		t.Error("not durable", err)
	}
	if err := b.LeaderSaid(6, 100, 0); err != nil || b.HighWatermark() != 8 {
		t.Errorf("high watermark %d, %v", b.HighWatermark(), err)
	}
	if err := b.LeaderSaid(6, 3, 0); err != nil || b.HighWatermark() != 8 {
		t.Errorf("high watermark %d, %v", b.HighWatermark(), err)
	}
	if err := b.LeaderSaid(6, 8, 2); err != nil || b.LogStart() != 2 {
		t.Errorf("log start %d, %v", b.LogStart(), err)
	}
	wantCode(t, b.LeaderSaid(5, 8, 0), kafka.FencedLeaderEpoch)

	// KIP-392
	ask := ReadRequest{From: 2, MaxBytes: 1 << 20, CurrentEpoch: 6, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker}
	_, err := b.Read(ask)
	wantCode(t, err, kafka.NotLeaderOrFollower)
	ask.FromFollower = true
	if r, err := b.Read(ask); err != nil || r.Records == nil || r.HighWatermark != 8 {
		t.Errorf("a consumer gets %+v, %v", r, err)
	}
	b.leads(7, 8, 0, 1)
	_, err = b.AppendAsFollower(7, first)
	wantCode(t, err, kafka.NotLeaderOrFollower)
	_, err = b.FollowPoint()
	wantCode(t, err, kafka.NotLeaderOrFollower)
	wantCode(t, b.StartAt(7, 0), kafka.NotLeaderOrFollower)
	wantCode(t, b.LeaderSaid(7, 0, 0), kafka.NotLeaderOrFollower)
}

// PAR-2, PAR-7: the cut is where both logs have the same epochs to the same end; what is known after it, and after a crash then, is that of the log that
// is left, even if the sidecar said more.
func TestTruncateTo(t *testing.T) {
	for name, c := range map[string]struct {
		told EpochEnd
		want kafka.Offset
	}{
		"the leader's epoch ends earlier":       {EpochEnd{4, 6}, 6},
		"ours ends earlier":                     {EpochEnd{3, 9}, 4},
		"an epoch that is not here":             {EpochEnd{2, 3}, 2},
		"older than everything":                 {EpochEnd{0, 5}, 0},
		"nothing to cut":                        {EpochEnd{5, 12}, 10},
		"all of the last epoch":                 {EpochEnd{4, 8}, 8},
		"no epoch: where the leader's log ends": {EpochEnd{kafka.NoEpoch, 8}, 8},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			b := newBench(t)
			b.follows(9)
			epochs := []kafka.LeaderEpoch{1, 3, 4, 4, 5}
			var all []record.Header
			for i, e := range epochs {
				raw := replicated(producerBatch(1, 0, kafka.Sequence(2*i), 2), kafka.Offset(2*i), e)
				if e == 4 && i == 2 { // a batch ends where both logs can part
					raw = slices.Concat(replicated(producerBatch(1, 0, 4, 2), 4, 4))
				}
				h, _ := record.ParseHeader(raw)
				all = append(all, h)
				b.appendFrom(9, raw)
			}
			if err := b.LeaderSaid(9, 10, 0); err != nil {
				t.Fatal(err)
			}
			if err := b.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			b.maintenance.Lock()
			err := b.checkpointLocked(context.Background(), 0)
			b.maintenance.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			b.watermark.Store(0) // as if nobody had said
			point, err := b.TruncateTo(9, c.told)
			if err != nil || point.Offset != c.want {
				t.Fatalf("goes on at %+v, %v; want %d", point, err, c.want)
			}
			n := int(c.want / 2)
			if want := kafka.NoEpoch; n > 0 {
				if want = epochs[n-1]; point.LastEpoch != want {
					t.Errorf("the last epoch is %d, want %d", point.LastEpoch, want)
				}
			}
			check := func() {
				t.Helper()
				want := folded(all[:n])
				got := b.known()
				if len(got) != len(want) || n > 0 && got[1] != want[1] {
					t.Errorf("known %+v, want %+v", got, want)
				}
			}
			check()
			all = all[:n]
			for range 6 { // beyond where the snapshot ended
				raw := replicated(producerBatch(1, 0, kafka.Sequence(2*n), 2), kafka.Offset(2*n), 9)
				h, _ := record.ParseHeader(raw)
				all, n = append(all, h), n+1
				b.appendFrom(9, raw)
			}
			b.restart(true)
			check()
		})
	}
}

// PAR-2: what is committed is cut only where the leader's log says so, and not without a word.
func TestTruncationOfCommittedRecordsIsLoud(t *testing.T) {
	b := newBench(t)
	var said bytes.Buffer
	b.host.Logger = slog.New(slog.NewTextHandler(&said, nil))
	b.follows(6)
	b.appendFrom(6, replicated(plainBatch(2), 0, 5), replicated(plainBatch(2), 2, 5))
	if err := b.LeaderSaid(6, 2, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.TruncateTo(6, EpochEnd{5, 2}); err != nil || said.Len() > 0 {
		t.Errorf("%v, %s", err, said.String())
	}
	if p, err := b.TruncateTo(6, EpochEnd{5, 0}); err != nil || p.Offset != 0 || !strings.Contains(said.String(), "uncleanly") {
		t.Errorf("%+v, %v, %q", p, err, said.String())
	}
	if b.HighWatermark() != 0 || b.LastStable() != 0 {
		t.Errorf("high watermark %d, LSO %d", b.HighWatermark(), b.LastStable())
	}
}

// A follower whose end the leader has deleted begins anew where the leader's log starts, though its engine cannot; also after a restart, and as leader.
func TestStartAt(t *testing.T) {
	b := newBench(t)
	b.follows(6)
	b.appendFrom(6, replicated(producerBatch(1, 0, 0, 5), 0, 5))
	if err := b.StartAt(6, 100); err != nil {
		t.Fatal(err)
	}
	want := FollowPoint{Offset: 100, LastEpoch: kafka.NoEpoch, LogStart: 100, Epoch: 6}
	check := func() {
		t.Helper()
		if p := b.point(); p != want || b.HighWatermark() != 100 || len(b.known()) > 0 {
			t.Errorf("goes on at %+v, high watermark %d, producers %v", p, b.HighWatermark(), b.known())
		}
	}
	check()
	b.Partition = New(b.id, b.host, b.Partition.Settings(), &Stats{})
	b.follows(6)
	check()
	b.leads(7, 8, 0, 1)
	if _, err := b.asks(1, 7, 100); err != nil || b.HighWatermark() != 100 {
		t.Errorf("as leader: high watermark %d, %v", b.HighWatermark(), err)
	}
	if _, err := b.asks(1, 7, 99); kafka.CodeOf(err) != kafka.OffsetOutOfRange {
		t.Error(err)
	}
	b.follows(8)
	next := b.appendFrom(8, replicated(plainBatch(4), 98, 7)) // the leader's log starts within a batch
	if err := b.LeaderSaid(8, next, 100); err != nil || b.LogStart() != 100 || b.log().Bounds().Start != 100 || next != 102 {
		t.Errorf("log start %d, %+v, %v", b.LogStart(), b.log().Bounds(), err)
	}
	if err := b.StartAt(8, 50); err != nil || b.point() != (FollowPoint{50, kafka.NoEpoch, 50, 8}) {
		t.Errorf("the log does not begin where the leader's does: %+v, %v", b.point(), err)
	}
}

// What a follower does to its log works with every engine, also when it is opened again.
func TestFollowerOverEveryEngine(t *testing.T) {
	for name, open := range engines(t) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			b := newBench(t)
			b.host.Engine = open()
			begin := func(epoch kafka.LeaderEpoch) {
				b.Partition = New(b.id, b.host, b.Partition.Settings(), &Stats{})
				b.follows(epoch)
			}
			begin(6)
			sync := func(upto kafka.Offset) {
				t.Helper()
				if err := b.SyncFollower(context.Background(), upto); err != nil {
					t.Fatal(err)
				}
			}
			sync(b.appendFrom(6, replicated(plainBatch(5), 0, 4), replicated(plainBatch(5), 5, 5)))
			if p, err := b.TruncateTo(6, EpochEnd{4, 100}); err != nil || p != (FollowPoint{5, 4, 0, 6}) {
				t.Fatalf("%+v, %v", p, err)
			}
			sync(b.appendFrom(6, replicated(plainBatch(1), 5, 6)))
			if err := b.StartAt(6, 1000); err != nil {
				t.Fatal(err)
			}
			sync(1000)
			if err := b.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			begin(7)
			if p := b.point(); p != (FollowPoint{1000, kafka.NoEpoch, 1000, 7}) {
				t.Fatalf("after a restart %+v", p)
			}
			next := b.appendFrom(7, replicated(plainBatch(7), 998, 6), replicated(plainBatch(2), 1010, 7))
			sync(next)
			if err := b.LeaderSaid(7, next, 1000); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			begin(8)
			if p := b.point(); p != (FollowPoint{1012, 7, 1000, 8}) {
				t.Fatalf("after another %+v", p)
			}
			b.leads(9, 9, 0, 1)
			b.has(1, 9, 1012)
			if bases, r := b.readAny(1000); !slices.Equal(bases, []kafka.Offset{998, 1010}) || r.LogStart != 1000 || r.HighWatermark != 1012 {
				t.Errorf("consumers get %v, %+v", bases, r)
			}
		})
	}
}

// readAny is read for batches of any epoch.
func (b *bench) readAny(from kafka.Offset) (bases []kafka.Offset, r Read) {
	b.Helper()
	r, err := b.Read(ReadRequest{From: from, MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	if err != nil {
		b.Fatal(err)
	}
	if r.Records != nil {
		all, _ := r.Records.Bytes()
		for h := range all.All() {
			bases = append(bases, h.BaseOffset)
		}
	}
	return bases, r
}

// A snapshot says only what is committed, so that no cut makes it wrong: it is kept until then. What is to be deleted waits for it.
func TestSnapshotsWaitUntilCommitted(t *testing.T) {
	b := newBench(t)
	b.follows(6)
	b.appendFrom(6, replicated(producerBatch(1, 0, 0, 5), 0, 5))
	if err := b.LeaderSaid(6, 2, 2); err != nil || b.LogStart() != 0 || b.log().Puts.Load() > 0 || !b.WantsCheckpoint() {
		t.Errorf("log start %d, %d blobs written, %v", b.LogStart(), b.log().Puts.Load(), err)
	}
	b.appendFrom(6, replicated(producerBatch(1, 0, 5, 5), 5, 5))
	if err := b.LeaderSaid(6, 5, 2); err != nil || b.LogStart() != 2 || b.savedUpto != 5 || b.WantsCheckpoint() {
		t.Errorf("log start %d, saved up to %d, %v", b.LogStart(), b.savedUpto, err)
	}
	b.restart(false)
	b.follows(6)
	if b.HighWatermark() > 5 || len(b.known()) != 1 || b.HighWatermark() != 5 {
		t.Errorf("high watermark %d after a restart, what was saved ends at 5", b.HighWatermark())
	}
}

// P6: where the high watermark stands still, appends that nobody waits for do not pile up; those that somebody waits for are completed in their turn.
func TestUnwaitedAppendsArePutTogether(t *testing.T) {
	var q ackQueue
	w := NewAckWaiter()
	const n = 3 * mostUnwaited
	waited := 0
	for i := range n {
		e := ackEntry{next: kafka.Offset(i + 1), bytes: 10}
		if i%1000 == 999 {
			e.waiter, waited = w, waited+1
		}
		q.push(e)
	}
	if len(q.entries) > mostUnwaited+2*n/1000 {
		t.Errorf("%d entries", len(q.entries))
	}
	var dst [ackChunk]ackEntry
	bytes, told, at := 0, 0, kafka.Offset(0)
	for {
		got, size := q.pop(n, dst[:])
		if got == 0 {
			break
		}
		bytes += size
		for _, e := range dst[:got] {
			if e.next <= at {
				t.Fatalf("%d after %d", e.next, at)
			}
			if at = e.next; e.waiter != nil {
				told++
			}
		}
	}
	if bytes != 10*n || told != waited {
		t.Errorf("%d bytes and %d waiters came out, want %d and %d", bytes, told, 10*n, waited)
	}
}

func FuzzDecodeStart(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeStart(0))
	f.Add(encodeStart(1 << 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		if offset, err := decodeStart(b); err == nil && (offset < 0 || !bytes.Equal(encodeStart(offset), b)) {
			t.Errorf("%x decodes to %d", b, offset)
		}
	})
}
