package txnmarker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// peers answers WriteTxnMarkers as fn says.
type peers func(ctx context.Context, to kafka.BrokerID, q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error)

func (p peers) Kafka(ctx context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	return p(ctx, to, q.(*kmsg.WriteTxnMarkersRequest))
}

// answerTo answers each partition with what code says, topics in reverse order.
func answerTo(q *kmsg.WriteTxnMarkersRequest, code func(producer int64, tp kafka.TopicPartition) kafka.ErrorCode) *kmsg.WriteTxnMarkersResponse {
	a := kmsg.NewPtrWriteTxnMarkersResponse()
	for _, m := range q.Markers {
		w := kmsg.WriteTxnMarkersResponseMarker{ProducerID: m.ProducerID}
		for _, t := range slices.Backward(m.Topics) {
			topic := kmsg.WriteTxnMarkersResponseMarkerTopic{Topic: t.Topic}
			for _, n := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: n, ErrorCode: int16(code(m.ProducerID, kafka.TopicPartition{Topic: t.Topic, Partition: n}))})
			}
			w.Topics = append(w.Topics, topic)
		}
		a.Markers = append(a.Markers, w)
	}
	return a
}

func someMarkers() []Marker {
	return []Marker{
		{Producer: coordinator.Producer{ID: 7, Epoch: 2}, CoordinatorEpoch: 3, Commit: true, Version: 2, Partitions: []kafka.TopicPartition{
			{Topic: "t", Partition: 0}, {Topic: offsetsTopic, Partition: 4}, {Topic: "t", Partition: 2},
		}},
		{Producer: coordinator.Producer{ID: 9, Epoch: 0}, CoordinatorEpoch: 3}, // nothing to write
		{Producer: coordinator.Producer{ID: 8, Epoch: 5}, CoordinatorEpoch: 6, Version: 1, Partitions: []kafka.TopicPartition{{Topic: "t", Partition: 0}}},
	}
}

func TestRemoteAsksAndReadsTheAnswer(t *testing.T) {
	var asked string
	w := &Remote{Broker: 5, Peers: peers(func(_ context.Context, to kafka.BrokerID, q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
		asked = fmt.Sprintf("broker %d v%d:", to, q.Version)
		for _, m := range q.Markers {
			asked += fmt.Sprintf(" %d/%d commit=%v by %d version %d", m.ProducerID, m.ProducerEpoch, m.Committed, m.CoordinatorEpoch, m.TransactionVersion)
			for _, t := range m.Topics {
				asked += fmt.Sprintf(" %s%v", t.Topic, t.Partitions)
			}
			asked += ";"
		}
		return answerTo(q, func(producer int64, tp kafka.TopicPartition) kafka.ErrorCode {
			switch {
			case producer == 8:
				return kafka.InvalidProducerEpoch
			case tp.Topic == offsetsTopic:
				return kafka.NotLeaderOrFollower
			}
			return kafka.None
		}), nil
	})}
	results := w.Write(t.Context(), someMarkers())
	if want := "broker 5 v2: 7/2 commit=true by 3 version 2 t[0 2] __consumer_offsets[4]; 8/5 commit=false by 6 version 1 t[0];"; asked != want {
		t.Errorf("asked %s\nwant  %s", asked, want)
	}
	if got := codes(results[0]) + codes(results[1]) + codes(results[2]); got != "[NONE NOT_LEADER_OR_FOLLOWER NONE][][INVALID_PRODUCER_EPOCH]" {
		t.Error(got)
	}
}

