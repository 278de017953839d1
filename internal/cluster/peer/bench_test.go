package peer

import (
	"context"
	"encoding/binary"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkCall is one call at a time, and many: what heartbeats and changes of in-sync replicas pay.
func BenchmarkCall(b *testing.B) {
	_, addr := serve(b, ServerOptions{Methods: map[string]Handler{"echo": echo}})
	p, _ := dialer(b, Options{}, addr)
	body := make([]byte, 100)
	call := func() {
		if _, err := p.Call(b.Context(), 2, "echo", body); err != nil {
			b.Error(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			call()
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(50)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call()
			}
		})
	})
}

// BenchmarkFetch reads answers of a megabyte, and of some hundred bytes, as followers do.
func BenchmarkFetch(b *testing.B) {
	scribbles = false
	defer func() { scribbles = true }()
	for name, size := range map[string]int{"200B": 200, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			a := kmsg.NewPtrFetchResponse()
			a.Version = 17
			a.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: make([]byte, size)}}}}
			frame := responseFrame(a, 0)
			_, addr := serve(b, ServerOptions{Kafka: func(_ context.Context, nc net.Conn) {
				for {
					q, err := readRequest(nc)
					if err != nil {
						return
					}
					setResponseCorrelation(frame, q.Correlation)
					if _, err := nc.Write(frame); err != nil {
						return
					}
				}
			}})
			p, _ := dialer(b, Options{}, addr)
			c, err := p.Dial(b.Context(), 2)
			if err != nil {
				b.Fatal(err)
			}
			q := kmsg.NewPtrFetchRequest()
			q.Version = 17
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				f, err := c.Fetch(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				f.Release()
			}
			_ = c.Close()
		})
	}
}

func setResponseCorrelation(frame []byte, correlation int32) {
	binary.BigEndian.PutUint32(frame[4:], uint32(correlation))
}
