package kafkasrv

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/wire"
)

// Many produces in flight, with other requests between them: all are appended while none is durable, and the answers come in the order of
// the requests. (SRV-1)
func TestAnswersLeaveInRequestOrder(t *testing.T) {
	b := newFakeBroker("orders")
	b.hold = make(chan struct{})
	d := open(t, b, Options{})
	c := d.dial(t)
	c.ask(hello())
	var sent []kmsg.Request
	for i := range 40 {
		var q kmsg.Request = produceTo("orders", -1, batch(i))
		if i%5 == 4 {
			q = hello()
		}
		c.send(q)
		sent = append(sent, q)
	}
	for {
		b.mu.Lock()
		appended := len(b.asked)
		b.mu.Unlock()
		if appended == 32 {
			break
		}
		runtime.Gosched()
	}
	close(b.hold)
	next := int64(0)
	for i, q := range sent {
		if resp, ok := c.receive(q, int32(i+2)).(*kmsg.ProduceResponse); ok {
			if got := resp.Topics[0].Partitions[0].BaseOffset; got != next {
				t.Fatalf("request %d got offset %d, want %d", i, got, next)
			}
			next++
		}
	}
}

// A client that sends without ever reading must be held back at the queue's limit, and go on when it reads.
func TestQueueIsBounded(t *testing.T) {
	b := newFakeBroker("orders")
	b.hold = make(chan struct{})
	d := open(t, b, Options{})
	c := d.dial(t)
	c.ask(hello())
	const n = 4 * maxQueued
	go func() {
		for i := range n {
			if _, err := c.nc.Write(frame(produceTo("orders", -1, batch(0)), int32(i))); err != nil {
				return
			}
		}
	}()
	full := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.asked)
	}
	for full() < maxQueued {
		runtime.Gosched()
	}
	if got := full(); got > maxQueued+2 {
		t.Errorf("%d requests were taken, the queue holds %d", got, maxQueued)
	}
	close(b.hold)
	for i := range n {
		c.receive(produceTo("orders", -1, nil), int32(i))
	}
}

// acks=0 has no answer: the next answer belongs to the next request. (SRV-5)
func TestProduceWithoutAcksGetsNoAnswer(t *testing.T) {
	b := newFakeBroker("orders")
	d := open(t, b, Options{})
	c := d.dial(t)
	for range 10 {
		c.send(produceTo("orders", 0, batch(3)))
	}
	c.ask(hello())
	if q := c.ask(fetchOf("orders", [16]byte{}, 0)).(*kmsg.FetchResponse); q.Topics[0].Partitions[0].HighWatermark != 10 {
		t.Errorf("%+v", q)
	}
}

// A failed produce without answer must show itself by a closed connection. (SRV-5)
func TestFailedProduceWithoutAcksClosesTheConnection(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	c := d.dial(t)
	c.send(produceTo("unknown", 0, batch(3)))
	if got := c.ended(); len(got) != 0 {
		t.Errorf("an answer came: %x", got)
	}
}

// Draining answers what has been read, long polls at once, and then closes; an idle connection is closed at once.
func TestDrainAnswersWhatWasAsked(t *testing.T) {
	b := newFakeBroker("orders")
	b.hold = make(chan struct{})
	d := open(t, b, Options{})
	idle, producer, consumer := d.dial(t), d.dial(t), d.dial(t)
	idle.ask(hello())
	produce := produceTo("orders", -1, batch(3))
	producer.send(produce)
	fetch := longPoll()
	consumer.send(fetch)
	for d.Stats().Open != 3 || !d.allBusy(2) {
		runtime.Gosched()
	}
	d.drain()
	if got := idle.ended(); len(got) != 0 {
		t.Errorf("%x", got)
	}
	if resp := consumer.receive(fetch, 1).(*kmsg.FetchResponse); resp.ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	consumer.ended()
	close(b.hold)
	if resp := producer.receive(produce, 1).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	producer.ended()
	for d.Stats().Open != 0 {
		runtime.Gosched()
	}
}

// longPoll waits ten minutes for the first record of a partition that nobody writes to.
func longPoll() *kmsg.FetchRequest {
	q := fetchOf("orders", [16]byte{}, 0)
	q.Topics[0].Partitions[0].Partition = 1
	q.MaxWaitMillis = 600_000
	return q
}

// allBusy reports whether n connections have a request in flight.
func (d *door) allBusy(n int) bool {
	for _, c := range d.appendConns(nil) {
		if c.queue.busy() > 0 {
			n--
		}
	}
	return n <= 0
}

