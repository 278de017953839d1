package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
)

// bench is the broker that a benchmark measures: the real binary, or whatever listens at RAFKA_BENCH_BROKER with the process id RAFKA_BENCH_PID, so that
// another broker can be measured with the same program.
type bench struct {
	addr string
	pid  int
}

func startBench(b *testing.B) bench {
	b.Helper()
	if addr := os.Getenv("RAFKA_BENCH_BROKER"); addr != "" {
		pid, _ := strconv.Atoi(os.Getenv("RAFKA_BENCH_PID"))
		return bench{addr, pid}
	}
	srv := testbin.Start(b, "--data-dir", b.TempDir(), "--kafka-addr", "127.0.0.1:0", "--http-addr", "", "--grpc-addr", "", "--log-level", "warn")
	return bench{srv.Kafka, srv.Pid}
}

func (x bench) client(b *testing.B, opts ...kgo.Opt) *kgo.Client {
	b.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(x.addr)}, opts...)...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cl.Close)
	return cl
}

// cpu is the processor time that the broker has used, in seconds; 0 where there is no /proc.
func (x bench) cpu() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", x.pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100 // in ticks of 1/100 s on Linux
}

// beating is one member of a KIP-848 group that does nothing but send heartbeats.
type beating struct {
	group, id string
	epoch     int32
	owned     []kmsg.ConsumerGroupHeartbeatRequestTopic // to be told with the next heartbeat
	due       time.Time
}

func (m *beating) beat(ctx context.Context, cl *kgo.Client) error {
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.MemberEpoch = m.group, m.id, m.epoch
	if m.epoch == 0 {
		q.RebalanceTimeoutMillis, q.SubscribedTopicNames, q.Topics = 60_000, []string{"beats"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	} else if m.owned != nil {
		q.Topics, m.owned = m.owned, nil
	}
	r, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(r.ErrorCode)
	}
	if err != nil {
		m.due = time.Now().Add(100 * time.Millisecond)
		return err
	}
	m.epoch, m.due = r.MemberEpoch, time.Now().Add(time.Duration(r.HeartbeatIntervalMillis)*time.Millisecond)
	if r.Assignment != nil {
		m.owned, m.due = []kmsg.ConsumerGroupHeartbeatRequestTopic{}, time.Now()
		for _, t := range r.Assignment.Topics {
			m.owned = append(m.owned, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: t.TopicID, Partitions: t.Partitions})
		}
	}
	return nil
}

// BenchmarkHeartbeats has 1,000 KIP-848 groups of ten members over 16 connections, lets them come to rest for 30 s, and tells what their heartbeats cost
// the broker in the 30 s that follow. Run it with -benchtime 1x.
func BenchmarkHeartbeats(b *testing.B) {
	x := startBench(b)
	for b.Loop() {
		_, _ = kadm.NewClient(x.client(b)).CreateTopic(b.Context(), 10, 1, nil, "beats")
		var beats, errs atomic.Int64
		ctx, stop := context.WithCancel(b.Context())
		var running sync.WaitGroup
		const connections = 16
		for c := range connections {
			cl := x.client(b)
			var members []*beating
			for i := c; i < 10_000; i += connections {
				members = append(members, &beating{group: fmt.Sprintf("beats-%d", i/10), id: fmt.Sprintf("member-%d", i)})
			}
			running.Go(func() {
				for ctx.Err() == nil {
					for _, m := range members {
						if ctx.Err() != nil || time.Now().Before(m.due) {
							continue
						}
						if m.beat(ctx, cl) != nil {
							errs.Add(1)
						} else {
							beats.Add(1)
						}
					}
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
		time.Sleep(30 * time.Second)
		n, used := beats.Load(), x.cpu()
		time.Sleep(30 * time.Second)
		n, used = beats.Load()-n, x.cpu()-used
		stop()
		running.Wait()
		b.ReportMetric(float64(n)/30, "heartbeats/s")
		b.ReportMetric(1e6*used/float64(n), "broker-µs/heartbeat")
		b.ReportMetric(float64(errs.Load()), "errors")
	}
}

// BenchmarkShareGroup has four consumers of a share group empty a topic of 300,000 records of 1 KiB. Run it with -benchtime 1x.
func BenchmarkShareGroup(b *testing.B) {
	x := startBench(b)
	for b.Loop() {
		const records = 300_000
		name := fmt.Sprintf("shared-%d", time.Now().UnixNano())
		cl := x.client(b, kgo.DefaultProduceTopic(name))
		if _, err := kadm.NewClient(cl).CreateTopic(b.Context(), 6, 1, nil, name); err != nil {
			b.Fatal(err)
		}
		for range records {
			cl.Produce(b.Context(), &kgo.Record{Value: make([]byte, 1024)}, nil)
		}
		if err := cl.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		earliest := "earliest"
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = "share.auto.offset.reset", &earliest
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeGroupConfig, name, append(r.Configs, c)
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.Resources = append(q.Resources, r)
		if _, err := q.RequestWith(b.Context(), cl); err != nil {
			b.Fatal(err)
		}
		var got, first atomic.Int64
		ctx, done := context.WithTimeout(b.Context(), 2*time.Minute)
		used := x.cpu()
		var running sync.WaitGroup
		for range 4 {
			member := x.client(b, kgo.ShareGroup(name), kgo.ConsumeTopics(name))
			running.Go(func() {
				for ctx.Err() == nil {
					if n := member.PollFetches(ctx).NumRecords(); n > 0 {
						first.CompareAndSwap(0, time.Now().UnixNano())
						if got.Add(int64(n)) >= records {
							done()
						}
					}
				}
			})
		}
		<-ctx.Done()
		took := time.Since(time.Unix(0, first.Load()))
		used = x.cpu() - used
		running.Wait()
		done()
		b.ReportMetric(float64(got.Load())/took.Seconds(), "records/s")
		b.ReportMetric(used, "broker-cpu-s")
	}
}

// BenchmarkLoadOffsets commits 100,000 offsets in 100 groups, kills the broker, and tells how long after its start all of them can be read again.
func BenchmarkLoadOffsets(b *testing.B) {
	dir := b.TempDir()
	args := []string{"--data-dir", dir, "--kafka-addr", "127.0.0.1:0", "--http-addr", "", "--grpc-addr", "", "--log-level", "warn"}
	for b.Loop() {
		srv := testbin.Start(b, args...)
		adm := kadm.NewClient(bench{srv.Kafka, srv.Pid}.client(b))
		_, _ = adm.CreateTopic(b.Context(), 1000, 1, nil, "offsets")
		for g := range 100 {
			var offsets kadm.Offsets
			for p := range int32(1000) {
				offsets.AddOffset("offsets", p, int64(g), -1)
			}
			if _, err := adm.CommitOffsets(b.Context(), fmt.Sprintf("load-%d", g), offsets); err != nil {
				b.Fatal(err)
			}
		}
		srv.Kill()
		began := time.Now()
		srv = testbin.Start(b, args...)
		adm = kadm.NewClient(bench{srv.Kafka, srv.Pid}.client(b))
		n := 0
		for g := range 100 {
			r, err := adm.FetchOffsets(b.Context(), fmt.Sprintf("load-%d", g))
			if err != nil {
				b.Fatal(err)
			}
			n += len(r["offsets"])
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-all")
		if n != 100_000 {
			b.Fatalf("%d offsets", n)
		}
		srv.Kill()
	}
}
