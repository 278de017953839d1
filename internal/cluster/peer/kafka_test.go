package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/wire"
)

// asks is a request as a broker of the tests got it.
type asks struct {
	wire.RequestHeader
	q kmsg.Request
}

// answers answers each request in order with what reply makes of it; nil: not at all, and the connection ends. It is a Kafka function for a
// Server.
func answers(t testing.TB, reply func(asks) kmsg.Response) func(context.Context, net.Conn) {
	return func(ctx context.Context, nc net.Conn) {
		for {
			q, err := readRequest(nc)
			if err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !isReset(err) {
					t.Errorf("a request could not be read: %v", err)
				}
				return
			}
			a := reply(q)
			if a == nil {
				return
			}
			if _, err := nc.Write(responseFrame(a, q.Correlation)); err != nil {
				return
			}
		}
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

func readRequest(r io.Reader) (asks, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return asks{}, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return asks{}, err
	}
	key, version, err := wire.PeekHeader(frame)
	if err != nil {
		return asks{}, err
	}
	q := kmsg.RequestForKey(key)
	q.SetVersion(version)
	h, body, err := wire.ParseHeader(frame, q.IsFlexible())
	if err != nil {
		return asks{}, err
	}
	return asks{h, q}, q.ReadFrom(body)
}

func responseFrame(a kmsg.Response, correlation int32) []byte {
	b := wire.BeginResponse(nil, correlation, a.IsFlexible() && a.Key() != apiVersionsKey)
	b = a.AppendTo(b)
	wire.EndResponse(b, 0, 0)
	return b
}

// Every version of some APIs arrives as it was sent, and so do the answers: header v1 and v2, ApiVersions with its own rule.
func TestKafkaRequestsGoInTheVersionTheySay(t *testing.T) {
	_, addr := serve(t, ServerOptions{Kafka: answers(t, func(q asks) kmsg.Response {
		if string(q.ClientID) != "rafka-1" {
			t.Errorf("the client id is %q", q.ClientID)
		}
		a := q.q.ResponseKind()
		switch a := a.(type) {
		case *kmsg.ApiVersionsResponse:
			a.ErrorCode = q.Version
		case *kmsg.OffsetForLeaderEpochResponse:
			a.Topics = []kmsg.OffsetForLeaderEpochResponseTopic{{Topic: q.q.(*kmsg.OffsetForLeaderEpochRequest).Topics[0].Topic}}
		case *kmsg.FetchResponse:
			a.Topics = []kmsg.FetchResponseTopic{{Topic: "t", TopicID: [16]byte{1}, Partitions: []kmsg.FetchResponseTopicPartition{{HighWatermark: int64(q.Version), RecordBatches: []byte("b")}}}}
		}
		return a
	})})
	p, _ := dialer(t, Options{}, addr)
	ctx := testContext(t)
	own, err := p.Dial(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(context.Context, kmsg.Request) (kmsg.Response, error){
		"shared": func(ctx context.Context, q kmsg.Request) (kmsg.Response, error) { return p.Kafka(ctx, 2, q) },
		"own":    own.Do,
	} {
		t.Run(name, func(t *testing.T) {
			for v := int16(0); v <= 4; v++ {
				q := kmsg.NewPtrApiVersionsRequest()
				q.Version = v
				a, err := do(ctx, q)
				if err != nil || a.(*kmsg.ApiVersionsResponse).ErrorCode != v || a.GetVersion() != v {
					t.Errorf("ApiVersions %d: %+v, %v", v, a, err)
				}
			}
			for v := int16(0); v <= 4; v++ {
				q := kmsg.NewPtrOffsetForLeaderEpochRequest()
				q.Version = v
				q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: fmt.Sprint("t", v)}}
				a, err := do(ctx, q)
				if err != nil || a.(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Topic != fmt.Sprint("t", v) {
					t.Errorf("OffsetForLeaderEpoch %d: %+v, %v", v, a, err)
				}
			}
			for v := int16(4); v <= 17; v++ {
				q := kmsg.NewPtrFetchRequest()
				q.Version = v
				a, err := do(ctx, q)
				if err != nil || a.(*kmsg.FetchResponse).Topics[0].Partitions[0].HighWatermark != int64(v) {
					t.Errorf("Fetch %d: %+v, %v", v, a, err)
				}
			}
			q := kmsg.NewPtrFetchRequest()
			for _, v := range []int16{-1, 99} {
				q.Version = v
				_, err := do(ctx, q)
				wantCode(t, err, kafka.UnsupportedVersion)
			}
			_, err := do(ctx, &kmsg.ProduceRequest{Version: 9, Acks: 0})
			wantCode(t, err, kafka.InvalidRequiredAcks)
		})
	}
}

