package share

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/coordtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/timeline"
)

var (
	queueTopic = kafka.UUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	queueKey   = stateKey{"queue", queueTopic, 3}
)

func envOf(updates int) Env {
	return Env{UpdatesPerSnapshot: func(*metadata.Image) int { return updates }}
}

// talk is a shard, and what was said to it and by it.
type talk struct {
	t testing.TB
	h *coordtest.Harness[*Shard]
	strings.Builder
	written int
}

func newTalk(t testing.TB, updates int) *talk {
	k := &talk{t: t, h: coordtest.New(t, func(reg *timeline.Registry) *Shard { return NewShard(envOf(updates), reg) })}
	k.change(&metadata.TopicRecord{ID: queueTopic, Name: "work", Partitions: []metadata.PartitionRun{{Count: 4}}})
	return k
}

func (k *talk) change(recs ...metadata.Record) {
	k.t.Helper()
	img, d, err := metadata.Fold(k.h.Image, recs)
	if err != nil {
		k.t.Fatal(err)
	}
	k.h.Change(img, d)
	k.records()
}

func (k *talk) say(format string, args ...any) { fmt.Fprintf(k, format+"\n", args...) }

// records writes down what has been written.
func (k *talk) records() {
	for ; k.written < len(k.h.Log); k.written++ {
		w := k.h.Log[k.written]
		r, err := k.h.Shard.Decode(w.Key, w.Value)
		if err != nil {
			k.t.Fatal(err)
		}
		switch r := r.(type) {
		case *snapshot:
			if r.isGone {
				k.say("  log: tombstone of %s-%d", r.key.group, r.key.partition)
				continue
			}
			k.say("  log: snapshot %d of %s-%d state epoch %d leader epoch %d start %d done %d: %s", r.epoch, r.key.group, r.key.partition, r.stateEpoch, r.leaderEpoch, r.start, r.deliveryComplete, batchesText(r.batches))
		case *update:
			k.say("  log: update of snapshot %d of %s-%d leader epoch %d start %d done %d: %s", r.epoch, r.key.group, r.key.partition, r.leaderEpoch, r.start, r.deliveryComplete, batchesText(r.batches))
		}
	}
}

func (k *talk) outcome(code int16, message *string, more string) {
	if code != 0 {
		k.say("  %s: %s", kafka.ErrorCode(code).Name(), *message)
	} else {
		k.say("  ok%s", more)
	}
	k.records()
}

func (k *talk) initialize(group string, partition, stateEpoch int32, start int64) {
	k.t.Helper()
	k.say("> initialize %s-%d state epoch %d start %d", group, partition, stateEpoch, start)
	a, err := coordtest.Ask(k.h, func(s *Shard, op *coordinator.Op) kmsg.InitializeShareGroupStateResponseTopicPartition {
		return s.Initialize(op, group, queueTopic, &kmsg.InitializeShareGroupStateRequestTopicPartition{Partition: partition, StateEpoch: stateEpoch, StartOffset: start})
	})
	if err != nil {
		k.say("  %v", err)
		return
	}
	k.outcome(a.ErrorCode, a.ErrorMessage, "")
}

func (k *talk) write(group string, partition, stateEpoch, leaderEpoch int32, start int64, done int32, batches string) (code int16) {
	k.t.Helper()
	k.say("> write %s-%d state epoch %d leader epoch %d start %d done %d: %s", group, partition, stateEpoch, leaderEpoch, start, done, batches)
	q := kmsg.NewWriteShareGroupStateRequestTopicPartition()
	q.Partition, q.StateEpoch, q.LeaderEpoch, q.StartOffset, q.DeliveryCompleteCount = partition, stateEpoch, leaderEpoch, start, done
	for _, b := range parseBatches(k.t, batches) {
		q.StateBatches = append(q.StateBatches, kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch{FirstOffset: int64(b.First), LastOffset: int64(b.Last), DeliveryState: int8(b.State), DeliveryCount: b.Count})
	}
	a, err := coordtest.Ask(k.h, func(s *Shard, op *coordinator.Op) kmsg.WriteShareGroupStateResponseTopicPartition {
		return s.Write(op, group, queueTopic, &q)
	})
	if err != nil {
		k.say("  %v", err)
		return -1
	}
	k.outcome(a.ErrorCode, a.ErrorMessage, "")
	return a.ErrorCode
}

