package partition

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// withinBatch gives fn a follower over each engine that has records 0 to 19 in two batches of ten, all committed, and whose log starts at 15, within
// the second one, because its leader deleted what is below.
func withinBatch(t *testing.T, fn func(t *testing.T, b *bench, again func(epoch kafka.LeaderEpoch))) {
	for name, open := range engines(t) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			b := newBench(t)
			b.host.Engine = open()
			begin := func(epoch kafka.LeaderEpoch) {
				b.Partition = New(b.id, b.host, b.Partition.Settings(), &Stats{})
				b.follows(epoch)
			}
			begin(6)
			b.settled(b.appendFrom(6, replicated(plainBatch(10), 0, 5), replicated(plainBatch(10), 10, 5)))
			if err := b.LeaderSaid(6, 20, 15); err != nil || b.LogStart() != 15 {
				t.Fatalf("log start %d, %v", b.LogStart(), err)
			}
			fn(t, b, func(epoch kafka.LeaderEpoch) {
				t.Helper()
				if err := b.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				begin(epoch)
			})
		})
	}
}

// settled makes the log durable.
func (b *bench) settled(upto kafka.Offset) {
	b.Helper()
	if err := b.SyncFollower(context.Background(), upto); err != nil {
		b.Fatal(err)
	}
}

// copies takes a batch of ten records that begins at base, below the log start or not, and looks what there is then.
func (b *bench) copies(epoch kafka.LeaderEpoch, base, start kafka.Offset) {
	b.Helper()
	next := b.appendFrom(epoch, replicated(plainBatch(10), base, epoch))
	b.settled(next)
	if err := b.LeaderSaid(epoch, next, start); err != nil {
		b.Fatal(err)
	}
	if p := b.point(); p != (FollowPoint{base + 10, epoch, start, epoch}) || b.HighWatermark() != next {
		b.Fatalf("goes on at %+v, high watermark %d", p, b.HighWatermark())
	}
}

// holds sees that as leader it has exactly one batch, at base, from start on.
func (b *bench) holds(epoch kafka.LeaderEpoch, base, start kafka.Offset) {
	b.Helper()
	b.leads(epoch, int32(epoch), 0, 1)
	b.has(1, epoch, base+10)
	if bases, r := b.readAny(start); !slices.Equal(bases, []kafka.Offset{base}) || r.LogStart != start || r.HighWatermark != base+10 {
		b.Fatalf("consumers get %v, %+v", bases, r)
	}
}

// PAR-10: a follower whose log was cut to its start, within a batch that its leader has, copies that batch; also after restarts at each step.
func TestALogCutToItsStartWithinABatchIsCopiedAgain(t *testing.T) {
	withinBatch(t, func(t *testing.T, b *bench, again func(kafka.LeaderEpoch)) {
		b.follows(7)
		if p, err := b.TruncateTo(7, EpochEnd{5, 17}); err != nil || p.Offset != 15 || p.LogStart != 15 {
			t.Fatalf("%+v, %v", p, err)
		}
		again(8)
		if p := b.point(); p.Offset != 15 || p.LogStart != 15 {
			t.Fatalf("after a restart %+v", p)
		}
		b.copies(8, 10, 15)
		again(9)
		if p := b.point(); p != (FollowPoint{20, 8, 15, 9}) {
			t.Fatalf("after another %+v", p)
		}
		b.holds(10, 10, 15)
	})
}

// PAR-10: the same where the leader's log starts further on within that batch, so that the follower begins anew in an empty log.
func TestALogThatStartsOverWithinABatchIsCopied(t *testing.T) {
	withinBatch(t, func(t *testing.T, b *bench, again func(kafka.LeaderEpoch)) {
		b.follows(7)
		if _, err := b.TruncateTo(7, EpochEnd{5, 16}); err != nil {
			t.Fatal(err)
		}
		if err := b.StartAt(7, 17); err != nil {
			t.Fatal(err)
		}
		if p := b.point(); p.Offset != 17 || p.LogStart != 17 {
			t.Fatalf("%+v", p)
		}
		again(8)
		b.copies(8, 10, 17)
		again(9)
		b.holds(9, 10, 17)
	})
}