// Many requests at a time over the shared connection, some given up: each gets the answer to itself (LNK-2).
func TestSharedKafkaConnectionMatchesAnswers(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	var conns atomic.Int64
	serveKafka := answers(t, func(q asks) kmsg.Response {
		a := kmsg.NewPtrFetchResponse()
		a.Version = q.Version
		a.SessionID = q.q.(*kmsg.FetchRequest).SessionID
		size := int(a.SessionID) % 1000
		if size == 0 {
			size = 300 << 10
		}
		a.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: bytes.Repeat([]byte{byte(a.SessionID)}, size)}}}}
		return a
	})
	_, addr := serve(t, ServerOptions{Kafka: func(ctx context.Context, c net.Conn) { conns.Add(1); serveKafka(ctx, c) }})
	p, _ := dialer(t, Options{}, addr)
	ctx := testContext(t)
	var all sync.WaitGroup
	for worker := range 2 * maxPipelined / 16 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(worker)))
			var group sync.WaitGroup
			defer group.Wait()
			for i := range 16 {
				number := int32(worker*16 + i)
				ctx, cancel := context.WithCancel(ctx)
				impatient := rng.IntN(10) == 0
				group.Go(func() {
					defer cancel()
					if impatient {
						go cancel()
					}
					q := kmsg.NewPtrFetchRequest()
					q.Version, q.SessionID = 13, number
					a, err := p.Kafka(ctx, 2, q)
					q.SessionID = -1 // ours again
					if impatient && errors.Is(err, context.Canceled) {
						return
					}
					if err != nil {
						t.Errorf("request %d: %v", number, err)
						return
					}
					r := a.(*kmsg.FetchResponse)
					if b := r.Topics[0].Partitions[0].RecordBatches; r.SessionID != number || b[0] != byte(number) || b[len(b)-1] != byte(number) {
						t.Errorf("request %d got the answer to %d", number, r.SessionID)
					}
				})
			}
		})
	}
	all.Wait()
	if conns.Load() != 1 {
		t.Errorf("%d connections were made for one broker", conns.Load())
	}
}

// What comes must be the answer to what was asked, whole and of a bounded size; else the connection is broken (LNK-2, LNK-3).
func TestWrongKafkaAnswersBreakTheConnection(t *testing.T) {
	right := func(correlation int32) []byte {
		a := kmsg.NewPtrFetchResponse()
		a.Version = 13
		return responseFrame(a, correlation)
	}
	lying := func(correlation int32) []byte { // an array of 2^28 topics
		b := wire.BeginResponse(nil, correlation, true)
		b = append(b, make([]byte, 10)...)
		b = wire.AppendUvarint(b, 1<<28)
		b = append(b, make([]byte, 1000)...)
		wire.EndResponse(b, 0, 0)
		return b
	}
	for name, reply := range map[string]func(correlation int32) []byte{
		"4 GiB":            func(int32) []byte { return []byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0} },
		"too short":        func(int32) []byte { return []byte{0, 0, 0, 3, 0, 0, 0} },
		"half of 100 MiB":  func(c int32) []byte { return append([]byte{6, 0, 0, 0, 0, 0, 0, byte(c)}, make([]byte, 100)...) },
		"another's":        func(c int32) []byte { return right(c + 1) },
		"cut":              func(c int32) []byte { b := right(c); b = b[:len(b)-2]; wire.EndResponse(b, 0, 0); return b },
		"too many topics":  lying,
		"end in the midst": func(c int32) []byte { return right(c)[:9] },
		"nothing":          func(int32) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, ServerOptions{Kafka: func(_ context.Context, nc net.Conn) {
				if q, err := readRequest(nc); err == nil {
					_, _ = nc.Write(reply(q.Correlation))
				}
			}})
			p, _ := dialer(t, Options{}, addr)
			ctx := testContext(t)
			q := kmsg.NewPtrFetchRequest()
			q.Version = 13
			_, err := p.Kafka(ctx, 2, q)
			wantCode(t, err, kafka.NetworkException)
			for _, pooled := range []bool{true, false} {
				c, err := p.Dial(ctx, 2)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // broken stays broken
					if pooled {
						_, err = c.Fetch(ctx, q)
					} else {
						_, err = c.Do(ctx, q)
					}
					wantCode(t, err, kafka.NetworkException)
				}
			}
		})
	}
	// An answer that nobody asked for.
	_, addr := serve(t, ServerOptions{Kafka: func(_ context.Context, nc net.Conn) {
		q, _ := readRequest(nc)
		_, _ = nc.Write(append(right(q.Correlation), right(q.Correlation)...))
		_, _ = readRequest(nc)
	}})
	p, _ := dialer(t, Options{}, addr)
	q := kmsg.NewPtrFetchRequest()
	q.Version = 13
	if _, err := p.Kafka(testContext(t), 2, q); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is given up", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.remotes[2].kafka.conn.live(identity{})
	})
}