// A client that has gone must not leave its long poll, its goroutines or its extents behind. goleak and open's cleanup look. (SRV-3)
func TestGoneClientLeavesNothing(t *testing.T) {
	b := newFakeBroker("orders")
	b.hold = make(chan struct{})
	d := open(t, b, Options{})
	for range 20 {
		c := d.dial(t)
		c.ask(hello())
		fetch := longPoll()
		c.send(fetch)
		c.send(produceTo("orders", -1, batch(100)))
		c.send(fetch)
		_ = c.nc.Close()
	}
	for d.Stats().Open != 0 {
		runtime.Gosched()
	}
}

// A connection that has asked nothing has one goroutine, one that was served two. (SRV-3)
func TestGoroutinesPerConnection(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	before := runtime.NumGoroutine()
	var clients []*client
	for range 50 {
		clients = append(clients, d.dial(t))
	}
	for d.Stats().Open != 50 {
		runtime.Gosched()
	}
	few := func(most int, what string) { // polled, for the runtime has goroutines of its own for moments, as when it finalizes
		t.Helper()
		for end := time.Now().Add(time.Minute); runtime.NumGoroutine()-before > most; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("50 %s connections have %d goroutines", what, runtime.NumGoroutine()-before)
			}
		}
	}
	few(50, "silent")
	for _, c := range clients {
		c.ask(hello())
		c.ask(hello())
	}
	few(100, "served")
	for _, c := range d.appendConns(nil) {
		if !c.two.Load() {
			t.Error("a connection that was served has one goroutine")
		}
	}
}

// Close ends connections in every state.
func TestCloseEndsEverything(t *testing.T) {
	b := newFakeBroker("orders")
	b.hold = make(chan struct{})
	d := open(t, b, Options{})
	d.dial(t)
	half := d.dial(t)
	half.ask(hello())
	half.write([]byte{0, 0, 1, 0, 0})
	waiting := d.dial(t)
	waiting.send(produceTo("orders", -1, batch(1)))
	polling := d.dial(t)
	polling.send(longPoll())
	for !d.allBusy(2) {
		runtime.Gosched()
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{half, waiting, polling} {
		c.ended()
	}
}

func TestWatcherClosesTheIdleAndTheSlow(t *testing.T) {
	w := watcher{idle: 60 * time.Second}
	const tick = 5 * time.Second
	for _, c := range []struct {
		name  string
		view  func(tick int) view
		want  error
		ticks int // after which the verdict comes; 0: never in an hour
	}{
		{"idle", func(int) view { return view{} }, errIdle, 12},
		{"waiting for an answer", func(int) view { return view{busy: true} }, nil, 0},
		{"asking now and then", func(n int) view { return view{received: uint64(n / 10 * 20), frames: uint64(n / 10)} }, nil, 0},
		{"a byte now and then", func(n int) view { return view{state: wire.InFrame, received: uint64(1 + n)} }, errSlow, 7},
		{"half a frame, then silence", func(int) view { return view{state: wire.InFrame, received: 1 << 20} }, errSlow, 13},
		{"a large frame on a slow line", func(n int) view { return view{state: wire.InFrame, received: uint64(n) * 5 * (slowestRate + 1000)} }, nil, 0},
		{"waiting for our memory", func(int) view { return view{state: wire.AtGate} }, nil, 0},
		{"not reading", func(int) view { return view{busy: true, writing: true} }, errNoReader, 13},
		{"not reading a large answer", func(int) view { return view{busy: true, writing: true, holding: true} }, errNoReader, 7},
		{"not reading what others wait for", func(int) view { return view{busy: true, writing: true, crowding: true} }, errNoReader, 2},
		{"reading slowly", func(n int) view { return view{busy: true, writing: true, writes: uint64(n)} }, nil, 0},
	} {
		var seen sighting
		var err error
		n := 0
		for ; n < 720 && err == nil; n++ {
			err = w.look(&seen, c.view(n), tick)
		}
		if c.ticks == 0 && err != nil || c.ticks > 0 && (!errors.Is(err, c.want) || n < c.ticks || n > c.ticks+1) {
			t.Errorf("%s: %v after %d ticks, want %v after %d", c.name, err, n, c.want, c.ticks)
		}
	}
}

// The watcher is really there: in virtual time, over a pipe, an idle client is sent away, and so is one that stops half way. A client that
// holds its turn politely stays.
func TestIdleAndHalfSentConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(newFakeBroker(), Options{NodeID: 1})
		serve := func() (net.Conn, <-chan struct{}) {
			here, there := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Serve(context.Background(), there)
			}()
			return here, done
		}
		_, idle := serve()
		slow, slowDone := serve()
		if _, err := slow.Write([]byte{0, 0, 0, 200, 0, 18}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-slowDone
		if got := time.Since(begin); got < frameTime || got > frameTime+3*watchTick {
			t.Errorf("the half-sent frame was given %v", got)
		}
		<-idle
		if got := time.Since(begin); got < 10*time.Minute || got > 11*time.Minute {
			t.Errorf("the idle connection was closed after %v", got)
		}
		st := s.Stats()
		if st.Closed["idle"] != 1 || st.Closed["slow"] != 1 {
			t.Errorf("%v", st.Closed)
		}
		_ = slow.Close()
		_ = s.Close()
	})
}

