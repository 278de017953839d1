package group

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/timeline"
)

// bench runs operations without a log.
type bench struct {
	*world
	reg *timeline.Registry
	seq timeline.Epoch
}

func (b *bench) run(fn func(op *coordinator.Op)) {
	b.reg.Release(b.seq)
	b.reg.Snapshot(b.seq)
	op := coordinator.NewOp(b.Shard, 0, b.Now, b.Image, nil)
	fn(op)
	b.seq++
}

func newBench(t *testing.B) *bench {
	b := &bench{world: newWorld(t), reg: timeline.NewRegistry()}
	env := b.Shard.env
	b.Shard = New(env, b.reg)
	return b
}

func BenchmarkHeartbeat(t *testing.B) {
	b := newBench(t)
	r := &groupMetadata{group: "g", generation: 1, protocolType: "consumer"}
	for i := range 100 {
		r.members = append(r.members, savedMember{id: fmt.Sprint("member-", i), sessionTimeout: 45_000, rebalanceTimeout: 60_000})
	}
	b.Shard.Replay(r, coordinator.Producer{ID: -1, Epoch: -1})
	b.run(b.Shard.Loaded)
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = "g", "member-7", 1
	t.ReportAllocs()
	for t.Loop() {
		b.run(func(op *coordinator.Op) {
			if b.Shard.Heartbeat(op, Client{}, req).ErrorCode != 0 {
				t.Fatal("refused")
			}
		})
	}
}

func BenchmarkOffsetCommit(t *testing.B) {
	for _, partitions := range []int{1, 100} {
		t.Run(fmt.Sprintf("partitions=%d", partitions), func(t *testing.B) {
			b := newBench(t)
			b.topic("many", 100)
			req := commitRequest("g", "", -1, "many", 0, 1)
			for i := 1; i < partitions; i++ {
				p := req.Topics[0].Partitions[0]
				p.Partition = int32(i)
				req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
			}
			t.ReportAllocs()
			for t.Loop() {
				b.run(func(op *coordinator.Op) { b.Shard.OffsetCommit(op, Client{}, req) })
			}
		})
	}
}

// The records of 100,000 offsets, decoded and folded; the log's own reading is not in it.
func BenchmarkLoad100kOffsets(t *testing.B) {
	var log [][2][]byte
	for g := range 1000 {
		for p := range 100 {
			r := &offsetCommit{group: fmt.Sprint("group-", g), offsetKey: offsetKey{"topic", int32(p)}, offset: 1 << 30, expires: -1, topicID: [16]byte{1}}
			k, v := encode(r)
			log = append(log, [2][]byte{k, v})
		}
	}
	t.ReportAllocs()
	for t.Loop() {
		b := newBench(t)
		for _, kv := range log {
			r, err := b.Shard.Decode(kv[0], kv[1])
			if err != nil {
				t.Fatal(err)
			}
			b.Shard.Replay(r, coordinator.Producer{ID: -1, Epoch: -1})
		}
		b.run(b.Shard.Loaded)
	}
}