// The records of a FetchFrame are what was sent, until Release; released buffers are used again and scribbled over before (LNK-9).
func TestFetchFramesLiveUntilRelease(t *testing.T) {
	_, addr := serve(t, ServerOptions{Kafka: answers(t, func(q asks) kmsg.Response {
		a := kmsg.NewPtrFetchResponse()
		a.Version = q.Version
		n := q.q.(*kmsg.FetchRequest).SessionEpoch
		a.Topics = []kmsg.FetchResponseTopic{{Topic: "named", Partitions: []kmsg.FetchResponseTopicPartition{
			{RecordBatches: bytes.Repeat([]byte{byte(n)}, int(n))}, {RecordBatches: bytes.Repeat([]byte{byte(n) + 1}, 10)}}}}
		return a
	})})
	p, _ := dialer(t, Options{}, addr)
	ctx := testContext(t)
	var all sync.WaitGroup
	for _, version := range []int16{12, 17} { // with names and with ids
		all.Go(func() {
			c, err := p.Dial(ctx, 2)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var held []*FetchFrame
			for i := range 300 {
				q := kmsg.NewPtrFetchRequest()
				q.Version, q.SessionEpoch = version, int32(1+i*i*7%70000)
				if i%50 == 7 {
					q.SessionEpoch = 3 << 20
				}
				f, err := c.Fetch(ctx, q)
				if err != nil {
					t.Error(err)
					return
				}
				held = append(held, f)
				for _, f := range held {
					b := f.Answer().Topics[0].Partitions[0].RecordBatches
					if want := byte(len(b)); b[0] != want || b[len(b)-1] != want || f.Response.Topics[0].Partitions[1].RecordBatches[9] != want+1 {
						t.Errorf("held records have changed")
					}
				}
				if len(held) == 4 {
					f := held[0]
					a := f.Response
					f.Release()
					if f.Response != nil {
						t.Error("a released frame gives its response")
					}
					if version == 12 && a.Topics[0].Topic != "named" {
						t.Errorf("after Release the topic is %q", a.Topics[0].Topic)
					}
					f.Release()
					held = held[1:]
				}
			}
			for _, f := range held {
				f.Release()
			}
		})
	}
	all.Wait()
	(*FetchFrame)(nil).Release()
	f := newBuffer(100)
	f.b = append(f.b, "secret"...)
	b := f.b
	f.free()
	if !bytes.Equal(b, bytes.Repeat([]byte{0xDB}, 6)) {
		t.Errorf("a released buffer has %q", b)
	}
}

// A context that ends ends the wait and the connection, whose next answer would be the wrong one.
func TestOwnKafkaConnectionEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	_, addr := serve(t, ServerOptions{Kafka: func(ctx context.Context, nc net.Conn) {
		answers(t, func(q asks) kmsg.Response {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return q.q.ResponseKind()
		})(ctx, nc)
	}})
	defer close(release)
	p, _ := dialer(t, Options{}, addr)
	c, err := p.Dial(testContext(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	q := kmsg.NewPtrFetchRequest()
	q.Version = 17
	failed := make(chan error, 2)
	go func() { _, err := c.Fetch(ctx, q); failed <- err }()
	eventually(t, "the fetch is under way", func() bool { return len(c.turn) == 1 })
	waiting, stop := context.WithCancel(testContext(t))
	go func() { _, err := c.Do(waiting, q); failed <- err }() // waits for its turn
	stop()
	err = <-failed
	if wantCode(t, err, kafka.RequestTimedOut); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	cancel()
	err = <-failed
	if wantCode(t, err, kafka.RequestTimedOut); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	_, err = c.Do(testContext(t), q)
	wantCode(t, err, kafka.NetworkException)

	// Close by another goroutine ends a fetch too, and so does Close of Peers.
	for _, end := range []func(*KafkaConn){func(c *KafkaConn) { _ = c.Close() }, func(*KafkaConn) { _ = p.Close() }} {
		c, err := p.Dial(testContext(t), 2)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, err := c.Fetch(testContext(t), q); failed <- err }()
		eventually(t, "the fetch is under way", func() bool { return len(c.turn) == 1 })
		end(c)
		wantCode(t, <-failed, kafka.NetworkException)
	}
}

