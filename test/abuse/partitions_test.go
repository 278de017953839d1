package abuse

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
)

// A topic of 10,000 partitions is made and serves at once and costs little memory; restarts do not take longer for it, and lose nothing.
// Times are logged, not asserted: docs/ops/performance.md says what they should be on a calm machine.
func TestTenThousandPartitions(t *testing.T) {
	if !long {
		t.Skip("RAFKA_LONG=1 runs it")
	}
	const partitions, written = 10_000, 2_000
	w := start(t)
	peak := w.peak()
	t0 := time.Now()
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis = 7, 30000
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "many", NumPartitions: partitions, ReplicationFactor: 1}}
	if a := request[*kmsg.CreateTopicsResponse](w, create).Topics[0]; a.ErrorCode != 0 {
		t.Fatalf("create: code %d %v", a.ErrorCode, a.ErrorMessage)
	}
	created := time.Since(t0)
	w.endsOf("many", partitions)
	t.Logf("created after %v, all partitions answer ListOffsets after %v", created, time.Since(t0))
	w.grewAtMost(peak, 100<<20, "10,000 partitions")

	batch := batchOf(t, 1, 100)
	t0 = time.Now()
	nc := w.dial()
	for first := int32(0); first < written; first += 100 {
		q := produceOf("many", 0, nil)
		q.Topics[0].Partitions = nil
		for p := first; p < first+100; p++ {
			q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: p * (partitions / written), Records: batch})
		}
		a, err := ask(nc, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range a.(*kmsg.ProduceResponse).Topics[0].Partitions {
			if p.ErrorCode != 0 {
				t.Fatalf("partition %d: %s", p.Partition, codeOf(p))
			}
		}
	}
	_ = nc.Close()
	t.Logf("a record in each of %d partitions after %v", written, time.Since(t0))

	check := func(how string, t0 time.Time) {
		t.Helper()
		started := time.Since(t0)
		if p := w.put("many", 1, batch); p.ErrorCode != 0 {
			t.Fatalf("%s: %s", how, codeOf(p))
		}
		first := time.Since(t0)
		ends := w.endsOf("many", partitions)
		for p := range int32(written) {
			if ends[p*(partitions/written)] < 1 {
				t.Fatalf("%s: partition %d has lost its record", how, p)
			}
		}
		t.Logf("%s: ready after %v, first produce after %v, all partitions answer after %v", how, started, first, time.Since(t0))
	}
	took, code := w.Stop(t)
	t.Logf("stopped in %v with exit code %d", took, code)
	t0 = time.Now()
	w.Server = testbin.Start(t, w.args...)
	check("after a clean stop", t0)
	w.Kill()
	t0 = time.Now()
	w.Server = testbin.Start(t, w.args...)
	check("after kill -9", t0)
	w.behaveWell()
	w.findAll()

	t0 = time.Now()
	del := kmsg.NewPtrDeleteTopicsRequest()
	many := "many"
	del.Version, del.TimeoutMillis = 6, 30000
	del.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &many}}
	if a := request[*kmsg.DeleteTopicsResponse](w, del).Topics[0]; a.ErrorCode != 0 {
		t.Fatalf("delete: code %d %v", a.ErrorCode, a.ErrorMessage)
	}
	t.Logf("deleted after %v", time.Since(t0))
	w.behaveWell()
	w.findAll()
}

// endsOf asks for the end of every partition in one request.
func (w *world) endsOf(topic string, partitions int32) map[int32]int64 {
	w.t.Helper()
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = 7, -1
	at := kmsg.NewListOffsetsRequestTopic()
	at.Topic = topic
	for p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp, one.CurrentLeaderEpoch = p, -1, -1
		at.Partitions = append(at.Partitions, one)
	}
	q.Topics = append(q.Topics, at)
	ends := map[int32]int64{}
	for _, p := range request[*kmsg.ListOffsetsResponse](w, q).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			w.t.Fatalf("offset of partition %d: code %d", p.Partition, p.ErrorCode)
		}
		ends[p.Partition] = p.Offset
	}
	return ends
}

// 100 producers with large batches at full speed: memory stays within what is configured, and whatever was acknowledged is there, also
// after kill -9 in the middle of it.
func TestProducersAtFullSpeedStayWithinTheBudget(t *testing.T) {
	const producers, partitions = 100, 8
	requestBytes, hotBytes, d := int64(64<<20), int64(64<<20), 500*time.Millisecond
	if long {
		requestBytes, hotBytes, d = 256<<20, 256<<20, 10*time.Second
	}
	w := start(t, "--set", fmt.Sprint("rafka.memory.request.bytes=", requestBytes), "--set", fmt.Sprint("rafka.log.hot.bytes=", hotBytes))
	w.create("load", partitions, "retention.bytes", "268435456", "max.message.bytes", "8388608")
	peak := w.peak()
	batch := batchOf(t, 4, 1_000_000)
	type end struct {
		offsets [partitions]int64
		batches int
	}
	results := make(chan end, producers)
	stop := time.Now().Add(d)
	for id := range producers {
		go func() {
			var e end
			defer func() { results <- e }()
			nc, err := net.Dial("tcp", w.Kafka)
			if err != nil {
				return
			}
			defer nc.Close()
			p := int32(id % partitions)
			q := produceOf("load", p, batch)
			q.TimeoutMillis = 30000
			for time.Now().Before(stop) {
				a, err := ask(nc, q)
				if err != nil {
					return // killed
				}
				if r := a.(*kmsg.ProduceResponse).Topics[0].Partitions[0]; r.ErrorCode == 0 {
					e.offsets[p] = max(e.offsets[p], r.BaseOffset+4)
					e.batches++
				}
			}
		}()
	}
	time.Sleep(d - d/10) // load for a while
	// The collector keeps as much again as is in use of what it manages: frames, not the tails of logs.
	w.grewAtMost(peak, 2*requestBytes+hotBytes+hotBytes/2+64<<20, "100 producers")
	w.Kill()
	var acked end
	for range producers {
		e := <-results
		acked.batches += e.batches
		for p := range e.offsets {
			acked.offsets[p] = max(acked.offsets[p], e.offsets[p])
		}
	}
	w.restart()
	ends := w.endsOf("load", partitions)
	for p, want := range acked.offsets {
		if ends[int32(p)] < want {
			t.Errorf("partition %d ends at %d, acknowledged was up to %d", p, ends[int32(p)], want)
		}
	}
	t.Logf("%d batches of 4 MB acknowledged", acked.batches)
	w.behaveWell()
	w.findAll()
}
