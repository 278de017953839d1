package kafkasrv

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newClient(t *testing.T, d *door, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(d.addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// franz-go creates, produces idempotently with every compression, and consumes assigned partitions.
func TestFranzGoProducesAndConsumes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d := open(t, newFakeBroker(), Options{})
	adm := kadm.NewClient(newClient(t, d))
	if _, err := adm.CreateTopics(ctx, 3, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl := newClient(t, d, kgo.ProducerBatchCompression(codec))
		for j := range 100 {
			value := fmt.Sprintf("%d-%d", i, j)
			want[value] = true
			cl.Produce(ctx, &kgo.Record{Topic: "orders", Value: []byte(value)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := cl.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	offsets := map[int32]kgo.Offset{}
	for p := range int32(3) {
		offsets[p] = kgo.NewOffset().AtStart()
	}
	consumer := newClient(t, d, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": offsets}), kgo.FetchMaxWait(100*time.Millisecond))
	for len(want) > 0 {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !want[string(r.Value)] {
				t.Errorf("%q came twice or was never sent", r.Value)
			}
			delete(want, string(r.Value))
		})
	}
}

// kadm, which checks answers more closely than most, goes through the administrative APIs.
func TestFranzGoAdministers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d := open(t, newFakeBroker("orders"), Options{})
	adm := kadm.NewClient(newClient(t, d))
	if m, err := adm.Metadata(ctx); err != nil || m.Cluster != fakeCluster || len(m.Topics) != 1 || len(m.Brokers) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	if offsets, err := adm.ListEndOffsets(ctx, "orders"); err != nil || offsets.Error() != nil {
		t.Errorf("%+v %v", offsets, err)
	}
	if r, err := adm.DescribeTopicConfigs(ctx, "orders"); err != nil || len(r[0].Configs) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("5")}}, "orders"); err != nil || r[0].Err != nil {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := adm.DescribeAllLogDirs(ctx, nil); err != nil || len(r[1]) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := adm.DeleteRecords(ctx, kadm.Offsets{"orders": {0: {Topic: "orders", At: -1, LeaderEpoch: -1}}}); err != nil || r.Error() != nil {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := adm.DescribeProducers(ctx, (kadm.TopicsList{{Topic: "orders", Partitions: []int32{0}}}).IntoSet()); err != nil || len(r) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := adm.CreatePartitions(ctx, 2, "orders"); err != nil || r.Error() != nil {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := adm.DeleteTopics(ctx, "orders"); err != nil || r.Error() != nil {
		t.Errorf("%+v %v", r, err)
	}
}

// librdkafka decides by our ApiVersions what it may use: it must find all it needs to produce, consume and list.
func TestKcatProducesAndConsumes(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("kcat is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d := open(t, newFakeBroker("orders"), Options{})
	run := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, kcat, append([]string{"-b", d.addr}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("kcat %v: %v\n%s", args, err, &errs)
		}
		return string(out)
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		run(codec+"-1\n"+codec+"-2\n", "-P", "-t", "orders", "-p", "0", "-z", codec, "-X", "enable.idempotence=true")
	}
	want := "none-1\nnone-2\ngzip-1\ngzip-2\nsnappy-1\nsnappy-2\nlz4-1\nlz4-2\nzstd-1\nzstd-2\n"
	if got := run("", "-C", "-q", "-t", "orders", "-p", "0", "-o", "beginning", "-e", "-X", "fetch.wait.max.ms=50"); got != want {
		t.Errorf("consumed %q", got)
	}
	if got := run("", "-L"); !strings.Contains(got, `topic "orders" with 2 partitions`) || !strings.Contains(got, "broker 1 at "+d.addr) {
		t.Errorf("listed %s", got)
	}
	if got := run("", "-Q", "-t", "orders:0:-1"); !strings.Contains(got, "offset ") {
		t.Errorf("queried %s", got)
	}
}