// What a broker does not answer is not written.
func TestRemoteTrustsNoAnswerThatIsNone(t *testing.T) {
	for name, answer := range map[string]func(q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error){
		"unreached": func(*kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) { return nil, kafka.BrokerNotAvailable },
		"nothing":   func(*kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) { return nil, nil },
		"another kind": func(*kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			return kmsg.NewPtrMetadataResponse(), nil
		},
		"too few": func(q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			a := answerTo(q, func(int64, kafka.TopicPartition) kafka.ErrorCode { return kafka.None })
			a.Markers = a.Markers[:1]
			return a, nil
		},
		"another producer": func(q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			a := answerTo(q, func(int64, kafka.TopicPartition) kafka.ErrorCode { return kafka.None })
			a.Markers[0].ProducerID, a.Markers[1].ProducerID = a.Markers[1].ProducerID, a.Markers[0].ProducerID
			return a, nil
		},
		"other partitions": func(q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			a := answerTo(q, func(int64, kafka.TopicPartition) kafka.ErrorCode { return kafka.None })
			for i := range a.Markers {
				a.Markers[i].Topics = nil
			}
			return a, nil
		},
	} {
		w := &Remote{Broker: 5, Peers: peers(func(_ context.Context, _ kafka.BrokerID, q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			return answer(q)
		})}
		results := w.Write(t.Context(), someMarkers())
		if got := codes(results[0]) + codes(results[2]); got != "[NETWORK_EXCEPTION NETWORK_EXCEPTION NETWORK_EXCEPTION][NETWORK_EXCEPTION]" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A broker that does not answer is given up after a while; when the Sender ends, at once.
func TestRemoteDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Remote{Broker: 5, Peers: peers(func(ctx context.Context, _ kafka.BrokerID, _ *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})}
		begun := time.Now()
		results := w.Write(t.Context(), someMarkers())
		if took := time.Since(begun); took != remoteTimeout || codes(results[2]) != "[NETWORK_EXCEPTION]" {
			t.Errorf("%s after %v", codes(results[2]), took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := w.Write(ctx, someMarkers()); !errors.Is(got[0][1], context.Canceled) || !errors.Is(got[2][0], context.Canceled) {
			t.Error(got)
		}
	})
}

// TXN-4: a partition whose leader moves while its marker is on the way gets it from the new leader, by the image of then.
func TestMarkersFollowTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var img atomic.Pointer[metadata.Image]
		first, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.TopicRecord{ID: kafka.UUID{1}, Name: "t", Partitions: []metadata.PartitionRun{
			{Count: 2, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1, 2, 3}, ISR: []kafka.BrokerID{1, 2, 3}, Leader: 2}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		img.Store(first)
		w := &world{T: t, gone: map[int32]bool{}, written: map[kafka.TopicPartition][]kafka.ProducerID{}}
		remote := peers(func(ctx context.Context, to kafka.BrokerID, q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
			if to == 2 {
				return nil, kafka.BrokerNotAvailable // it is dead
			}
			return answerTo(q, func(producer int64, tp kafka.TopicPartition) kafka.ErrorCode {
				if img.Load().Topics.ByName("t").Partitions[tp.Partition].Leader != to {
					return kafka.NotLeaderOrFollower
				}
				w.set(func() { w.written[tp] = append(w.written[tp], kafka.ProducerID(producer)) })
				return kafka.None
			}), nil
		})
		local := &fakeBroker{w, 1}
		writers := Writers(1, local, remote)
		w.Sender = New(Options{Coordinator: w, Image: img.Load, Logger: slog.New(slog.DiscardHandler), Writer: writers})
		w.Start()
		defer w.Close()
		w.OnEffect(0, txn.SendMarkers{ID: "a", Producer: coordinator.Producer{ID: 4}, Commit: true, Partitions: []kafka.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}}})
		time.Sleep(time.Second)
		if got := w.ids(); len(got) > 0 {
			t.Fatalf("reported %v", got)
		}
		moved := first
		for i, leader := range []kafka.BrokerID{1, 3} {
			s := first.Topics.ByName("t").Partitions[i]
			s.Leader, s.LeaderEpoch = leader, 1
			if moved, _, err = metadata.Fold(moved, []metadata.Record{&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, Partition: int32(i), State: s}}); err != nil {
				t.Fatal(err)
			}
		}
		img.Store(moved)
		time.Sleep(maxDelay)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("reported %v", got)
		}
		w.set(func() {
			for i := range int32(2) {
				if n := len(w.written[kafka.TopicPartition{Topic: "t", Partition: i}]); n != 1 {
					t.Errorf("partition %d has %d markers", i, n)
				}
			}
		})
		if writers(1) != Writer(local) || writers(3) != writers(3) || writers(2) == writers(3) {
			t.Error("a broker's Writer is not always the same")
		}
	})
}
