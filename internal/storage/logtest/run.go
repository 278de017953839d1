package logtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
)

// Harness is an engine under test, without any log.
type Harness struct {
	Engine storage.Engine
	// Reopen closes the engine and opens it again with all it has stored. nil: the engine forgets at Close.
	Reopen func(t testing.TB) storage.Engine
}

// Run checks an engine. open is called for each claim; it registers its own clean-up.
func Run(t *testing.T, open func(t testing.TB) Harness) {
	for _, c := range []struct {
		claim string
		test  func(*suite)
	}{
		{"AppendContinuesTheLog", appendContinues},
		{"AppendRefusesWhatDoesNotFit", appendRefuses},
		{"AppendKeepsNothingOfTheCallers", appendBorrows},
		{"ReadReturnsWholeBatches", readWhole},
		{"ReadKeepsItsLimits", readLimits},
		{"ReadOutsideIsOutOfRange", readOutside},
		{"ReadCrossesGaps", readGaps},
		{"TruncateCutsOnABatchBoundary", truncateCuts},
		{"TruncateMakesRoomForOtherBytes", truncateReplaces},
		{"TrimRaisesTheStart", trimRaises},
		{"TrimToTheEndEmptiesTheLog", trimAll},
		{"TimeFindsTheFirstBatch", timeFinds},
		{"MaxTimestampIsTheLargest", timeMax},
		{"SidecarKeepsBlobs", sidecarKeeps},
		{"DurableRisesToTheEnd", durableRises},
		{"SyncOfNothingReturns", durableNothing},
		{"SegmentsAreContiguous", segmentsContiguous},
		{"RollClosesTheActiveSegment", segmentsRoll},
		{"ReplacedSegmentsAreOldOrNew", segmentsReplace},
		{"ExtentsOutliveTheirBatches", extentsOutlive},
		{"ReadersNeverBlockAndSeeNoOldBytes", readersConcurrent},
		{"NewTopicIDStartsEmpty", engineRemove},
		{"EngineListsItsLogs", engineLists},
		{"ClosedLogsOpenAgain", engineCloseLog},
		{"ReopenedEngineHasEverything", engineReopen},
	} {
		t.Run(c.claim, func(t *testing.T) {
			seed := seed.Of(t)
			t.Logf("seed %d", seed)
			c.test(&suite{T: t, Harness: open(t), rng: rand.New(rand.NewPCG(seed, 0))})
		})
	}
}

// suite is one test.
type suite struct {
	*testing.T
	Harness
	rng    *rand.Rand
	serial uint64
}

// subject is a log under test beside its model.
type subject struct {
	*suite
	id    storage.ID
	log   storage.Log
	model model
	now   kafka.Timestamp
	epoch kafka.LeaderEpoch
}

// small makes segments of a few batches.
var small = storage.Config{SegmentBytes: 8 << 10, IndexInterval: 512}

func (s *suite) open(topic string, cfg storage.Config) *subject {
	s.Helper()
	u := &subject{suite: s, id: storage.ID{TopicPartition: kafka.TopicPartition{Topic: topic}, TopicID: topicID(topic, 0)}, now: 1_000_000}
	u.openLog(s.Engine, cfg)
	return u
}

func topicID(topic string, incarnation byte) kafka.UUID {
	u := kafka.UUID{14: 7, 15: incarnation}
	copy(u[:14], topic)
	return u
}

func (u *subject) openLog(e storage.Engine, cfg storage.Config) {
	u.Helper()
	var err error
	if u.log, err = e.Open(u.id, cfg); err != nil {
		u.Fatal(err)
	}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// batch makes a random batch at base. Times mostly rise.
func (u *subject) batch(base kafka.Offset) record.Batches {
	u.serial++
	u.now += kafka.Timestamp(u.rng.IntN(100) - 20)
	size := u.rng.IntN(300)
	if u.rng.IntN(10) == 0 {
		size = u.rng.IntN(3000)
	}
	return Batch{Base: base, Records: 1 + u.rng.IntN(6), ValueBytes: size, Timestamp: u.now, LeaderEpoch: u.epoch, Seed: u.serial}.Append(nil)
}

// append appends n batches one by one at the log end.
func (u *subject) append(n int) {
	u.Helper()
	for range n {
		u.put(u.batch(u.model.end))
	}
}

// put appends b and checks the answer.
func (u *subject) put(b record.Batches) {
	u.Helper()
	span, err := u.log.Append(b)
	u.must(err)
	all := pieces(b)
	u.model.append(b)
	if want := (storage.Span{First: all[0].BaseOffset, Next: u.model.end, Bytes: len(b)}); span != want {
		u.Fatalf("append answers %+v, want %+v", span, want)
	}
}

// check compares the whole log with the model.
func (u *subject) check() {
	u.Helper()
	if err := u.model.compare(u.log, 1<<u.rng.IntN(20)); err != nil {
		u.Fatal(err)
	}
}

func (u *subject) sync() {
	u.Helper()
	u.must(u.log.Sync(context.Background(), u.model.end))
	if b := u.log.Bounds(); b.Durable != b.End {
		u.Fatalf("bounds %+v after a sync of everything", b)
	}
}

func (u *subject) truncate(end kafka.Offset) {
	u.Helper()
	u.must(u.log.TruncateTo(end))
	target := min(end, u.model.end)
	u.model.truncate(end)
	b := u.log.Bounds()
	if b.End < u.model.end || b.End > max(target, u.model.start) {
		u.Fatalf("truncated to %d, the log ends at %d and has nothing behind %d", end, b.End, u.model.end)
	}
	u.model.end = b.End // engines may differ in a gap of offsets
}

func (u *subject) trim(start kafka.Offset) {
	u.Helper()
	u.must(u.log.TrimTo(start))
	u.model.trim(start)
}

// segmented is the log's optional side; the test is skipped without it.
func (u *subject) segmented() storage.Segmented {
	g, ok := u.log.(storage.Segmented)
	if !ok {
		u.Skip("the engine has no segments")
	}
	return g
}

// cutBase is the base of the batch that a truncation to end would cut first.
func (m *model) cutBase(end kafka.Offset) kafka.Offset {
	if rest := reachAbove(m.pieces, end); len(rest) > 0 {
		return rest[0].BaseOffset
	}
	return m.end
}

// cutOffset is a random target for TruncateTo that does not cut below the log start.
func (m *model) cutOffset(rng *rand.Rand) kafka.Offset {
	for range 20 {
		if end := m.start + kafka.Offset(rng.Int64N(int64(m.end-m.start)+1)); m.cutBase(end) >= m.start {
			return end
		}
	}
	return m.end
}

func describe(x storage.OffsetTime) string {
	return fmt.Sprintf("offset %d, time %d", x.Offset, x.Timestamp)
}
