package rafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// local is a broker's options on a free port.
func local(opts ...rafka.Option) []rafka.Option {
	return append([]rafka.Option{rafka.WithKafkaAddr("127.0.0.1:0")}, opts...)
}

func started(t *testing.T, opts ...rafka.Option) *rafka.Server {
	t.Helper()
	s, err := rafka.Start(t.Context(), local(opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return s
}

func connect(t *testing.T, s *rafka.Server, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.Addr()), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("t")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// first reads the first record of topic t.
func first(t *testing.T, s *rafka.Server) *kgo.Record {
	t.Helper()
	cl := connect(t, s, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))
	for {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if r := fetches.Records(); len(r) > 0 {
			return r[0]
		}
	}
}

// A Server is started once, tells its addresses while it runs, and is stopped as often as one likes.
func TestLifecycle(t *testing.T) {
	s := rafka.New(local(rafka.InMemory(), rafka.WithGRPCAddr("127.0.0.1:0"), rafka.WithHTTPAddr("127.0.0.1:0"))...)
	if s.Addr() != "" || s.GRPCAddr() != "" || s.HTTPAddr() != "" || s.Err() != nil || s.Done() != nil {
		t.Error("a server that is not started says it runs")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown before the start: %v", err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "started already") {
		t.Errorf("a second start: %v", err)
	}
	for _, addr := range []string{s.Addr(), s.GRPCAddr(), s.HTTPAddr()} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	select {
	case <-s.Done():
		t.Error("done while it runs")
	default:
	}
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Addr() != "" || s.Done() != nil {
		t.Error("a server that was stopped has an address")
	}
}

// A setting that does not exist, or has no such value, is an error that names it and says what was perhaps meant; nothing is started.
func TestWrongSettings(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"log.retention.hour", "1", "log.retention.hours"},
		{"num.partitions", "many", "num.partitions"},
		{"rafka.storage.engine", "floppy", "seglog"},
	} {
		_, err := rafka.Start(t.Context(), local(rafka.InMemory(), rafka.WithSetting(c.key, c.value))...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
	}
}

// A port in use is named in the error.
func TestPortInUse(t *testing.T) {
	s := started(t, rafka.InMemory())
	_, err := rafka.Start(t.Context(), rafka.InMemory(), rafka.WithKafkaAddr(s.Addr()))
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("error %v", err)
	}
}

// What was produced is there after a restart on disk, and gone after one in memory.
func TestRestartKeepsWhatIsOnDisk(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	s := started(t, dir)
	cl := connect(t, s)
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("kept")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	if r := first(t, started(t, dir)); string(r.Value) != "kept" {
		t.Errorf("read %q", r.Value)
	}
}

// Shutdown answers what was sent before it: no producer is left in doubt by an orderly stop (APP-3).
func TestShutdownDrains(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	s := started(t, dir)
	cl := connect(t, s, kgo.AllowIdempotentProduceCancellation(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.ProducerLinger(0))
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("warm")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var busy sync.WaitGroup
	var last [4]atomic.Int64 // the offset of each producer's last record that was acknowledged
	enough := make(chan struct{}, 4)
	for i := range last {
		busy.Go(func() {
			for n := 0; ; n++ {
				r := kgo.StringRecord("x")
				if cl.ProduceSync(ctx, r).FirstErr() != nil {
					return
				}
				last[i].Store(r.Offset)
				if n == 10 {
					enough <- struct{}{}
				}
			}
		})
	}
	for range last {
		<-enough
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	busy.Wait()
	next := kgo.StringRecord("after")
	if err := connect(t, started(t, dir)).ProduceSync(t.Context(), next).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i := range last {
		if at := last[i].Load(); at >= next.Offset {
			t.Errorf("offset %d was acknowledged before the stop and given again after it", at)
		}
	}
}

// Listeners of the caller's own are served and closed.
func TestOwnListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := started(t, rafka.InMemory(), rafka.WithKafkaListener(l))
	if s.Addr() != l.Addr().String() {
		t.Errorf("address %s, the listener has %s", s.Addr(), l.Addr())
	}
	if err := connect(t, s).ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is not closed: %v", err)
	}
}