// An answer that does not come is not waited for longer than the request allows for and ten seconds; one that comes slowly is.
func TestKafkaAnswersGetTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		var slow atomic.Bool
		s := NewServer(ServerOptions{Kafka: func(ctx context.Context, nc net.Conn) {
			for {
				q, err := readRequest(nc)
				if err != nil {
					return
				}
				if !slow.Load() {
					continue // never
				}
				a := q.q.ResponseKind().(*kmsg.FetchResponse)
				a.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: make([]byte, 20<<10)}}}}
				b := responseFrame(a, q.Correlation)
				for len(b) > 0 {
					n := min(len(b), 5<<10)
					if _, err := nc.Write(b[:n]); err != nil {
						return
					}
					b = b[n:]
					time.Sleep(requestTimeout - time.Second)
				}
			}
		}})
		go func() { _ = s.Serve(l) }()
		p := New(Options{Self: func() (kafka.BrokerID, string) { return 1, "c" }, Addrs: func(kafka.BrokerID) []string { return []string{"a:1"} }, Dial: l.dial})
		q := kmsg.NewPtrFetchRequest()
		q.Version, q.MaxWaitMillis = 17, 5000
		ask := map[string]func() error{
			"shared": func() error { _, err := p.Kafka(t.Context(), 2, q); return err },
			"own": func() error {
				c, err := p.Dial(t.Context(), 2)
				if err != nil {
					return err
				}
				f, err := c.Fetch(t.Context(), q)
				f.Release()
				_ = c.Close()
				return err
			},
		}
		for name, do := range ask {
			begin := time.Now()
			err := do()
			if took := time.Since(begin); kafka.CodeOf(err) != kafka.RequestTimedOut || took != 5*time.Second+requestTimeout {
				t.Errorf("%s: no answer: %v after %v", name, err, took)
			}
		}
		time.Sleep(time.Minute)
		slow.Store(true)
		for name, do := range ask {
			if err := do(); err != nil {
				t.Errorf("%s: a slow answer: %v", name, err)
			}
		}
		time.Sleep(time.Hour) // an idle connection may stay
		slow.Store(false)
		p.mu.Lock()
		live := p.remotes[2].kafka.conn.live(identity{})
		p.mu.Unlock()
		if !live {
			t.Error("an idle connection was given up")
		}
		_ = p.Close()
		_ = s.Close()
	})
}

// FuzzFetchAnswer: no bytes make the decoder panic, and what the other implementation takes is taken alike.
func FuzzFetchAnswer(f *testing.F) {
	for _, v := range []int16{4, 11, 12, 13, 17} {
		a := kmsg.NewPtrFetchResponse()
		a.Version = v
		a.Topics = []kmsg.FetchResponseTopic{{Topic: "t", Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: []byte("records"), AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1}}}}}}
		f.Add(v, responseFrame(a, 1)[4:])
	}
	f.Fuzz(func(t *testing.T, version int16, frame []byte) {
		if version < 0 || version > 17 || len(frame) > 1<<16 {
			return
		}
		q := kmsg.NewPtrFetchRequest()
		q.Version = version
		a, err := readAnswer(frame, q, 1)
		body, headerErr := answerBody(frame, q, 1)
		if headerErr != nil {
			if err == nil {
				t.Fatal("a frame without a header was taken")
			}
			return
		}
		if err == nil {
			want := kmsg.NewPtrFetchResponse()
			want.Version = version
			if err := want.ReadFrom(body); err != nil || !bytes.Equal(want.AppendTo(nil), a.AppendTo(nil)) {
				t.Errorf("it was taken otherwise: %v", err)
			}
		}
	})
}
