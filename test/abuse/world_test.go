package abuse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/porttest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/testbin"
)

// long is whether the long forms run.
var long = os.Getenv("RAFKA_LONG") != ""

// good is the topic of the client that behaves well.
const good = "good"

// world is a server that is about to be treated badly, and a client that was connected before.
type world struct {
	*testbin.Server
	t      *testing.T
	args   []string
	dir    string
	before vitals
	client *kgo.Client
	acked  map[int64]string // of topic good, by offset
	sent   int
}

// vitals are what a server holds; -1 where the system does not tell.
type vitals struct {
	conns, goroutines, fds int
	rss                    int64 // bytes
}

// start starts a server with a data directory of its own.
func start(t *testing.T, args ...string) *world {
	t.Helper()
	return startIn(t, t.TempDir(), args...)
}

func startIn(t *testing.T, dir string, args ...string) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	w := &world{t: t, dir: dir, acked: map[int64]string{}}
	w.args = append([]string{"--data-dir", dir, "--kafka-addr", porttest.Free(t, 1)[0], "--http-addr", "127.0.0.1:0", "--grpc-addr", "", "--log-level", "warn"}, args...)
	w.Server = testbin.Start(t, w.args...)
	w.client = w.newClient()
	w.create(good, 1)
	w.behaveWell()
	w.before = w.vitals()
	return w
}

// restart starts the server again, at the same address; it has ended.
func (w *world) restart() {
	w.t.Helper()
	w.Server = testbin.Start(w.t, w.args...)
}

func (w *world) newClient(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(w.Kafka), kgo.ProducerLinger(0), kgo.RecordDeliveryTimeout(time.Minute),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20 * time.Millisecond)}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// behaveWell has the connected client produce ten records to topic good.
func (w *world) behaveWell() {
	w.t.Helper()
	w.behave(w.client)
}

func (w *world) behave(cl *kgo.Client) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	recs := make([]*kgo.Record, 10)
	for i := range recs {
		recs[i] = &kgo.Record{Topic: good, Value: fmt.Appendf(nil, "record %d", w.sent)}
		w.sent++
	}
	for _, res := range cl.ProduceSync(ctx, recs...) {
		if res.Err != nil {
			w.t.Fatalf("a client that behaves well cannot produce: %v\n%s", res.Err, tail(w.Log()))
		}
		w.acked[res.Record.Offset] = string(res.Record.Value)
	}
}

// findAll reads topic good from its start and holds it against what was acknowledged.
func (w *world) findAll() {
	w.t.Helper()
	cl := w.newClient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{good: {0: kgo.NewOffset().AtStart()}}), kgo.FetchMaxWait(50*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for found := 0; found < len(w.acked); {
		fs := cl.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			w.t.Fatalf("found %d of %d acknowledged records: %v\n%s", found, len(w.acked), err, tail(w.Log()))
		}
		fs.EachRecord(func(r *kgo.Record) {
			switch want, ok := w.acked[r.Offset]; {
			case ok && want == string(r.Value):
				found++
			case ok:
				w.t.Fatalf("offset %d holds %q and was acknowledged for %q", r.Offset, r.Value, want)
			}
		})
	}
}

// checkWell is what must hold after every attack: the process lives, the client that was connected and a new one are served, nothing that
// was acknowledged is missing, and connections and goroutines are back to what they were.
func (w *world) checkWell() {
	w.t.Helper()
	select {
	case <-w.Ended():
		w.t.Fatalf("the server has ended:\n%s", tail(w.Log()))
	default:
	}
	w.behaveWell()
	fresh := w.newClient()
	w.behave(fresh)
	fresh.Close()
	w.findAll()
	if log := w.Log(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		w.t.Fatalf("the server panicked:\n%s", tail(log))
	}
	var now vitals
	w.within(time.Minute, "connections, goroutines and files come back", func() error {
		now = w.vitals()
		switch {
		case now.conns > w.before.conns+3: // the connected client opens up to four by itself
			return fmt.Errorf("%d connections, before there were %d", now.conns, w.before.conns)
		case now.goroutines > w.before.goroutines+8:
			return fmt.Errorf("%d goroutines, before there were %d", now.goroutines, w.before.goroutines)
		case now.fds > w.before.fds+64: // segments stay open
			return fmt.Errorf("%d open files, before there were %d", now.fds, w.before.fds)
		}
		return nil
	})
}

// within waits until ok, at most for d.
func (w *world) within(d time.Duration, what string, ok func() error) {
	w.t.Helper()
	var err error
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err = ok(); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // another process: there is nothing to wait on
	}
	w.t.Fatalf("not within %v: %s: %v\n%s", d, what, err, tail(w.Log()))
}

var metrics = http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

