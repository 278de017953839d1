package e2e

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/rafkatest"
)

// What a producer sends in any codec is read back byte for byte, in that codec: the broker passes batches through.
func TestEveryCodecIsPassedThrough(t *testing.T) {
	b := rafkatest.StartOnDisk(t)
	for kind, codec := range map[uint8]kgo.CompressionCodec{
		0: kgo.NoCompression(), 1: kgo.GzipCompression(), 2: kgo.SnappyCompression(), 3: kgo.Lz4Compression(), 4: kgo.ZstdCompression(),
	} {
		topic := "codec-" + strconv.Itoa(int(kind))
		create(t, b, topic, 1)
		cl := client(t, b, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec))
		var sent []*kgo.Record
		for i := range 500 {
			sent = append(sent, &kgo.Record{
				Key: []byte("key " + strconv.Itoa(i)), Value: value(i, 300),
				Headers: []kgo.RecordHeader{{Key: "n", Value: []byte{byte(i), 0, 255}}},
			})
		}
		produce(t, cl, sent...)
		for i, r := range consume(t, b, topic, kgo.NewOffset().AtStart(), len(sent)) {
			if r.Offset != int64(i) || !bytes.Equal(r.Key, sent[i].Key) || !bytes.Equal(r.Value, sent[i].Value) || !bytes.Equal(r.Headers[0].Value, sent[i].Headers[0].Value) {
				t.Fatalf("%s: record %d came back as %d: %q", topic, i, r.Offset, r.Key)
			}
			if r.Attrs.CompressionType() != kind {
				t.Fatalf("%s: stored in codec %d", topic, r.Attrs.CompressionType())
			}
		}
	}
}

// compression.type of a topic decides in which codec batches are stored.
func TestTopicDecidesTheCodec(t *testing.T) {
	b := rafkatest.Start(t)
	create(t, b, "zstd", 1, "compression.type", "zstd")
	cl := client(t, b, kgo.DefaultProduceTopic("zstd"), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	for i := range 100 {
		produce(t, cl, &kgo.Record{Value: value(i, 200)})
	}
	for i, r := range consume(t, b, "zstd", kgo.NewOffset().AtStart(), 100) {
		if r.Attrs.CompressionType() != 4 || !bytes.Equal(r.Value, value(i, 200)) {
			t.Fatalf("record %d is in codec %d: %q", i, r.Attrs.CompressionType(), r.Value)
		}
	}
}

// An idempotent producer that loses its connection again and again before it has its answers sends again; every record is stored once,
// in order (PAR-3).
func TestRetriesOfAnIdempotentProducerAreStoredOnce(t *testing.T) {
	seed := seed.Of(t)
	t.Log("seed", seed)
	b := rafkatest.StartOnDisk(t)
	create(t, b, "orders", 1)
	var cuts, dialed atomic.Int32
	cl := client(t, b, kgo.DefaultProduceTopic("orders"), kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }),
		kgo.RecordRetries(1000), kgo.MetadataMinAge(10*time.Millisecond), kgo.MaxBufferedRecords(16), kgo.ProducerLinger(0),
		kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := b.Dial(ctx, network, addr)
			rng := rand.New(rand.NewPCG(seed, uint64(dialed.Add(1))))
			return &flakyConn{Conn: c, left: 500 + rng.IntN(1000), cuts: &cuts}, err
		}))
	const n = 2000
	var failed atomic.Pointer[error]
	for i := range n {
		cl.Produce(within(t), &kgo.Record{Value: []byte(strconv.Itoa(i))}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := cl.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	if t.Logf("%d connections were cut", cuts.Load()); cuts.Load() < 3 {
		t.Fatal("that is no test")
	}
	for i, r := range consume(t, b, "orders", kgo.NewOffset().AtStart(), n) {
		if string(r.Value) != strconv.Itoa(i) {
			t.Fatalf("offset %d has record %s (%d cuts)", r.Offset, r.Value, cuts.Load())
		}
	}
	if _, end := bounds(t, admin(t, b), "orders", 0); end != n {
		t.Errorf("%d records are stored, %d were sent", end, n)
	}
}

// flakyConn breaks when it has answered left bytes: requests have gone out, and their answers are lost.
type flakyConn struct {
	net.Conn
	left int
	cuts *atomic.Int32
}

func (c *flakyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left -= n; c.left < 0 {
		c.cuts.Add(1)
		c.Conn.Close()
		return 0, errors.New("cut by the test")
	}
	return n, err
}

// The first use of a topic creates it with the default number of partitions, unless the setting says no.
func TestFirstUseCreatesATopic(t *testing.T) {
	yes := rafkatest.Start(t, setting("num.partitions", "3"))
	produce(t, client(t, yes, kgo.AllowAutoTopicCreation()), &kgo.Record{Topic: "new", Value: []byte("hello")})
	topics, err := admin(t, yes).ListTopics(within(t), "new")
	if err != nil || len(topics["new"].Partitions) != 3 {
		t.Errorf("topic %+v, error %v", topics["new"], err)
	}
	no := rafkatest.Start(t, setting("auto.create.topics.enable", "false"))
	cl := client(t, no, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	if err := cl.ProduceSync(within(t), &kgo.Record{Topic: "new"}).FirstErr(); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("error %v", err)
	}
}

// A topic with LogAppendTime carries the broker's clock, whatever the producer says.
func TestLogAppendTimeIsTheBrokers(t *testing.T) {
	b := rafkatest.Start(t)
	create(t, b, "clock", 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().Truncate(time.Millisecond)
	produce(t, client(t, b), &kgo.Record{Topic: "clock", Value: []byte("x"), Timestamp: time.Unix(1, 0)})
	r := consume(t, b, "clock", kgo.NewOffset().AtStart(), 1)[0]
	if r.Timestamp.Before(before) || r.Timestamp.After(time.Now()) || r.Attrs.TimestampType() != 1 {
		t.Errorf("timestamp %v, type %d", r.Timestamp, r.Attrs.TimestampType())
	}
}

// A batch larger than max.message.bytes is refused with Kafka's error; a change of the setting acts on the next batch.
func TestMaxMessageBytesActsAtOnce(t *testing.T) {
	b := rafkatest.Start(t)
	create(t, b, "small", 1, "max.message.bytes", "1000")
	cl := client(t, b, kgo.DefaultProduceTopic("small"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	big := func() *kgo.Record { return &kgo.Record{Value: value(1, 5000)} }
	if err := cl.ProduceSync(within(t), big()).FirstErr(); !errors.Is(err, kerr.MessageTooLarge) {
		t.Fatalf("error %v", err)
	}
	alter(t, b, "small", "max.message.bytes", "10000")
	produce(t, cl, big())
	alter(t, b, "small", "max.message.bytes", "1000")
	if err := cl.ProduceSync(within(t), big()).FirstErr(); !errors.Is(err, kerr.MessageTooLarge) {
		t.Fatalf("error %v", err)
	}
}
