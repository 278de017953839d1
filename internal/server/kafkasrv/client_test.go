package kafkasrv

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/record"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// door is a Server with a listener on loopback.
type door struct {
	*Server
	broker *fakeBroker
	addr   string
	drain  context.CancelFunc
	served *sync.WaitGroup
}

// open serves b until the test ends, and checks then that nothing is held any more.
func open(t testing.TB, b *fakeBroker, o Options) *door {
	t.Helper()
	if o.NodeID == 0 {
		o.NodeID = 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &door{Server: New(b, o), broker: b, addr: l.Addr().String(), drain: cancel, served: new(sync.WaitGroup)}
	d.served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			d.served.Go(func() { d.Serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		d.served.Wait()
		cancel()
		st := d.Stats()
		if used := st.Frames.Used() + st.Answers.Used; used != 0 || st.Open != 0 {
			t.Errorf("after Close %d bytes are held by %d connections", used, st.Open)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.open != 0 {
			t.Errorf("%d extents were not released", b.open)
		}
	})
	return d
}

// client speaks raw frames.
type client struct {
	t    testing.TB
	nc   net.Conn
	next int32
}

func (d *door) dial(t testing.TB) *client {
	t.Helper()
	nc, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, nc: nc}
}

// dialPeer is a connection as another broker has it, by the peer port.
func (d *door) dialPeer(t testing.TB) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	d.served.Go(func() { d.ServePeer(context.Background(), other) })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, nc: nc}
}

// frame encodes a request with its header.
func frame(msg kmsg.Request, correlation int32) []byte {
	var id = "test"
	b := []byte{0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(msg.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(msg.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = binary.BigEndian.AppendUint16(b, uint16(len(id)))
	b = append(b, id...)
	if msg.IsFlexible() {
		b = append(b, 0)
	}
	b = msg.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// send sends a request and returns its correlation id.
func (c *client) send(msg kmsg.Request) int32 {
	c.t.Helper()
	c.next++
	c.write(frame(msg, c.next))
	return c.next
}

// readFrame reads an answer without its length.
func (c *client) readFrame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.nc, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(c.nc, b)
	return b, err
}

// receive reads the answer to msg.
func (c *client) receive(msg kmsg.Request, correlation int32) kmsg.Response {
	c.t.Helper()
	b, err := c.readFrame()
	if err != nil {
		c.t.Fatalf("%s version %d: %v", kmsg.NameForKey(msg.Key()), msg.GetVersion(), err)
	}
	if got := int32(binary.BigEndian.Uint32(b)); got != correlation {
		c.t.Fatalf("answer to %d came when %d was expected", got, correlation)
	}
	b = b[4:]
	resp := msg.ResponseKind()
	if resp.IsFlexible() && msg.Key() != keyApiVersions {
		if b[0] != 0 {
			c.t.Fatalf("tags in the response header: %x", b[:8])
		}
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		c.t.Fatalf("%s version %d: %v", kmsg.NameForKey(msg.Key()), msg.GetVersion(), err)
	}
	if again := resp.AppendTo(nil); len(again) != len(b) {
		c.t.Fatalf("%s version %d: the answer has %d bytes, what was understood of it %d", kmsg.NameForKey(msg.Key()), msg.GetVersion(), len(b), len(again))
	}
	return resp
}

// ask sends a request and reads its answer.
func (c *client) ask(msg kmsg.Request) kmsg.Response {
	c.t.Helper()
	return c.receive(msg, c.send(msg))
}

// hello is an ApiVersions request as clients send it first.
func hello() *kmsg.ApiVersionsRequest {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "tester", "1.0"
	return q
}

// ended waits until the server closes and returns what came before.
func (c *client) ended() []byte {
	c.t.Helper()
	b, err := io.ReadAll(c.nc)
	if err, ok := err.(net.Error); ok && err.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
	return b
}

// batch makes a batch of n empty-looking records; only its header is looked at.
func batch(size int) []byte {
	b := make([]byte, record.HeaderSize+size)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-record.LengthOffset))
	b[16] = 2                                      // magic
	binary.BigEndian.PutUint32(b[57:], 1)          // records
	binary.BigEndian.PutUint64(b[43:], ^uint64(0)) // no producer
	return b
}

// produceTo makes a produce request for partition 0 of a topic.
func produceTo(topic string, acks int16, records []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 9, acks, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}
