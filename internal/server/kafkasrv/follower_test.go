package kafkasrv

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// lastFetch is the fetch that reached the broker last, and whether it came from another broker.
func (f *fakeBroker) lastFetch() (broker.FetchRequest, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fetched, f.fetchedPeer
}

// REP-4: who a fetch says it is reaches the broker, and with it whether the connection is one on which that counts.
func TestReplicaIDsCountOnPeerConnectionsOnly(t *testing.T) {
	f := newFakeBroker("a")
	d := open(t, f, Options{})
	id := f.Image().Topics.ByName("a").ID
	for _, peer := range []bool{false, true} {
		c := d.dial(t)
		if peer {
			c = d.dialPeer(t)
		}
		for v := int16(4); v <= 18; v++ {
			q := fetchOf("a", id, 0)
			q.Version, q.SessionEpoch = v, sessionless
			want := int64(-1)
			if v >= 15 {
				q.ReplicaID, q.ReplicaState.ID, q.ReplicaState.Epoch, want = -1, 7, 1<<40, 1<<40
			} else {
				q.ReplicaID = 7
			}
			c.ask(q)
			got, ofPeer := f.lastFetch()
			if got.ReplicaID != 7 || got.ReplicaEpoch != want || ofPeer != peer || got.AnyReplica != (v >= 11) {
				t.Errorf("peer %t version %d: replica %d epoch %d, peer %t, any replica %t", peer, v, got.ReplicaID, got.ReplicaEpoch, ofPeer, got.AnyReplica)
			}
		}
	}
}

// KIP-227 for followers: an answer tells what changed, be it the high watermark only, and the broker learns which one the follower was told.
func TestFollowersHaveSessions(t *testing.T) {
	f := newFakeBroker("a", "b")
	d := open(t, f, Options{})
	c := d.dialPeer(t)
	ids := map[string]kafka.UUID{}
	first := kmsg.NewPtrFetchRequest()
	for _, name := range []string{"a", "b"} {
		ids[name] = f.Image().Topics.ByName(name).ID
		first.Topics = append(first.Topics, fetchOf("", ids[name], 0).Topics...)
	}
	step := func(id, epoch int32, q *kmsg.FetchRequest) *kmsg.FetchResponse {
		t.Helper()
		q.Version, q.SessionID, q.SessionEpoch, q.MaxBytes = 17, id, epoch, 1<<20
		q.ReplicaState.ID, q.ReplicaState.Epoch = 7, 8
		resp := c.ask(q).(*kmsg.FetchResponse)
		if resp.ErrorCode != 0 {
			t.Fatalf("epoch %d: error %d", epoch, resp.ErrorCode)
		}
		return resp
	}
	opened := step(0, 0, first)
	if opened.SessionID == 0 || len(opened.Topics) != 2 {
		t.Fatalf("%+v", opened)
	}
	if req, _ := f.lastFetch(); req.Partitions[0].KnownHW != kafka.NoOffset {
		t.Errorf("it was told %d before it asked", req.Partitions[0].KnownHW)
	}
	d.dial(t).ask(produceTo("b", -1, batch(5)))
	got := step(opened.SessionID, 1, kmsg.NewPtrFetchRequest())
	if len(got.Topics) != 1 || got.Topics[0].TopicID != ids["b"] || got.Topics[0].Partitions[0].HighWatermark != 1 || len(got.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Fatalf("%+v", got)
	}
	moved := kmsg.NewPtrFetchRequest()
	moved.Topics = fetchOf("", ids["b"], 1).Topics
	if got := step(opened.SessionID, 2, moved); len(got.Topics) != 0 {
		t.Errorf("nothing is new: %+v", got)
	}
	req, _ := f.lastFetch()
	known := map[kafka.UUID]kafka.Offset{}
	for _, p := range req.Partitions {
		known[p.TopicID] = p.KnownHW
	}
	if req.ReplicaEpoch != 8 || known[ids["a"]] != 0 || known[ids["b"]] != 1 {
		t.Errorf("%+v", req)
	}

	// The high watermark alone: the fake's is its log end, so the follower skips the record.
	d.dial(t).ask(produceTo("b", -1, batch(5)))
	skipped := kmsg.NewPtrFetchRequest()
	skipped.Topics = fetchOf("", ids["b"], 2).Topics
	if got := step(opened.SessionID, 3, skipped); len(got.Topics) != 1 || got.Topics[0].Partitions[0].HighWatermark != 2 || len(got.Topics[0].Partitions[0].RecordBatches) != 0 {
		t.Errorf("%+v", got)
	}

	thief := kmsg.NewPtrFetchRequest()
	thief.Version, thief.SessionID, thief.SessionEpoch = 17, opened.SessionID, 4
	if resp := d.dial(t).ask(thief).(*kmsg.FetchResponse); resp.ErrorCode != int16(kafka.FetchSessionIDNotFound) {
		t.Errorf("a consumer found it: %+v", resp)
	}
	step(opened.SessionID, 4, kmsg.NewPtrFetchRequest())
}

// A replica state that is cut short is no request, and not replica 0.
func TestTornReplicaStateEndsTheConnection(t *testing.T) {
	d := open(t, newFakeBroker("a"), Options{})
	c := d.dialPeer(t)
	q := fetchOf("", kafka.UUID{1}, 0)
	q.Version, q.ReplicaID = 15, -1
	b := frame(q, 1)
	b[len(b)-1] = 1                      // a tag
	b = append(b, 1, 4, 0, 0, 0, 7)      // replica state of 4 bytes: an id without an epoch
	b[3] += 6                            // the frame's length
	if c.write(b); len(c.ended()) != 0 { // and no answer
		t.Error("it was answered")
	}
	if n := d.Stats().Closed["malformed"]; n != 1 {
		t.Errorf("closed for %v", d.Stats().Closed)
	}
}