// Bad input of all kinds ends that connection with a clear reason, and no other.
func TestBadInputEndsTheConnection(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	good := d.dial(t)
	good.ask(hello())
	raw := func(b ...byte) func(*client) { return func(c *client) { c.write(b) } }
	after := func(b []byte) func(*client) { // once the connection is known
		return func(c *client) { c.ask(hello()); c.write(b) }
	}
	lying := func(msg kmsg.Request, at int, count ...byte) []byte {
		b := frame(msg, 1)
		copy(b[len(b)-at:], count)
		return b
	}
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version, metadata.Topics = 0, []kmsg.MetadataRequestTopic{}
	emptyTopics := produceTo("x", 1, nil)
	emptyTopics.Version, emptyTopics.Topics = 3, nil
	for _, c := range []struct {
		name, reason string
		send         func(*client)
	}{
		{"HTTP", "frame_size", func(c *client) { c.write([]byte("GET / HTTP/1.1\r\n\r\n")) }},
		{"TLS", "frame_size", raw(0x16, 3, 1, 2, 0, 1, 0, 1)},
		{"negative length", "frame_size", raw(0xff, 0xff, 0xff, 0xff, 0, 18)},
		{"zero length", "frame_size", raw(0, 0, 0, 0, 0, 18)},
		{"large ApiVersions", "frame_size", raw(0, 1, 0, 1, 0, 18)},
		{"large frame of an API we do not have", "frame_size", raw(0, 1, 0, 1, 0x10, 0)},
		{"oversize control frame", "frame_size", after([]byte{0, 0x80, 0, 1, 0, 3})},
		{"oversize produce", "frame_size", after([]byte{6, 0x40, 0, 1, 0, 0})},
		{"unknown API", "unsupported", raw(0, 0, 0, 10, 0, 95, 0, 0, 0, 0, 0, 1, 0xff, 0xff)},
		{"negative API", "unsupported", raw(0, 0, 0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff)},
		{"API we do not offer", "unsupported", raw(0, 0, 0, 10, 0, 52, 0, 0, 0, 0, 0, 1, 0xff, 0xff)},
		{"version too new", "unsupported", raw(0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff)},
		{"version too old", "unsupported", raw(0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff)},
		{"client id longer than the frame", "malformed", raw(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0x7f, 0xff)},
		{"no body", "malformed", after([]byte{0, 0, 0, 10, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff})},
		{"lying count of topics", "malformed", after(lying(metadata, 4, 0x7f, 0xff, 0xff, 0xff))},
		{"negative count", "malformed", after(lying(metadata, 4, 0xff, 0xff, 0xff, 0xfe))},
		{"lying count in produce", "malformed", after(lying(emptyTopics, 4, 0, 0x98, 0x96, 0x80))},
		{"tags without end", "malformed", raw(0, 0, 0, 16, 0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)},
		{"cut short", "malformed", func(c *client) { c.write([]byte{0, 0, 0, 20, 0, 18, 0}); _ = c.nc.(*net.TCPConn).CloseWrite() }},
	} {
		before := d.Stats().Closed[c.reason]
		bad := d.dial(t)
		c.send(bad)
		bad.ended()
		for d.Stats().Open != 1 {
			runtime.Gosched()
		}
		if got := d.Stats().Closed; got[c.reason] != before+1 {
			t.Errorf("%s: closed for %v", c.name, got)
		}
		good.ask(hello())
	}
}

// The 10 million topics: 10 MiB that declare, truly or not, millions of empty topics must not become hundreds. (SRV-6)
func TestManyEmptyTopicsAreRefused(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	for _, q := range []kmsg.Request{manyTopics(1_000_000), func() kmsg.Request {
		q := kmsg.NewPtrFetchRequest()
		q.Version, q.Topics = 12, make([]kmsg.FetchRequestTopic, 1_000_000)
		return q
	}()} {
		c := d.dial(t)
		c.ask(hello())
		b := frame(q, 2)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = c.nc.Write(b)
		c.ended()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(6*len(b)) {
			t.Errorf("%s: %d bytes made the server allocate %d", kmsg.NameForKey(q.Key()), len(b), got)
		}
	}
}

func manyTopics(n int) *kmsg.ProduceRequest {
	q := produceTo("orders", 1, nil)
	q.Topics = make([]kmsg.ProduceRequestTopic, n)
	return q
}