func (k *talk) read(group string, partition, leaderEpoch int32) State {
	k.t.Helper()
	k.say("> read %s-%d leader epoch %d", group, partition, leaderEpoch)
	a, err := coordtest.Ask(k.h, func(s *Shard, op *coordinator.Op) kmsg.ReadShareGroupStateResponseTopicPartition {
		return s.Read(op, group, queueTopic, &kmsg.ReadShareGroupStateRequestTopicPartition{Partition: partition, LeaderEpoch: leaderEpoch})
	})
	if err != nil {
		k.say("  %v", err)
		return State{}
	}
	st := State{StateEpoch: a.StateEpoch, StartOffset: kafka.Offset(a.StartOffset)}
	for _, b := range a.StateBatches {
		st.Batches = append(st.Batches, StateBatch{kafka.Offset(b.FirstOffset), kafka.Offset(b.LastOffset), RecordState(b.DeliveryState), b.DeliveryCount})
	}
	k.outcome(a.ErrorCode, a.ErrorMessage, fmt.Sprintf(" state epoch %d start %d: %s", st.StateEpoch, st.StartOffset, batchesText(st.Batches)))
	return st
}

func (k *talk) summary(group string, partition int32) {
	k.t.Helper()
	k.say("> summary %s-%d", group, partition)
	k.h.Read(func(s *Shard, v coordinator.View) {
		a := s.Summary(v, group, queueTopic, &kmsg.ReadShareGroupStateSummaryRequestTopicPartition{Partition: partition})
		k.outcome(a.ErrorCode, a.ErrorMessage, fmt.Sprintf(" state epoch %d leader epoch %d start %d done %d", a.StateEpoch, a.LeaderEpoch, a.StartOffset, a.DeliveryCompleteCount))
	})
}

func (k *talk) delete(group string, partition int32) {
	k.t.Helper()
	k.say("> delete %s-%d", group, partition)
	a, err := coordtest.Ask(k.h, func(s *Shard, op *coordinator.Op) kmsg.DeleteShareGroupStateResponseTopicPartition {
		return s.Delete(op, group, queueTopic, &kmsg.DeleteShareGroupStateRequestTopicPartition{Partition: partition})
	})
	if err != nil {
		k.say("  %v", err)
		return
	}
	k.outcome(a.ErrorCode, a.ErrorMessage, "")
}

// SHR-4, COR-3: what the share coordinator answers and writes, told as a conversation.
func TestShardTranscript(t *testing.T) {
	k := newTalk(t, 3)
	k.say("# Nothing without initializing, and not for what does not exist.")
	k.read("queue", 3, 5)
	k.write("queue", 3, 0, 5, 10, 0, "10-12:2x1")
	k.summary("queue", 3)
	k.initialize("queue", 4, 0, 10)
	k.initialize("queue", -1, 0, 10)
	k.initialize("queue", 3, -1, 10)
	k.initialize("", 3, 0, 10)
	k.say("\n# -1: where the group begins is decided when the partition is first used.")
	k.initialize("queue", 3, 0, -1)
	k.summary("queue", 3)
	k.say("\n# Whoever reads with a higher leader epoch shuts out the others.")
	k.read("queue", 3, 5)
	k.read("queue", 3, 5)
	k.read("queue", 3, 4)
	k.write("queue", 3, 0, 4, 10, 0, "10-12:2x1")
	k.write("queue", 3, 0, 5, 10, 2, "11-12:2x1")
	k.write("queue", 3, 0, 5, 10, 2, "14-19:0x1,25-25:4x3")
	k.summary("queue", 3)
	k.say("\n# After three updates there is a snapshot of everything.")
	k.write("queue", 3, 0, 6, 13, 1, "14-15:2x2")
	k.write("queue", 3, 0, 5, 13, 3, "16-16:2x1")
	k.read("queue", 3, 5)
	k.say("\n# A write that comes late or again changes nothing: the start only rises, the higher state counts. One without a start leaves it.")
	k.write("queue", 3, 0, 5, 10, 2, "11-12:2x1,14-19:0x1")
	k.write("queue", 3, 0, 5, -1, -1, "17-17:2x1")
	k.read("queue", 3, 5)
	k.say("\n# State epochs: an admin moves the group, and the leader's old state is refused.")
	k.initialize("queue", 3, 2, 100)
	k.initialize("queue", 3, 1, 100)
	k.write("queue", 3, 0, 5, 100, 0, "100-100:2x1")
	k.write("queue", 3, 2, 5, 100, 0, "100-100:2x1")
	k.write("queue", 3, 2, -5, 100, 0, "-")
	k.write("queue", 3, 2, 5, 100, 0, "100-99:2x1")
	k.write("queue", 3, 2, 5, 100, 0, "100-100:1x1")
	k.summary("queue", 3)
	k.say("\n# The log cannot be written: nothing has happened.")
	k.h.FailNext(errors.New("the disk is full"))
	k.write("queue", 3, 2, 5, 101, 0, "-")
	k.read("queue", 3, 5)
	k.say("\n# A restart knows the same.")
	k.h.Restart()
	k.read("queue", 3, 5)
	k.write("queue", 3, 1, 5, 101, 0, "-")
	k.read("queue", 3, 4)
	k.say("\n# Deleting; twice is no error.")
	k.delete("queue", 3)
	k.delete("queue", 3)
	k.delete("queue", 9)
	k.read("queue", 3, 5)
	k.say("\n# A topic that is removed takes the state of all groups with it.")
	k.initialize("queue", 1, 0, 0)
	k.initialize("other", 0, 0, 0)
	k.initialize("queue", 0, 0, 0)
	k.change(&metadata.RemoveTopicRecord{ID: queueTopic})
	k.read("queue", 0, 1)
	golden(t, "testdata/shard.txt", k.String())
}

