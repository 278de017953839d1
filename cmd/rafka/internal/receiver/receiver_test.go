package receiver

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	group    = "g"
	topic    = "jobs"
	patience = time.Minute
)

// world is a fake cluster of three brokers with a topic of six partitions, whose group begins at the oldest message.
func world(t *testing.T) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(6, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	req, resource, config := kmsg.NewPtrIncrementalAlterConfigsRequest(), kmsg.NewIncrementalAlterConfigsRequestResource(), kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", kmsg.StringPtr("earliest")
	resource.ResourceType, resource.ResourceName, resource.Configs = kmsg.ConfigResourceTypeGroupConfig, group, append(resource.Configs, config)
	req.Resources = append(req.Resources, resource)
	if _, err := req.RequestWith(t.Context(), client(t, cluster)); err != nil {
		t.Fatal(err)
	}
	return cluster
}

func client(t *testing.T, cluster *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// send puts n messages into each partition.
func send(t *testing.T, cluster *kfake.Cluster, n int) {
	t.Helper()
	cl := client(t, cluster)
	for i := range n {
		for p := range int32(6) {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: p, Value: fmt.Append(nil, p, "/", i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func receiver(t *testing.T, cluster *kfake.Cluster) *Receiver {
	t.Helper()
	r, err := Join(t.Context(), client(t, cluster, Options()...), group, []string{topic}, patience)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func take(t *testing.T, r *Receiver, most int) []*Message {
	t.Helper()
	messages, err := r.Take(t.Context(), most)
	if err != nil || len(messages) == 0 {
		t.Fatalf("took %d messages: %v", len(messages), err)
	}
	return messages
}

// RCV-1: whoever takes one message at a time and goes leaves all others as if nobody had been there.
func TestNothingIsHeldThatWasNotAskedFor(t *testing.T) {
	cluster := world(t)
	send(t, cluster, 3)
	seen := map[string]bool{}
	for len(seen) < 18 {
		r := receiver(t, cluster)
		m := take(t, r, 1)
		if len(m) != 1 || m[0].Deliveries != 1 || seen[string(m[0].Value)] {
			t.Fatalf("got %d messages, the first %q, delivery %d", len(m), m[0].Value, m[0].Deliveries)
		}
		seen[string(m[0].Value)] = true
		if err := r.Settle(t.Context(), Accept, m...); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// RCV-2: what is neither accepted nor rejected comes again, to whoever asks next.
func TestWhatIsNotSettledComesAgain(t *testing.T) {
	cluster := world(t)
	send(t, cluster, 1)
	first := receiver(t, cluster)
	held := map[string]bool{}
	for len(held) < 6 {
		for _, m := range take(t, first, 4) {
			held[string(m.Value)] = true
			if m.Partition == 0 {
				if err := errors.Join(first.Settle(t.Context(), Renew, m), first.Settle(t.Context(), Accept, m)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := receiver(t, cluster)
	for n := 0; n < 5; {
		for _, m := range take(t, second, 100) {
			if n++; m.Deliveries != 2 || m.Partition == 0 {
				t.Errorf("%d/%d comes with delivery %d", m.Partition, m.Offset, m.Deliveries)
			}
		}
	}
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// RCV-3: the message of a session that the broker has forgotten cannot be settled any more, and the next session goes on.
func TestALostSessionHoldsNothing(t *testing.T) {
	cluster := world(t)
	send(t, cluster, 2)
	r := receiver(t, cluster)
	m := take(t, r, 1)[0]
	for broker := range int32(3) {
		forgotten := false
		cluster.ControlKey(int16(kmsg.ShareFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if forgotten || cluster.CurrentNode() != broker || req.(*kmsg.ShareFetchRequest).ShareSessionEpoch == 0 {
				return nil, nil, false
			}
			forgotten = true
			resp := req.ResponseKind().(*kmsg.ShareFetchResponse)
			resp.ErrorCode = kerr.ShareSessionNotFound.Code
			return resp, nil, true
		})
	}
	for range 11 {
		take(t, r, 1)
	}
	if err := r.Settle(t.Context(), Accept, m); !errors.Is(err, ErrReleased) {
		t.Errorf("settled: %v", err)
	}
	_ = r.Close(t.Context())
}

// RCV-4: heartbeats go on while nobody takes anything, one that the group forgot joins again with its topics, and a
// coordinator that is just loading is asked again.
func TestAMemberIsHeardOfWhileItWorks(t *testing.T) {
	cluster := world(t)
	var beats []int32
	enough := make(chan struct{})
	cluster.ControlKey(int16(kmsg.ShareGroupHeartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		q := req.(*kmsg.ShareGroupHeartbeatRequest)
		if (q.MemberEpoch == 0) != (len(q.SubscribedTopicNames) == 1) {
			t.Errorf("epoch %d names topics %q", q.MemberEpoch, q.SubscribedTopicNames)
		}
		resp := q.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
		resp.MemberEpoch, resp.HeartbeatIntervalMillis = q.MemberEpoch+1, 1
		switch len(beats) {
		case 0:
			resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		case 3:
			resp.ErrorCode = kerr.UnknownMemberID.Code
		}
		if beats = append(beats, q.MemberEpoch); len(beats) == 6 {
			close(enough)
		}
		return resp, nil, true
	})
	r := receiver(t, cluster)
	<-enough
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []int32{0, 0, 1, 2, 0, 1}; !slices.Equal(beats[:6], want) || beats[len(beats)-1] != -1 {
		t.Errorf("heartbeats of epochs %d, want %d... and -1", beats, want)
	}
}