// vitals asks the server how it is. Its log and its answer are all that a person has, too.
func (w *world) vitals() vitals {
	w.t.Helper()
	resp, err := metrics.Get("http://" + w.HTTP + "/metrics")
	if err != nil {
		w.t.Fatalf("metrics: %v\n%s", err, tail(w.Log()))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return vitals{
		conns: int(metric(b, `rafka_active_connections{door="kafka"}`)) + int(metric(b, `rafka_active_connections{door="text"}`)),
		fds:   int(metric(b, "process_open_fds")), goroutines: int(metric(b, "go_goroutines")), rss: int64(metric(b, "process_resident_memory_bytes")),
	}
}

func metric(page []byte, name string) float64 {
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err == nil {
				return v
			}
		}
	}
	return -1
}

// tail is the end of a log.
func tail(log string) string { return log[max(0, len(log)-4000):] }

// dial opens a raw connection.
func (w *world) dial() net.Conn {
	w.t.Helper()
	nc, err := dialTimeout(w.Kafka)
	if err != nil {
		w.t.Fatal(err)
	}
	return nc
}

// framed puts the length and a request header in front of a message's body.
func framed(msg kmsg.Request, correlation int32) []byte {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("abuse"))
	return f.AppendRequest(nil, msg, correlation)
}

// helloID is hello's correlation id.
const helloID = 0x7e110

// hello is a request that every server answers.
func hello() []byte {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version = 3
	q.ClientSoftwareName, q.ClientSoftwareVersion = "abuse", "1"
	return framed(q, helloID)
}

// readFrame reads one answer.
func readFrame(nc net.Conn) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(nc, n[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(n[:])
	if size > 256<<20 {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(nc, b)
	return b, err
}

// ends reads until the server closes the connection, and fails when it does not within d.
func (w *world) ends(nc net.Conn, d time.Duration, what string) []byte {
	w.t.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(d))
	b, err := io.ReadAll(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Errorf("%s: the connection was not closed within %v", what, d)
	}
	_ = nc.Close()
	return b
}

// request sends one request by a client of its own connection, without its retries.
func request[A kmsg.Response](w *world, q kmsg.Request) A {
	w.t.Helper()
	nc := w.dial()
	defer nc.Close()
	a, err := ask(nc, q)
	if err != nil {
		w.t.Fatalf("%s version %d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	return a.(A)
}

// ask sends a request and reads its answer.
func ask(nc net.Conn, q kmsg.Request) (kmsg.Response, error) {
	if _, err := nc.Write(framed(q, 1)); err != nil {
		return nil, err
	}
	return answerTo(nc, q)
}

func answerTo(nc net.Conn, q kmsg.Request) (kmsg.Response, error) {
	b, err := readFrame(nc)
	if err != nil {
		return nil, err
	}
	b = b[4:] // correlation id
	if q.IsFlexible() && q.Key() != 18 {
		b = b[1:] // tags
	}
	a := q.ResponseKind()
	return a, a.ReadFrom(b)
}

// produceOf is a produce request with one batch.
func produceOf(topic string, partition int32, batch []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 9, -1, 10000
	q.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: batch}}}}
	return q
}

// put produces one batch and returns the answer of its partition.
func (w *world) put(topic string, partition int32, batch []byte) kmsg.ProduceResponseTopicPartition {
	w.t.Helper()
	return request[*kmsg.ProduceResponse](w, produceOf(topic, partition, batch)).Topics[0].Partitions[0]
}

// codeOf is an error code with its name and message.
func codeOf(p kmsg.ProduceResponseTopicPartition) string {
	name := "NONE"
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		name = err.(*kerr.Error).Message
	}
	if p.ErrorMessage != nil {
		name += ": " + *p.ErrorMessage
	}
	return name
}

// batchOf is a batch with n records of size bytes each.
func batchOf(t testing.TB, n, size int) []byte {
	t.Helper()
	recs := make([]record.Record, n)
	value := bytes.Repeat([]byte("v"), size)
	for i := range recs {
		recs[i] = record.Record{Key: fmt.Appendf(nil, "key %d", i), Value: value, Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}
	}
	b, err := record.Build(nil, record.PlainOptions(), recs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// create makes a topic.
func (w *world) create(topic string, partitions int32, configs ...string) {
	w.t.Helper()
	set := map[string]*string{}
	for i := 0; i < len(configs); i += 2 {
		set[configs[i]] = &configs[i+1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r, err := kadm.NewClient(w.client).CreateTopic(ctx, partitions, 1, set, topic); err != nil || r.Err != nil {
		w.t.Fatalf("create %s: %v %v", topic, err, r.Err)
	}
}

// seeded is a random generator whose seed is printed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := seed.Of(t)
	t.Logf("RAFKA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// end is the end offset of a topic's partition 0.
func (w *world) end(topic string) int64 {
	w.t.Helper()
	ends, err := kadm.NewClient(w.client).ListEndOffsets(w.t.Context(), topic)
	o, _ := ends.Lookup(topic, 0)
	if err == nil {
		err = o.Err
	}
	if err != nil {
		w.t.Fatalf("end of %s: %v", topic, err)
	}
	return o.Offset
}

func dialTimeout(addr string) (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err == nil {
		_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return nc, err
}