// A write that would make the state larger than a record can be is refused, and the state stays as it was.
func TestStateHasALimit(t *testing.T) {
	k := newTalk(t, 500)
	k.initialize("queue", 0, 0, 0)
	q := kmsg.NewWriteShareGroupStateRequestTopicPartition()
	for i := range int64(maxStateBatches) + 1 {
		q.StateBatches = append(q.StateBatches, kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch{FirstOffset: 2 * i, LastOffset: 2 * i, DeliveryState: 2, DeliveryCount: 1})
	}
	a, err := coordtest.Ask(k.h, func(s *Shard, op *coordinator.Op) kmsg.WriteShareGroupStateResponseTopicPartition {
		return s.Write(op, "queue", queueTopic, &q)
	})
	if err != nil || kafka.ErrorCode(a.ErrorCode) != kafka.InvalidRequest {
		t.Fatal(err, a)
	}
	if st := k.read("queue", 0, 1); len(st.Batches) != 0 {
		t.Fatal(st)
	}
}

// What was not committed is not seen by Summary, and a state that has been read is not changed by later writes.
func TestSummaryTellsWhatIsCommitted(t *testing.T) {
	k := newTalk(t, 500)
	k.initialize("queue", 0, 0, 5)
	before := k.read("queue", 0, 1)
	k.h.Hold()
	k.write("queue", 0, 0, 1, 9, 0, "12-12:2x1")
	k.h.Read(func(s *Shard, v coordinator.View) {
		a := s.Summary(v, "queue", queueTopic, &kmsg.ReadShareGroupStateSummaryRequestTopicPartition{Partition: 0})
		if a.StartOffset != 5 {
			t.Errorf("start offset %d is told before it is committed", a.StartOffset)
		}
	})
	if before.StartOffset != 5 || len(before.Batches) != 0 {
		t.Error(before)
	}
}

// COR-3: after any writes, failures and restarts the state is the fold of what was written.
func TestStateIsTheFoldOfItsRecords(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 2))
	for round := range 20 {
		k := newTalk(t, rng.IntN(6))
		k.initialize("queue", 0, 0, 0)
		k.read("queue", 0, 1)
		want := State{}
		for range 60 {
			switch rng.IntN(8) {
			case 0:
				k.h.Restart()
			case 1:
				k.h.FailNext(errors.New("no"))
				k.write("queue", 0, 0, 1, 500, 0, "500-501:2x1")
				k.h.FailNext(nil)
			default:
				w := Write{StartOffset: max(0, want.StartOffset+kafka.Offset(rng.IntN(8)-2))}
				text := "-"
				for range rng.IntN(5) {
					first := int(w.StartOffset) + rng.IntN(30)
					b := StateBatch{kafka.Offset(first), kafka.Offset(first + rng.IntN(6)), RecordState(2 * rng.IntN(3)), int16(1 + rng.IntN(3))}
					w.Batches = append(w.Batches, b)
					text = strings.TrimPrefix(text+",", "-,") + fmt.Sprintf("%d-%d:%dx%d", b.First, b.Last, b.State, b.Count)
				}
				k.write("queue", 0, 0, 1, int64(w.StartOffset), 0, text)
				want = fold(want, w)
			}
			got := k.read("queue", 0, 1)
			if got.StartOffset != want.StartOffset || !slices.Equal(got.Batches, want.Batches) {
				t.Fatalf("seed %d round %d: %+v\nwant %+v\n%s", seed, round, got, want, k.String())
			}
		}
	}
}
