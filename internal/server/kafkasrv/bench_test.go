package kafkasrv

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// nullBroker takes and gives the same without keeping anything, so that what is measured is the door.
type nullBroker struct {
	*fakeBroker
	await   nullAwait
	fetched nullFetch
}

type nullAwait []broker.ProduceResult

func (a nullAwait) Wait(_ context.Context) []broker.ProduceResult { return a }
func (nullAwait) Ready() bool                                     { return true }

type nullFetch struct{ res []broker.FetchResult }

func (a nullFetch) Wait(_ context.Context) []broker.FetchResult { return a.res }

func (b *nullBroker) Produce(*broker.Session, *broker.ProduceRequest) broker.Await[[]broker.ProduceResult] {
	return &b.await
}

func (b *nullBroker) Fetch(*broker.Session, *broker.FetchRequest) broker.Await[[]broker.FetchResult] {
	return &b.fetched
}

// forever is an extent that is never used up.
type forever struct{ fakeExtent }

func (*forever) Release() {}

// serveOne starts a server on loopback and connects to it, for benchmarks.
func serveOne(b *testing.B, br Broker) net.Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := New(br, Options{NodeID: 1})
	go func() {
		nc, err := l.Accept()
		if err == nil {
			s.Serve(b.Context(), nc)
		}
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = nc.Close(); _ = l.Close(); _ = s.Close() })
	_, _ = nc.Write(frame(hello(), 1))
	skipAnswer(b, nc, make([]byte, 64<<10))
	return nc
}

func skipAnswer(b *testing.B, nc net.Conn, buf []byte) {
	if _, err := io.ReadFull(nc, buf[:4]); err != nil {
		b.Fatal(err)
	}
	left := int(binary.BigEndian.Uint32(buf))
	for left > 0 {
		n, err := nc.Read(buf[:min(left, len(buf))])
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
}

func newNullBroker() *nullBroker {
	b := &nullBroker{fakeBroker: newFakeBroker("orders")}
	b.await = nullAwait{{LogAppendTime: -1}}
	b.fetched.res = []broker.FetchResult{{HighWatermark: 1, LastStable: 1, PreferredRead: -1, Leader: -1}}
	return b
}

// One produce in flight: the way of a request and its answer through the door, and back to the client.
func BenchmarkProduceOneInFlight(b *testing.B) {
	for _, size := range []int{100, 16 << 10, 512 << 10} {
		b.Run(sizeName(size), func(b *testing.B) {
			nc := serveOne(b, newNullBroker())
			q := frame(produceTo("orders", -1, batch(size)), 2)
			buf := make([]byte, 64<<10)
			b.SetBytes(int64(len(q)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nc.Write(q); err != nil {
					b.Fatal(err)
				}
				skipAnswer(b, nc, buf)
			}
		})
	}
}

// Sixteen produces in flight, sent and answered together.
func BenchmarkProducePipelined(b *testing.B) {
	nc := serveOne(b, newNullBroker())
	const n = 16
	var q []byte
	for range n {
		q = append(q, frame(produceTo("orders", -1, batch(100)), 2)...)
	}
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nc.Write(q); err != nil {
			b.Fatal(err)
		}
		for range n {
			skipAnswer(b, nc, buf)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/request")
}

func BenchmarkFetchOneInFlight(b *testing.B) {
	for _, size := range []int{100, 1 << 20} {
		b.Run(sizeName(size), func(b *testing.B) {
			br := newNullBroker()
			br.fetched.res[0].Records = &forever{fakeExtent{b: make([]byte, size)}}
			nc := serveOne(b, br)
			fetch := fetchOf("orders", kafka.UUID{}, 0)
			fetch.SessionEpoch = sessionless
			q := frame(fetch, 2)
			buf := make([]byte, 256<<10)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nc.Write(q); err != nil {
					b.Fatal(err)
				}
				skipAnswer(b, nc, buf)
			}
		})
	}
}

func sizeName(n int) string {
	if n >= 1<<20 {
		return "1MiB"
	}
	return map[int]string{100: "100B", 16 << 10: "16KiB", 512 << 10: "512KiB"}[n]
}

// What a connection that was served and is idle now takes, kernel apart. Both ends are here, so a client's connection is taken off.
func BenchmarkIdleConnection(b *testing.B) {
	d := open(b, newFakeBroker("orders"), Options{})
	const n = 1000
	memory := func() (heap, stacks uint64) {
		for range 5 { // a collection halves a stack that is not used
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	for b.Loop() {
		heap, stacks := memory()
		clients := make([]net.Conn, n)
		for i := range clients {
			c := d.dial(b)
			c.ask(hello())
			c.ask(produceTo("orders", -1, batch(1000)))
			c.ask(kmsg.NewPtrMetadataRequest())
			clients[i] = c.nc
		}
		for _, c := range d.appendConns(nil) {
			c.rest()
		}
		for runtime.NumGoroutine() > n+20 {
			runtime.Gosched()
		}
		heapNow, stacksNow := memory()
		b.ReportMetric(float64(heapNow-heap)/n, "heap-B/connection")
		b.ReportMetric(float64(stacksNow-stacks)/n, "stack-B/connection")
		for _, nc := range clients {
			_ = nc.Close()
		}
		for d.Stats().Open > 0 {
			runtime.Gosched()
		}
	}
}