// PAR-2, PAR-10: where the logs part below the log start, the follower goes on at that place, and not where it once was told to delete: what the leader, elected
// uncleanly, has written there since is not deleted. (Kafka does the same.)
func TestALogThatPartsBelowItsStartFallsBack(t *testing.T) {
	withinBatch(t, func(t *testing.T, b *bench, again func(kafka.LeaderEpoch)) {
		b.follows(7)
		if p, err := b.TruncateTo(7, EpochEnd{5, 12}); err != nil || p != (FollowPoint{12, kafka.NoEpoch, 12, 7}) || b.HighWatermark() != 12 {
			t.Fatalf("%+v, high watermark %d, %v", p, b.HighWatermark(), err)
		}
		again(8)
		if p := b.point(); p.Offset != 12 || p.LogStart != 12 {
			t.Fatalf("after a restart %+v", p)
		}
		b.copies(8, 12, 12)
		again(9)
		b.holds(9, 12, 12)
	})
}

// PAR-2, PAR-10: an empty log that lies behind all that the leader has begins where the leader's does.
func TestAnEmptyLogBehindItsLeadersBeginsWithIt(t *testing.T) {
	withinBatch(t, func(t *testing.T, b *bench, again func(kafka.LeaderEpoch)) {
		b.follows(7)
		if err := b.LeaderSaid(7, 20, 20); err != nil || b.LogStart() != 20 {
			t.Fatal(b.LogStart(), err)
		}
		if err := b.StartAt(7, 3); err != nil {
			t.Fatal(err)
		}
		again(8)
		if p := b.point(); p != (FollowPoint{3, kafka.NoEpoch, 3, 8}) {
			t.Fatalf("%+v", p)
		}
		b.copies(8, 3, 3)
		b.holds(9, 3, 3)
	})
}

// PAR-10: a follower of which nothing can be compared, behind the log start, is sent there, unless it is in sync or eligible: then it lacks nothing.
func TestAFollowerWithNothingToCompareBeginsAtTheStart(t *testing.T) {
	b := newBench(t)
	b.append(plainBatch(5))
	ask := func(from kafka.Offset) error {
		_, err := b.Read(ReadRequest{From: from, MaxBytes: 1 << 20, CurrentEpoch: 6, FetchedEpoch: kafka.NoEpoch, Replica: 1, ReplicaEpoch: 1})
		return err
	}
	b.leads(6, 1, 0)
	wantCode(t, ask(5), kafka.OffsetOutOfRange)
	if p, ok := b.ProposeISR(b.now, time.Minute); ok {
		t.Errorf("it is proposed all the same: %+v", p)
	}
	if err := ask(0); err != nil {
		t.Error(err)
	}
	b.leads(6, 2, 0, 1)
	if err := ask(5); err != nil {
		t.Error(err)
	}
	b.SetRole(Role{IsLeader: true, Epoch: 6, PartitionEpoch: 3, ISR: []kafka.BrokerID{0}, ELR: []kafka.BrokerID{1}, Replicas: three})
	if err := ask(5); err != nil {
		t.Error(err)
	}
}

// PAR-10: a deletion is done when every replica in sync has done it, and whoever waits is told when this broker leads no more, or may not know it.
func TestADeletionWaitsForTheReplicasInSync(t *testing.T) {
	b := newBench(t)
	b.leads(6, 1, 0, 1)
	b.append(plainBatch(5))
	b.append(plainBatch(5))
	fetch := func(from, start kafka.Offset) {
		t.Helper()
		if _, err := b.Read(ReadRequest{From: from, MaxBytes: 1 << 20, CurrentEpoch: 6, FetchedEpoch: 6, Replica: 1, ReplicaEpoch: 1, LogStart: start}); err != nil {
			t.Fatal(err)
		}
	}
	fetch(10, 0)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	trim, err := b.Trim(context.Background(), 7)
	if err != nil || b.LogStart() != 7 {
		t.Fatal(b.LogStart(), err)
	}
	await := func() error {
		_, err := b.AwaitTrim(ended, trim)
		return err
	}
	wantCode(t, await(), kafka.RequestTimedOut)
	fetch(10, 6)
	wantCode(t, await(), kafka.RequestTimedOut)
	answer := make(chan error, 1)
	go func() {
		_, err := b.AwaitTrim(context.Background(), trim)
		answer <- err
	}()
	fetch(10, 7)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := await(); err != nil {
		t.Error(err)
	}
	b.leads(6, 2, 0, 1, 2)
	wantCode(t, await(), kafka.RequestTimedOut)
	go func() {
		_, err := b.AwaitTrim(context.Background(), trim)
		answer <- err
	}()
	b.follows(7)
	wantCode(t, <-answer, kafka.FencedLeaderEpoch)
	b.leads(8, 4, 0)
	b.host.Lease = func() bool { return false }
	_, err = b.TrimTo(context.Background(), 8)
	wantCode(t, err, kafka.NotLeaderOrFollower)
}
