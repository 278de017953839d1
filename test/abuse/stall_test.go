package abuse

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchOf is a fetch request of a topic's partition 0.
func fetchOf(topic string, from int64, most int32) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.ReplicaID, q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.SessionEpoch = 12, -1, 500, 1, most, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch = from, most, -1, -1
	q.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return q
}

// Consumers that ask for much, again and again, and read nothing: the server stops at what the network takes, its memory stays bounded even
// if each holds other records, and producers of the same topic go on; consumers do, too, once those that stall have been closed.
func TestConsumersThatDoNotReadHurtNobody(t *testing.T) {
	const hot = 64 << 20
	consumers, batches := 60, 200
	if long {
		consumers, batches = 400, 1200
	}
	w := start(t, "--set", fmt.Sprint("rafka.log.hot.bytes=", hot), "--set", "rafka.memory.request.bytes=67108864")
	w.create("much", 1)
	peak := w.peak()
	write := func(n int) time.Duration {
		t.Helper()
		t0 := time.Now()
		nc := w.dial()
		defer nc.Close()
		q := produceOf("much", 0, batchOf(t, 1, 1_000_000))
		for range n {
			if a, err := ask(nc, q); err != nil || a.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode != 0 {
				t.Fatalf("produce beside consumers that do not read: %v %v", a, err)
			}
		}
		return time.Since(t0)
	}
	alone := write(batches)
	conns := make([]net.Conn, consumers)
	for i := range conns {
		conns[i] = w.dial()
		_ = conns[i].(*net.TCPConn).SetReadBuffer(4 << 10)
		_ = conns[i].SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		for range 20 {
			if _, err := conns[i].Write(framed(fetchOf("much", int64(i*batches/consumers), 50<<20), 1)); err != nil {
				break
			}
		}
	}
	beside := write(batches) // pushes what they hold out of what is hot
	t.Logf("%d MB written in %v alone and in %v beside %d consumers that do not read", batches, alone, beside, consumers)
	w.behaveWell()
	if long { // a new consumer has to wait until those that stall are closed: half a minute
		w.readThrough("much", int64(2*batches))
	}
	w.grewAtMost(peak, hot+64<<20+96<<20, "consumers that do not read")
	for _, nc := range conns {
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}
	w.checkWell()
}

// readThrough consumes n records of a topic's partition 0.
func (w *world) readThrough(topic string, n int64) {
	w.t.Helper()
	t0 := time.Now()
	cl := w.newClient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}), kgo.FetchMaxWait(50*time.Millisecond))
	defer cl.Close()
	for next := int64(0); next < n; {
		fs := cl.PollFetches(w.t.Context())
		if err := fs.Err0(); err != nil {
			w.t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if r.Offset != next {
				w.t.Fatalf("offset %d after %d", r.Offset, next-1)
			}
			next++
		})
		if time.Since(t0) > time.Minute {
			w.t.Fatalf("a consumer beside those that stall got %d of %d records in a minute", next, n)
		}
	}
}

// A client that sends a byte now and then is closed after half a minute; one that says nothing in the middle of a frame, too. Meanwhile and
// afterwards others are served.
func TestSlowLorisIsClosed(t *testing.T) {
	if !long {
		t.Skip("RAFKA_LONG=1 runs it: it takes 40 s")
	}
	w := start(t)
	q := hello()
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			nc := w.dial()
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(time.Minute))
			t0 := time.Now()
			_, _ = nc.Write([]byte{0, 1, 0, 0, 0, 0, 0, 9})
			if i%3 == 0 {
				_, _ = nc.Write(q) // and no more
			} else {
				for j := range 60 {
					time.Sleep(time.Second) // that is the attack
					if _, err := nc.Write(q[j%len(q) : j%len(q)+1]); err != nil {
						break
					}
				}
			}
			if _, err := readFrame(nc); err == nil || time.Since(t0) > 55*time.Second {
				t.Errorf("a slow client was not closed in %v: %v", time.Since(t0), err)
			}
		})
	}
	for range 20 {
		time.Sleep(time.Second)
		w.behaveWell()
	}
	all.Wait()
	w.checkWell()
}

// A client that closes its writing side while it waits (half open) gets what was asked before, or the connection's end; nothing stays.
func TestHalfOpenConnectionsEnd(t *testing.T) {
	w := start(t)
	for i := range 200 {
		nc := w.dial()
		switch i % 4 {
		case 0: // a long poll
			q := fetchOf(good, 1<<40, 1<<20)
			q.Topics[0].Partitions[0].FetchOffset = w.end(good)
			q.MaxWaitMillis = 600_000
			_, _ = nc.Write(framed(q, 1))
		case 1:
			_, _ = nc.Write(hello())
		case 2:
			_, _ = nc.Write([]byte("CONSUME good FOLLOW\n"))
		case 3:
			_, _ = nc.Write([]byte("PRODUCE good"))
		}
		_ = nc.(*net.TCPConn).CloseWrite()
		w.ends(nc, 5*time.Second, fmt.Sprint("half open ", i%4))
	}
	w.checkWell()
}