// 400 connections claim 95 MiB each and send no more: nothing is reserved for them, and others are served meanwhile. (SRV-2, WIR-1)
func TestClaimsCostNothing(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	for range 400 {
		c := d.dial(t)
		c.ask(hello())
		c.write([]byte{5, 0xf0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1})
	}
	partial := func() (n int) {
		for _, c := range d.appendConns(nil) {
			if c.view().state == wire.InFrame {
				n++
			}
		}
		return n
	}
	for partial() != 400 {
		runtime.Gosched()
	}
	if used := d.Stats().Frames.Used(); used != 0 {
		t.Errorf("%d bytes are reserved for claims", used)
	}
	c := d.dial(t)
	c.ask(hello())
	c.ask(produceTo("orders", -1, batch(1<<20)))
}

// Clients that know the versions from another connection begin with a produce, as large as it may be.
func TestFirstRequestMayBeALargeProduce(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	if p := d.dial(t).ask(produceTo("orders", -1, batch(3<<20))).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Errorf("%+v", p)
	}
}

// Requests of all sizes from many producers with a slow disk: what is held never passes the budget. (SRV-2)
func TestFramesStayWithinTheBudget(t *testing.T) {
	const limit = 4 << 20
	d := open(t, newFakeBroker("orders"), Options{FrameBytes: limit, MaxFrame: 1 << 20})
	done := make(chan error, 8)
	for i := range 8 {
		c := d.dial(t)
		c.ask(hello())
		go func() {
			for j := range 20 {
				if _, err := c.nc.Write(frame(produceTo("orders", -1, batch((i*20+j)*4000)), 1)); err != nil {
					done <- err
					return
				}
				if j == 0 {
					continue // so that two are in flight
				}
				if _, err := c.readFrame(); err != nil {
					done <- err
					return
				}
			}
			_, err := c.readFrame()
			done <- err
		}()
	}
	for left := 8; left > 0; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			left--
		default:
			if used := d.Stats().Frames.Used(); used > limit {
				t.Fatalf("%d bytes are held of %d", used, limit)
			}
			runtime.Gosched()
		}
	}
}

func TestStatsCount(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	c := d.dial(t)
	for range 3 {
		c.ask(hello())
	}
	c.ask(produceTo("orders", -1, batch(9)))
	st := d.Stats()
	if st.Open != 1 || st.Opened != 1 || len(st.APIs) != 2 || st.APIs[0].Name != "Produce" || st.APIs[0].Requests != 1 || st.APIs[1].Requests != 3 || st.APIs[1].Latency.Count != 3 {
		t.Errorf("%+v", st)
	}
	if st.BytesIn < 200 || st.BytesOut < 200 {
		t.Errorf("%d bytes in, %d out", st.BytesIn, st.BytesOut)
	}
}

// What a client says of itself reaches the broker with its requests.
func TestSessionTellsWhoAsks(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	c := d.dial(t)
	c.ask(hello())
	s := d.appendConns(nil)[0].session.Load()
	if s.ClientID != "test" || s.Software != "tester 1.0" || s.Host != "127.0.0.1" || s.Door != "kafka" {
		t.Errorf("%+v", s)
	}
}

// Idle connections do with one goroutine, in whichever of its two they rest, and go on as before. A rest in the middle of a frame, or while
// an answer is awaited, loses nothing. (SRV-3)
func TestRestingConnectionsGoOn(t *testing.T) {
	d := open(t, newFakeBroker("orders"), Options{})
	before := runtime.NumGoroutine()
	var clients []*client
	for i := range 20 {
		c := d.dial(t)
		for range 1 + i%2 { // so that the other goroutine reads at the end
			c.ask(hello())
		}
		clients = append(clients, c)
	}
	for range 3 {
		for runtime.NumGoroutine() > before+20 {
			for _, c := range d.appendConns(nil) {
				c.rest()
			}
			runtime.Gosched()
		}
		for i, c := range clients {
			for range 1 + i%3 {
				c.ask(hello())
			}
		}
	}
	busy := make(chan struct{})
	go func() { // rests all the time
		defer close(busy)
		for range 2000 {
			for _, c := range d.appendConns(nil) {
				c.rest()
			}
			runtime.Gosched()
		}
	}()
	for n := int64(0); ; n++ {
		c := clients[n%20]
		b := frame(produceTo("orders", -1, batch(3000)), 900)
		half := int(n*37) % len(b)
		c.write(b[:half])
		runtime.Gosched()
		c.write(b[half:])
		if got := c.receive(produceTo("orders", -1, nil), 900).(*kmsg.ProduceResponse).Topics[0].Partitions[0].BaseOffset; got != n {
			t.Fatalf("offset %d, want %d", got, n)
		}
		select {
		case <-busy:
			return
		default:
		}
	}
}
